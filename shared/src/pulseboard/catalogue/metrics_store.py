"""The catalogue: which metrics there are, and which tags their series carry."""

from time import time
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

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
    """One page (from 1) of the metrics whose name begins with `prefix`, by name; and how many."""
    if "\0" in prefix:
        return [], 0
    pattern = like_prefix(prefix)
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
    return rows, int(counted[0]) if counted else 0


def tags(connection: psycopg.Connection[Any], *, name: str, limit: int) -> list[TagInfo]:
    """The tag keys of a metric by name, each with its `limit` most used values.

    Raises NotFound for a metric that was never seen.
    """
    # Served by metric_definitions_name_key.
    found = (
        None
        if "\0" in name
        else connection.execute(
            "select id from metric_definitions where name = %s", (name,)
        ).fetchone()
    )
    if found is None:
        raise NotFound(f'There is no metric "{name[:200]}".')
    # Served by metric_series_metric_id_tags_hash_key: reads each series of the metric once.
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            select key, value, series_count, key_count, position
            from (
              select key, value, count(*) as series_count,
                sum(count(*)) over (partition by key)::bigint as key_count,
                row_number() over (partition by key order by count(*) desc, value) as position
              from metric_series s cross join lateral jsonb_each_text(s.tags) as t (key, value)
              where s.metric_id = %s
              group by key, value
            ) counted
            where position <= %s
            order by key collate "C", position
            """,
            (found[0], limit + 1),
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
    return list(result.values())
