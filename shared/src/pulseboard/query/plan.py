"""Plans a query: which points, from which tier, by which computation, under which cache key.

A metric's name, alone or with tags, is bucketed: the point at t holds the samples of [t, t + step).
Anything else is an expression with the meaning of PromQL: the point at t looks back from t.
"""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from pulseboard.catalogue import selector as selectors
from pulseboard.catalogue.selector import Matcher
from pulseboard.contracts.base import datetime_at, format_interval, interval_seconds
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Aggregation, Tier
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.query import tiers
from pulseboard.query.expression import Expression, parse_expression

ROUNDING = 10
"""Seconds: queries whose times differ by less share a plan."""
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


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is executed. Points are numbered: point n stands at n × step."""

    tier: Tier
    step: int
    span: range
    shape: Bucketed | Expression
    key: dict[str, Any]
    notes: tuple[str, ...]
    lookahead: float
    """Seconds after a point's time up to which samples change it."""

    @property
    def table(self) -> str:
        """The table that is read."""
        return tiers.TABLES[self.tier]

    def timestamps(self) -> list[int]:
        """The time of each point in milliseconds since 1970."""
        width = self.step * 1000
        return list(range(self.span.start * width, self.span.stop * width, width))

    def first_mutable(self, *, now: datetime, allowed_lateness: float) -> int:
        """The first point that samples may still change that are `allowed_lateness` seconds late.

        The points before it are settled.
        """
        return math.floor((now.timestamp() - allowed_lateness - self.lookahead) / self.step) + 1


def plan(params: QueryParams, *, now: datetime, retention: dict[Tier, int], longest: int) -> Plan:
    """Plan a query. Raises InvalidRequest, with the position, for a text that can't be parsed.

    `retention` and `longest`, the longest range that is allowed, are in seconds.
    """
    if (params.end - params.start).total_seconds() > longest:
        message = f"The range is longer than {format_interval(longest)}."
        raise InvalidRequest(
            message,
            details=[ErrorDetail(field="start", message=message, hint="narrow the range")],
        )
    rounded = _rounded(params)
    shape, key = _shape(params)
    lookback = shape.lookback if isinstance(shape, Expression) else 0.0
    chosen = tiers.choose(
        start=rounded.start,
        end=rounded.end,
        now=now,
        step=interval_seconds(params.step) if params.step else None,
        max_points=params.max_points,
        tier=params.tier,
        retention=retention,
        lookback=lookback,
    )
    notes = list(chosen.notes)
    span, lookahead = chosen.span, float(chosen.step)
    if isinstance(shape, Expression):
        shape, tier_notes = shape.fitted_to(chosen.tier)
        notes += tier_notes
        if params.group_by is not None or params.aggregation is not Aggregation.AVG:
            notes.append(
                "aggregation and groupBy do nothing to an expression: write avg by (…) (…)"
            )
        first = math.ceil(rounded.start.timestamp() / chosen.step)
        last = math.floor(rounded.end.timestamp() / chosen.step)
        span, lookahead = range(min(first, last), last + 1), shape.lookahead
    return Plan(
        tier=chosen.tier,
        step=chosen.step,
        span=span,
        shape=shape,
        key={"tier": chosen.tier, "step": chosen.step, **key},
        notes=tuple(notes),
        lookahead=lookahead,
    )


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


def _shape(params: QueryParams) -> tuple[Bucketed | Expression, dict[str, Any]]:
    """What is computed, and its part of the cache key."""
    return _parsed(
        params.query,
        tuple(sorted(params.tags.items())),
        params.aggregation,
        tuple(sorted(set(params.group_by))) if params.group_by is not None else None,
    )


# A dashboard sends the same query every ten seconds. The key holds the expression as it was sent:
# how it is fitted to a tier follows from the tier, which is in the key as well.
@lru_cache(maxsize=1_000)
def _parsed(
    query: str,
    tags: tuple[tuple[str, str], ...],
    aggregation: Aggregation,
    group_by: tuple[str, ...] | None,
) -> tuple[Bucketed | Expression, dict[str, Any]]:
    filters = tuple(Matcher(key, "=", value) for key, value in tags)
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
    return Bucketed(selector.name, matchers, aggregation, group_by), {
        "query": selectors.Selector(selector.name, matchers).normalised(),
        "aggregation": aggregation,
        "group_by": group_by,
    }
