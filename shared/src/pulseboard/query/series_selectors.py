"""What the selectors of a plan look for: series that can have samples in the plan's range.

The range is that of all points of the plan, so that limits on series do not depend on which points
are cached.
"""

from typing import NamedTuple

from pulseboard.catalogue.last_seen import SampleTimes
from pulseboard.catalogue.selector import Matcher
from pulseboard.promql.ast import Read
from pulseboard.promql.times import Times, evaluated
from pulseboard.query.expression import Expression
from pulseboard.query.plan import Bucketed, Plan
from pulseboard.query.tiers import RESOLUTIONS


class SeriesSelector(NamedTuple):
    """A metric's name, matchers, and the times of which the series have samples."""

    name: str | None
    matchers: tuple[Matcher, ...]
    times: SampleTimes


def of_plan(plan: Plan) -> list[SeriesSelector]:
    """Those of a plan."""
    if isinstance(plan.shape, Bucketed):
        return [of_buckets(plan, plan.shape)]
    return [of_read(plan, read) for read in plan.shape.reads]


def of_buckets(plan: Plan, shape: Bucketed) -> SeriesSelector:
    """That of a plan of buckets."""
    times = SampleTimes.around(plan.time_of(plan.span.start), plan.time_of(plan.span.stop))
    return SeriesSelector(shape.name, shape.matchers, times)


def of_read(plan: Plan, read: Read) -> SeriesSelector:
    """One of a plan's expression."""
    span = plan.span
    times = Times(float(plan.time_of(span.start)), float(plan.step), len(span))
    lookback = plan.shape.lookback_delta if isinstance(plan.shape, Expression) else 0.0
    window = read.window if read.window is not None else lookback
    of = evaluated(read, times)
    # A rollup's value stands at the end of its bucket.
    first = of.first - read.offset - window - RESOLUTIONS[plan.tier]
    return SeriesSelector(
        read.name, read.matchers, SampleTimes.around(first, of.last - read.offset)
    )
