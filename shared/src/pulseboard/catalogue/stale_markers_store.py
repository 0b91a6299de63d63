"""Removes the marks of ended series that no sample is left for.

A series that has no value is marked as ended once an hour, for as long as its sender names it.
Marks of a series that is deleted go with it, by the foreign key.
"""

import time
from datetime import timedelta
from typing import Any

import psycopg

from pulseboard.core.settings import settings

TOGETHER = 10_000


def prune(connection: psycopg.Connection[Any], *, seconds: float, together: int = TOGETHER) -> int:
    """Remove marks older than the coarsest samples for about so long; how many are gone.

    A transaction for each `together` of them, oldest first. Runs that overlap do no harm.
    """
    configured = settings()
    kept = timedelta(
        seconds=max(
            configured.retention_raw, configured.retention_minute, configured.retention_hour
        )
    )
    until = time.monotonic() + seconds
    gone = 0
    while True:
        # Served by series_end_time, and by the rows' places.
        removed = connection.execute(
            """
            delete from series_end where ctid = any(array(
              select ctid from series_end where time < now() - %s order by time limit %s
            ))
            """,
            (kept, together),
        ).rowcount
        gone += removed
        if removed < together or time.monotonic() >= until:
            return gone
