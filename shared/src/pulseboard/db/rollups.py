"""The tables of the rollups, and the move of their rows after they were made anew.

`rollup_moves` holds what a migration has left to move. Until a row is moved, the rollup's view
reads it where it is, so no query notices. What raw samples still cover is not moved but computed
again, which fills the columns that old rows do not have.
"""

import time
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql

from pulseboard.core.settings import settings
from pulseboard.db import retention_policies

ROLLUPS = ("metrics_1min", "metrics_1hour")
_STRETCH = {"metrics_1min": timedelta(hours=4), "metrics_1hour": timedelta(days=5)}
"""What is moved in one transaction."""
_COLUMNS = sql.SQL(
    "bucket, series_id, avg_value, min_value, max_value, sum_value, sample_count, first_value,"
    " last_value"
)


def stored_in(connection: psycopg.Connection[Any], rollup: str) -> sql.Identifier:
    """The table behind a rollup. One of a few rows."""
    row = connection.execute(
        """
        select materialization_hypertable_schema, materialization_hypertable_name
        from timescaledb_information.continuous_aggregates where view_name = %s
        """,
        (rollup,),
    ).fetchone()
    assert row is not None, "the migrations create it"
    return sql.Identifier(*row)


def tables(connection: psycopg.Connection[Any]) -> list[sql.Identifier]:
    """All tables that hold rows of rollups, minutes first."""
    sources = connection.execute("select source from rollup_moves order by rollup desc").fetchall()
    return [
        *(sql.Identifier(*str(source).split(".")) for (source,) in sources),
        *(stored_in(connection, rollup) for rollup in ROLLUPS),
    ]


def move(connection: psycopg.Connection[Any], *, seconds: float) -> int:
    """Move rows for about `seconds`; returns the number of rollups that are not done yet.

    The connection must be outside a transaction. A refresh by another process ends the run; the
    next one goes on.
    """
    until = time.monotonic() + seconds
    left = _left(connection)
    while left and time.monotonic() < until:
        try:
            # Hours are computed from minutes, which come first.
            _move_stretch(connection, left[0])
        except psycopg.errors.LockNotAvailable:
            break
        left = _left(connection)
    return len(left)


def _left(connection: psycopg.Connection[Any]) -> list[str]:
    rows = connection.execute("select rollup from rollup_moves order by rollup desc").fetchall()
    return [str(rollup) for (rollup,) in rows]


def _state(connection: psycopg.Connection[Any], rollup: str) -> tuple[str, datetime] | None:
    return connection.execute(
        "select source, before from rollup_moves where rollup = %s for update", (rollup,)
    ).fetchone()


def _move_stretch(connection: psycopg.Connection[Any], rollup: str) -> None:
    state = _state(connection, rollup)
    if state is None:
        return
    name, before = state
    source = sql.Identifier(*name.split("."))
    # Served by the bucket index of the table before.
    row = connection.execute(
        sql.SQL("select time_bucket(%s, max(bucket)) from {} where bucket < %s").format(source),
        (_STRETCH[rollup], before),
    ).fetchone()
    begin: datetime | None = row[0] if row else None
    if begin is None:
        _end(connection, rollup)
        return
    covered = _covered_since(connection)
    if covered is not None and covered < before:
        begin = max(begin, covered)
        connection.execute("call refresh_continuous_aggregate(%s, %s, %s)", (rollup, begin, before))
        connection.execute("select set_rollup_boundary(%s, %s)", (rollup, begin))
        return
    with connection.transaction():
        # Unless another process has moved them meanwhile.
        if _state(connection, rollup) == state:
            connection.execute(
                sql.SQL(
                    "insert into {} ({columns}) select {columns} from {}"
                    " where bucket >= %s and bucket < %s order by series_id, bucket"
                ).format(stored_in(connection, rollup), source, columns=_COLUMNS),
                (begin, before),
            )
            connection.execute("select set_rollup_boundary(%s, %s)", (rollup, begin))


def _covered_since(connection: psycopg.Connection[Any]) -> datetime | None:
    """The first hour from which on raw has all samples, as far as refreshes look back.

    None without raw samples.
    """
    row = connection.execute(
        """
        select time_bucket('1 hour',
          greatest(min(range_start), now() - %s) + interval '1 hour' - interval '1 microsecond')
        from timescaledb_information.chunks where hypertable_name = 'metrics_raw'
        having count(*) > 0
        """,
        (retention_policies.plan(settings()).lookback["metrics_1min"],),
    ).fetchone()
    return row[0] if row else None


def _end(connection: psycopg.Connection[Any], rollup: str) -> None:
    with connection.transaction():
        connection.execute("select end_rollup_move(%s)", (rollup,))
        if not _left(connection):
            for each in reversed(ROLLUPS):
                connection.execute(
                    sql.SQL("drop materialized view if exists {}").format(
                        sql.Identifier(f"{each}_before_0200")
                    )
                )
