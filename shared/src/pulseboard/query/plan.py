"""Plans a query: which points, from which tier, by which computation, under which cache key.

A query has the meaning of PromQL: the point at t looks back from t. A metric's name, alone or with
tags, is an instant selector like any other: the newest sample within the look-back. With an
aggregation or a grouping its samples are bucketed: the point at t holds those of [t, t + step).
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pulseboard.catalogue import selector as selectors
from pulseboard.catalogue.selector import Matcher
from pulseboard.contracts.base import datetime_at, format_interval, interval_seconds
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Aggregation, Tier
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.lookback import LOOKBACK_DELTA, lookback_of
from pulseboard.core.patterns import check_pattern
from pulseboard.promql.ast import Need, Select
from pulseboard.query import calendar, tiers
from pulseboard.query.calendar import Run
from pulseboard.query.expression import Expression, parse_expression

ROUNDING = 10
"""Seconds: queries whose times differ by less share a plan."""
DELIVERY = 5
"""Seconds after which the samples of a bucket have arrived. Sums and counts of a bucket in progress
would be too small: it is left out until then."""
_INTERVAL_VARIABLE = re.compile(
    r"\$(?:\{__(rate_interval|interval(?:_ms)?)\}|__(rate_interval|interval(?:_ms)?)\b)"
)
_ADDITIVE = (Aggregation.SUM, Aggregation.COUNT)
_TWO_SAMPLES = (Need.COUNTER, Need.CHANGES, Need.SAMPLES)
# Possessive, since each part may take the blanks of the others: backtracking was cubic.
_SELECTOR_LIKE = re.compile(r"\s*+[\w:.]*+\s*+(?:\{[^}]*+)?+\}?+\s*+")


@dataclass(frozen=True, slots=True)
class Bucketed:
    """Samples of a metric in buckets, one aggregation in a bucket and across a group."""

    name: str
    matchers: tuple[Matcher, ...]
    aggregation: Aggregation
    group_by: tuple[str, ...] | None

    @property
    def source(self) -> tuple[object, ...]:
        """Queries with the same source read the same rows in the same groups."""
        return (self.name, self.matchers, self.group_by)

    def described(self) -> str:
        """Its meaning as a text, for readers."""
        selector = selectors.Selector(self.name, self.matchers).normalised().removesuffix("{}")
        groups = "" if self.group_by is None else f" by ({', '.join(self.group_by)})"
        return f"{self.aggregation.value}{groups} of {selector}"


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is executed. Points are numbered: point n stands at `origin` + n × step."""

    tier: Tier
    step: int
    span: range
    shape: Bucketed | Expression
    key: dict[str, Any]
    notes: tuple[str, ...]
    lookahead: float
    """Seconds after a point's time up to which samples change it."""
    origin: int = 0
    """Seconds by which the points lie after whole multiples of the step: days of a time zone."""

    def time_of(self, point: int) -> int:
        """The time of a point in seconds since 1970."""
        return self.origin + point * self.step

    @property
    def table(self) -> str:
        """The table that is read."""
        return tiers.TABLES[self.tier]

    def timestamps(self) -> list[int]:
        """The time of each point in milliseconds since 1970."""
        first, end = self.time_of(self.span.start), self.time_of(self.span.stop)
        return list(range(first * 1000, end * 1000, self.step * 1000))

    def first_mutable(self, *, now: datetime, allowed_lateness: float) -> int:
        """The first point that samples may still change that are `allowed_lateness` seconds late.

        The points before it are settled.
        """
        settled = now.timestamp() - allowed_lateness
        fixed = self.shape.fixed if isinstance(self.shape, Expression) else None
        if fixed is not None and fixed[1] > settled:
            return self.span.start
        return math.floor((settled - self.lookahead - self.origin) / self.step) + 1


def metrics_of(params: QueryParams) -> tuple[str, ...]:
    """The metrics that a query names. Raises InvalidRequest for a text that can't be parsed."""
    shape, _ = _shape(params, _filled(params.query, step=60, interval=0))
    if isinstance(shape, Bucketed):
        return (shape.name,)
    return tuple(dict.fromkeys(read.name for read in shape.reads if read.name is not None))


