"""What one read of a plan found."""

from array import array
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Points of a plan as read: lines by `line_key`, and what that took.

    `seen` tells whether any series was found, with values or without.
    """

    lines: dict[str, "array[float]"]
    rows: int = 0
    notes: tuple[str, ...] = ()
    seen: bool = True
