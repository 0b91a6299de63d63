"""Which kept points late samples touch, by the notes that ingest/late_marks.py makes of them.

A part of an answer that was read before a late sample was stored, and that a sample of its stretch
bears on, is not used again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pulseboard.ingest.late_marks import ANY, BUCKET, Marks
from pulseboard.query.plan import Bucketed, Plan
from pulseboard.query.result_cache.extents import Segment

SLACK = 2.0
"""Seconds by which the clocks of two processes may differ."""


@dataclass(frozen=True, slots=True)
class Bearing:
    """Whose samples a plan's points depend on, and how far from a point they lie, in seconds."""

    metrics: tuple[str, ...]
    before: float
    after: float

    @classmethod
    def of(cls, plan: Plan) -> "Bearing":
        """That of a plan."""
        shape = plan.shape
        if isinstance(shape, Bucketed):
            return cls((shape.name,), 0.0, plan.step)
        names = dict.fromkeys(read.name or ANY for read in shape.reads)
        return cls(tuple(names), shape.reach + plan.step, shape.ahead)


def still_good(
    parts: Mapping[int, Segment],
    *,
    plan: Plan,
    marks: Mapping[str, Marks],
    settled: float,
    young: float,
) -> dict[int, Segment]:
    """The parts that no late sample has touched since they were read.

    `settled` seconds after it was stored a sample is in the table that the plan reads. Parts that
    were read after the moment `young` are good anyway: they were read for somebody else who asks
    now, and reading them once more for each of them would help nobody.
    """
    bearing = Bearing.of(plan)
    mine = [marks[name] for name in bearing.metrics if marks.get(name)]
    if not mine:
        return dict(parts)
    return {
        number: part
        for number, part in parts.items()
        if part.born > young
        or not any(_touched(part, plan.step, bearing, each, settled) for each in mine)
    }


def _touched(part: Segment, step: int, bearing: Bearing, marks: Marks, settled: float) -> bool:
    first = part.span.start * step - bearing.before
    last = (part.span.stop - 1) * step + bearing.after
    trusted = part.born - settled - SLACK
    return any(
        stored >= trusted and stretch * BUCKET <= last and (stretch + 1) * BUCKET >= first
        for stretch, stored in marks.items()
    )
