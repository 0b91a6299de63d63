"""Samples for alert rules: catalogue look-ups and windows, each for many rules at once."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from pydantic_core import to_json

from pulseboard.catalogue.series_queries import Series
from pulseboard.contracts.alerts import Reducer

COLUMNS: dict[Reducer, int] = {
    Reducer.LAST: 0,
    Reducer.AVG: 1,
    Reducer.MIN: 2,
    Reducer.MAX: 3,
    Reducer.SUM: 4,
}
"""Where each reducer's value stands in a row of `read_windows`."""

Floats = NDArray[np.float64]
Window = tuple[float, float, float, float, float]
_TO_1970 = 946_684_800
"""Seconds from 1970 to 2000, where PostgreSQL's binary times begin."""


def newest_series(connection: psycopg.Connection[Any]) -> int:
    """The highest series id; it rises with every new series. Served by metric_series_pkey."""
    row = connection.execute("select coalesce(max(id), 0) from metric_series").fetchone()
    return int(row[0]) if row else 0


def find_many(
    connection: psycopg.Connection[Any],
    *,
    wanted: Sequence[tuple[str, dict[str, str]]],
    limit: int,
) -> list[list[Series]]:
    """For each (metric name, equal tags) its series, at most `limit` each, in one statement.

    Served by the unique index on the name, then by (metric_id, tags_hash) or GIN(tags).
    """
    found: list[list[Series]] = [[] for _ in wanted]
    rows = connection.execute(
        """
        select w.number, s.id, s.tags
        from unnest(%(numbers)s::int[], %(names)s::text[], %(tags)s::text[])
          as w (number, name, tags)
        join metric_definitions d on d.name = w.name
        cross join lateral (
          select id, tags from metric_series
          where metric_id = d.id and tags @> w.tags::jsonb
          order by id limit %(limit)s
        ) as s
        """,
        {
            "numbers": list(range(len(wanted))),
            "names": [name for name, _ in wanted],
            "tags": [to_json(tags).decode() for _, tags in wanted],
            "limit": limit,
        },
    ).fetchall()
    for number, series_id, tags in rows:
        found[number].append(Series(id=series_id, tags=tags))
    return found


def read_windows(
    connection: psycopg.Connection[Any], *, series_ids: Sequence[int], start: float, end: float
) -> dict[int, Window]:
    """Each series' samples in (start, end], reduced in every way at once; none: left out.

    Served by metrics_raw_series_time.
    """
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            b"""
            select series_id, last(value, time), avg(value), min(value), max(value), sum(value)
            from metrics_raw
            where series_id = any(%s) and time > %s and time <= %s
            group by series_id
            """,
            (
                list(series_ids),
                datetime.fromtimestamp(start, UTC),
                datetime.fromtimestamp(end, UTC),
            ),
        ).fetchall()
    return {row[0]: row[1:] for row in rows}


def read_samples(
    connection: psycopg.Connection[Any], *, series_ids: Sequence[int], start: float, end: float
) -> dict[int, tuple[bytes, bytes]]:
    """Each series' samples in (start, end], as two binary columns, in whatever order.

    Times are big-endian int64 microseconds since 2000, values big-endian float64: as the server
    sends them, so that half a million come over in a fraction of a second.
    Served by metrics_raw_series_time.
    """
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            b"""
            select series_id, string_agg(timestamptz_send(time), ''::bytea),
              string_agg(float8send(value), ''::bytea)
            from metrics_raw
            where series_id = any(%s) and time > %s and time <= %s
            group by series_id
            """,
            (
                list(series_ids),
                datetime.fromtimestamp(start, UTC),
                datetime.fromtimestamp(end, UTC),
            ),
        ).fetchall()
    return {row[0]: (bytes(row[1]), bytes(row[2])) for row in rows}


def read_ends(
    connection: psycopg.Connection[Any], *, series_ids: Sequence[int], start: float, end: float
) -> dict[int, list[float]]:
    """Stale markers of each series in (start, end], seconds since 1970.

    Served by series_end_pkey.
    """
    rows = connection.execute(
        """
        select series_id, extract(epoch from time)::float8 from series_end
        where series_id = any(%s) and time > to_timestamp(%s) and time <= to_timestamp(%s)
        order by series_id, time
        """,
        (list(series_ids), start, end),
    ).fetchall()
    ends: dict[int, list[float]] = {}
    for series_id, moment in rows:
        ends.setdefault(series_id, []).append(moment)
    return ends


def in_order(moments: bytes, values: bytes) -> tuple[Floats, Floats]:
    """A series of `read_samples` by time: seconds since 1970, values. Faster than in SQL."""
    stamps = np.frombuffer(moments, ">i8").astype(np.int64)
    order = np.argsort(stamps, kind="stable")
    return (
        stamps[order] / 1_000_000 + _TO_1970,
        np.frombuffer(values, ">f8").astype(np.float64)[order],
    )
