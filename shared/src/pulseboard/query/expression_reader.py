"""Evaluates expressions over what their selectors read. Imported with the first expression."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pulseboard import promql
from pulseboard.catalogue.series_key import NAME, Series, line_key
from pulseboard.contracts.vocabulary import QueryPhase, Tier
from pulseboard.promql.annotations import Annotations, located
from pulseboard.promql.ast import LOOKBACK_DELTA, Expr, Need, Read, Select, Subquery
from pulseboard.promql.budget import Budget
from pulseboard.promql.printer import printed_read
from pulseboard.promql.series import SeriesSamples, SeriesValues, StoredSeries, entry_count
from pulseboard.promql.times import Times, evaluated
from pulseboard.query import limits, series_selectors, sql_samples
from pulseboard.query.parts import PlanPart
from pulseboard.query.result_cache import extents
from pulseboard.query.sql_samples import SampleRange, StaleMarkers, StoredResult
from pulseboard.query.tiers import RESOLUTIONS, TABLES

if TYPE_CHECKING:
    from pulseboard.query.expression import Expression
    from pulseboard.query.plan import Plan
    from pulseboard.query.reader import PlanReader

USUAL_INTERVAL = 10
"""Seconds between two samples, usually. In buckets as narrow as this, reader samples is cheaper."""
_AT_ONCE = 1_000
"""Selectors that are read by one statement."""
_MANY_SERIES = 20_000


def read(
    reader: PlanReader, plan: Plan, expression: Expression, span: range, budget: Budget
) -> Callable[[], PlanPart]:
    """Read what the points `span` of an expression need; gives what computes them."""
    tree = expression.tree
    newest = isinstance(tree, Select) and tree.at is None
    if newest and len(span) == 1 and plan.tier is Tier.RAW:
        found = _newest(reader, plan, expression, span, budget)
        return lambda: found
    notes: list[str] = []
    series: dict[Read, Sequence[Series]] = {}
    for one in expression.reads:
        series[one], read_notes = _find(reader, plan, one, budget)
        notes += read_notes
        if isinstance(expression.tree, Select):
            limits.check_lines(len(series[one]), len(series[one]), len(plan.span))
    annotations = Annotations()
    before = budget.samples_read
    evaluate = read_at(
        reader,
        tree,
        series=series,
        times=Times(plan.time_of(span.start), plan.step, len(span)),
        tier=plan.tier,
        lookback_delta=expression.lookback_delta,
        budget=budget,
        cached=(len(plan.span) - len(span)) * plan.step,
        annotations=annotations,
    )
    samples = round(budget.samples_read - before)

    def compute() -> PlanPart:
        lines, rows = evaluate()
        said = [*notes]
        for found in (annotations.warnings, annotations.infos):
            said += located(found, expression.text)
        said += annotations.notes
        limits.check_lines(len(lines), len(lines), len(plan.span))
        keys = {id(each.labels): each.key for each_read in series.values() for each in each_read}
        by_key: dict[str, array[float]] = {}
        for line in lines:
            values = array("d")
            nan = line.present & np.isnan(line.values)
            values.frombytes(np.where(nan, extents.NAN_VALUE, line.values).tobytes())
            # Labels that the evaluation left unchanged are the very objects of the series.
            by_key[keys.get(id(line.labels)) or _key_of(line.labels)] = values
        any_series = not expression.reads or any(series.values())
        return PlanPart(by_key, rows, tuple(dict.fromkeys(said)), any_series, samples)

    return compute


def read_at(
    reader: PlanReader,
    tree: Expr,
    *,
    series: Mapping[Read, Sequence[Series]],
    times: Times,
    tier: Tier,
    lookback_delta: float = LOOKBACK_DELTA,
    budget: Budget,
    cached: float = 0.0,
    annotations: Annotations | None = None,
) -> Callable[[], tuple[list[SeriesValues], int]]:
    """Read what an expression needs of the series of its selectors; gives what computes its lines,
    and how many rows were read. Computing needs no connection.

    `cached` is for how many more seconds the result is in the cache: these count too, so that a
    query is refused in any case or in none.

    Both raise InvalidRequest: for what is too much, and for what can't be matched.
    """
    data, rows = _read_all(reader, series, times, tier, lookback_delta, budget, cached, annotations)
    trace = reader.trace

    def compute() -> tuple[list[SeriesValues], int]:
        with trace.timed(QueryPhase.EVALUATE):
            lines = promql.evaluate(
                tree,
                times=times.array(),
                data=data,
                lookback_delta=lookback_delta,
                budget=budget,
                annotations=annotations,
            )
        return lines, rows

    return compute


def read_any(
    reader: PlanReader,
    tree: Expr,
    *,
    series: Mapping[Read, Sequence[Series]],
    times: Times,
    tier: Tier,
    lookback_delta: float,
    budget: Budget,
    annotations: Annotations,
    dated: bool = False,
) -> Callable[[], list[SeriesValues] | list[SeriesSamples]]:
    """As `read_at`; of a range expression its samples at the first of the times.

    `dated`: of a selector at one time, samples with their own times; from a rollup, which does not
    have them, with the time of the evaluation.
    """
    data, _ = _read_all(reader, series, times, tier, lookback_delta, budget, 0.0, annotations)

    def compute() -> list[SeriesValues] | list[SeriesSamples]:
        if isinstance(tree, Subquery) or (isinstance(tree, Select) and tree.window):
            # Imports numpy.
            from pulseboard.promql.evaluator import evaluate_range

            return evaluate_range(
                tree,
                time=times.first,
                data=data,
                lookback_delta=lookback_delta,
                budget=budget,
                annotations=annotations,
            )
        at = times.array()
        lines = promql.evaluate(
            tree,
            times=at,
            data=data,
            lookback_delta=lookback_delta,
            budget=budget,
            annotations=annotations,
        )
        if not dated:
            return lines
        # Labels that the evaluation left unchanged are the very objects of the series.
        own = {
            id(each.labels): each.times[-1:]
            for stored in data.values()
            for each in stored
            if isinstance(each, SeriesSamples) and tier is Tier.RAW
        }
        return [
            SeriesSamples(line.labels, own.get(id(line.labels), at), line.values) for line in lines
        ]

    return compute


def _read_all(
    reader: PlanReader,
    series: Mapping[Read, Sequence[Series]],
    times: Times,
    tier: Tier,
    lookback_delta: float,
    budget: Budget,
    cached: float,
    annotations: Annotations | None,
) -> tuple[dict[Read, Sequence[StoredSeries]], int]:
    """What each selector needs, and how many rows were read."""
    data: dict[Read, Sequence[StoredSeries]] = {}
    rows = 0
    for read, found in series.items():
        result = _fetch(reader, tier, lookback_delta, read, found, times, budget, cached)
        budget.add_samples(sum(map(entry_count, result.stored)))
        data[read] = result.stored
        if result.estimated and annotations is not None:
            annotations.notes[
                f"part of {TABLES[tier]} is older than its columns for rates and deviations: what "
                "needs them was estimated there"
            ] = None
        rows += result.rows
    return data, rows


def prefetch(
    reader: PlanReader,
    wanted: Mapping[Read, Sequence[Series]],
    *,
    times: Times,
    tier: Tier,
    budget: Budget,
    lookback_delta: float = LOOKBACK_DELTA,
) -> None:
    """Read what many selectors need of one shape by one statement, for `read_at` to find.

    What would be too much at once is left to be read by each of them.
    """
    shapes: dict[Read, list[Read]] = {}
    for read, series in wanted.items():
        if series:
            shapes.setdefault(replace(read, name=None, matchers=()), []).append(read)
    for reads in shapes.values():
        for start in range(0, len(reads), _AT_ONCE):
            _prefetch_shape(
                reader, reads[start : start + _AT_ONCE], wanted, times, tier, budget, lookback_delta
            )


def _prefetch_shape(
    reader: PlanReader,
    reads: Sequence[Read],
    wanted: Mapping[Read, Sequence[Series]],
    times: Times,
    tier: Tier,
    budget: Budget,
    lookback_delta: float,
) -> None:
    everyone = {each.id: each for read in reads for each in wanted[read]}
    if len(reads) < 2 or len(everyone) > _MANY_SERIES:
        return
    example = reads[0]
    times = evaluated(example, times)
    if not times.count:
        return
    time_range, grid = _range_of(example, times, lookback_delta)
    result = _read(
        reader,
        tier,
        example,
        list(everyone.values()),
        time_range,
        grid,
        budget,
        0.0,
        single=times.count == 1,
    )
    ids = {id(each.labels): each.id for each in everyone.values()}
    stored = {ids[id(one.labels)]: one for one in result.stored}
    budget.add_samples(sum(map(entry_count, result.stored)))
    for read in reads:
        mine = [stored[each.id] for each in wanted[read] if each.id in stored]
        name = ("read", tier, read, time_range, grid)
        reader.memo.setdefault(name, StoredResult(mine, len(mine)))


def _newest(
    reader: PlanReader, plan: Plan, expression: Expression, span: range, budget: Budget
) -> PlanPart:
    """A bare selector at one time: the newest samples are the result, unless they are stale."""
    (read,) = expression.reads
    series, notes = _find(reader, plan, read, budget)
    if not series:
        return PlanPart({}, 0, notes, found=False)
    time = plan.time_of(span.start) - read.offset
    time_range = SampleRange(time - expression.lookback_delta, time)
    with reader.trace.reading(
        printed_read(read), start=time_range.start, end=time_range.end
    ) as traced:
        newest = sql_samples.read_newest(reader.connection, series=series, time_range=time_range)
        traced.series, traced.rows = len(series), len(newest.ids)
        traced.pushed_down = sql_samples.NEWEST
    keys = {each.id: each.key for each in series}
    lines = {
        keys[series_id]: array("d", (value if value == value else extents.NAN_VALUE,))
        for series_id, value in zip(newest.ids, newest.values, strict=True)
    }
    if newest.any_stale:
        times = dict(zip(newest.ids, newest.times, strict=True))
        stale_markers = sql_samples.request_stale_markers(
            reader.connection, series=series, time_range=time_range
        )
        for series_id, markers in stale_markers.all().items():
            if series_id in times and any(marker > times[series_id] for marker in markers):
                del lines[keys[series_id]]
    limits.check_lines(len(lines), len(lines), len(plan.span))
    return PlanPart(lines, len(newest.ids), notes)


def _find(
    reader: PlanReader, plan: Plan, read: Read, budget: Budget
) -> tuple[list[Series], tuple[str, ...]]:
    series, notes = reader.find_series(series_selectors.of_read(plan, read))
    limits.check_found(len(series))
    budget.check_samples(len(series) * len(plan.span))
    return series, notes


def _key_of(labels: dict[str, str]) -> str:
    tags = dict(labels)
    return line_key(tags.pop(NAME, ""), tags)


def _fetch(
    reader: PlanReader,
    tier: Tier,
    lookback_delta: float,
    read: Read,
    series: Sequence[Series],
    times: Times,
    budget: Budget,
    cached: float,
) -> StoredResult:
    times = evaluated(read, times)
    if not series or not times.count:
        return StoredResult([], 0)
    time_range, grid = _range_of(read, times, lookback_delta)
    name = ("read", tier, read, time_range, grid)
    with reader.trace.reading(
        printed_read(read), start=time_range.start, end=time_range.end
    ) as traced:
        traced.shared = name in reader.memo
        result = reader.once(
            name,
            lambda: _read(
                reader,
                tier,
                read,
                series,
                time_range,
                grid,
                budget,
                cached,
                single=times.count == 1,
            ),
        )
        traced.series, traced.rows = len(series), result.rows
        traced.pushed_down = result.pushed_down
    return result


def _range_of(read: Read, times: Times, lookback_delta: float) -> tuple[SampleRange, int]:
    """The samples that a selector needs, and the width of the buckets they may be read in."""
    length = read.window if read.window is not None else lookback_delta
    time_range = SampleRange(start=times.first - read.offset - length, end=times.last - read.offset)
    # Buckets lie on whole multiples of their width; the last one ends with the last window.
    return time_range, _grid(times.step if times.count > 1 else 0, length, time_range.end)


def _grid(*lengths: float) -> int:
    """The widest buckets, in seconds, that all windows consist of; 0: there are none."""
    if any(length != int(length) for length in lengths):
        return 0
    return math.gcd(*(int(length) for length in lengths))


def _read(
    reader: PlanReader,
    tier: Tier,
    read: Read,
    series: Sequence[Series],
    time_range: SampleRange,
    grid: int,
    budget: Budget,
    cached: float,
    *,
    single: bool,
) -> StoredResult:
    """`single`: the range is one window."""
    connection = reader.connection
    reader.bound(budget)
    stale_markers = StaleMarkers()
    if read.window is None:
        stale_markers = sql_samples.request_stale_markers(
            connection, series=series, time_range=time_range
        )
    length = time_range.end - time_range.start
    interval = RESOLUTIONS[tier] if tier is not Tier.RAW else USUAL_INTERVAL
    whole = len(series) * (length + cached)
    samples = whole / interval
    if read.needs is Need.LAST and single and tier is Tier.RAW:
        return sql_samples.newest_samples(
            connection, series=series, time_range=time_range, stale_markers=stale_markers
        )
    every_sample = read.needs is Need.SAMPLES
    if read.needs in sql_samples.ROW_NEEDS and tier is not Tier.RAW:
        budget.check_samples(samples)
        return sql_samples.read_rows(
            connection, tier=tier, series=series, time_range=time_range, needs=read.needs
        )
    if tier is Tier.RAW:
        by_samples = read.needs in sql_samples.ROW_NEEDS
        every_sample = every_sample or by_samples or grid <= USUAL_INTERVAL
    else:
        # A rollup stores no times inside its buckets: their newest values serve as samples.
        every_sample = every_sample or (read.needs is Need.LAST and grid <= interval)
    if every_sample:
        budget.check_samples(samples)
        most = budget.samples_left if reader.bounded else None
        result = sql_samples.read_samples(
            connection,
            tier=tier,
            series=series,
            time_range=time_range,
            stale_markers=stale_markers,
            most=most,
        )
        if most is not None and result.rows > most:
            raise budget.too_many_samples()
        return result
    budget.check_samples(whole / grid)
    return sql_samples.read_statistics(
        connection,
        tier=tier,
        series=series,
        time_range=time_range,
        stale_markers=stale_markers,
        step=grid,
        needs=read.needs,
    )
