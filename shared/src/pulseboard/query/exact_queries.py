"""Queries with Prometheus' exact times: an instant, or start + k × step.

A range whose start is a whole multiple of its step, as Grafana sends it, is executed by the engine,
with its cache. All others are read and evaluated here, without the cache. Both have the same
limits, budget and circuit breaker.
"""

from __future__ import annotations

import math
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import psycopg

from pulseboard.catalogue.intervals import get_intervals
from pulseboard.catalogue.last_seen import SampleTimes
from pulseboard.catalogue.series_key import NAME, Series
from pulseboard.contracts.base import datetime_at, format_interval
from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core.lookback import lookback_of
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.promql.annotations import Annotations, located
from pulseboard.promql.ast import Expr, Read, Select, Text
from pulseboard.promql.functions import Type
from pulseboard.promql.reads import selectors
from pulseboard.promql.series import SeriesSamples
from pulseboard.promql.times import Times
from pulseboard.promql.types import type_of
from pulseboard.query import engine, limits, tiers
from pulseboard.query.expression import Expression
from pulseboard.query.plan import ROUNDING
from pulseboard.query.reader import PlanReader
from pulseboard.query.result_cache import extents
from pulseboard.query.series_selectors import SeriesSelector

if TYPE_CHECKING:
    from pulseboard.promql.budget import Budget


@dataclass(frozen=True, slots=True)
class ExactQuery:
    """An expression, and how it is to be evaluated.

    `lookback_delta` in seconds, None: as usual. `timeout` in seconds, at most `query_timeout`.
    """

    tree: Expr
    text: str
    times: Times
    lookback_delta: float | None = None
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class ExactLine:
    """A series of a result with its points: times in seconds since 1970, ascending, and values."""

    labels: dict[str, str]
    times: Sequence[float]
    values: Sequence[float]


@dataclass(slots=True)
class ExactResult:
    """What an expression gives, with its annotations; `text` of a string only."""

    type: Type
    lines: list[ExactLine] = field(default_factory=list)
    text: str = ""
    warnings: list[str] = field(default_factory=list)
    infos: list[str] = field(default_factory=list)

    def add(self, labels: dict[str, str], times: Sequence[float], values: array[float]) -> None:
        """A line with the points that it has; a value that is NaN is a point, too."""
        there = extents.present(values)
        if any(there):
            self.lines.append(
                ExactLine(
                    labels,
                    [at for at, here in zip(times, there, strict=True) if here],
                    [value for value, here in zip(values, there, strict=True) if here],
                )
            )

    def annotate(self, notes: Iterable[str]) -> None:
        """Notes of the engine: annotations of the evaluation, or what was read."""
        for note in notes:
            if note.startswith("PromQL warning"):
                self.warnings.append(note)
            else:
                self.infos.append(note if note.startswith("PromQL info") else f"Pulseboard: {note}")


def execute_instant(query: ExactQuery, *, now: datetime) -> ExactResult:
    """The value at one time; of a range expression its samples.

    Raises InvalidRequest for what can't be computed or is too much, Unavailable without database.
    """
    if isinstance(query.tree, Text):
        return ExactResult(Type.STRING, text=query.tree.value)
    return _evaluate(query, now)


def execute_dated(query: ExactQuery, *, now: datetime) -> list[ExactLine]:
    """The newest sample of each series of a selector, with its own time. Raises likewise."""
    return _evaluate(query, now, dated=True).lines


def execute_range(query: ExactQuery, *, now: datetime) -> ExactResult:
    """The values at all times of a range. Raises as `execute_instant`."""
    times = query.times
    limits.check_points(times.count)
    if times.last - times.first > settings().query_max_range:
        raise limits.limit_exceeded(
            f"The range is longer than {format_interval(settings().query_max_range)}.",
            "start",
            "narrow the range",
        )
    tier = _engine_tier(query, now)
    return _evaluate(query, now) if tier is None else _by_engine(query, tier, now)


def _tier(query: ExactQuery, now: datetime, *, step: float | None) -> Tier:
    """As the engine chooses it, from the range, the step and what is still stored."""
    latest = datetime_at(math.inf) - timedelta(seconds=1)
    first = min(datetime_at(max(query.times.first, 0)), latest)
    return tiers.choose(
        start=first,
        end=max(datetime_at(max(query.times.last, 0)), first + timedelta(seconds=1)),
        now=now,
        step=step,
        max_points=1,
        tier=None,
        retention=tiers.configured_retention(),
        lookback=Expression(query.tree, query.text).lookback,
    ).tier


def _engine_tier(query: ExactQuery, now: datetime) -> Tier | None:
    """The tier that the engine reads for exactly these times; None: there is none."""
    times = query.times
    usual = query.lookback_delta is None and query.timeout is None and times.count > 1
    if not usual or times.first < 0 or times.step % 1 or times.first % times.step:
        return None
    if times.last > now.timestamp():
        # The engine leaves windows out that are not over yet.
        return None
    tier = _tier(query, now, step=times.step)
    width = tiers.RESOLUTIONS[tier]
    return None if times.step % width or times.first % width else tier


