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


def read_windows(
    connection: psycopg.Connection[Any], *, series_ids: Sequence[int], start: float, end: float
) -> dict[int, Window]:
    """The reduced samples of each series in (start, end]; a series without samples is left out.

    Served by metrics_raw_series_time.
    """
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            f"""
            select series_id, last(value, time), {float_sums.mean(_TOTAL, "count(value)")},
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
