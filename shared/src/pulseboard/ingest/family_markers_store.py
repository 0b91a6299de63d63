"""Finds the series that a family marker ends: a histogram's buckets, a summary's quantiles."""

from collections.abc import Sequence
from typing import Any

import psycopg

from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.ingest.batch import FamilyMarker


def expand(
    connection: psycopg.Connection[Any], found: Sequence[FamilyMarker]
) -> list[tuple[SeriesKey, int]]:
    """The stale markers of all series that these end."""
    # Served by metric_definitions_name_key and metric_series_tags.
    rows = connection.execute(
        """
        select w.name, s.tags, w.time
        from unnest(%s::text[], %s::text[], %s::text[], %s::bigint[])
          as w (name, tags, varies, time)
        join metric_definitions d on d.name = w.name
        join metric_series s on s.metric_id = d.id
        where s.tags @> w.tags::jsonb and s.tags ? w.varies and s.tags - w.varies = w.tags::jsonb
        """,
        (
            [each.name for each in found],
            [each.tags.decode() for each in found],
            [each.varies for each in found],
            [each.time for each in found],
        ),
    ).fetchall()
    return [(SeriesKey.of(name, tags), time) for name, tags, time in rows]
