"""Writes samples into `metrics_raw`: sorted, by binary COPY."""

from collections.abc import Mapping, Sequence
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
from pulseboard.ingest import family_markers_store, late_marks_store
from pulseboard.ingest.batch import Batch

LATE_SECONDS = 60.0
"""Time the database has for one statement of a late write, which may decompress much."""
_ATTEMPTS = 3
RUN_GAP = 600_000
"""Milliseconds between two samples from which on they are written by transactions of their own."""
MOST_RUNS = 8
"""Transactions for one batch at most: the widest gaps part them."""

# Equal values are not rewritten: a replay makes no dead rows and does not invalidate the rollups.
# Conflicts are found by metrics_raw_series_time. The rows are in the order of that index, so that
# concurrent replays don't deadlock.
_INSERT = """
insert into metrics_raw (time, series_id, value)
select to_timestamp(w.milliseconds / 1000.0::float8), w.series_id, w.value
from unnest(
  %(series)s::integer[], %(milliseconds)s::bigint[], %(values)s::float8[]
) as w (series_id, milliseconds, value)
on conflict (series_id, time)
"""
_UPSERT = f"""{_INSERT} do update set value = excluded.value
where metrics_raw.value is distinct from excluded.value
"""
_LATE = f"{_INSERT} do nothing"
# Timeouts, locks, deadlocks, a server that became a standby: a retry may succeed.
_TRANSIENT = frozenset({"25006", "25P03", "40001", "40P01", "55P03", "57014"})

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": a signature, flags and
# the length of an extension; each row with its count of columns, each value with its length; an
# end. A timestamptz is in microseconds since 2000.
#
# A replay into the columnstore decompresses what it may conflict with. The limit of 100,000 samples
# for a statement is lifted for this transaction: the size of a batch is bounded by us.
#
# The server gives up before `cut_after` does, and says why: then nobody takes it for an outage. The
# timeouts come first, since `begin_ingest` waits for a lock. A transaction that is left open, by a
# process that was frozen or killed, would hold up a deletion and all writers behind it.
_BEGIN = """
select set_config('lock_timeout', %(lock)s, true),
  set_config('statement_timeout', %(statement)s, true),
  set_config('idle_in_transaction_session_timeout', %(idle)s, true),
  set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true),
  begin_ingest()
"""
_IDLE_SECONDS = 15.0
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


class KeyedBatch(NamedTuple):
    """A batch, and the API key that it was sent with."""

    batch: Batch
    key_id: UUID | None


def write_or_fail_fast(batch: Batch, *, key_id: UUID | None) -> None:
    """`write` for callers that can spill the samples: short timeouts and no retry.

    Raises Unavailable also when the database is overloaded, locked or read-only.
    """
    with database.fail_fast_connection() as connection:
        try:
            _write(connection, [KeyedBatch(batch, key_id)], fail_fast=True)
        except psycopg.Error as error:
            if error.sqlstate not in _TRANSIENT:
                raise
            raise Unavailable("The database is overloaded. Try again in a moment.") from error


def write_late(batches: Sequence[KeyedBatch]) -> None:
    """`write` for samples that were accepted earlier: all of them in one transaction for a run of
    times, whoever sent them.

    A stored value is never replaced. Of several values for one time the last one counts. The limit
    of new series per minute does not apply.
    """
    with database.connection(purpose="write", deadline=LATE_SECONDS) as connection:
        try:
            _write(connection, batches, late=True)
        except psycopg.Error as error:
            if error.sqlstate not in _TRANSIENT:
                raise
            raise Unavailable("The database is overloaded. Try again in a moment.") from error


def can_write() -> bool:
    """Whether the database takes samples now: writes one of no series, and takes it back."""
    try:
        with (
            database.connection(purpose="write") as connection,
            connection.transaction(force_rollback=True),
        ):
            _begin(connection, fail_fast=False)
            connection.execute(
                "insert into metrics_raw (time, series_id, value) values (now(), 0, 0)"
            )
    except (Unavailable, psycopg.Error):
        return False
    return True


class _Rows(NamedTuple):
    """Rows in the order of the unique index, each (series, time) once. Times are milliseconds."""

    series: NDArray[np.int64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]


def write(batch: Batch, *, key_id: UUID | None = None) -> None:
    """Store the samples; the same (series, time) again gets the new value.

    Series beyond a limit are removed from `batch` and become its issues. When this returns, the
    samples are committed; when it raises, none or those of some times are. A lost connection or a
    deadlock is retried once, which is safe since a replay changes nothing. Raises Unavailable when
    the database does not respond.
    """
    try:
        with database.connection(purpose="write") as connection:
            _write(connection, [KeyedBatch(batch, key_id)])
    except Unavailable as error:
        if not _worth_a_retry(error):
            raise
        with database.connection(purpose="write") as connection:
            _write(connection, [KeyedBatch(batch, key_id)])


