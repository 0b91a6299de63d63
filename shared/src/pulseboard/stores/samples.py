"""Samples on their way into `metrics_raw`."""

from collections.abc import Mapping
from typing import Any

import psycopg

from pulseboard.domain.ingest import SeriesSamples
from pulseboard.exceptions import Unavailable
from pulseboard.observability import logger
from pulseboard.stores import database, series

_ATTEMPTS = 3

# One statement, so one round trip and one transaction. It writes nothing when an id does not
# stand for its identity any more, and names those. Served by metric_series_pkey and, for
# conflicts, by metrics_raw_series_time; rows come in the order of that index, which keeps
# concurrent replays from waiting in a circle. Equal values are not rewritten: a replay makes no
# dead rows and does not invalidate the rollups.
_WRITE = """
with lost as materialized (
  select g.hash
  from unnest(%(ids)s::integer[], %(hashes)s::bytea[]) as g (id, hash)
  where not exists (
    select from metric_series s where s.id = g.id and s.tags_hash = g.hash
  )
), written as (
  insert into metrics_raw (time, series_id, value)
  select to_timestamp(w.milliseconds / 1000.0::float8), w.series_id, w.value
  from unnest(
    %(series)s::integer[], %(milliseconds)s::bigint[], %(values)s::float8[]
  ) as w (series_id, milliseconds, value)
  where not exists (select from lost)
  on conflict (series_id, time) do update set value = excluded.value
  where metrics_raw.value is distinct from excluded.value
)
select hash from lost
"""


def write(*, batch: Mapping[bytes, SeriesSamples]) -> None:
    """Store the samples, all or none; the same (series, time) again takes the new value.

    Keys are series identities, times milliseconds since 1970. When it returns, the samples are
    committed. A lost connection or a deadlock is tried once more, which is safe since a replay
    changes nothing. Raises Unavailable when the database does not answer.
    """
    try:
        _write(batch)
    except Unavailable as error:
        if not _worth_a_retry(error):
            raise
        _write(batch)


def _worth_a_retry(error: Unavailable) -> bool:
    cause = error.__cause__
    # With a code the server spoke: only a deadlock, a serialisation failure or a server that
    # shut the connection is worth it. Without one the connection broke in mid-statement.
    if not isinstance(cause, psycopg.OperationalError) or cause.__class__.__name__ == "PoolTimeout":
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(("40", "57P"))


def _write(batch: Mapping[bytes, SeriesSamples]) -> None:
    with database.connection() as connection:
        for _ in range(_ATTEMPTS):
            ids = series.resolve(connection, wanted=batch)
            lost = _insert(connection, batch, ids)
            if not lost:
                break
            series.forget(lost)
        else:
            raise Unavailable("Series are being deleted while they are written. Try again.")
        _touch(connection, ids)


def _insert(
    connection: psycopg.Connection[Any],
    batch: Mapping[bytes, SeriesSamples],
    ids: Mapping[bytes, int],
) -> set[bytes]:
    """Write all, or nothing and the identities whose remembered ids are no longer theirs."""
    ordered = sorted((series_id, key) for key, series_id in ids.items())
    columns: tuple[list[int], list[int], list[float]] = ([], [], [])
    for series_id, key in ordered:
        values = batch[key].values
        for time in sorted(values):
            columns[0].append(series_id)
            columns[1].append(time)
            columns[2].append(values[time])
    rows = connection.execute(
        _WRITE,
        {
            "ids": [series_id for series_id, _ in ordered],
            "hashes": [key for _, key in ordered],
            "series": columns[0],
            "milliseconds": columns[1],
            "values": columns[2],
        },
    ).fetchall()
    return {bytes(row[0]) for row in rows}


def _touch(connection: psycopg.Connection[Any], ids: Mapping[bytes, int]) -> None:
    try:
        series.touch(connection, ids=ids.values())
    except psycopg.Error as error:
        # The samples are committed: a late `last_seen` is no reason to have them sent again.
        logger().warning("last_seen not updated", exc_info=error)
