"""Deletes series at once and their samples soon after.

A deletion has two parts. The rows of the series go in short transactions: from then on nothing
finds their samples, remembered ids die with the generation, and ids are never used again. The
samples of raw and of both rollups are removed by `purge`, which `maintain` calls each minute.
Removing them from raw and from the minutes marks those ranges for the next refresh, which then
finds nothing to bring back.
"""

import time
from typing import Any

import psycopg
from psycopg import sql

from pulseboard.catalogue import metadata_store, series_queries
from pulseboard.catalogue.selector import Selector
from pulseboard.contracts.usage import DeletedSeries
from pulseboard.core.exceptions import Conflict, InvalidRequest
from pulseboard.core.settings import settings
from pulseboard.usage import store

_TOGETHER = 10_000
"""Series that go in one transaction, for which all writers of samples wait."""
_PURGED_TOGETHER = 1_000
_EXAMPLES = 5


def delete(
    connection: psycopg.Connection[Any], *, selector: Selector, dry_run: bool, expect: int | None
) -> DeletedSeries:
    """Delete the series that a selector means; without matchers the metric goes too.

    Raises NotFound for a metric that was never seen, Conflict when there are more or fewer than
    `expect`, InvalidRequest for more than can go at once.
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
            f"Meanwhile it is {len(series)} series instead of {expect}: look again, then delete."
        )
    if not dry_run:
        ids = [each.id for each in series]
        for begin in range(0, len(ids), _TOGETHER):
            _delete(connection, ids[begin : begin + _TOGETHER])
        if not selector.matchers:
            # By the primary key; series that somebody made meanwhile keep their metric.
            connection.execute(
                """
                delete from metric_definitions d where id = %s
                  and not exists (select from metric_series s where s.metric_id = d.id)
                """,
                (metric_id,),
            )
            metadata_store.reset()
        store.invalidate_cache()
    return DeletedSeries(
        series_count=len(series),
        examples=[each.tags for each in series[:_EXAMPLES]],
        metric_deleted=not selector.matchers,
        dry_run=dry_run,
    )


def _delete(connection: psycopg.Connection[Any], ids: list[int]) -> None:
    with connection.transaction():
        # Served by metric_series_pkey and deleted_series_pkey; ends go by series_end_pkey.
        connection.execute(
            "insert into deleted_series (series_id) select unnest(%s::integer[])"
            " on conflict do nothing",
            (ids,),
        )
        connection.execute("delete from metric_series where id = any(%s)", (ids,))


def pending(connection: psycopg.Connection[Any]) -> int:
    """Deleted series whose samples are still there."""
    row = connection.execute("select count(*) from deleted_series").fetchone()
    return int(row[0]) if row else 0


def purge(connection: psycopg.Connection[Any], *, seconds: float) -> int:
    """Remove samples of deleted series for about so long; how many series are done.

    Runs that overlap do the same work twice, and no harm.
    """
    until = time.monotonic() + seconds
    done = 0
    tables: list[sql.Composable] = []
    while time.monotonic() < until:
        # Served by deleted_series_pkey.
        rows = connection.execute(
            "select series_id from deleted_series order by series_id limit %s",
            (_PURGED_TOGETHER,),
        ).fetchall()
        if not rows:
            break
        tables = tables or [
            sql.Identifier("metrics_raw"),
            store.materialised(connection, "metrics_1min"),
            store.materialised(connection, "metrics_1hour"),
        ]
        ids = [row[0] for row in rows]
        for table in tables:
            # From the finest to the coarsest: none is refilled from what has yet to go. Served by
            # metrics_raw_series_time, the columnstore's segments and the (series_id, bucket)
            # indexes.
            connection.execute(
                sql.SQL("delete from {} where series_id = any(%s)").format(table), (ids,)
            )
        connection.execute("delete from deleted_series where series_id = any(%s)", (ids,))
        done += len(ids)
    return done
