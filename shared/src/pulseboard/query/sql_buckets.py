"""Reading samples of known series: bucketed and aggregated in SQL, tags joined last."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg

from pulseboard.contracts.vocabulary import Aggregation, Tier
from pulseboard.db import pg_arrays
from pulseboard.query.tiers import RESOLUTIONS, TABLES

FEW = 300
"""Series: up to here a rollup is read series by series, by its (series_id, bucket) index."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number a bucket: from the statistics of one series, and across those of a group."""

    single: str
    across: str


BUCKETED: dict[Aggregation, Value] = {
    Aggregation.AVG: Value("s / n", "sum(s) / sum(n)"),
    Aggregation.MIN: Value("lo", "min(lo)"),
    Aggregation.MAX: Value("hi", "max(hi)"),
    Aggregation.SUM: Value("s", "sum(s)"),
    Aggregation.COUNT: Value("n", "sum(n)"),
    Aggregation.LAST: Value("v", "last(v, t)"),
}

# What a series has in a bucket: s sum, n samples, lo least, hi greatest, v newest value, t when.
_FROM_RAW = {
    "s": "sum(value)",
    "n": "count(*)::float8",
    "lo": "min(value)",
    "hi": "max(value)",
    "v": "last(value, time)",
    "t": "max(time)",
}
_FROM_ROLLUP = {
    "s": "sum(sum_value)",
    "n": "sum(sample_count)::float8",
    "lo": "min(min_value)",
    "hi": "max(max_value)",
    "v": "last(last_value, bucket)",
    "t": "max(bucket)",
}
# The same where a bucket is one row of the rollup: nothing to aggregate.
_AS_ROLLED_UP = {
    "s": "sum_value",
    "n": "sample_count::float8",
    "lo": "min_value",
    "hi": "max_value",
    "v": "last_value",
    "t": "bucket",
}
_WORDS = re.compile(r"\b(s|n|lo|hi|v|t)\b")


def over_groups(statistic: Aggregation, operator: str) -> Value:
    """`operator` (sum, avg, min, max, count) over each series' own `statistic`, as in PromQL."""
    single = BUCKETED[statistic].single
    alone = {"count": "1::float8"}.get(operator, single)
    return Value(alone, f"{operator}({single})")


def chosen(count: int, tier: Tier) -> str:
    """The condition that a row is of one of `count` series, whose ids are the parameter `ids`.

    Seeing their ids, the planner takes rows of one series for scattered and may read a rollup by
    time alone, with the rows of all other series. It can't see into the result of a subquery, and
    takes it for few.
    """
    few = tier is not Tier.RAW and count <= FEW
    return f"series_id = any({'array(select unnest(%(ids)s::int[]))' if few else '%(ids)s::int[]'})"


@dataclass(frozen=True, slots=True)
class Columns:
    """A line's points: their numbers counted from the span's start, and its values by `Value`."""

    number: int
    points: tuple[int, ...]
    values: tuple[tuple[float, ...], ...]
    rows: int


def read_lines(
    connection: psycopg.Connection[Any],
    *,
    tier: Tier,
    values: Sequence[Value],
    series_ids: Sequence[int],
    groups: Sequence[int] | None,
    step: int,
    span: range,
    closed_right: bool = False,
) -> list[Columns]:
    """The points of `span` (point n covers [n × step, (n + 1) × step) seconds since 1970), a line
    a series (numbered by id) or a group; `rows` is how many rows of the tier were read for it.

    `groups` gives each series the number of its group; None keeps series apart. Within a point a
    series is reduced first, then the group. `closed_right` makes point n cover the samples of
    ((n - 1) × step, n × step]; in a rollup, the buckets that end in it.
    Raw is served by metrics_raw_series_time, the rollups by their (series_id, bucket) index.
    """
    time = "time" if tier is Tier.RAW else "bucket"
    rolled_up = tier is not Tier.RAW and step == RESOLUTIONS[tier]
    table = _AS_ROLLED_UP if rolled_up else _FROM_RAW if tier is Tier.RAW else _FROM_ROLLUP
    texts = [value.single if groups is None else value.across for value in values]
    used = dict.fromkeys(word for text in texts for word in _WORDS.findall(text))
    statistics = "".join(f", {table[word]} as {word}" for word in used)
    # A microsecond is what times are kept in: (a, b] of them is [a + 1, b + 1).
    shift = "interval '1 microsecond'" if closed_right and tier is Tier.RAW else None
    moment = f"{time} - {shift}" if shift else time
    lower, upper = (
        f"%(start)s + {shift}" if shift else "%(start)s",
        (f"%(end)s + {shift}" if shift else "%(end)s"),
    )
    slot = (
        "bucket"
        if rolled_up
        else (f"time_bucket(make_interval(secs => %(step)s), {moment}, 'epoch'::timestamptz)")
    )
    each = f"""
        select series_id, {slot} as slot, {"1" if rolled_up else "count(*)"} as m{statistics}
        from {TABLES[tier]}
        where {chosen(len(series_ids), tier)} and {time} >= {lower} and {time} < {upper}
        {"" if rolled_up else "group by 1, 2"}
    """
    columns = ", ".join(f"({text})::float8 as v{index}" for index, text in enumerate(texts))
    number = "(date_part('epoch', slot) / %(step)s)::int - %(first)s"
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
                "start": datetime.fromtimestamp(first * step, UTC),
                "end": datetime.fromtimestamp((first + len(span)) * step, UTC),
            },
        ).fetchall()
    return [
        Columns(
            number=line,
            points=pg_arrays.integers(points),
            values=tuple(pg_arrays.floats(each) for each in arrays),
            rows=read,
        )
        for line, read, points, *arrays in rows
    ]
