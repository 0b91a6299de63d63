"""Answers kept in Redis, as compressed JSON. Without Redis every answer is computed."""

import hashlib
import json
import threading
import time
import zlib
from typing import Any

import redis
from redis.exceptions import RedisClusterException

from pulseboard.observability import logger
from pulseboard.stores import cache

PAUSE = 5.0
"""Seconds without asking a cache that has just failed: a wait a query would cost more than it."""

_lock = threading.Lock()
_not_before = 0.0


def key(parameters: dict[str, Any]) -> str:
    """`cache:query:{sha256}` of normalised parameters: keys sorted, no white space."""
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"cache:query:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def get(name: str) -> dict[str, Any] | None:
    """The kept answer, or None."""
    if time.monotonic() < _not_before:
        return None
    try:
        found = cache.client().get(name)
    except (redis.RedisError, RedisClusterException) as error:
        _pause(error)
        return None
    if not isinstance(found, bytes):
        return None
    answer: dict[str, Any] = json.loads(zlib.decompress(found))
    return answer


def put(name: str, answer: dict[str, Any], *, seconds: int) -> None:
    """Keep an answer for a while, if the cache is there."""
    if time.monotonic() < _not_before:
        return
    packed = zlib.compress(json.dumps(answer, separators=(",", ":")).encode(), 1)
    try:
        cache.client().set(name, packed, ex=seconds)
    except (redis.RedisError, RedisClusterException) as error:
        _pause(error)


def _pause(error: Exception) -> None:
    global _not_before
    with _lock:
        _not_before = time.monotonic() + PAUSE
    logger().warning("the cache is not answering: queries go to the database", exc_info=error)


def forget_failure() -> None:
    """Ask the cache again at once, between tests."""
    global _not_before
    with _lock:
        _not_before = 0.0
