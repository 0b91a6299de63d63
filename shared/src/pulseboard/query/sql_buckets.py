"""Reads samples of known series, bucketed and aggregated in SQL."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from pulseboard.contracts.base import datetime_at
from pulseboard.contracts.vocabulary import Aggregation, Tier
from pulseboard.db import float_sums, pg_arrays
from pulseboard.query.tiers import RESOLUTIONS, TABLES

FEW_SERIES = 300
"""Up to so many series, a rollup is read series by series, by its (series_id, bucket) index."""


@dataclass(frozen=True, slots=True)
class SqlAggregation:
    """How a bucket becomes one value: of a single series, and across the series of a group.

    Both are SQL over the statistics `s p q n lo hi v t`.
    """

    single: str
    across: str


AGGREGATIONS: dict[Aggregation, SqlAggregation] = {
    Aggregation.AVG: SqlAggregation(
        float_sums.average_of_parts("p", "q", "n"),
        float_sums.average_of_parts("sum(p)", "sum(q)", "sum(n)"),
    ),
    Aggregation.MIN: SqlAggregation("lo", "min(lo)"),
    Aggregation.MAX: SqlAggregation("hi", "max(hi)"),
    Aggregation.SUM: SqlAggregation("s", float_sums.total("s")),
    Aggregation.COUNT: SqlAggregation("n", "sum(n)"),
    Aggregation.LAST: SqlAggregation(
        # Of several series with a sample at that time, the one that was seen first.
        "v",
        "(array_agg(v order by t desc, series_id))[1]",
    ),
}

# The statistics of a series in a bucket: s sum, p and q its small and large part (for means),
# n number of samples, lo minimum, hi maximum, v newest value, t its time.
_FROM_RAW = {
    "s": float_sums.total("value"),
    "p": float_sums.small("value"),
    "q": float_sums.large("value"),
    "n": "count(*)::float8",
    "lo": "min(value)",
    "hi": "max(value)",
    "v": "last(value, time)",
    "t": "max(time)",
}
_FROM_ROLLUP = {
    "s": float_sums.total("sum_value"),
    "p": float_sums.small("sum_value"),
    "q": float_sums.rolled_up_large("sum_value", "avg_value", "sample_count"),
    "n": "sum(sample_count)::float8",
    "lo": "min(min_value)",
    "hi": "max(max_value)",
    "v": "last(last_value, bucket)",
    "t": "max(bucket)",
}
# The same where a bucket is one row of the rollup: nothing to aggregate.
_AS_ROLLED_UP = {
    "s": "sum_value",
    "p": float_sums.small_of_row("sum_value"),
    "q": float_sums.large_of_row("sum_value", "avg_value", "sample_count"),
    "n": "sample_count::float8",
    "lo": "min_value",
    "hi": "max_value",
    "v": "last_value",
    "t": "bucket",
}
_STATISTICS = re.compile(r"\b(s|p|q|n|lo|hi|v|t)\b")


def over_groups(statistic: Aggregation, operator: str) -> SqlAggregation:
    """`operator` (sum, avg, min, max, count) over each series' own `statistic`, as in PromQL."""
    single = AGGREGATIONS[statistic].single
    ungrouped = {"count": "1::float8"}.get(operator, single)
    across = {
        "sum": float_sums.total(single),
        "avg": float_sums.average(single),
    }.get(operator, f"{operator}({single})")
    return SqlAggregation(ungrouped, across)


def series_condition(count: int, tier: Tier) -> str:
    """SQL: the row is of one of `count` series, whose ids are the parameter `ids`.

    When the planner sees the ids, it estimates that rows of one series are scattered, and may
    read a rollup by time alone, with the rows of all other series. It can't see the result of a
    subquery, and estimates few ids.
    """
    few = tier is not Tier.RAW and count <= FEW_SERIES
    return f"series_id = any({'array(select unnest(%(ids)s::int[]))' if few else '%(ids)s::int[]'})"


