"""Reading samples: resolve series first, bucket and aggregate in SQL, join tags last."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from pulseboard.contracts.queries import Aggregation, Tier
from pulseboard.domain.tiers import TABLES


@dataclass(frozen=True, slots=True)
class Series:
    """A series of the catalogue."""

    id: int
    tags: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Columns:
    """How one aggregation is computed: in a series' bucket, then across a group's series."""

    each: str
    across: str


_RAW: dict[Aggregation, _Columns] = {
    Aggregation.AVG: _Columns("sum(value) as s, count(*) as n", "sum(s) / sum(n)"),
    Aggregation.MIN: _Columns("min(value) as v", "min(v)"),
    Aggregation.MAX: _Columns("max(value) as v", "max(v)"),
    Aggregation.SUM: _Columns("sum(value) as v", "sum(v)"),
    Aggregation.COUNT: _Columns("count(*)::float8 as v", "sum(v)"),
    Aggregation.LAST: _Columns("last(value, time) as v, max(time) as t", "last(v, t)"),
}
_ROLLUP: dict[Aggregation, _Columns] = {
    Aggregation.AVG: _Columns(
        "sum(sum_value) as s, sum(sample_count)::float8 as n", "sum(s) / sum(n)"
    ),
    Aggregation.MIN: _Columns("min(min_value) as v", "min(v)"),
    Aggregation.MAX: _Columns("max(max_value) as v", "max(v)"),
    Aggregation.SUM: _Columns("sum(sum_value) as v", "sum(v)"),
    Aggregation.COUNT: _Columns("sum(sample_count)::float8 as v", "sum(v)"),
    Aggregation.LAST: _Columns("last(last_value, bucket) as v, max(bucket) as t", "last(v, t)"),
}


def find_series(
    connection: psycopg.Connection[Any], *, name: str, tags: dict[str, str], limit: int
) -> list[Series] | None:
    """Series of a metric that carry all of `tags`, at most `limit`; None: no such metric.

    Served by the unique index on the name, then by (metric_id, tags_hash) or GIN(tags).
    """
    row = connection.execute(
        "select id from metric_definitions where name = %s", (name,)
    ).fetchone()
    if row is None:
        return None
    rows = connection.execute(
        """
        select id, tags from metric_series
        where metric_id = %s and tags @> %s::jsonb
        order by id limit %s
        """,
        (row[0], Jsonb(tags), limit),
    ).fetchall()
    return [Series(id=found[0], tags=found[1]) for found in rows]


def read_buckets(
    connection: psycopg.Connection[Any],
    *,
    tier: Tier,
    aggregation: Aggregation,
    series_ids: Sequence[int],
    groups: Sequence[int] | None,
    start: datetime,
    end: datetime,
    step: int,
) -> list[tuple[int, float, float]]:
    """Rows of (series id or group, start of the bucket in seconds since 1970, value).

    `groups` gives each series the number of its group; None keeps series apart. Within a bucket
    a series is reduced first; across a group avg is weighted by samples, last is the newest.
    Raw is served by metrics_raw_series_time, the rollups by their (series_id, bucket) index.
    """
    columns = (_RAW if tier is Tier.RAW else _ROLLUP)[aggregation]
    time = "time" if tier is Tier.RAW else "bucket"
    each = f"""
        select series_id,
          time_bucket(make_interval(secs => %(step)s), {time}, 'epoch'::timestamptz) as slot,
          {columns.each}
        from {TABLES[tier]}
        where series_id = any(%(ids)s) and {time} >= %(start)s and {time} < %(end)s
        group by 1, 2
    """
    across = columns.across
    if groups is None:
        text = f"""
            select series_id, date_part('epoch', slot), {_single(aggregation)}::float8
            from ({each}) as each
        """
    else:
        text = f"""
            select g.number, date_part('epoch', slot), ({across})::float8
            from ({each}) as each
            join unnest(%(ids)s::int[], %(groups)s::int[]) as g(series_id, number)
              using (series_id)
            group by 1, 2
        """
    parameters = {
        "step": step,
        "ids": list(series_ids),
        "groups": list(groups) if groups is not None else None,
        "start": start,
        "end": end,
    }
    with connection.cursor(binary=True) as cursor:
        return cursor.execute(text.encode(), parameters).fetchall()


def _single(aggregation: Aggregation) -> str:
    return "s / n" if aggregation is Aggregation.AVG else "v"
