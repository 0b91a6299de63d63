"""Writes spilled batches to the database, newest first, several in a transaction.

A batch is deleted after its samples are committed. A drain that stops in between writes them
again, which changes nothing. A batch that can't be read, or that the database refuses for good, is
set aside with the reason; the others of its transaction are written, by halves. A batch that fails
again and again while others are written is set aside too, whatever the error.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import psycopg

from pulseboard.core.exceptions import Unavailable
from pulseboard.core.observability import logger
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest import samples_store
from pulseboard.ingest.batch import Batch
from pulseboard.ingest.samples_store import KeyedBatch
from pulseboard.ingest.spill import SpillBackend
from pulseboard.ingest.spill_file import (
    SpilledBatch,
    Unreadable,
    arrival_time,
    decode,
    encode,
)

MOST_FAILURES = 3
"""Drains in which a batch may fail while others are written, before it is set aside."""
MOST_IN_A_ROW = 3
"""Failed batches after which a drain that has written none stops."""
# A full disk, a standby: no fault of the batch, even where smaller ones are still written.
_SERVER_WIDE = frozenset({"53100", "25006"})

_failures: dict[str, int] = {}
on_reset(_failures.clear)


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


def drain(backend: SpillBackend, names: Iterable[str], *, until: float | None = None) -> Outcome:
    """Write these batches; stops when the database takes none, and after the transaction in which
    it becomes `until` (monotonic seconds).

    The newest go first, since dashboards and alerts need them most; those that failed before go
    last. A stored value is never replaced: of values for one time that wait, the one that arrived
    last is written.
    """
    outcome = Outcome()
    failures: dict[str, tuple[_Read, Unavailable]] = {}
    in_order = sorted(names, key=lambda name: (name in _failures, -_arrival(name)))
    for group in _groups(backend, in_order, outcome):
        for part in _parts(group):
            try:
                _write(backend, part, outcome)
                continue
            except Unavailable as error:
                logger().warning("batches not drained", extra={"why": _sentence(error)})
                failed = error
            if len(part) == 1:
                failures[part[0].name] = (part[0], failed)
            elif samples_store.can_write():
                # One of them may be what the database does not take: each by itself.
                for read in part:
                    try:
                        _write(backend, [read], outcome)
                    except Unavailable as error:
                        failures[read.name] = (read, error)
                        if _none_is_taken(outcome, failures):
                            break
            else:
                outcome.away = True
            if outcome.away or _none_is_taken(outcome, failures):
                outcome.away = True
                break
        if outcome.away:
            break
        if until is not None and time.monotonic() >= until:
            logger().warning("drain stopped: its time is over", extra={"batches": outcome.batches})
            break
    _judge(backend, failures, outcome)
    return outcome


def _parts(group: list[_Read]) -> list[list[_Read]]:
    """Batches that failed before are written by themselves."""
    suspects = [[read] for read in group if read.name in _failures]
    others = [read for read in group if read.name not in _failures]
    return [*([others] if others else []), *suspects]


def _none_is_taken(outcome: Outcome, failures: Mapping[str, object]) -> bool:
    return not outcome.batches and len(failures) >= MOST_IN_A_ROW


def _judge(
    backend: SpillBackend, failures: Mapping[str, tuple[_Read, Unavailable]], outcome: Outcome
) -> None:
    """Set aside what failed several times while others were written; it is not an outage then."""
    if not failures or outcome.away:
        return
    if not outcome.batches and not samples_store.can_write():
        outcome.away = True
        return
    for name, (read, error) in failures.items():
        cause = error.__cause__
        code = cause.sqlstate if isinstance(cause, psycopg.Error) else None
        _failures[name] = _failures.get(name, 0) + 1
        if code in _SERVER_WIDE or (not outcome.batches and database.is_lacking(cause)):
            outcome.away = True
        elif _failures[name] >= MOST_FAILURES:
            reason = f"It failed {_failures.pop(name)} times while others were written: "
            _set_aside(backend, name, read.data, reason + _sentence(error), outcome)


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
    try:
        _store(backend, group, outcome)
    except Unavailable:
        raise
    except Exception as error:  # noqa: BLE001 - no error of one batch may block the others
        if len(group) > 1:
            # By halves: one that can't be written among many is found in few transactions.
            logger().warning("batches are drained in halves", exc_info=error)
            middle = len(group) // 2
            _write(backend, group[:middle], outcome)
            _write(backend, group[middle:], outcome)
        else:
            [read] = group
            reason = f"It can't be written: {_sentence(error)}"
            logger().error("spilled batch not written", extra={"batch": read.name}, exc_info=error)
            _set_aside(backend, read.name, read.data, reason, outcome)


def _store(backend: SpillBackend, group: list[_Read], outcome: Outcome) -> None:
    # Of several values of a series for one time, the last one is stored.
    group = sorted(group, key=lambda read: (read.spilled.arrived, read.name))
    sent = [
        KeyedBatch(replace(read.spilled.batch, issues=[]), read.spilled.key_id) for read in group
    ]
    samples_store.write_late(sent)
    for read, (batch, _) in zip(group, sent, strict=True):
        outcome.samples += batch.accepted
        if batch.rejected:
            _set_aside_refused(backend, read, batch, outcome)
        _remove(backend, read.name, outcome)


def _set_aside_refused(backend: SpillBackend, read: _Read, stored: Batch, outcome: Outcome) -> None:
    """Set aside the samples beyond a series limit: they were accepted, the limit may be raised."""
    reason = "; ".join(dict.fromkeys(issue.message for issue in stored.issues))
    spilled = read.spilled
    refused = replace(spilled.batch, issues=[], metadata={})
    refused.drop(dict.fromkeys(stored.series_by_identity(), ""), errors=0)
    rest = encode(SpilledBatch(refused, spilled.key_id, spilled.arrived))
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
    _failures.pop(name, None)
    outcome.batches += 1


def _sentence(error: BaseException) -> str:
    if isinstance(error, Unavailable) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return f"{error.sqlstate}: {error.diag.message_primary}"
    return f"{type(error).__name__}: {error}"