def _by_engine(query: ExactQuery, tier: Tier, now: datetime) -> ExactResult:
    times = query.times
    # Both ends on the grid that the engine rounds to; what is outside the range is cut off.
    first = times.first // ROUNDING * ROUNDING
    last = math.ceil((times.last + 1) / ROUNDING) * ROUNDING
    params = QueryParams(
        query=query.text,
        start=datetime_at(first),
        end=datetime_at(last),
        step=format_interval(times.step),
        tier=tier,
    )
    outcome = engine.execute(params, now=now)
    stamps = [each / 1000 for each in outcome.timestamps()]
    low, high = bisect_left(stamps, times.first), bisect_right(stamps, times.last)
    shape = outcome.plan.shape
    text = shape.text if isinstance(shape, Expression) else ""
    result = ExactResult(Type.MATRIX)
    for line in outcome.lines:
        # The engine names a line without name and tags after its expression.
        nameless = line.name == text and not line.tags and not isinstance(query.tree, Select)
        labels = line.tags if nameless or not line.name else {NAME: line.name, **line.tags}
        result.add(labels, stamps[low:high], line.values[low:high])
    result.annotate(outcome.meta.notes)
    return result


def _evaluate(query: ExactQuery, now: datetime, *, dated: bool = False) -> ExactResult:
    """Read and evaluate without the cache. `dated`: of a selector, samples with their own times."""
    # Imports numpy, which takes about 0.2 s.
    from pulseboard.query import expression_reader

    seconds = min(query.timeout or settings().query_timeout, settings().query_timeout)
    names = {read.name for read in selectors(query.tree) if read.name is not None}
    intervals = get_intervals(dict.fromkeys(names), now=now.timestamp())
    lookback = query.lookback_delta or lookback_of(max(intervals.values(), default=0.0))
    expression = Expression(query.tree, query.text, lookback)
    instant = query.times.count == 1
    tier = _tier(query, now, step=1 if instant else query.times.step)
    times, notes = _fitted(query.times, tier)
    if expression.depends_on_range:
        expression = expression.resolved(start=query.times.first, end=query.times.last)
    expression, tier_notes = expression.fitted_to(tier)
    budget = limits.new_budget(seconds)
    annotations = Annotations()
    with database.connection() as connection:
        reader = PlanReader(connection, time.monotonic() + seconds)
        try:
            with connection.pipeline():
                reader.bound(budget)
                series = {
                    read: _find(reader, expression, read, times, tier, budget, notes)
                    for read in expression.reads
                }
                evaluate = expression_reader.read_any(
                    reader,
                    expression.tree,
                    series=series,
                    times=times,
                    tier=tier,
                    lookback_delta=expression.lookback_delta,
                    budget=budget,
                    annotations=annotations,
                    dated=dated,
                )
        except psycopg.errors.QueryCanceled as error:
            raise budget.timed_out() from error
    found = evaluate()
    limits.check_lines(len(found), len(found), times.count)
    of = type_of(query.tree)
    result = ExactResult(of if instant else Type.MATRIX)
    stamps = [query.times.first + number * query.times.step for number in range(times.count)]
    for line in found:
        if isinstance(line, SeriesSamples):
            result.lines.append(ExactLine(line.labels, line.times.tolist(), line.values.tolist()))
        else:
            present = line.present.tolist()
            result.lines.append(
                ExactLine(
                    line.labels,
                    [at for at, there in zip(stamps, present, strict=True) if there],
                    line.values[line.present].tolist(),
                )
            )
    result.warnings += located(annotations.warnings, query.text)
    result.infos += located(annotations.infos, query.text)
    result.annotate([*notes, *tier_notes, *annotations.notes])
    return result


def _fitted(times: Times, tier: Tier) -> tuple[Times, list[str]]:
    """The times at which a tier can be read: whole minutes or hours. Raises InvalidRequest."""
    width = tiers.RESOLUTIONS[tier]
    if tier is Tier.RAW or (times.first % width == 0 and times.step % width == 0):
        return times, []
    if times.count > 1 and times.step % width:
        raise limits.limit_exceeded(
            f"So old samples are stored once each {format_interval(width)}: the step has to be a "
            f"multiple of it, and is {times.step:g} s.",
            "step",
            f"use a step of {format_interval(width)} or more",
        )
    first = float(times.first // width * width)
    table = tiers.TABLES[tier]
    return Times(first, times.step, times.count), [
        f"{table} was read at whole multiples of {width} s"
    ]


def _find(
    reader: PlanReader,
    expression: Expression,
    read: Read,
    times: Times,
    tier: Tier,
    budget: Budget,
    notes: list[str],
) -> Sequence[Series]:
    first, last = expression.samples_of(read, times)
    around = SampleTimes.around(first - tiers.RESOLUTIONS[tier], last)
    series, found = reader.find_series(SeriesSelector(read.name, read.matchers, around))
    notes += found
    limits.check_found(len(series))
    budget.check_samples(len(series) * times.count)
    return series