def _worth_a_retry(error: Unavailable) -> bool:
    cause = error.__cause__
    # With an error code the server responded: retry only a deadlock, a serialisation failure or a
    # connection that the server closed. Without one the connection broke during the statement.
    if not isinstance(cause, psycopg.OperationalError) or cause.__class__.__name__ == "PoolTimeout":
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(("40", "57P"))


def _write(
    connection: psycopg.Connection[Any],
    batches: Sequence[KeyedBatch],
    *,
    late: bool = False,
    fail_fast: bool = False,
) -> None:
    for batch, _ in batches:
        if batch.family_markers:
            batch.stale_markers += family_markers_store.expand(connection, batch.family_markers)
            batch.family_markers = []
    for _ in range(_ATTEMPTS):
        found = _with_cached_ids(batches)
        if found is None:
            found = _with_ids(batches, _resolve(connection, batches, paced=not late))
        if found is not None:
            current = _store_all(connection, found, late, fail_fast)
            if current == found.resolved.generation:
                series_store.note_touched(found.due)
                break
            series_cache.of(current)
    else:
        raise Unavailable("Series are being deleted while they are written. Try again.")
    _update_catalogue(connection, _merged(batches))


def _merged(batches: Sequence[KeyedBatch]) -> Batch:
    """What all of them hold together, whoever sent it; without issues."""
    if len(batches) == 1:
        return batches[0].batch
    merged = Batch()
    for batch, _ in batches:
        merged.series += batch.series
        merged.times += batch.times
        merged.values += batch.values
        merged.stale_markers += batch.stale_markers
        merged.metadata |= batch.metadata
    return merged


def _resolve(
    connection: psycopg.Connection[Any], batches: Sequence[KeyedBatch], *, paced: bool
) -> series_store.Resolved:
    """Note the ids of all series; what is refused is removed from its batch."""
    if len(batches) > 1:
        series_store.look_up(connection, keys=_merged(batches).keys())
    for batch, key_id in batches:
        resolved = series_store.resolve(connection, keys=batch.keys(), key_id=key_id, paced=paced)
        batch.drop(resolved.refused, errors=settings().ingest_max_errors)
    return resolved


class _Resolved(NamedTuple):
    """Batches as rows with series ids, and the cache entry that the ids are from.

    `due` are the series to be touched, by the key that sent them.
    """

    resolved: series_store.Resolved
    rows: _Rows
    stale_markers: set[tuple[int, int]]
    due: Mapping[UUID | None, Sequence[int]]


def _with_cached_ids(batches: Sequence[KeyedBatch]) -> _Resolved | None:
    cached = series_store.cached()
    return cached and _with_ids(batches, cached)


def _with_ids(batches: Sequence[KeyedBatch], resolved: series_store.Resolved) -> _Resolved | None:
    """None when the id of a key is not cached, or was replaced by another thread since."""
    columns: list[_Rows] = []
    markers: set[tuple[int, int]] = set()
    seen: dict[UUID | None, list[int]] = {}
    for batch, key_id in batches:
        ids = cached_ids(batch.series, resolved)
        marked = cached_ids([key for key, _ in batch.stale_markers], resolved)
        if ids is None or marked is None:
            return None
        columns.append(
            _Rows(ids, np.array(batch.times, np.int64), np.array(batch.values, np.float64))
        )
        markers.update(zip(marked.tolist(), (time for _, time in batch.stale_markers), strict=True))
        seen.setdefault(key_id, []).extend([*ids.tolist(), *marked.tolist()])
    rows = (
        columns[0] if len(columns) == 1 else _Rows(*map(np.concatenate, zip(*columns, strict=True)))
    )
    return _Resolved(resolved, _in_order(rows), markers, series_store.due_to_touch(seen))


def cached_ids(
    keys: Sequence[SeriesKey], resolved: series_store.Resolved
) -> NDArray[np.int64] | None:
    """The ids cached on these keys, or None when one is missing or was replaced since."""
    noted = np.fromiter(map(_noted, keys), np.int64, len(keys))
    return noted & 0xFFFFFFFF if (noted >> 32 == resolved.epoch).all() else None


def _store_all(
    connection: psycopg.Connection[Any], found: _Resolved, late: bool, fail_fast: bool
) -> UUID | None:
    """Write old and new samples, and return the current generation.

    Each run of times has a transaction of its own: a transaction makes the next refresh of the
    rollups redo all between its oldest and its newest sample. With the first one, the `due` series
    are touched and stale markers written. When one fails, the earlier ones stay: the batch is sent
    again, and what is stored is not changed by that.
    """
    current = found.resolved.generation
    part = found
    for rows in _runs(found.rows):
        stored = _store(connection, part._replace(rows=rows), late, fail_fast)
        if stored != current:
            return stored
        part = found._replace(stale_markers=set(), due={})
    return current


