"""Limits on the number of active series, and the tag to blame for too many.

How many active series a metric and an API key have stands in their rows: writers add what they
create, and `recount` counts anew. So a limit costs the same however many series there are.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from time import time
from typing import Any
from uuid import UUID

import psycopg
from pydantic_core import from_json

from pulseboard.catalogue.last_seen import SEEN_SINCE, active_since
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.settings import settings

_SAMPLED_SERIES = 300
"""Series of a metric whose tags are counted to name the tag with the most values."""


def refuse(
    connection: psycopg.Connection[Any],
    *,
    new: Mapping[bytes, SeriesKey],
    key_id: UUID | None,
    paced: bool = True,
) -> dict[bytes, str]:
    """Of the series that are about to be created, those beyond a limit, each with the reason.

    Limits: active series of one metric, of one API key, and series that one key may add in a
    minute, unless the samples were accepted earlier and are not `paced`. Concurrent writers may
    pass a limit by one batch each.
    """
    configured = settings()
    refused: dict[bytes, str] = {}
    by_metric: dict[str, list[bytes]] = defaultdict(list)
    for key, series in new.items():
        by_metric[series.name].append(key)
    room = _room_by_metric(connection, by_metric, limit=configured.series_max_per_metric)
    for name, keys in by_metric.items():
        beyond = keys[max(0, room[name]) :]
        if beyond:
            culprit = _culprit(connection, name, [new[key] for key in keys])
            reason = (
                f"{name} has {configured.series_max_per_metric} active series, the most that one "
                f"metric may have; {culprit}"
            )
            refused |= dict.fromkeys(beyond, reason)
    if key_id is not None:
        left = [key for key in new if key not in refused]
        refused |= _refuse_for_key(connection, {key: new[key] for key in left}, key_id, paced)
    return refused


def _refuse_for_key(
    connection: psycopg.Connection[Any],
    new: Mapping[bytes, SeriesKey],
    key_id: UUID,
    paced: bool,
) -> dict[bytes, str]:
    configured = settings()
    # Served by api_keys_pkey and metric_series_key; the limit bounds what is counted.
    row = connection.execute(
        """
        select
          coalesce((select active_series from api_keys where id = %(key)s), 0),
          (select count(*) from (
            select from metric_series
            where key_id = %(key)s and created_at > now() - interval '1 minute' limit %(minute)s
          ) as young)
        """,
        {"key": key_id, "minute": configured.series_max_new_per_minute},
    ).fetchone()
    total, young = (row[0], row[1]) if row else (0, 0)
    limits = [
        (
            configured.series_max_per_key - total,
            f"this API key has {configured.series_max_per_key} active series, the most that one "
            "may have",
        ),
        (
            configured.series_max_new_per_minute - young,
            f"this API key may add {configured.series_max_new_per_minute} series a minute",
        ),
    ]
    room, sentence = min(limits if paced else limits[:1])
    beyond = list(new)[max(0, room) :]
    if not beyond:
        return {}
    [(name, _)] = Counter(new[key].name for key in beyond).most_common(1)
    series = [key for key in new.values() if key.name == name]
    culprit = _culprit(connection, name, series)
    return dict.fromkeys(beyond, f"{sentence}; most new ones belong to {name}: {culprit}")


def _room_by_metric(
    connection: psycopg.Connection[Any], names: Iterable[str], *, limit: int
) -> dict[str, int]:
    # Served by metric_definitions_name_key.
    rows = connection.execute(
        """
        select w.name, coalesce(d.active_series, 0)
        from unnest(%s::text[]) as w (name) left join metric_definitions d on d.name = w.name
        """,
        (list(names),),
    ).fetchall()
    return {name: limit - count for name, count in rows}


def add(
    connection: psycopg.Connection[Any], *, created: Sequence[str], key_id: UUID | None
) -> None:
    """Count series that were created, each by the name of its metric.

    Rows are locked in the order of their ids, so that two writers never deadlock.
    """
    counted = Counter(created)
    # Served by metric_definitions_name_key.
    connection.execute(
        """
        with due as (
          select d.id, w.n
          from unnest(%s::text[], %s::integer[]) as w (name, n)
          join metric_definitions d on d.name = w.name
          order by d.id for no key update of d
        )
        update metric_definitions d set active_series = d.active_series + due.n
        from due where d.id = due.id
        """,
        (list(counted), list(counted.values())),
    )
    if key_id is not None:
        connection.execute(
            "update api_keys set active_series = active_series + %s where id = %s",
            (len(created), key_id),
        )


def recount(connection: psycopg.Connection[Any]) -> None:
    """Count the active series of all metrics and keys: some are no longer active.

    What writers create meanwhile may be missing until the next time.
    """
    seen_since = {"seen_since": active_since(time())}
    for table, column in (("metric_definitions", "metric_id"), ("api_keys", "key_id")):
        # Reads all active series: each was seen lately, so that an index would save nothing.
        connection.execute(
            f"""
            with counted as materialized (
              select t.id, coalesce(c.n, 0)::integer as n
              from {table} t left join (
                select s.{column} as id, count(*) as n from metric_series s
                where {SEEN_SINCE} group by s.{column}
              ) c on c.id = t.id
              where t.active_series <> coalesce(c.n, 0)
            ), due as (
              select t.id, counted.n from {table} t join counted on counted.id = t.id
              order by t.id for no key update of t
            )
            update {table} t set active_series = due.n from due where t.id = due.id
            """.encode(),
            seen_since,
        )


def _culprit(connection: psycopg.Connection[Any], name: str, new: list[SeriesKey]) -> str:
    """The tag with the most values, among the new series and the newest stored ones."""
    # Served by metric_series_metric_id_tags_hash_key.
    rows = connection.execute(
        """
        select s.tags from metric_series s join metric_definitions d on d.id = s.metric_id
        where d.name = %s limit %s
        """,
        (name, _SAMPLED_SERIES),
    ).fetchall()
    values: dict[str, set[str]] = defaultdict(set)
    for tags in [row[0] for row in rows] + [from_json(key.tags) for key in new[:_SAMPLED_SERIES]]:
        for tag, value in tags.items():
            values[tag].add(value)
    if not values:
        return "it has no tags"
    tag, seen = max(values.items(), key=lambda entry: len(entry[1]))
    return f'the tag "{tag}" has the most values ({len(seen)} among those counted): drop it'