@dataclass(frozen=True, slots=True)
class LineColumns:
    """A line: its points, counted from the span's start, and their values for each aggregation.

    `rows` is how many rows of the tier were read for it.
    """

    number: int
    points: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]
    rows: int


def read_lines(
    connection: psycopg.Connection[Any],
    *,
    tier: Tier,
    aggregations: Sequence[SqlAggregation],
    series_ids: Sequence[int],
    groups: Sequence[int] | None,
    step: int,
    span: range,
    origin: int = 0,
    closed_right: bool = False,
) -> list[LineColumns]:
    """The points of `span`, one line for each series (numbered by id) or group.

    Point n covers [n × step, (n + 1) × step) seconds since `origin`, itself in seconds since 1970;
    with `closed_right` it covers ((n - 1) × step, n × step], in a rollup the buckets that end in
    it. `groups` gives the number
    of each series' group; None: a line for each series. Within a point each series is reduced
    first, then the group.
    Raw is served by metrics_raw_series_time, the rollups by their (series_id, bucket) index.
    """
    time = "time" if tier is Tier.RAW else "bucket"
    rolled_up = tier is not Tier.RAW and step == RESOLUTIONS[tier]
    statistic_of = _AS_ROLLED_UP if rolled_up else _FROM_RAW if tier is Tier.RAW else _FROM_ROLLUP
    texts = [each.single if groups is None else each.across for each in aggregations]
    used = dict.fromkeys(name for text in texts for name in _STATISTICS.findall(text))
    statistics = "".join(f", {statistic_of[name]} as {name}" for name in used)
    # Times are stored in microseconds: (a, b] is the same as [a + 1 µs, b + 1 µs).
    shift = "interval '1 microsecond'" if closed_right and tier is Tier.RAW else None
    shifted = f"{time} - {shift}" if shift else time
    lower, upper = (
        f"%(start)s + {shift}" if shift else "%(start)s",
        (f"%(end)s + {shift}" if shift else "%(end)s"),
    )
    since = "%(origin)s" if origin else "'epoch'"
    slot = (
        "bucket"
        if rolled_up
        else (f"time_bucket(make_interval(secs => %(step)s), {shifted}, {since}::timestamptz)")
    )
    each = f"""
        select series_id, {slot} as slot, {"1" if rolled_up else "count(*)"} as m{statistics}
        from {TABLES[tier]}
        where {series_condition(len(series_ids), tier)} and {time} >= {lower} and {time} < {upper}
        {"" if rolled_up else "group by 1, 2"}
    """
    columns = ", ".join(f"({text})::float8 as v{index}" for index, text in enumerate(texts))
    number = (
        f"(date_part('epoch', slot{' - %(origin)s' if origin else ''}) / %(step)s)::int - %(first)s"
    )
    if groups is None:
        lines = f"select series_id as line, {number} as point, m, {columns} from ({each}) as each"
    else:
        lines = f"""
            select g.line, {number} as point, sum(m) as m, {columns}
            from ({each}) as each
            join unnest(%(ids)s::int[], %(groups)s::int[]) as g(series_id, line) using (series_id)
            group by 1, slot
        """
    arrays = "".join(f", array_agg(v{index})" for index in range(len(texts)))
    text = f"select line, sum(m)::int8, array_agg(point){arrays} from ({lines}) l group by line"
    first = span.start - 1 if closed_right else span.start
    with pg_arrays.cursor(connection) as cursor:
        rows = cursor.execute(
            text.encode(),
            {
                "step": step,
                "first": first,
                "ids": pg_arrays.int_array(series_ids),
                "groups": pg_arrays.int_array(groups) if groups is not None else None,
                "origin": datetime_at(origin),
                "start": datetime_at(origin + first * step),
                "end": datetime_at(origin + (first + len(span)) * step),
            },
        ).fetchall()
    return [
        LineColumns(
            number=line,
            points=pg_arrays.integers(points),
            values=tuple(pg_arrays.floats(each) for each in arrays),
            rows=row_count,
        )
        for line, row_count, points, *arrays in rows
    ]