def _runs(rows: _Rows) -> list[_Rows]:
    """The rows by runs of times, newest first; between two runs lies a gap of `RUN_GAP`."""
    if not len(rows.times) or np.ptp(rows.times) <= RUN_GAP:
        # As nearly all batches are: no gap can be that wide, and nothing needs sorting.
        return [rows]
    times = np.sort(rows.times)
    gaps = np.diff(times)
    wide = np.flatnonzero(gaps > RUN_GAP)
    if not len(wide):
        return [rows]
    widest = wide[np.argsort(gaps[wide])[-(MOST_RUNS - 1) :]]
    starts = np.sort(times[widest + 1])
    number = np.searchsorted(starts, rows.times, side="right")
    return [_select(rows, number == run) for run in range(len(starts), -1, -1)]


def _store(
    connection: psycopg.Connection[Any], found: _Resolved, late: bool, fail_fast: bool
) -> UUID | None:
    """Write all, or nothing when series were deleted since. Returns the current generation."""
    try:
        return _in_transaction(connection, found, fail_fast, conflicts=None)
    except UniqueViolation:
        return _in_transaction(connection, found, fail_fast, conflicts=_LATE if late else _UPSERT)


def _in_order(rows: _Rows) -> _Rows:
    rows = _select(rows, np.lexsort((rows.times, rows.series)))
    # The sort is stable: of several values for one time the last one is stored.
    duplicate = (rows.series[1:] == rows.series[:-1]) & (rows.times[1:] == rows.times[:-1])
    return _select(rows, np.append(~duplicate, True)) if duplicate.any() else rows


def _select(rows: _Rows, index: NDArray[Any]) -> _Rows:
    return _Rows(rows.series[index], rows.times[index], rows.values[index])


def _in_transaction(
    connection: psycopg.Connection[Any], found: _Resolved, fail_fast: bool, *, conflicts: str | None
) -> UUID | None:
    """`conflicts`: the statement that says what becomes of them; None: a COPY, which raises."""
    rows = found.rows
    with connection.transaction():
        current = _begin(connection, fail_fast=fail_fast)
        if current is None or current != found.resolved.generation:
            return current
        if not len(rows.times):
            pass
        elif conflicts is None:
            with connection.cursor().copy(COPY) as target:
                target.write(_binary(rows))
        else:
            connection.execute(
                conflicts,
                {
                    "series": rows.series.tolist(),
                    "milliseconds": rows.times.tolist(),
                    "values": rows.values.tolist(),
                },
            )
        if found.stale_markers:
            _write_stale_markers(connection, found.stale_markers)
        if found.due:
            series_store.touch(connection, found.due)
    return current


def _begin(connection: psycopg.Connection[Any], *, fail_fast: bool) -> UUID | None:
    """The generation of the catalogue; timeouts are set."""
    seconds = settings().spill_write_timeout
    lock, statement = (seconds / 2, seconds * 0.75) if fail_fast else (seconds, seconds * 4)
    row = connection.execute(
        _BEGIN,
        {
            "lock": f"{lock * 1000:.0f}",
            "statement": f"{statement * 1000:.0f}",
            "idle": f"{_IDLE_SECONDS * 1000:.0f}",
        },
    ).fetchone()
    assert row is not None, "a select without a table returns a row"
    generation: UUID | None = row[-1]
    return generation


def copy_data(batch: Batch) -> bytes:
    """The bytes that COPY sends for a batch. Raises LookupError when ids are not cached."""
    found = _with_cached_ids([KeyedBatch(batch, None)])
    if found is None:
        raise LookupError("the ids of the batch's series are not cached")
    return _binary(found.rows)


def _binary(rows: _Rows) -> bytes:
    copied = np.empty(len(rows.times), _ROW)
    copied["columns"] = 3
    copied["time_size"] = copied["value_size"] = 8
    copied["series_size"] = 4
    copied["time"] = (rows.times - _EPOCH_2000) * 1000
    copied["series"] = rows.series
    copied["value"] = rows.values
    return b"".join([_HEAD, copied.tobytes(), _TAIL])


def _write_stale_markers(connection: psycopg.Connection[Any], found: set[tuple[int, int]]) -> None:
    markers = sorted(found)
    # A stale series needs no second marker within the hour: Prometheus sends one with each scrape
    # for a series without a value, such as a quantile without observations.
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
            "ids": [series_id for series_id, _ in markers],
            "milliseconds": [time for _, time in markers],
            "oldest": min(time for _, time in markers) / 1000 - 3600,
        },
    )


def _update_catalogue(connection: psycopg.Connection[Any], batch: Batch) -> None:
    late_marks_store.record(batch, now=time())
    try:
        metadata_store.put(connection, found=batch.metadata)
    except psycopg.Error as error:
        # The samples are committed: missing metadata is no reason for the sender to retry.
        logger().warning("metadata not written", exc_info=error)