def plans(
    params: QueryParams,
    *,
    now: datetime,
    retention: dict[Tier, int],
    longest: int,
    intervals: Mapping[str, float] | None = None,
) -> tuple[Plan, ...]:
    """Plan a query: one plan, or several, one after the other in time, where its points are days
    of a time zone whose clocks are changed.

    Raises InvalidRequest, with the position, for a text that can't be parsed.

    `retention` and `longest`, the longest range that is allowed, are in seconds. `intervals` are
    the seconds between two samples of a series, of the metrics for which they are known.
    """
    if (params.end - params.start).total_seconds() > longest:
        message = f"The range is longer than {format_interval(longest)}."
        raise InvalidRequest(
            message,
            details=[ErrorDetail(field="start", message=message, hint="narrow the range")],
        )
    rounded = _rounded(params)
    known = intervals or {}
    interval = max((known.get(name, 0.0) for name in metrics_of(params)), default=0.0)
    shape, key, chosen = _chosen(rounded, now, retention, interval)
    notes = list(chosen.notes)
    runs = _runs(shape, chosen, rounded, now)
    if isinstance(shape, Expression):
        notes += _interval_notes(shape, known)
        shape, tier_notes = shape.fitted_to(chosen.tier)
        notes += tier_notes
        if params.group_by is not None or params.aggregation not in _WITHOUT_EFFECT:
            notes.append(
                "aggregation and groupBy do nothing to an expression: write avg by (…) (…)"
            )
        if shape.depends_on_range:
            shape = shape.resolved(
                start=float(runs[0].time_of(runs[0].span.start)),
                end=float(runs[-1].time_of(runs[-1].span.stop - 1)),
            )
            key = {**key, "expression": repr(shape.tree)}
    return tuple(
        Plan(
            tier=chosen.tier,
            step=run.step,
            span=run.span,
            shape=shape,
            key={
                "tier": chosen.tier,
                "step": run.step,
                **({"origin": run.origin} if run.origin else {}),
                **key,
            },
            notes=tuple(dict.fromkeys(notes)),
            lookahead=shape.lookahead if isinstance(shape, Expression) else float(run.step),
            origin=run.origin,
        )
        for run in runs
    )


def _runs(
    shape: Bucketed | Expression, chosen: tiers.TierChoice, rounded: QueryParams, now: datetime
) -> tuple[Run, ...]:
    """The points of a query."""
    start, end = rounded.start.timestamp(), rounded.end.timestamp()
    # A window that ends in the future is not whole; nor is a sum before all is there.
    latest = math.inf
    if isinstance(shape, Bucketed):
        if shape.aggregation in _ADDITIVE:
            latest = now.timestamp() - DELIVERY
    elif any(read.window is not None for read in shape.reads):
        latest = now.timestamp()
    zone = _zone(rounded, chosen.step)
    if zone is not None:
        whole = tiers.RESOLUTIONS[chosen.tier]
        begins = calendar.boundaries(
            start, end + chosen.step + tiers.DAY, chosen.step, zone, whole=whole
        )
        if isinstance(shape, Expression):
            points = [each for each in begins if start <= each <= min(end, max(latest, start))]
        else:
            points = [
                each
                for each, after in pairwise(begins)
                if each < end and (after <= latest or each <= start)
            ]
        points = points or begins[:1]
        return calendar.runs([*points, begins[begins.index(points[-1]) + 1]])
    if isinstance(shape, Expression):
        first = math.ceil(start / chosen.step)
        last = math.floor(end / chosen.step)
        if latest < math.inf:
            last = max(min(last, math.floor(latest / chosen.step)), first)
        return (Run(chosen.step, range(min(first, last), last + 1)),)
    span = chosen.span
    if latest < math.inf:
        complete = math.floor(latest / chosen.step)
        span = range(span.start, max(span.start + 1, min(span.stop, complete)))
    return (Run(chosen.step, span),)


