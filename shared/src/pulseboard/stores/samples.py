"""Samples on their way into `metrics_raw`: sorted, by binary COPY."""

from operator import attrgetter
from struct import Struct
from typing import Any
from uuid import UUID

import psycopg
from psycopg.errors import UniqueViolation

from pulseboard.domain.batch import Batch
from pulseboard.exceptions import Unavailable
from pulseboard.observability import logger
from pulseboard.settings import settings
from pulseboard.stores import database, descriptions, series

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

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": a signature, flags and
# the length of an extension; each row with its count of columns, each value with its length; an
# end. A timestamptz is in microseconds since 2000.
_COPY = "copy metrics_raw (time, series_id, value) from stdin with (format binary)"
_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TAIL = b"\xff\xff"
_ROW = Struct(">hiqiiid")
_EPOCH_2000 = 946_684_800_000

# A row's key is one integer, the series' id above the time in milliseconds: it sorts and compares
# as the index does, and dictionaries of it keep the last of several values for one moment.
_TIME_BITS = 43
_TIME_MASK = (1 << _TIME_BITS) - 1
_identity = attrgetter("identity")


def write(batch: Batch, *, key_id: UUID | None = None) -> None:
    """Store the samples, all or none; the same (series, time) again takes the new value.

    Series beyond a limit are taken out of `batch` and named in its issues. When it returns, the
    samples are committed. A lost connection or a deadlock is tried once more, which is safe since
    a replay changes nothing. Raises Unavailable when the database does not answer.
    """
    try:
        _write(batch, key_id)
    except Unavailable as error:
        if not _worth_a_retry(error):
            raise
        _write(batch, key_id)


def _worth_a_retry(error: Unavailable) -> bool:
    cause = error.__cause__
    # With a code the server spoke: only a deadlock, a serialisation failure or a server that
    # shut the connection is worth it. Without one the connection broke in mid-statement.
    if not isinstance(cause, psycopg.OperationalError) or cause.__class__.__name__ == "PoolTimeout":
        return False
    return cause.sqlstate is None or cause.sqlstate.startswith(("40", "57P"))


def _write(batch: Batch, key_id: UUID | None) -> None:
    with database.connection() as connection:
        for _ in range(_ATTEMPTS):
            resolved = series.resolve(connection, wanted=batch.wanted(), key_id=key_id)
            batch.drop(resolved.refused, errors=settings().ingest_max_errors)
            current = _store(connection, batch, resolved)
            if current == resolved.generation:
                break
            series.forget(current)
        else:
            raise Unavailable("Series are being deleted while they are written. Try again.")
        _after(connection, batch, resolved, key_id)


def _store(
    connection: psycopg.Connection[Any], batch: Batch, resolved: series.Resolved
) -> UUID | None:
    """Write all, or nothing when series have been deleted since; the generation that holds."""
    rows = _rows(batch, resolved.ids)
    try:
        return _in_transaction(connection, batch, resolved, rows, copy=True)
    except UniqueViolation:
        return _in_transaction(connection, batch, resolved, rows, copy=False)


def _rows(batch: Batch, ids: dict[bytes, int]) -> dict[int, float]:
    places = map(ids.__getitem__, map(_identity, batch.series))
    return {
        place << _TIME_BITS | time: value
        for place, time, value in zip(places, batch.times, batch.values, strict=True)
    }


def _in_transaction(
    connection: psycopg.Connection[Any],
    batch: Batch,
    resolved: series.Resolved,
    rows: dict[int, float],
    *,
    copy: bool,
) -> UUID | None:
    ordered = sorted(rows)
    with connection.transaction():
        row = connection.execute("select ingest_begin()").fetchone()
        current: UUID | None = row[0] if row else None
        if current != resolved.generation:
            return current
        if not ordered:
            pass
        elif copy:
            with connection.cursor().copy(_COPY) as target:
                target.write(_binary(ordered, rows))
        else:
            connection.execute(
                _UPSERT,
                {
                    "series": [key >> _TIME_BITS for key in ordered],
                    "milliseconds": [key & _TIME_MASK for key in ordered],
                    "values": [rows[key] for key in ordered],
                },
            )
        if batch.ends:
            _end(connection, batch, resolved.ids)
    return current


def _binary(ordered: list[int], rows: dict[int, float]) -> bytes:
    pack, bits, mask, epoch = _ROW.pack, _TIME_BITS, _TIME_MASK, _EPOCH_2000
    packed = [
        pack(3, 8, ((key & mask) - epoch) * 1000, 4, key >> bits, 8, rows[key]) for key in ordered
    ]
    return b"".join([_HEAD, *packed, _TAIL])


def _end(connection: psycopg.Connection[Any], batch: Batch, ids: dict[bytes, int]) -> None:
    ends = sorted({(ids[key.identity], time) for key, time in batch.ends})
    # Served by series_end_pkey.
    connection.execute(
        """
        insert into series_end (series_id, time)
        select w.id, to_timestamp(w.milliseconds / 1000.0::float8)
        from unnest(%s::integer[], %s::bigint[]) as w (id, milliseconds)
        on conflict do nothing
        """,
        ([series_id for series_id, _ in ends], [time for _, time in ends]),
    )


def _after(
    connection: psycopg.Connection[Any],
    batch: Batch,
    resolved: series.Resolved,
    key_id: UUID | None,
) -> None:
    try:
        series.touch(connection, ids=resolved.ids.values(), key_id=key_id)
        descriptions.note(connection, found=batch.descriptions)
    except psycopg.Error as error:
        # The samples are committed: a late `last_seen` is no reason to have them sent again.
        logger().warning("catalogue not updated", exc_info=error)
