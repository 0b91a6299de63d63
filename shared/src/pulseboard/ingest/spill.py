"""Where accepted samples wait while the database can't take them.

`keep` is called by whoever accepts samples; `waiting`, `read`, `remove` and `bury` by `drain`.
A place has bounds: what no longer fits is refused, so that the sender keeps it.
"""

import json
import threading
import time
from functools import lru_cache
from typing import Protocol
from uuid import UUID

import redis
from redis.exceptions import RedisClusterException

from pulseboard.contracts.spill import SpillStatus
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.observability import logger
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings
from pulseboard.db import cache
from pulseboard.ingest import spill_file
from pulseboard.ingest.batch import Batch
from pulseboard.ingest.spill_bucket import Bucket
from pulseboard.ingest.spill_directory import Directory
from pulseboard.ingest.spill_file import Finished, Spilled

_DEPTH_KEY = "spill:depth"
_DEPTH_LIFE = 300
_FULL_RETRY = 30
_QUIET = 600.0


class Place(Protocol):
    """What a directory and a bucket have in common."""

    def put(self, name: str, data: bytes) -> None:
        """Keep a batch."""

    def waiting(self) -> list[tuple[str, int]]:
        """Name and size of each batch."""

    def dead(self) -> int:
        """How many batches were set aside."""

    def read(self, name: str) -> bytes | None:
        """A batch, or None when it is gone."""

    def remove(self, name: str) -> None:
        """Forget a batch."""

    def bury(self, name: str, data: bytes, reason: str) -> None:
        """Keep a batch among the dead, and why."""


@lru_cache(maxsize=1)
def place() -> Place | None:
    """Where batches are spilled to; None: nowhere, and the sender is told to try again."""
    configured = settings()
    if configured.spill_bucket:
        return Bucket(configured.spill_bucket)
    return Directory(configured.spill_dir) if configured.spill_dir else None


@on_reset
def reset() -> None:
    """Look at the settings again (tests)."""
    place.cache_clear()
    _room.cache_clear()


def keep(batch: Batch, *, key_id: UUID | None, arrived: int, before: Finished | None) -> None:
    """Keep a batch until it is drained. When this returns it is durable.

    Raises Unavailable when there is no place, when it is full, or when it does not answer.
    """
    where = place()
    if where is None:
        raise Unavailable("The database is not answering. Try again in a moment.")
    data = spill_file.encode(Spilled(batch, key_id, arrived, before))
    _room().take(where, len(data))
    try:
        where.put(spill_file.name_of(data, arrived=arrived), data)
    except Exception as error:
        # Of botocore there is no common class to name without importing it; whatever it was, the
        # sender must keep its samples.
        logger().error("batch not spilled", exc_info=error)
        raise Unavailable("Neither database nor spill take samples. Try again.") from error


def look(where: Place) -> SpillStatus:
    """Count what waits and what is dead."""
    found = where.waiting()
    times = [when for name, _ in found if (when := spill_file.arrival_of(name)) is not None]
    age = time.time() - min(times) / 1000 if times else 0.0
    return SpillStatus(
        files=len(found),
        bytes=sum(size for _, size in found),
        oldest_seconds=round(max(0.0, age), 1),
        dead=where.dead(),
    )


def publish(status: SpillStatus) -> None:
    """Tell the other functions, of which none may list the bucket."""
    try:
        cache.client().set(_DEPTH_KEY, status.model_dump_json(), ex=_DEPTH_LIFE)
    except (redis.RedisError, RedisClusterException) as error:
        cache.back_off(error)


def status() -> SpillStatus | None:
    """What waits: counted where it can be, else as last published; None when nobody knows."""
    where = place()
    if isinstance(where, Directory):
        return look(where)
    if cache.backing_off():
        return None
    try:
        known = cache.client().get(_DEPTH_KEY)
    except (redis.RedisError, RedisClusterException) as error:
        cache.back_off(error)
        return None
    return SpillStatus.model_validate(json.loads(known)) if known else None


class _Room:
    """The bounds of the place, by a look at it every second and what this process put since.

    Where nobody knows how much there is (the cache is away, and the place is a bucket), the bounds
    are those of this process alone, by what it has put since then: so even S3 is bounded. It begins
    anew after a quiet time: then the database took what came, and `drain` wrote what was put.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = SpillStatus()
        self._known = False
        self._until = self._taken = 0.0

    def take(self, where: Place, size: int) -> None:
        """Count a batch of this size in. Raises Unavailable when it does not fit."""
        with self._lock:
            now = time.monotonic()
            if now >= self._until:
                known = status()
                if known is not None:
                    self._seen = known
                elif self._known or now - self._taken > _QUIET:
                    self._seen = SpillStatus()
                self._known = known is not None
                self._until = now + 1.0
            self._taken = now
            reason = _full(self._seen, size)
            if reason is None:
                self._seen = self._seen.model_copy(
                    update={"files": self._seen.files + 1, "bytes": self._seen.bytes + size}
                )
        if reason is not None:
            logger().warning("spill is full", extra={"reason": reason, "place": repr(where)})
            raise Unavailable(
                "The database is not answering and the spill is full. Keep the samples and try "
                "again.",
                retry_after=_FULL_RETRY,
            )


def _full(seen: SpillStatus, size: int) -> str | None:
    configured = settings()
    if seen.files >= configured.spill_max_files:
        return f"it holds {seen.files} batches"
    if seen.bytes + size > configured.spill_max_bytes:
        return f"it holds {seen.bytes} bytes"
    if seen.oldest_seconds > configured.spill_max_age:
        return f"its oldest batch has waited for {seen.oldest_seconds:.0f} s"
    return None


@lru_cache(maxsize=1)
def _room() -> _Room:
    return _Room()