_WITHOUT_EFFECT = (Aggregation.NONE, Aggregation.AVG)


def _chosen(
    rounded: QueryParams, now: datetime, retention: dict[Tier, int], interval: float
) -> tuple[Bucketed | Expression, dict[str, Any], tiers.TierChoice]:
    """What is computed, its part of the cache key, and from which tier in which steps."""
    variables = _INTERVAL_VARIABLE.search(rounded.query) is not None
    step = interval_seconds(rounded.step) if rounded.step else None
    min_step = interval_seconds(rounded.min_step) if rounded.min_step else 0.0
    if variables:
        # As in Grafana: $__interval is at least the interval of the samples.
        min_step = max(min_step, interval)

    def choose(shape: Bucketed | Expression) -> tiers.TierChoice:
        def among(tier: Tier | None) -> tiers.TierChoice:
            return tiers.choose(
                start=rounded.start,
                end=rounded.end,
                now=now,
                step=step,
                max_points=rounded.max_points,
                tier=tier,
                retention=retention,
                lookback=0.0 if isinstance(shape, Bucketed) else shape.lookback,
                min_step=min_step,
                interval=interval if isinstance(shape, Bucketed) else 0.0,
            )

        return _of_the_zone(among, rounded, now, retention)

    shape, key = _shape(rounded, _filled(rounded.query, step=60, interval=interval))
    shape, key = _looking_back(shape, key, interval)
    chosen = choose(shape)
    if variables:
        shape, key = _shape(rounded, _filled(rounded.query, step=chosen.step, interval=interval))
        shape, key = _looking_back(shape, key, interval)
        if isinstance(shape, Expression):
            shape = replace(shape, text=shape.text.replace(" ]", "]"))
        chosen = choose(shape)
    return shape, key, chosen


