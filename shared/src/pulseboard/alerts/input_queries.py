"""Samples for selectors of alert rules: the windows of many series in one statement."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psycopg

from pulseboard.contracts.alerts import Reducer
from pulseboard.db import float_sums

COLUMNS: dict[Reducer, int] = {
    Reducer.LAST: 0,
    Reducer.AVG: 1,
    Reducer.MIN: 2,
    Reducer.MAX: 3,
    Reducer.SUM: 4,
}
"""The column of each reducer in a `Window`."""

_TOTAL = float_sums.total("value")

Window = tuple[float, float, float, float, float]
"""The samples of a window with each reducer applied."""


def read_newest(
    connection: psycopg.Connection[Any], *, series_ids: Sequence[int], start: float, end: float
) -> dict[int, float]:
    """The newest sample of each series in (start, end], unless a stale marker came after it.

    Served by metrics_raw_series_time and series_end_pkey.
    """
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            b"""
            select s.id, newest.value
            from unnest(%(ids)s::int[]) as s (id)
            cross join lateral (
              select time, value from metrics_raw r
              where r.series_id = s.id and r.time > %(start)s and r.time <= %(end)s
              order by r.time desc limit 1
            ) newest
            where not exists (
              select from series_end e
              where e.series_id = s.id and e.time > newest.time and e.time <= %(end)s
            )
            """,
            {
                "ids": list(series_ids),
                "start": datetime.fromtimestamp(start, UTC),
                "end": datetime.fromtimestamp(end, UTC),
            },
        ).fetchall()
    return dict(rows)


def read_windows(
    connection: psycopg.Connection[Any], *, series_ids: Sequence[int], start: float, end: float
) -> dict[int, Window]:
    """The reduced samples of each series in (start, end]; a series without samples is left out.

    Served by metrics_raw_series_time.
    """
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            f"""
            select series_id, last(value, time), {float_sums.average("value")},
              min(value), max(value), {_TOTAL}
            from metrics_raw
            where series_id = any(%s) and time > %s and time <= %s
            group by series_id
            """.encode(),
            (
                list(series_ids),
                datetime.fromtimestamp(start, UTC),
                datetime.fromtimestamp(end, UTC),
            ),
        ).fetchall()
    return {row[0]: row[1:] for row in rows}
