"""Counts of active series and of samples, by metric, API key and tag.

Results that need to read every series are cached in Redis for a minute, since that is slow with
100,000 series.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import time
from typing import Any
from uuid import UUID

import psycopg
import redis
from psycopg import sql
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb
from pydantic import TypeAdapter
from redis.exceptions import RedisClusterException

from pulseboard.catalogue.last_seen import SEEN_SINCE, active_since
from pulseboard.catalogue.selector import Selector
from pulseboard.contracts.usage import SeriesOrder, SeriesUsage, TagUsage
from pulseboard.core.exceptions import NotFound
from pulseboard.core.observability import logger
from pulseboard.db import cache
from pulseboard.db.rollups import stored_in
from pulseboard.usage.cost_model import UsageCount

CACHE_SECONDS = 60
TOP_VALUES = 10
_WINDOW = timedelta(minutes=5)
_OLDEST_WINDOW = timedelta(minutes=15)
_PREFIX = "cache:usage:"
_GENERATION = f"{_PREFIX}generation"

UsageCounts = list[tuple[str, UUID | None, UsageCount]]
"""Usage by metric name and API key; None: a writer without a key."""
_COUNTS = TypeAdapter(tuple[datetime, UsageCounts])
_TAGS = TypeAdapter(list[TagUsage])


def _cached(name: str, kind: TypeAdapter[Any], read: Callable[[], Any]) -> Any:
    """The result of `read`, at most CACHE_SECONDS old; always fresh while Redis is down."""
    try:
        generation = cache.client().get(_GENERATION) or b"0"
        key = f"{_PREFIX}{generation.decode()}:{name}" if isinstance(generation, bytes) else ""
        found = cache.client().get(key)
        if isinstance(found, bytes):
            return kind.validate_json(found)
    except (redis.RedisError, RedisClusterException):
        return read()
    result = read()
    try:
        cache.client().set(key, kind.dump_json(result), ex=CACHE_SECONDS)
    except (redis.RedisError, RedisClusterException) as error:
        logger().warning("usage not cached", exc_info=error)
    return result


def invalidate_cache() -> None:
    """Invalidate all cached results, after series were deleted."""
    try:
        cache.client().incr(_GENERATION)
    except (redis.RedisError, RedisClusterException) as error:
        logger().warning("usage cache not invalidated", exc_info=error)


def counts(connection: psycopg.Connection[Any]) -> tuple[datetime, UsageCounts]:
    """Counts by metric and key, with the time of counting. Metrics without series are included."""
    found: tuple[datetime, UsageCounts] = _cached(
        "counts", _COUNTS, lambda: _read_counts(connection)
    )
    return found


def _read_counts(connection: psycopg.Connection[Any]) -> tuple[datetime, UsageCounts]:
    now = datetime.now(UTC)
    minutes, first, last = _rolled_up(connection, now)
    seconds = (last - first).total_seconds() + 60 if first and last else None
    # Reads the series of the last day, by metric_series_expiry or metric_series_seen, and the
    # minutes of the window by the BRIN index of the materialized table: the view would also read
    # all raw samples that are not rolled up yet. Of a metric without such series only the one seen
    # last is read, among those of its last day.
    active = active_since(now.timestamp())
    rows = connection.execute(
        sql.SQL(
            """
            select d.name, s.key_id,
              count(s.id) filter (where s.last_seen >= %(active)s),
              count(s.id) filter (where s.created_at > now() - interval '1 minute'),
              count(s.id) filter (where s.created_at > now() - interval '1 hour'),
              count(s.id) filter (where s.created_at > now() - interval '1 day'),
              coalesce(sum(r.samples), 0)::float8,
              coalesce(date_part('epoch', coalesce(max(s.last_seen), (
                select max(l.last_seen) from metric_series l
                where l.metric_id = d.id and l.last_seen_day >= (
                  select max(last_seen_day) from metric_series where metric_id = d.id
                ) - interval '1 day'
              ))), 0)
            from metric_definitions d
            left join metric_series s on s.metric_id = d.id and {seen}
            left join (
              select series_id, sum(sample_count) as samples from {minutes}
              where bucket between %(first)s and %(last)s group by series_id
            ) r on r.series_id = s.id
            group by d.id, d.name, s.key_id
            """
        ).format(minutes=minutes, seen=sql.SQL(SEEN_SINCE)),
        {
            "first": first,
            "last": last,
            "active": active,
            "seen_since": min(active, now - timedelta(days=1)),
        },
    ).fetchall()
    return now, [
        (
            name,
            key_id,
            UsageCount(
                series=series,
                new_minute=new_minute,
                new_hour=new_hour,
                new_day=new_day,
                rate=samples / seconds if seconds else None,
                last_seen=last_seen,
            ),
        )
        for name, key_id, series, new_minute, new_hour, new_day, samples, last_seen in rows
    ]


def _rolled_up(
    connection: psycopg.Connection[Any], now: datetime
) -> tuple[sql.Identifier, datetime | None, datetime | None]:
    """The minute table, and the first and last minute of the newest window; None when that window
    is too old to compute a rate."""
    minutes = stored_in(connection, "metrics_1min")
    # Both bounds by the BRIN index on bucket.
    row = connection.execute(
        sql.SQL(
            """
            select
              (select min(bucket) from {minutes} where bucket > newest - %(window)s::interval),
              newest
            from (
              select max(bucket) as newest from {minutes}
              where bucket > %(now)s - %(oldest)s::interval
            ) as last
            """
        ).format(minutes=minutes),
        {"now": now, "window": _WINDOW, "oldest": _OLDEST_WINDOW},
    ).fetchone()
    return (minutes, *row) if row else (minutes, None, None)


def tags(connection: psycopg.Connection[Any], *, metric: str | None) -> list[TagUsage]:
    """Tag keys of a metric (None: of all), those with the most values first.

    Raises NotFound for a metric that was never seen.
    """
    metric_id = None if metric is None else find_metric(connection, metric)
    name = "tags" if metric_id is None else f"tags:{metric_id}"
    found: list[TagUsage] = _cached(name, _TAGS, lambda: _read_tags(connection, metric_id))
    return found


def find_metric(connection: psycopg.Connection[Any], name: str) -> int:
    """Raises NotFound for a metric that was never seen. Served by metric_definitions_name_key."""
    row = (
        None
        if "\0" in name
        else connection.execute(
            "select id from metric_definitions where name = %s", (name,)
        ).fetchone()
    )
    if row is None:
        raise NotFound(f'There is no metric "{name[:200]}".')
    return int(row[0])


def _read_tags(connection: psycopg.Connection[Any], metric_id: int | None) -> list[TagUsage]:
    # Reads the active series, by metric_series_seen or metric_series_expiry.
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"""
            with counted as (
              select key, value, count(*) as n
              from metric_series s cross join lateral jsonb_each_text(s.tags) as t (key, value)
              where {SEEN_SINCE} {"" if metric_id is None else "and s.metric_id = %(metric)s"}
              group by key, value
            )
            select k.key, k.value_count, k.series_count, v.values
            from (
              select key, count(*) as value_count, sum(n)::bigint as series_count
              from counted group by key
            ) k
            cross join lateral (
              select jsonb_agg(jsonb_build_object('value', value, 'series_count', n)
                order by n desc, value) as values
              from (
                select value, n from counted where key = k.key order by n desc, value limit %(top)s
              ) best
            ) v
            order by k.value_count desc, k.key collate "C"
            """.encode(),
            {"metric": metric_id, "top": TOP_VALUES, "seen_since": active_since(time())},
        ).fetchall()
    return [TagUsage.model_validate(row) for row in rows]


def list_series(
    connection: psycopg.Connection[Any],
    *,
    selector: Selector,
    order: SeriesOrder,
    page: int,
    page_size: int,
) -> tuple[list[SeriesUsage], int]:
    """A page (from 1) of the series that a selector matches, and their total number: the active
    ones by their creation, the newest first, or all by their last day, the longest silent first.

    Raises NotFound for a metric that was never seen. Served by metric_series_seen and, for plain
    equality, the GIN index on tags.
    """
    metric_id = find_metric(connection, selector.name)
    equal = {m.key: m.value for m in selector.matchers if m.operator == "=" and m.value}
    others = [m for m in selector.matchers if not (m.operator == "=" and m.value)]
    newest = order is SeriesOrder.NEWEST
    matching = sql.SQL("s.metric_id = %(metric)s {tagged} {seen}").format(
        tagged=sql.SQL("and s.tags @> %(tags)s" if equal else ""),
        seen=sql.SQL("and " + SEEN_SINCE if newest else ""),
    )
    wanted = {"metric": metric_id, "tags": Jsonb(equal), "seen_since": active_since(time())}
    with connection.cursor(row_factory=class_row(SeriesUsage)) as cursor:
        cursor.execute(
            sql.SQL(
                """
                select s.tags, s.created_at, s.last_seen from metric_series s
                where {matching} order by {order}, s.id {page}
                """
            ).format(
                matching=matching,
                order=sql.SQL("s.created_at desc" if newest else "s.last_seen_day"),
                page=sql.SQL("" if others else "limit %(limit)s offset %(offset)s"),
            ),
            {**wanted, "limit": page_size, "offset": (page - 1) * page_size},
        )
        if not others:
            found = cursor.fetchall()
            row = connection.execute(
                sql.SQL("select count(*) from metric_series s where {}").format(matching), wanted
            ).fetchone()
            return found, int(row[0]) if row else 0
        accepted = [series for series in cursor if all(m.accepts(series.tags) for m in others)]
    begin = (page - 1) * page_size
    return accepted[begin : begin + page_size], len(accepted)
