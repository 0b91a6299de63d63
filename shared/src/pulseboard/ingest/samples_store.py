"""Samples on their way into `metrics_raw`: sorted, by binary COPY."""

from collections.abc import Sequence
from operator import attrgetter
from time import time
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.errors import UniqueViolation

from pulseboard.catalogue import metadata_store, series_cache, series_store
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest import late_marks_store
from pulseboard.ingest.batch import Batch
from pulseboard.ingest.spill_file import Finished

_ATTEMPTS = 3

# Equal values are not rewritten: a replay makes no dead rows and does not invalidate the rollups.
# Conflicts are found by metrics_raw_series_time; rows come in the order of that index, which
# keeps concurrent replays from waiting in a circle.
_UPSERT = """
insert into metrics_raw (time, series_id, value)
select to_timestamp(w.milliseconds / 1000.0::float8), w.series_id, w.value
from unnest(
  %(series)s::integer[], %(milliseconds)s::bigint[], %(values)s::float8[]
) as w (series_id, milliseconds, value)
on conflict (series_id, time) do update set value = excluded.value
where metrics_raw.value is distinct from excluded.value
"""
# Of what came late only rows written by transactions older than `before` are replaced: they were
# there when it arrived. `xmin` of a row that was in the columnstore is our own transaction's.
_LATE = _UPSERT + "  and age(metrics_raw.xmin) > age(%(before)s::xid)"
# https://www.postgresql.org/docs/current/transaction-id.html: 2 is older than every transaction.
_OLDEST = 2
# Timeouts, locks, deadlocks, a server that has become a standby: another time it may well work.
_PASSING = frozenset({"25006", "25P03", "40001", "40P01", "55P03", "57014"})

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": a signature, flags and
# the length of an extension; each row with its count of columns, each value with its length; an
# end. A timestamptz is in microseconds since 2000.
_BEGIN = "select ingest_begin(), pg_snapshot_xmin(pg_current_snapshot())::xid::text"
COPY = "copy metrics_raw (time, series_id, value) from stdin with (format binary)"
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL = b"\xff\xff"
_ROW = np.dtype(
    [
        ("columns", ">i2"),
        *(("time_size", ">i4"), ("time", ">i8")),
        *(("series_size", ">i4"), ("series", ">i4")),
        *(("value_size", ">i4"), ("value", ">f8")),
    ]
)
_EPOCH_2000 = 946_684_800_000
_noted = attrgetter("noted")
_finished: Finished | None = None


def finished() -> Finished | None:
    """Where in the database's history this process was last: what was stored before is older."""
    return _finished


def write_or_fail_fast(batch: Batch, *, key_id: UUID | None) -> None:
    """`write` for who has another way to keep the samples: a short wait and no second try.

    Raises Unavailable also when the database is overloaded, locked or read-only.
    """
    with database.fail_fast_connection() as connection:
        try:
            _write(connection, batch, key_id)
        except psycopg.Error as error:
            if error.sqlstate not in _PASSING:
                raise
            raise Unavailable("The database is overloaded. Try again in a moment.") from error


def write_late(batch: Batch, *, key_id: UUID | None, before: Finished | None) -> None:
    """`write` for samples that arrived a while ago, when `before` was the state of the database.

    A value that is stored is replaced only if it is certain that it was there when these arrived.
    The series that `key_id` may add in a minute are not limited.
    """
    with database.connection() as connection:
        try:
            _write(connection, batch, key_id, late=before or Finished(UUID(int=0), _OLDEST))
        except psycopg.Error as error:
            if error.sqlstate not in _PASSING:
                raise
            raise Unavailable("The database is overloaded. Try again in a moment.") from error


class _Rows(NamedTuple):
    """Rows in the order of the unique index, each (series, time) once. Times are milliseconds."""

    series: NDArray[np.int64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]


def write(batch: Batch, *, key_id: UUID | None = None) -> None:
    """Store the samples, all or none; the same (series, time) again takes the new value.

    Series beyond a limit are taken out of `batch` and named in its issues. When it returns, the
    samples are committed. A lost connection or a deadlock is tried once more, which is safe since
    a replay changes nothing. Raises Unavailable when the database does not answer.
    """
    try:
        with database.connection() as connection:
            _write(connection, batch, key_id)
    except Unavailable as error:
        if not _worth_a_retry(error):
            raise
        with database.connection() as connection:
            _write(connection, batch, key_id)


def _worth_a_retry(error: Unavailable) -> bool:
    cause = error.__cause__
    # With a code the server spoke: only a deadlock, a serialisation failure or a server that
    # shut the connection is worth it. Without one the connection broke in mid-statement.
    if not isinstance(cause, psycopg.OperationalError) or cause.__class__.__name__ == "PoolTimeout":
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(("40", "57P"))


def _write(
    connection: psycopg.Connection[Any],
    batch: Batch,
    key_id: UUID | None,
    *,
    late: Finished | None = None,
) -> None:
    for _ in range(_ATTEMPTS):
        found = _recalled(batch)
        if found is None:
            resolved = series_store.resolve(
                connection, keys=batch.keys(), key_id=key_id, paced=late is None
            )
            batch.drop(resolved.refused, errors=settings().ingest_max_errors)
            found = _with_ids(batch, resolved)
        if found is not None:
            current = _store(connection, found, late)
            if current == found.resolved.generation:
                break
            series_cache.of(current)
    else:
        raise Unavailable("Series are being deleted while they are written. Try again.")
    _after(connection, batch, found, key_id)


