"""What one read of a plan gives."""

from array import array
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class PlanPart:
    """Points of a plan as read: lines by `line_key`, and how many rows of the tier were read.

    `found`: whether the catalogue has any of the series, with values or without. `samples`: of an
    expression, how many samples or statistics of buckets were read.
    """

    lines: dict[str, "array[float]"]
    rows: int = 0
    notes: tuple[str, ...] = ()
    found: bool = True
    samples: int = 0
