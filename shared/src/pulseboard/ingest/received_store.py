"""What each API key sent in the last day, counted when it arrives and kept in Redis.

A series belongs to the key that wrote it last, so that what is stored does not say who sent it.
Each process adds up what arrives and writes it at most once a second; a write is one round trip.
Losing the cache loses these counts and nothing else.

    received:{key}:<hour>     hash: `accepted`, `refused`, and `m<minute>`, accepted in a minute
    received:{key}:metrics    sorted set: the metrics that were sent last, by their newest sample
    refused:{key}:<hour>      hash: `n<reason>`, how many; `e<reason>`, the last example, with when

All keys of one API key share a hash slot.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple
from uuid import UUID

from pydantic_core import from_json, to_json

from pulseboard.core.freshness import is_fresh
from pulseboard.core.process_state import on_reset
from pulseboard.db import cache
from pulseboard.ingest.batch import Batch, Refused

FLUSH_SECONDS = 1.0
"""How often a process writes what it counted."""
METRICS = 20
"""Metrics that are kept by name."""
_HOURS = 24
_HOUR = 3600
_LIFE = (_HOURS + 1) * _HOUR
_RECENT_MINUTES = 15
_MOST_REASONS = 50
_MOST_KEYS = 10_000
_OTHER_REASONS = "other reasons"


@dataclass(slots=True)
class _Counts:
    """What one key sent since the last flush."""

    accepted: int = 0
    refused: int = 0
    metrics: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, Refused] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something was refused: how often in a day, and the last example with its time."""

    reason: str
    count: int
    example: str
    at: float


class Received(NamedTuple):
    """What a key sent in the last day. `newest` is in milliseconds since 1970."""

    accepted: int
    refused: int
    recent: int
    metrics: list[str]
    newest: int | None
    reasons: list[Reason]


_lock = threading.Lock()
_counts: dict[UUID, _Counts] = {}
_flushed_at = 0.0
_timer: threading.Timer | None = None


@on_reset
def reset() -> None:
    """Drop what was counted: between tests, and before a snapshot."""
    global _flushed_at, _timer
    with _lock:
        _counts.clear()
        _flushed_at = 0.0
        if _timer is not None:
            _timer.cancel()
        _timer = None


def note(batch: Batch, *, key_id: UUID | None) -> None:
    """Count a batch that was stored, and what of it was refused."""
    if key_id is None:
        return
    due = not is_fresh(_flushed_at, FLUSH_SECONDS)
    with _lock:
        found = _of(key_id)
        found.accepted += batch.accepted
        found.refused += batch.rejected
        for reason, refused in batch.reasons.items():
            _add(found, reason, refused)
        if due or not found.metrics:
            # Names cost a pass over the batch: those of one batch in a second are enough.
            newest = found.metrics
            for key, at in zip(batch.series, batch.times, strict=True):
                if at > newest.get(key.name, 0):
                    newest[key.name] = at
    _flush_soon(due)


def note_refused(reasons: Mapping[str, Refused], *, key_id: UUID) -> None:
    """Count requests that were refused as a whole, or all of whose samples were."""
    with _lock:
        found = _of(key_id)
        for reason, refused in reasons.items():
            found.refused += refused.count
            _add(found, reason, refused)
    _flush_soon(not is_fresh(_flushed_at, FLUSH_SECONDS))


def _of(key_id: UUID) -> _Counts:
    if len(_counts) >= _MOST_KEYS and key_id not in _counts:
        _counts.clear()
    return _counts.setdefault(key_id, _Counts())


def _add(counts: _Counts, reason: str, refused: Refused) -> None:
    if reason not in counts.reasons and len(counts.reasons) >= _MOST_REASONS:
        reason = _OTHER_REASONS
    known = counts.reasons.setdefault(reason, Refused(0, ""))
    known.count += refused.count
    known.example = refused.example


def _flush_soon(due: bool) -> None:
    global _timer
    if due:
        flush()
        return
    with _lock:
        if _timer is None:
            _timer = threading.Timer(FLUSH_SECONDS, flush)
            _timer.daemon = True
            _timer.start()


