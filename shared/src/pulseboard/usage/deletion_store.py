"""Deletes series at once and their samples soon after.

A deletion has two parts. First the rows of the series are deleted in short transactions. From then
on no query finds their samples, cached ids are invalid since the generation changed, and ids are
never reused. Then `purge`, which `maintain` calls each minute, deletes the samples from raw and
both rollups. Deleting from raw and from the minutes invalidates those ranges: the next refresh
finds no samples there.
"""

import time
from typing import Any

import psycopg
from psycopg import sql

from pulseboard.catalogue import cardinality_queries, series_queries
from pulseboard.catalogue.selector import Selector
from pulseboard.contracts.usage import DeletedSeries
from pulseboard.core.exceptions import Conflict, InvalidRequest, Unavailable
from pulseboard.core.settings import settings
from pulseboard.db import rollups
from pulseboard.db.statement_timeout import LOCK_SECONDS, set_lock_timeout
from pulseboard.usage import store

_SERIES_PER_TRANSACTION = 10_000
"""Writers of samples wait for such a transaction."""
_PURGE_BATCH = 1_000
_ATTEMPTS = 3
_EXAMPLES = 5


def delete(
    connection: psycopg.Connection[Any], *, selector: Selector, dry_run: bool, expect: int | None
) -> DeletedSeries:
    """Delete the series that a selector matches; without matchers also the metric.

    Raises NotFound for a metric that was never seen, Conflict when there are more or fewer than
    `expect`, InvalidRequest for more than can be deleted at once.
    """
    metric_id = store.find_metric(connection, selector.name)
    most = settings().series_max_deleted
    found = series_queries.find(
        connection, name=selector.name, matchers=selector.matchers, limit=most + 1
    )
    series = found or []
    if len(series) > most:
        raise InvalidRequest(
            f"More than {most} series would go at once: choose fewer of them by their tags."
        )
    if expect is not None and expect != len(series):
        raise Conflict(
            f"The selector now matches {len(series)} series instead of {expect}: check them again, "
            "then delete."
        )
    if not dry_run:
        ids = [each.id for each in series]
        for begin in range(0, len(ids), _SERIES_PER_TRANSACTION):
            _delete(connection, ids[begin : begin + _SERIES_PER_TRANSACTION])
        if not selector.matchers:
            # By the primary key. The metric stays when a sender has created series meanwhile.
            connection.execute(
                """
                delete from metric_definitions d where id = %s
                  and not exists (select from metric_series s where s.metric_id = d.id)
                """,
                (metric_id,),
            )
        cardinality_queries.recount(connection)
        store.invalidate_cache()
    return DeletedSeries(
        series_count=len(series),
        examples=[each.tags for each in series[:_EXAMPLES]],
        metric_deleted=not selector.matchers,
        dry_run=dry_run,
    )


def _delete(connection: psycopg.Connection[Any], ids: list[int]) -> None:
    for attempt in range(_ATTEMPTS):
        try:
            with connection.transaction():
                # Writers of samples wait behind a deletion that waits for an open transaction.
                set_lock_timeout(connection, seconds=LOCK_SECONDS)
                # Served by metric_series_pkey and deleted_series_pkey; stale markers by
                # series_end_pkey.
                connection.execute("delete from metric_series where id = any(%s)", (ids,))
                connection.execute(
                    "insert into deleted_series (series_id) select unnest(%s::integer[])"
                    " on conflict do nothing",
                    (ids,),
                )
            return
        except psycopg.errors.LockNotAvailable as error:
            if attempt == _ATTEMPTS - 1:
                raise Unavailable(
                    "Samples are being written in a transaction that does not end, so series can't "
                    "be deleted. Try again in a moment."
                ) from error
            time.sleep(LOCK_SECONDS / 2)


def pending(connection: psycopg.Connection[Any]) -> int:
    """Number of deleted series whose samples still exist."""
    row = connection.execute("select count(*) from deleted_series").fetchone()
    return int(row[0]) if row else 0


def purge(connection: psycopg.Connection[Any], *, seconds: float) -> int:
    """Delete samples of deleted series for about `seconds`; returns the number of purged series.

    Overlapping runs repeat work but are harmless.
    """
    until = time.monotonic() + seconds
    done = 0
    tables: list[sql.Composable] = []
    while time.monotonic() < until:
        # Served by deleted_series_pkey.
        rows = connection.execute(
            "select series_id from deleted_series order by series_id limit %s",
            (_PURGE_BATCH,),
        ).fetchall()
        if not rows:
            break
        tables = tables or [
            sql.Identifier("metrics_raw"),
            *rollups.tables(connection),
        ]
        ids = [row[0] for row in rows]
        for table in tables:
            # From finest to coarsest: no rollup is refilled from samples not yet deleted. Served by
            # metrics_raw_series_time, the columnstore's segments and the (series_id, bucket)
            # indexes.
            with connection.transaction():
                # However many samples of theirs are in the columnstore.
                connection.execute(
                    "set local timescaledb.max_tuples_decompressed_per_dml_transaction = 0"
                )
                connection.execute(
                    sql.SQL("delete from {} where series_id = any(%s)").format(table), (ids,)
                )
        connection.execute("delete from deleted_series where series_id = any(%s)", (ids,))
        done += len(ids)
    return done
