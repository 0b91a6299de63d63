"""Which cached points late samples have changed, by the late marks of `ingest/late_marks.py`.

An extent is not used again when a late sample that its points depend on was stored after the
extent was read.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pulseboard.contracts.vocabulary import Tier
from pulseboard.ingest.late_marks import ANY_METRIC, BUCKET_SECONDS, LateMarks
from pulseboard.query.plan import Bucketed, Plan
from pulseboard.query.result_cache.extents import Extent
from pulseboard.query.tiers import RESOLUTIONS

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
    fixed: tuple[float, float] | None = None
    """The time of samples that all points depend on."""

    @classmethod
    def of(cls, plan: Plan) -> "DependencyRange":
        """The range of a plan."""
        shape = plan.shape
        if isinstance(shape, Bucketed):
            return cls((shape.name,), 0.0, plan.step)
        names = dict.fromkeys(read.name or ANY_METRIC for read in shape.reads)
        return cls(tuple(names), shape.lookback + plan.step, shape.lookahead, shape.fixed)


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
        or not any(_changed(extent, plan, dependencies, each, rollup_delay) for each in relevant)
    }


def catching_up(plan: Plan, *, marks: Mapping[str, LateMarks], now: float, delay: float) -> bool:
    """Whether a rollup that the plan reads may not have a late sample yet that is stored.

    `delay` is how long after storing, in seconds, the next refresh of minutes has it. Newer times
    than a row's width ago are not in the rollup at all, and read from what it is made of.
    """
    if plan.tier is Tier.RAW:
        return False
    width = RESOLUTIONS[plan.tier]
    refreshed = now - delay - (width if plan.tier is Tier.HOUR else 0)
    dependencies = DependencyRange.of(plan)
    first, last = _samples_of(plan.span, plan, dependencies)
    return any(
        stored >= refreshed
        and first - BUCKET_SECONDS <= bucket * BUCKET_SECONDS <= min(last, now - width)
        for name in dependencies.metrics
        for bucket, stored in marks.get(name, {}).items()
    )


def _samples_of(span: range, plan: Plan, dependencies: DependencyRange) -> tuple[float, float]:
    """The times between which the samples of these points lie."""
    first = plan.time_of(span.start) - dependencies.lookback
    return first, plan.time_of(span.stop - 1) + dependencies.lookahead


def _changed(
    extent: Extent, plan: Plan, dependencies: DependencyRange, marks: LateMarks, rollup_delay: float
) -> bool:
    first, last = _samples_of(extent.span, plan, dependencies)
    ranges = [(first, last), *([dependencies.fixed] if dependencies.fixed else [])]
    stored_before = extent.read_at - rollup_delay - CLOCK_SKEW
    return any(
        stored >= stored_before
        and bucket * BUCKET_SECONDS <= last
        and (bucket + 1) * BUCKET_SECONDS >= first
        for bucket, stored in marks.items()
        for first, last in ranges
    )
