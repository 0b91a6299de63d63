"""The catalogue: which metrics there are, and which tags their series carry."""

from datetime import timedelta
from time import time
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from pulseboard.catalogue import label_cache
from pulseboard.catalogue.last_seen import SEEN_SINCE, active_since
from pulseboard.contracts.metrics import MetricInfo, TagInfo, TagValueInfo
from pulseboard.core.exceptions import NotFound


def like_prefix(prefix: str) -> str:
    """A LIKE pattern for texts that begin with `prefix`, in which nothing is a wildcard."""
    escaped = prefix.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"{escaped}%"


def find(
    connection: psycopg.Connection[Any], *, prefix: str, page: int, page_size: int
) -> tuple[list[MetricInfo], int]:
    """One page (from 1) of the metrics whose name begins with `prefix`, by name; and how many.

    A page of very many series is counted once a minute, and when it has new ones.
    """
    if "\0" in prefix:
        return [], 0
    pattern = like_prefix(prefix)
    cached = label_cache.get(connection, "metrics", prefix, page, page_size)
    if cached.found and not _has_newer_like(connection, pattern, cached):
        total, known = cached.rows
        return [MetricInfo.model_validate(each) for each in known], int(total)
    # Served by metric_definitions_prefix.
    counted = connection.execute(
        "select count(*) from metric_definitions where name like %s", (pattern,)
    ).fetchone()
    # The page by metric_definitions_prefix or _name_key, its series by metric_series_seen: active
    # ones are counted, and the one seen last is among those of its last day. Byte order,
    # in which prefixes stay together.
    with connection.cursor(row_factory=class_row(MetricInfo)) as cursor:
        rows = cursor.execute(
            f"""
            select d.name, d.description, d.unit, d.type, s.series_count, l.last_seen
            from (
              select * from metric_definitions
              where name like %(pattern)s
              order by name collate "C"
              limit %(limit)s offset %(offset)s
            ) d
            cross join lateral (
              select count(*) as series_count
              from metric_series s where s.metric_id = d.id and {SEEN_SINCE}
            ) s
            cross join lateral (
              select max(last_seen) as last_seen from metric_series
              where metric_id = d.id and last_seen_day >= (
                select max(last_seen_day) from metric_series where metric_id = d.id
              ) - interval '1 day'
            ) l
            order by d.name collate "C"
            """.encode(),
            {
                "pattern": pattern,
                "limit": page_size,
                "offset": (page - 1) * page_size,
                "seen_since": active_since(time()),
            },
        ).fetchall()
    total = int(counted[0]) if counted else 0
    label_cache.put(cached, [total, rows], read=sum(each.series_count for each in rows))
    return rows, total


def tags(connection: psycopg.Connection[Any], *, name: str, limit: int) -> list[TagInfo]:
    """The tag keys of a metric's active series by name, each with its `limit` most used values.

    Of a metric without active series those of its last day count. Raises NotFound for a metric that
    was never seen.
    """
    # Served by metric_definitions_name_key and metric_series_seen.
    found = (
        None
        if "\0" in name
        else connection.execute(
            """
            select d.id, (select max(last_seen_day) from metric_series where metric_id = d.id)
            from metric_definitions d where d.name = %s
            """,
            (name,),
        ).fetchone()
    )
    if found is None:
        raise NotFound(f'There is no metric "{name[:200]}".')
    metric_id, newest = found
    since, last_day = active_since(time()), None
    if newest is not None and newest + timedelta(days=1) < since:
        since = last_day = newest - timedelta(days=1)
    cached = label_cache.get(connection, "tags", name, limit, last_day)
    if cached.found and not _has_newer(connection, metric_id, cached):
        return [TagInfo.model_validate(each) for each in cached.rows]
    # Served by metric_series_seen: reads each of these series once.
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"""
            select key, value, series_count, key_count, position
            from (
              select key, value, count(*) as series_count,
                sum(count(*)) over (partition by key)::bigint as key_count,
                row_number() over (partition by key order by count(*) desc, value) as position
              from metric_series s cross join lateral jsonb_each_text(s.tags) as t (key, value)
              where s.metric_id = %(metric)s and {SEEN_SINCE}
              group by key, value
            ) counted
            where position <= %(most)s
            order by key collate "C", position
            """.encode(),
            {"metric": metric_id, "seen_since": since, "most": limit + 1},
        ).fetchall()
    result: dict[str, TagInfo] = {}
    for row in rows:
        info = result.setdefault(
            row["key"], TagInfo(key=row["key"], series_count=row["key_count"], values=[])
        )
        if row["position"] > limit:
            info.truncated = True
        else:
            info.values.append(TagValueInfo(value=row["value"], series_count=row["series_count"]))
    tags = list(result.values())
    label_cache.put(cached, tags, read=sum(each.series_count for each in tags))
    return tags


def _has_newer_like(
    connection: psycopg.Connection[Any], pattern: str, cached: label_cache.CachedLabels
) -> bool:
    """Whether a metric of such a name has a series that the cache does not count."""
    if cached.newest == cached.newest_now:
        return False
    # Served by metric_series_pkey: those of the last minute.
    row = connection.execute(
        """
        select exists (
          select from metric_series s join metric_definitions d on d.id = s.metric_id
          where s.id > %s and d.name like %s
        )
        """,
        (cached.newest, pattern),
    ).fetchone()
    return bool(row and row[0])


def _has_newer(
    connection: psycopg.Connection[Any], metric_id: int, cached: label_cache.CachedLabels
) -> bool:
    """Whether the metric has a series that the cache does not count."""
    if cached.newest == cached.newest_now:
        return False
    # Served by metric_series_pkey: those of the last minute.
    row = connection.execute(
        "select exists (select from metric_series where id > %s and metric_id = %s)",
        (cached.newest, metric_id),
    ).fetchone()
    return bool(row and row[0])
