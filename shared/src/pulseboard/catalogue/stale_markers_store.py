"""Removes stale markers that are older than every stored sample.

A series without a value gets a stale marker once an hour, for as long as its sender names it.
The markers of a deleted series are deleted with it, by the foreign key.
"""

import time
from datetime import timedelta
from typing import Any

import psycopg

from pulseboard.core.settings import settings

TOGETHER = 10_000


def prune(connection: psycopg.Connection[Any], *, seconds: float, together: int = TOGETHER) -> int:
    """Remove markers older than the coarsest samples, for about so many seconds; returns how many.

    A transaction for each `together` of them, oldest first. Overlapping runs do no harm.
    """
    configured = settings()
    retention = timedelta(
        seconds=max(
            configured.retention_raw, configured.retention_minute, configured.retention_hour
        )
    )
    until = time.monotonic() + seconds
    removed_in_all = 0
    while True:
        # Served by series_end_time, and by the rows' ctids.
        removed = connection.execute(
            """
            delete from series_end where ctid = any(array(
              select ctid from series_end where time < now() - %s order by time limit %s
            ))
            """,
            (retention, together),
        ).rowcount
        removed_in_all += removed
        if removed < together or time.monotonic() >= until:
            return removed_in_all