class _Found(NamedTuple):
    """A batch as rows with the ids of their series, and when these held."""

    resolved: series_store.Resolved
    rows: _Rows
    ends: set[tuple[int, int]]
    ids: list[int]


def _recalled(batch: Batch) -> _Found | None:
    recalled = series_store.cached()
    return recalled and _with_ids(batch, recalled)


def _with_ids(batch: Batch, resolved: series_store.Resolved) -> _Found | None:
    """None when a key has no id noted, or another batch has noted what holds later."""
    ids = ids_of(batch.series, resolved)
    ended = ids_of([key for key, _ in batch.ends], resolved)
    if ids is None or ended is None:
        return None
    at = [time for _, time in batch.ends]
    ends = set(zip(ended.tolist(), at, strict=True))
    return _Found(resolved, _rows(batch, ids), ends, [*ids.tolist(), *ended.tolist()])


def ids_of(keys: Sequence[SeriesKey], resolved: series_store.Resolved) -> NDArray[np.int64] | None:
    """The ids noted on these keys, or None when one is not noted, or was noted otherwise since."""
    noted = np.fromiter(map(_noted, keys), np.int64, len(keys))
    return noted & 0xFFFFFFFF if (noted >> 32 == resolved.epoch).all() else None


def _store(
    connection: psycopg.Connection[Any], found: _Found, late: Finished | None
) -> UUID | None:
    """Write all, or nothing when series have been deleted since; the generation that holds."""
    try:
        return _in_transaction(connection, found, copy=True)
    except UniqueViolation:
        return _in_transaction(connection, found, copy=False, late=late)


def _rows(batch: Batch, ids: NDArray[np.int64]) -> _Rows:
    rows = _Rows(ids, np.array(batch.times, np.int64), np.array(batch.values, np.float64))
    order = np.lexsort((rows.times, rows.series))
    rows = _chosen(rows, order)
    # Equal ones stand in the order in which they came: the last value is kept.
    again = (rows.series[1:] == rows.series[:-1]) & (rows.times[1:] == rows.times[:-1])
    return _chosen(rows, np.append(~again, True)) if again.any() else rows


def _chosen(rows: _Rows, places: NDArray[Any]) -> _Rows:
    return _Rows(rows.series[places], rows.times[places], rows.values[places])


def _in_transaction(
    connection: psycopg.Connection[Any],
    found: _Found,
    *,
    copy: bool,
    late: Finished | None = None,
) -> UUID | None:
    global _finished
    rows = found.rows
    with connection.transaction():
        row = connection.execute(_BEGIN).fetchone()
        current: UUID | None = row[0] if row else None
        if current is None or row is None or current != found.resolved.generation:
            return current
        seen = Finished(current, int(row[1]))
        if not len(rows.times):
            pass
        elif copy:
            with connection.cursor().copy(COPY) as target:
                target.write(_binary(rows))
        else:
            known = late and late.generation == current
            connection.execute(
                _LATE if late else _UPSERT,
                {
                    "before": str(late.transaction if late and known else _OLDEST),
                    "series": rows.series.tolist(),
                    "milliseconds": rows.times.tolist(),
                    "values": rows.values.tolist(),
                },
            )
        if found.ends:
            _end(connection, found.ends)
    _finished = seen
    return current


def packed(batch: Batch) -> bytes:
    """What the COPY of a batch of series that are known sends. Raises LookupError for others."""
    found = _recalled(batch)
    if found is None:
        raise LookupError("the ids of the batch's series are not noted")
    return _binary(found.rows)


def _binary(rows: _Rows) -> bytes:
    made = np.empty(len(rows.times), _ROW)
    made["columns"] = 3
    made["time_size"] = made["value_size"] = 8
    made["series_size"] = 4
    made["time"] = (rows.times - _EPOCH_2000) * 1000
    made["series"] = rows.series
    made["value"] = rows.values
    return b"".join([_HEAD, made.tobytes(), _TAIL])


def _end(connection: psycopg.Connection[Any], found: set[tuple[int, int]]) -> None:
    ends = sorted(found)
    # A series that has ended already needs no second mark within the hour: one that has no value
    # (a quantile without observations) is sent as ended with each scrape.
    # Served by series_end_pkey and metrics_raw_series_time, in the chunks since `oldest`.
    connection.execute(
        """
        insert into series_end (series_id, time)
        select w.id, at.time
        from unnest(%(ids)s::integer[], %(milliseconds)s::bigint[]) as w (id, milliseconds)
        cross join lateral (select to_timestamp(w.milliseconds / 1000.0::float8) as time) as at
        where not exists (
          select from series_end e
          where e.series_id = w.id and e.time < at.time
            and e.time > at.time - interval '1 hour'
            and not exists (
              select from metrics_raw r
              where r.series_id = w.id and r.time > e.time and r.time < at.time
                and r.time > to_timestamp(%(oldest)s)
            )
        )
        on conflict do nothing
        """,
        {
            "ids": [series_id for series_id, _ in ends],
            "milliseconds": [time for _, time in ends],
            "oldest": min(time for _, time in ends) / 1000 - 3600,
        },
    )


def _after(
    connection: psycopg.Connection[Any],
    batch: Batch,
    found: _Found,
    key_id: UUID | None,
) -> None:
    late_marks_store.note(batch, now=time())
    try:
        series_store.touch(connection, ids=found.ids, key_id=key_id)
        metadata_store.put(connection, found=batch.descriptions)
    except psycopg.Error as error:
        # The samples are committed: a late `last_seen` is no reason to have them sent again.
        logger().warning("catalogue not updated", exc_info=error)
