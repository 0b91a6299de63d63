"""Removes series, and metrics, of which no tier can have a sample any more.

Without this a catalogue only grows: each pod that ever ran would stay in it.
"""

import time
from typing import Any

import psycopg

from pulseboard.catalogue.last_seen import expired_before
from pulseboard.db.statement_timeout import LOCK_SECONDS, set_lock_timeout

TOGETHER = 10_000


def expire(connection: psycopg.Connection[Any], *, seconds: float, together: int = TOGETHER) -> int:
    """Remove expired series for about so many seconds; returns how many.

    It begins when one has been expired for a day: each transaction starts a new generation of the
    catalogue, and all processes look up their series again.
    """
    until = time.monotonic() + seconds
    before = expired_before(time.time())
    # All served by metric_series_expiry; the rows by metric_series_pkey.
    due = connection.execute(
        "select exists (select from metric_series"
        " where last_seen_day < %s::timestamptz - interval '1 day')",
        (before,),
    ).fetchone()
    if due is None or not due[0]:
        return 0
    removed_in_all = 0
    while time.monotonic() < until:
        try:
            with connection.transaction():
                set_lock_timeout(connection, seconds=LOCK_SECONDS)
                # Compared again for the rows that are deleted: one may have been seen meanwhile.
                removed = connection.execute(
                    """
                    delete from metric_series where last_seen < %(before)s and id = any(array(
                      select id from metric_series
                      where last_seen_day < %(before)s and last_seen < %(before)s
                      order by last_seen_day limit %(together)s
                    ))
                    """,
                    {"before": before, "together": together},
                ).rowcount
        except psycopg.errors.LockNotAvailable:
            break
        removed_in_all += removed
        if removed < together:
            _expire_metrics(connection)
            break
    return removed_in_all


def _expire_metrics(connection: psycopg.Connection[Any]) -> None:
    # Reads all metrics, once a day at most; their series by metric_series_seen.
    connection.execute(
        """
        delete from metric_definitions d where created_at < %s
          and not exists (select from metric_series s where s.metric_id = d.id)
        """,
        (expired_before(time.time()),),
    )
