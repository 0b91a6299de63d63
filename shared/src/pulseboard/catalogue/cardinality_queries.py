"""Limits on the number of series, and the tag to blame for too many."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import psycopg
from pydantic_core import from_json

from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.settings import settings

_SAMPLED_SERIES = 2_000
"""Series of a metric whose tags are counted to name the tag with the most values."""


def refuse(
    connection: psycopg.Connection[Any],
    *,
    new: Mapping[bytes, SeriesKey],
    key_id: UUID | None,
    paced: bool = True,
) -> dict[bytes, str]:
    """Of the series that are about to be created, those beyond a limit, each with the reason.

    Limits: series of one metric, series of one API key, and series that one key may add in a
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
                f"{name} has {configured.series_max_per_metric} series, the most that one metric "
                f"may have; {culprit}"
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
    # Both counts are served by metric_series_key.
    row = connection.execute(
        """
        select
          (select count(*) from (
            select from metric_series where key_id = %(key)s limit %(total)s
          ) as all_series),
          (select count(*) from (
            select from metric_series
            where key_id = %(key)s and created_at > now() - interval '1 minute' limit %(minute)s
          ) as young)
        """,
        {
            "key": key_id,
            "total": configured.series_max_per_key,
            "minute": configured.series_max_new_per_minute,
        },
    ).fetchone()
    total, young = (row[0], row[1]) if row else (0, 0)
    limits = [
        (
            configured.series_max_per_key - total,
            f"this API key has {configured.series_max_per_key} series, the most that one may have",
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
    # Served by metric_definitions_name_key and metric_series_metric_id_tags_hash_key; the
    # inner limit bounds what is counted.
    rows = connection.execute(
        """
        select w.name, coalesce((
          select count(*) from (
            select from metric_series s join metric_definitions d on d.id = s.metric_id
            where d.name = w.name limit %s
          ) as existing
        ), 0)
        from unnest(%s::text[]) as w (name)
        """,
        (limit, list(names)),
    ).fetchall()
    return {name: limit - count for name, count in rows}


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
    return f'the tag "{tag}" has the most values ({len(seen)} among those looked at): drop it'
