"""Writing spilled batches: the newest first, many in a transaction, none twice, none in the way.

A batch is removed after its samples are committed, so a drain that dies in between writes them
once more, which changes nothing. One that can't be read, or that the database refuses for good,
goes to the dead with its reason, alone: what stood in the same transaction is tried one by one.
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
from pulseboard.ingest.spill import Place
from pulseboard.ingest.spill_file import Finished, Spilled, Unreadable, arrival_of, decode, encode


@dataclass(slots=True)
class Outcome:
    """What became of the batches; `away` when the database did not take them."""

    samples: int = 0
    refused: int = 0
    batches: int = 0
    dead: int = 0
    away: bool = False
    failed: list[str] = field(default_factory=list)
    """Names of those that the place itself did not give or take."""


@dataclass(frozen=True, slots=True)
class _Read:
    name: str
    data: bytes
    spilled: Spilled


def drain(place: Place, names: Iterable[str]) -> Outcome:
    """Write these batches; stops when the database is away.

    The newest go first: they are what boards and alerts wait for, and since a stored value is not
    replaced by one that arrived before it, the last value to arrive is the one that stays.
    """
    outcome = Outcome()
    for together in _portions(place, sorted(names, key=_arrival, reverse=True), outcome):
        try:
            _write(place, together, outcome)
        except Unavailable as error:
            logger().warning("drain waits for the database", extra={"why": error.message})
            outcome.away = True
            break
    return outcome


def _arrival(name: str) -> int:
    return arrival_of(name) or 0


def _portions(place: Place, names: Sequence[str], outcome: Outcome) -> Iterator[list[_Read]]:
    """The batches that can be read, as many at a time as fit into one transaction."""
    configured = settings()
    together: list[_Read] = []
    count = 0
    for name in names:
        read = _read(place, name, outcome)
        if read is None:
            continue
        size = read.spilled.batch.accepted
        full = count + size > configured.drain_max_samples
        if together and (full or len(together) >= configured.drain_max_files):
            yield together
            together, count = [], 0
        together.append(read)
        count += size
    if together:
        yield together


def _read(place: Place, name: str, outcome: Outcome) -> _Read | None:
    try:
        data = place.read(name)
    except Exception as error:  # noqa: BLE001 - the place's trouble with one is none of the others
        logger().error("spilled batch not read", extra={"batch": name}, exc_info=error)
        outcome.failed.append(name)
        return None
    if data is None:
        return None
    try:
        return _Read(name, data, decode(data))
    except Unreadable as error:
        _bury(place, name, data, f"It can't be read: {error}.", outcome)
        return None


def _write(place: Place, together: list[_Read], outcome: Outcome) -> None:
    groups: dict[tuple[UUID | None, Finished | None], list[_Read]] = {}
    for read in together:
        groups.setdefault((read.spilled.key_id, read.spilled.before), []).append(read)
    for (key_id, before), group in groups.items():
        try:
            _store(place, group, key_id, before, outcome)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not block the others
            if len(group) > 1:
                logger().warning("batches are drained one by one", exc_info=error)
                for read in group:
                    _write(place, [read], outcome)
            else:
                [read] = group
                reason = f"It can't be written: {_sentence(error)}"
                logger().error("spilled batch is dead", extra={"batch": read.name}, exc_info=error)
                _bury(place, read.name, read.data, reason, outcome)


def _store(
    place: Place,
    group: list[_Read],
    key_id: UUID | None,
    before: Finished | None,
    outcome: Outcome,
) -> None:
    merged = Batch()
    # Of several values for one moment the last in a batch is taken.
    for read in sorted(group, key=lambda read: (read.spilled.arrived, read.name)):
        batch = read.spilled.batch
        merged.series += batch.series
        merged.times += batch.times
        merged.values += batch.values
        merged.ends += batch.ends
        merged.descriptions |= batch.descriptions
    samples_store.write_late(merged, key_id=key_id, before=before)
    outcome.samples += merged.accepted
    if merged.rejected:
        _set_aside_refused(place, group, merged, outcome)
    for read in group:
        _remove(place, read.name, outcome)


def _set_aside_refused(place: Place, group: list[_Read], merged: Batch, outcome: Outcome) -> None:
    """Keep what a limit of series refused: it was accepted, and a limit can be raised."""
    taken = merged.wanted()
    reason = "; ".join(dict.fromkeys(issue.message for issue in merged.issues))
    for read in group:
        batch = read.spilled.batch
        left = Batch(series=batch.series, times=batch.times, values=batch.values, ends=batch.ends)
        left.drop(dict.fromkeys(taken, ""), errors=0)
        if left.accepted:
            spilled = read.spilled
            rest = encode(Spilled(left, spilled.key_id, spilled.arrived, spilled.before))
            place.bury(read.name, rest, f"{left.accepted} samples were refused: {reason}")
            outcome.refused += left.accepted
            outcome.dead += 1
            logger().error(
                "spilled samples refused",
                extra={"batch": read.name, "samples": left.accepted, "why": reason},
            )


def _bury(place: Place, name: str, data: bytes, reason: str, outcome: Outcome) -> None:
    try:
        place.bury(name, data, reason)
        place.remove(name)
    except Exception as error:  # noqa: BLE001 - it stays where it is
        logger().error("spilled batch not set aside", extra={"batch": name}, exc_info=error)
        outcome.failed.append(name)
        return
    logger().error("spilled batch set aside", extra={"batch": name, "why": reason})
    outcome.dead += 1


def _remove(place: Place, name: str, outcome: Outcome) -> None:
    try:
        place.remove(name)
    except Exception as error:  # noqa: BLE001 - its samples are stored; it is drained once more
        logger().error("drained batch not removed", extra={"batch": name}, exc_info=error)
        outcome.failed.append(name)
        return
    outcome.batches += 1


def _sentence(error: Exception) -> str:
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return f"{error.sqlstate}: {error.diag.message_primary}"
    return f"{type(error).__name__}: {error}"