def flush() -> None:
    """Write what was counted. While Redis is away it is dropped."""
    global _counts, _flushed_at, _timer
    with _lock:
        counts, _counts = _counts, {}
        _flushed_at = time.time()
        if _timer is not None:
            _timer.cancel()
        _timer = None
    for key_id, found in counts.items():
        if cache.attempt(partial(_write, key_id=key_id, found=found)) is None:
            return


def _write(client: cache.Client, *, key_id: UUID, found: _Counts) -> bool:
    now = time.time()
    hour, minute = int(now // _HOUR), int(now // 60)
    name, why = f"received:{{{key_id}}}", f"refused:{{{key_id}}}:{hour}"
    reasons = _within(client, why, found.reasons) if found.reasons else {}
    with client.pipeline(transaction=False) as pipe:
        counts = f"{name}:{hour}"
        if found.accepted:
            pipe.hincrby(counts, "accepted", found.accepted)
            pipe.hincrby(counts, f"m{minute}", found.accepted)
        if found.refused:
            pipe.hincrby(counts, "refused", found.refused)
        pipe.expire(counts, _LIFE)
        if found.metrics:
            metrics = f"{name}:metrics"
            newest = sorted(found.metrics.items(), key=lambda item: -item[1])[:METRICS]
            pipe.zadd(metrics, dict(newest), gt=True)
            pipe.zremrangebyrank(metrics, 0, -METRICS - 1)
            pipe.expire(metrics, _LIFE)
        for reason, refused in reasons.items():
            pipe.hincrby(why, f"n{reason}", refused.count)
            pipe.hset(why, f"e{reason}", to_json([now, refused.example]))
        if reasons:
            pipe.expire(why, _LIFE)
        pipe.execute()
    return True


def _within(
    client: cache.Client, name: str, reasons: Mapping[str, Refused]
) -> Mapping[str, Refused]:
    """The reasons, those that would be too many for an hour as one."""
    known = {field.decode()[1:] for field in client.hkeys(name)}  # type: ignore[union-attr]
    if len(known | reasons.keys()) <= _MOST_REASONS:
        return reasons
    found = _Counts()
    for reason, refused in reasons.items():
        _add(found, reason if reason in known else _OTHER_REASONS, refused)
    return found.reasons


def read(key_id: UUID) -> Received | None:
    """What a key sent in the last day; None when it is not known, since Redis is away."""
    return cache.attempt(lambda client: _read(client, key_id))


def _read(client: cache.Client, key_id: UUID) -> Received:
    now = time.time()
    hour, minute = int(now // _HOUR), int(now // 60)
    hours = range(hour - _HOURS + 1, hour + 1)
    name = f"received:{{{key_id}}}"
    with client.pipeline(transaction=False) as pipe:
        pipe.zrevrange(f"{name}:metrics", 0, METRICS - 1, withscores=True)
        for each in hours:
            pipe.hgetall(f"{name}:{each}")
        for each in hours:
            pipe.hgetall(f"refused:{{{key_id}}}:{each}")
        metrics, *rows = pipe.execute()
    total: dict[str, int] = defaultdict(int)
    for row in rows[: len(hours)]:
        for key, value in row.items():
            total[key.decode()] += int(value)
    return Received(
        accepted=total["accepted"],
        refused=total["refused"],
        recent=sum(total[f"m{minute - back}"] for back in range(_RECENT_MINUTES)),
        metrics=sorted(metric.decode() for metric, _ in metrics),
        newest=int(metrics[0][1]) if metrics else None,
        reasons=_reasons(rows[len(hours) :]),
    )


def _reasons(rows: list[dict[bytes, bytes]]) -> list[Reason]:
    """Those of all hours, from the oldest; the last ones first."""
    found: dict[str, Reason] = {}
    for row in rows:
        for key, value in row.items():
            if not key.startswith(b"n"):
                continue
            reason = key.decode()[1:]
            at, example = from_json(row.get(b"e" + key[1:], b'[0,""]'))
            before = found.get(reason)
            count = int(value) + (before.count if before else 0)
            found[reason] = Reason(reason, count, example, at)
    return sorted(found.values(), key=lambda reason: -reason.at)