def _zone(rounded: QueryParams, step: int) -> ZoneInfo | None:
    """The time zone whose days the points are; None where they are no days."""
    if not rounded.timezone or step % tiers.DAY:
        return None
    # Nearer to the calendar's edges a day has no midnight in every zone.
    if rounded.start.year <= 1 or rounded.end.year >= 9_998:
        return None
    try:
        return ZoneInfo(rounded.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"No time zone is named {rounded.timezone!r}."
        hint = 'give an IANA name such as "Europe/Berlin"'
        raise InvalidRequest(
            message, details=[ErrorDetail(field="timezone", message=message, hint=hint)]
        ) from None


def _of_the_zone(
    among: Callable[[Tier | None], tiers.TierChoice],
    rounded: QueryParams,
    now: datetime,
    retention: dict[Tier, int],
) -> tiers.TierChoice:
    """The choice `among` tiers, from minutes where hours can't tell when a zone's days begin."""
    chosen = among(rounded.tier)
    zone = _zone(rounded, chosen.step)
    if zone is None or chosen.tier is not Tier.HOUR:
        return chosen
    if calendar.offsets(zone, rounded.start, rounded.end) % tiers.HOUR == 0:
        return chosen
    by_minutes = among(Tier.MINUTE)
    stored = (now - rounded.start).total_seconds() <= retention[Tier.MINUTE]
    if rounded.tier is None and stored and by_minutes.step == chosen.step:
        return by_minutes
    note = f"{zone.key} is not whole hours from UTC, {tiers.TABLES[Tier.HOUR]} has no finer buckets"
    return replace(chosen, notes=(*chosen.notes, f"{note}: days begin within an hour of midnight"))


def _looking_back(
    shape: Bucketed | Expression, key: dict[str, Any], interval: float
) -> tuple[Bucketed | Expression, dict[str, Any]]:
    """The expression with a look-back that reaches the sample before, however seldom they come."""
    lookback = lookback_of(interval)
    if isinstance(shape, Bucketed) or lookback == LOOKBACK_DELTA:
        return shape, key
    return replace(shape, lookback_delta=lookback), {**key, "lookback": lookback}


def _filled(query: str, *, step: int, interval: float) -> str:
    """The text with its `$__interval`, `$__interval_ms` and `$__rate_interval` as in Grafana.

    The text keeps its length, so that positions of errors stay right.
    """
    usual = interval or tiers.AUTO_RAW_STEP
    values = {
        "interval": format_interval(step),
        "interval_ms": f"{step * 1000}",
        "rate_interval": format_interval(math.ceil(max(step + usual, 4 * usual))),
    }
    return _INTERVAL_VARIABLE.sub(
        lambda match: values[match[1] or match[2]].ljust(len(match[0])), query
    )


def _interval_notes(expression: Expression, intervals: Mapping[str, float]) -> list[str]:
    """Notes on windows that are too short to hold two samples."""
    return [
        f"a window of {format_interval(read.window)} may hold fewer than two samples: "
        f"{read.name} is sent every {format_interval(interval)}; use [$__rate_interval]"
        for read in expression.reads
        if read.needs in _TWO_SAMPLES
        and read.window is not None
        and (interval := intervals.get(read.name or "", 0.0)) * 2 > read.window
    ]


def _rounded(params: QueryParams) -> QueryParams:
    short = params.end - params.start < timedelta(minutes=1)
    if short or (params.step is not None and interval_seconds(params.step) < ROUNDING):
        return params
    # Both ends are rounded up: an hour stays an hour, and the newest samples are included.
    start = math.ceil(params.start.timestamp() / ROUNDING) * ROUNDING
    end = math.ceil(params.end.timestamp() / ROUNDING) * ROUNDING
    return params.model_copy(
        update={
            "start": datetime_at(start),
            "end": datetime_at(end),
        }
    )


def _shape(params: QueryParams, text: str) -> tuple[Bucketed | Expression, dict[str, Any]]:
    """What is computed, and its part of the cache key."""
    return _parsed(
        text,
        _filters(params),
        params.aggregation,
        tuple(sorted(set(params.group_by))) if params.group_by is not None else None,
    )


def _filters(params: QueryParams) -> tuple[Matcher, ...]:
    """The matchers of `tags` and `filters`, sorted. Raises InvalidRequest for a pattern that
    can't be read.
    """
    for number, each in enumerate(params.filters):
        problem = check_pattern(each.value) if "~" in each.operator else None
        if problem:
            raise InvalidRequest(
                f"The filter {each.key}{each.operator} can't be read: {problem}.",
                details=[ErrorDetail(field=f"filters.{number}", message=problem)],
            )
    found = {Matcher(key, "=", value) for key, value in params.tags.items()}
    found |= {Matcher(each.key, each.operator, each.value) for each in params.filters}
    return tuple(sorted(found, key=repr))


# A dashboard sends the same query every ten seconds. The key holds the expression as it was sent:
# how it is fitted to a tier follows from the tier, which is in the key as well.
@lru_cache(maxsize=1_000)
def _parsed(
    query: str,
    filters: tuple[Matcher, ...],
    aggregation: Aggregation,
    group_by: tuple[str, ...] | None,
) -> tuple[Bucketed | Expression, dict[str, Any]]:
    try:
        selector = selectors.parse(query)
    except InvalidRequest as selector_error:
        try:
            expression = parse_expression(query, filters)
        except InvalidRequest:
            if _SELECTOR_LIKE.fullmatch(query):
                raise selector_error from None
            raise
        return expression, {
            "expression": repr(expression.tree),
            "lookback": expression.lookback_delta,
        }
    matchers = tuple(sorted({*selector.matchers, *filters}, key=repr))
    if aggregation is Aggregation.NONE and group_by is None:
        expression = Expression(Select(selector.name, matchers), " ".join(query.split()))
        return expression, {
            "expression": repr(expression.tree),
            "lookback": expression.lookback_delta,
        }
    if aggregation is Aggregation.NONE:
        aggregation = Aggregation.AVG
    return Bucketed(selector.name, matchers, aggregation, group_by), {
        "query": selectors.Selector(selector.name, matchers).normalised(),
        "aggregation": aggregation,
        "group_by": group_by,
    }
