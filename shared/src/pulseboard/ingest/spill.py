"""The spill: durable storage for accepted samples while the database is unavailable.

The write path calls `put`. The function `drain` calls the backend's `waiting`, `read`, `remove`
and `set_aside`. The spill is bounded: a batch beyond the limits is refused, so that the sender
retries it.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from math import inf
from typing import Protocol
from uuid import UUID

import redis
from redis.exceptions import RedisClusterException

from pulseboard.contracts.spill import SpillStatus
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.freshness import is_fresh
from pulseboard.core.observability import logger
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings
from pulseboard.db import cache
from pulseboard.ingest import spill_file
from pulseboard.ingest.batch import Batch
from pulseboard.ingest.spill_bucket import SpillBucket
from pulseboard.ingest.spill_directory import SpillDirectory
from pulseboard.ingest.spill_file import SpilledBatch

_DEPTH_KEY = "spill:depth"
_DEPTH_LIFE = 300
_DRAINING_KEY = "spill:draining"
_FULL_RETRY = 30
_QUIET = 600.0


class SpillBackend(Protocol):
    """Storage of spilled batches: a directory or an S3 bucket."""

    def put(self, name: str, data: bytes) -> None:
        """Store a batch durably."""

    def waiting(self) -> list[tuple[str, int]]:
        """Name and size in bytes of each batch to be drained."""

    def dead(self) -> int:
        """How many batches were set aside as dead."""

    def read(self, name: str) -> bytes | None:
        """A batch, or None when it does not exist any more."""

    def remove(self, name: str) -> None:
        """Delete a batch."""

    def set_aside(self, name: str, data: bytes, reason: str) -> None:
        """Store a batch among the dead ones, with the reason."""


@lru_cache(maxsize=1)
def backend() -> SpillBackend | None:
    """The configured backend. None: nothing is spilled, and senders have to retry."""
    configured = settings()
    if configured.spill_bucket:
        return SpillBucket(configured.spill_bucket)
    return SpillDirectory(configured.spill_dir) if configured.spill_dir else None


@on_reset
def reset() -> None:
    """Read the settings again."""
    backend.cache_clear()
    _capacity.cache_clear()


def put(batch: Batch, *, key_id: UUID | None, arrived: int) -> None:
    """Spill a batch that arrived at `arrived` (ms since 1970). When this returns it is durable.

    Raises Unavailable when there is no backend, when it is full, or when it fails.
    """
    target = backend()
    if target is None:
        raise Unavailable("The database is not responding. Try again in a moment.")
    for data in _encoded(SpilledBatch(batch, key_id, arrived)):
        _capacity().reserve(target, len(data))
        try:
            target.put(spill_file.file_name(data, arrived=arrived), data)
        except Exception as error:
            # botocore's errors can't be named without importing it. Whatever the error is, the
            # sender must buffer its samples. Parts that were put are written twice then, which
            # changes nothing.
            logger().error("batch not spilled", exc_info=error)
            raise Unavailable("Neither database nor spill can store samples. Try again.") from error


def _encoded(spilled: SpilledBatch) -> Iterator[bytes]:
    """A file of the batch, or several: each can be read again."""
    try:
        data = spill_file.encode(spilled)
    except spill_file.TooLarge as error:
        if spilled.batch.accepted < 2:
            raise Unavailable("The database is not responding. Try again in a moment.") from error
        for half in spilled.batch.halves():
            yield from _encoded(replace(spilled, batch=half))
    else:
        yield data


def measure(target: SpillBackend) -> SpillStatus:
    """Count the waiting and the dead batches."""
    found = target.waiting()
    arrivals = [at for name, _ in found if (at := spill_file.arrival_time(name)) is not None]
    now = time.time()
    oldest, newest = (
        (now - min(arrivals) / 1000, now - max(arrivals) / 1000) if arrivals else (0.0, 0.0)
    )
    return SpillStatus(
        files=len(found),
        bytes=sum(size for _, size in found),
        oldest_seconds=round(max(0.0, oldest), 1),
        newest_seconds=round(max(0.0, newest), 1),
        dead=target.dead(),
    )


def publish(status: SpillStatus) -> None:
    """Publish the status in Redis, for the functions that may not list the bucket."""
    try:
        cache.client().set(_DEPTH_KEY, status.model_dump_json(), ex=_DEPTH_LIFE)
    except (redis.RedisError, RedisClusterException) as error:
        cache.back_off(error)


@contextmanager
def draining(*, seconds: float) -> Iterator[None]:
    """Tell other drains, for so many seconds at most, that this one takes all that waits."""
    cache.attempt(lambda client: client.set(_DRAINING_KEY, b"1", px=max(1, round(seconds * 1000))))
    try:
        yield
    finally:
        cache.attempt(lambda client: client.delete(_DRAINING_KEY))


def is_draining() -> bool:
    """Whether another drain takes all that waits; False while Redis is down."""
    return bool(cache.attempt(lambda client: client.exists(_DRAINING_KEY)))


def status() -> SpillStatus | None:
    """The status: counted in a directory, else as last published; None when it is unknown."""
    target = backend()
    if isinstance(target, SpillDirectory):
        return measure(target)
    published = cache.attempt(lambda client: client.get(_DEPTH_KEY))
    return SpillStatus.model_validate(json.loads(published)) if published else None


def newest_waiting() -> float:
    """When the newest waiting batch arrived (seconds since 1970); -inf while none is known of."""
    known = status()
    return time.time() - known.newest_seconds if known is not None and known.files else -inf


class _Capacity:
    """Enforces the limits of the spill: its status, read every second, plus what was put since.

    When the status is unknown (Redis is down and the backend is a bucket), the limits apply to what
    this process alone has put since then, so that even S3 is bounded. That count starts again
    after `_QUIET` seconds without a put: the database is back, and `drain` writes what was put.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._status = SpillStatus()
        self._known = False
        self._read_at = self._last_put = 0.0

    def reserve(self, target: SpillBackend, size: int) -> None:
        """Reserve room for a batch of `size` bytes. Raises Unavailable when the spill is full."""
        with self._lock:
            if not is_fresh(self._read_at, 1.0):
                current = status()
                if current is not None:
                    self._status = current
                elif self._known or not is_fresh(self._last_put, _QUIET):
                    self._status = SpillStatus()
                self._known = current is not None
                self._read_at = time.time()
            self._last_put = time.time()
            reason = _full(self._status, size)
            if reason is None:
                self._status = self._status.model_copy(
                    update={"files": self._status.files + 1, "bytes": self._status.bytes + size}
                )
        if reason is not None:
            logger().warning("spill is full", extra={"reason": reason, "backend": repr(target)})
            raise Unavailable(
                "The database is not responding and the spill is full. Keep the samples and try "
                "again.",
                retry_after=_FULL_RETRY,
            )


def _full(current: SpillStatus, size: int) -> str | None:
    configured = settings()
    if current.files >= configured.spill_max_files:
        return f"it holds {current.files} batches"
    if current.bytes + size > configured.spill_max_bytes:
        return f"it holds {current.bytes} bytes"
    if current.oldest_seconds > configured.spill_max_age:
        return f"its oldest batch has waited for {current.oldest_seconds:.0f} s"
    return None


@lru_cache(maxsize=1)
def _capacity() -> _Capacity:
    return _Capacity()
