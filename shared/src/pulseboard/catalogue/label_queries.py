"""Names and values of the labels of series, each once and in order.

The series are all those that can have samples in a range; of those a metric's, or those with some
tags. What many series were read for is cached for a minute (`label_cache`).
"""

from collections.abc import Mapping
from typing import Any, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from pulseboard.catalogue import label_cache
from pulseboard.catalogue.last_seen import SEEN_SINCE, SampleTimes
from pulseboard.catalogue.series_key import NAME


def metric_names(
    connection: psycopg.Connection[Any],
    *,
    times: SampleTimes,
    limit: int,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> list[str]:
    """The metrics with such a series, by name.

    Served by metric_definitions_name_key and metric_series_seen or GIN(tags).
    """
    rows = connection.execute(
        f"""
        select d.name from metric_definitions d
        where {"true" if name is None else "d.name = %(name)s"} and exists (
          select from metric_series s where s.metric_id = d.id and {_condition(None, tags)}
        )
        order by d.name collate "C" limit %(limit)s
        """.encode(),
        _parameters(name, tags, times) | {"limit": limit},
    ).fetchall()
    return [name for (name,) in rows]


def label_names(
    connection: psycopg.Connection[Any],
    *,
    times: SampleTimes,
    limit: int,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> list[str]:
    """The names of the series' labels; `__name__`, which each series has, comes first."""
    select: LiteralString = """
        select key, sum(n) over () from (
          select key, count(*) as n
          from metric_series s cross join lateral jsonb_object_keys(s.tags) as t (key)
          where {condition} group by key
        ) counted order by key collate "C" limit %(limit)s
    """
    parameters = _parameters(name, tags, times) | {"limit": limit}
    found = _each(connection, select, _condition(name, tags), parameters)
    if not found and not metric_names(connection, times=times, limit=1, name=name, tags=tags):
        return []
    return [NAME, *found][:limit]


def label_values(
    connection: psycopg.Connection[Any],
    *,
    label: str,
    times: SampleTimes,
    limit: int,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> list[str]:
    """The values of a label of the series, in the order of the text."""
    if label == NAME:
        return metric_names(connection, times=times, limit=limit, name=name, tags=tags)
    select: LiteralString = """
        select value, sum(n) over () from (
          select s.tags ->> %(label)s as value, count(*) as n
          from metric_series s where s.tags ? %(label)s and {condition} group by 1
        ) counted order by value collate "C" limit %(limit)s
    """
    parameters = _parameters(name, tags, times) | {"label": label, "limit": limit}
    return _each(connection, select, _condition(name, tags), parameters)


def _each(
    connection: psycopg.Connection[Any],
    select: LiteralString,
    condition: LiteralString,
    parameters: dict[str, Any],
) -> list[str]:
    """The texts that `select` finds, beside how many labels it counted.

    Served by metric_series_seen for a metric, else by metric_series_expiry or GIN(tags); once they
    are cached by metric_series_pkey, for the series created since.
    """
    given = {key: each.obj if isinstance(each, Jsonb) else each for key, each in parameters.items()}
    cached = label_cache.get(connection, select, condition, given)
    if cached.found and cached.newest == cached.newest_now:
        return list(cached.rows)
    if cached.found:
        condition += " and s.id > %(newest)s"
    rows = connection.execute(
        select.format(condition=condition).encode(), parameters | {"newest": cached.newest}
    ).fetchall()
    found = [text for text, _ in rows]
    if cached.found:
        return sorted({*cached.rows, *found})[: parameters["limit"]]
    label_cache.put(cached, found, read=int(rows[0][1]) if rows else 0)
    return found


def _condition(name: str | None, tags: Mapping[str, str] | None) -> LiteralString:
    condition: LiteralString = f"{SEEN_SINCE} and s.created_at <= %(created_until)s"
    if name is not None:
        condition += " and s.metric_id = (select id from metric_definitions where name = %(name)s)"
    return f"{condition} and s.tags @> %(tags)s" if tags else condition


def _parameters(
    name: str | None, tags: Mapping[str, str] | None, times: SampleTimes
) -> dict[str, Any]:
    return {
        "name": name,
        "tags": Jsonb(dict(tags)) if tags else None,
        "seen_since": times.seen_since,
        "created_until": times.created_until,
    }
