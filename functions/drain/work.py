"""Writes spilled batches to the database, newest first, several in a transaction.

A batch is deleted after its samples are committed. A drain that stops in between writes them
again, which changes nothing. A batch that can't be read, or that the database refuses for good, is
set aside with the reason; the other batches of its transaction are then written one by one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import psycopg

from pulseboard.core.exceptions import Unavailable
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings
from pulseboard.ingest import samples_store
from pulseboard.ingest.batch import Batch
from pulseboard.ingest.spill import SpillBackend
from pulseboard.ingest.spill_file import (
    SpilledBatch,
    TransactionHorizon,
    Unreadable,
    arrival_time,
    decode,
    encode,
)


@dataclass(slots=True)
class Outcome:
    """Counts of the drained batches. `away`: the database was unavailable."""

    samples: int = 0
    refused: int = 0
    batches: int = 0
    dead: int = 0
    away: bool = False
    failed: list[str] = field(default_factory=list)
    """Names of the batches for which the spill backend failed."""


@dataclass(frozen=True, slots=True)
class _Read:
    name: str
    data: bytes
    spilled: SpilledBatch


def drain(backend: SpillBackend, names: Iterable[str]) -> Outcome:
    """Write these batches; stops when the database is unavailable.

    The newest go first, since dashboards and alerts need them most. A stored value is not replaced
    by one that arrived before it, so that the value that arrived last wins in any order.
    """
    outcome = Outcome()
    for group in _groups(backend, sorted(names, key=_arrival, reverse=True), outcome):
        try:
            _write(backend, group, outcome)
        except Unavailable as error:
            logger().warning(
                "drain stopped: the database is unavailable", extra={"why": error.message}
            )
            outcome.away = True
            break
    return outcome


def _arrival(name: str) -> int:
    return arrival_time(name) or 0


def _groups(backend: SpillBackend, names: Sequence[str], outcome: Outcome) -> Iterator[list[_Read]]:
    """The readable batches, in groups of as many as one transaction may hold."""
    configured = settings()
    group: list[_Read] = []
    count = 0
    for name in names:
        read = _read(backend, name, outcome)
        if read is None:
            continue
        size = read.spilled.batch.accepted
        full = count + size > configured.drain_max_samples
        if group and (full or len(group) >= configured.drain_max_files):
            yield group
            group, count = [], 0
        group.append(read)
        count += size
    if group:
        yield group


def _read(backend: SpillBackend, name: str, outcome: Outcome) -> _Read | None:
    try:
        data = backend.read(name)
    except Exception as error:  # noqa: BLE001 - a failure to read one must not block the others
        logger().error("spilled batch not read", extra={"batch": name}, exc_info=error)
        outcome.failed.append(name)
        return None
    if data is None:
        return None
    try:
        return _Read(name, data, decode(data))
    except Unreadable as error:
        _set_aside(backend, name, data, f"It can't be read: {error}.", outcome)
        return None


def _write(backend: SpillBackend, group: list[_Read], outcome: Outcome) -> None:
    by_origin: dict[tuple[UUID | None, TransactionHorizon | None], list[_Read]] = {}
    for read in group:
        by_origin.setdefault((read.spilled.key_id, read.spilled.horizon), []).append(read)
    for (key_id, horizon), reads in by_origin.items():
        try:
            _store(backend, reads, key_id, horizon, outcome)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - no error of one batch may block the others
            if len(reads) > 1:
                logger().warning("batches are drained one by one", exc_info=error)
                for read in reads:
                    _write(backend, [read], outcome)
            else:
                [read] = reads
                reason = f"It can't be written: {_sentence(error)}"
                logger().error(
                    "spilled batch not written", extra={"batch": read.name}, exc_info=error
                )
                _set_aside(backend, read.name, read.data, reason, outcome)


def _store(
    backend: SpillBackend,
    group: list[_Read],
    key_id: UUID | None,
    horizon: TransactionHorizon | None,
    outcome: Outcome,
) -> None:
    merged = Batch()
    # Of several values of a series for one time, the last one in a batch is stored.
    for read in sorted(group, key=lambda read: (read.spilled.arrived, read.name)):
        batch = read.spilled.batch
        merged.series += batch.series
        merged.times += batch.times
        merged.values += batch.values
        merged.stale_markers += batch.stale_markers
        merged.metadata |= batch.metadata
    samples_store.write_late(merged, key_id=key_id, horizon=horizon)
    outcome.samples += merged.accepted
    if merged.rejected:
        _set_aside_refused(backend, group, merged, outcome)
    for read in group:
        _remove(backend, read.name, outcome)


def _set_aside_refused(
    backend: SpillBackend, group: list[_Read], merged: Batch, outcome: Outcome
) -> None:
    """Set aside the samples beyond a series limit: they were accepted, the limit may be raised."""
    stored = merged.series_by_identity()
    reason = "; ".join(dict.fromkeys(issue.message for issue in merged.issues))
    for read in group:
        batch = read.spilled.batch
        refused = Batch(
            series=batch.series,
            times=batch.times,
            values=batch.values,
            stale_markers=batch.stale_markers,
        )
        refused.drop(dict.fromkeys(stored, ""), errors=0)
        if refused.accepted:
            spilled = read.spilled
            rest = encode(SpilledBatch(refused, spilled.key_id, spilled.arrived, spilled.horizon))
            backend.set_aside(read.name, rest, f"{refused.accepted} samples were refused: {reason}")
            outcome.refused += refused.accepted
            outcome.dead += 1
            logger().error(
                "spilled samples refused",
                extra={"batch": read.name, "samples": refused.accepted, "why": reason},
            )


def _set_aside(
    backend: SpillBackend, name: str, data: bytes, reason: str, outcome: Outcome
) -> None:
    try:
        backend.set_aside(name, data, reason)
        backend.remove(name)
    except Exception as error:  # noqa: BLE001 - the batch stays where it is
        logger().error("spilled batch not set aside", extra={"batch": name}, exc_info=error)
        outcome.failed.append(name)
        return
    logger().error("spilled batch set aside", extra={"batch": name, "why": reason})
    outcome.dead += 1


def _remove(backend: SpillBackend, name: str, outcome: Outcome) -> None:
    try:
        backend.remove(name)
    except Exception as error:  # noqa: BLE001 - its samples are stored; draining it again is harmless
        logger().error("drained batch not removed", extra={"batch": name}, exc_info=error)
        outcome.failed.append(name)
        return
    outcome.batches += 1


def _sentence(error: Exception) -> str:
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return f"{error.sqlstate}: {error.diag.message_primary}"
    return f"{type(error).__name__}: {error}"
