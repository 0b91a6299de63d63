"""Which cached points late samples have changed, by the late marks of `ingest/late_marks.py`.

An extent is not used again when a late sample that its points depend on was stored after the
extent was read.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pulseboard.ingest.late_marks import ANY_METRIC, BUCKET_SECONDS, LateMarks
from pulseboard.query.plan import Bucketed, Plan
from pulseboard.query.result_cache.extents import Extent

CLOCK_SKEW = 2.0
"""Seconds by which the clocks of two processes may differ."""


@dataclass(frozen=True, slots=True)
class DependencyRange:
    """Which samples a plan's points depend on: those of `metrics`, from `lookback` seconds before
    a point to `lookahead` seconds after it.
    """

    metrics: tuple[str, ...]
    lookback: float
    lookahead: float

    @classmethod
    def of(cls, plan: Plan) -> "DependencyRange":
        """The range of a plan."""
        shape = plan.shape
        if isinstance(shape, Bucketed):
            return cls((shape.name,), 0.0, plan.step)
        names = dict.fromkeys(read.name or ANY_METRIC for read in shape.reads)
        return cls(tuple(names), shape.lookback + plan.step, shape.lookahead)


def still_valid(
    extents: Mapping[int, Extent],
    *,
    plan: Plan,
    marks: Mapping[str, LateMarks],
    rollup_delay: float,
    read_since: float,
) -> dict[int, Extent]:
    """The extents that no late sample has changed since they were read.

    A stored sample is in the table that the plan reads `rollup_delay` seconds later at the latest.
    Extents that were read after `read_since` (seconds since 1970) are valid in any case: another
    caller has just read them, and reading them again for each caller would gain nothing.
    """
    dependencies = DependencyRange.of(plan)
    relevant = [marks[name] for name in dependencies.metrics if marks.get(name)]
    if not relevant:
        return dict(extents)
    return {
        number: extent
        for number, extent in extents.items()
        if extent.read_at > read_since
        or not any(
            _changed(extent, plan.step, dependencies, each, rollup_delay) for each in relevant
        )
    }


def _changed(
    extent: Extent, step: int, dependencies: DependencyRange, marks: LateMarks, rollup_delay: float
) -> bool:
    first = extent.span.start * step - dependencies.lookback
    last = (extent.span.stop - 1) * step + dependencies.lookahead
    stored_before = extent.read_at - rollup_delay - CLOCK_SKEW
    return any(
        stored >= stored_before
        and bucket * BUCKET_SECONDS <= last
        and (bucket + 1) * BUCKET_SECONDS >= first
        for bucket, stored in marks.items()
    )
