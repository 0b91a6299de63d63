"""API keys that were valid recently, so that most requests need no lookup.

Cached in this process and, for new processes, in Redis. Keys are identified by the SHA-256 of a
random secret, from which the secret can't be guessed. A key that is revoked while the database is
away still works until it is back; one revoked before is removed from Redis at once.
"""

import threading
import time
from dataclasses import asdict, dataclass
from uuid import UUID

import redis
from pydantic_core import from_json, to_json
from redis.exceptions import RedisClusterException

from pulseboard.auth.api_keys_store import ActiveKey, hash_secret
from pulseboard.contracts.vocabulary import Role, Scope
from pulseboard.core.freshness import is_fresh
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings
from pulseboard.db import cache

_MAX_ENTRIES = 10_000
_CACHE_ERRORS = (redis.RedisError, RedisClusterException)
_NEVER = -float("inf")


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    """Times are seconds since 1970: of the last lookup, and of the last write to Redis."""

    key: ActiveKey
    validated_at: float
    written_at: float


_lock = threading.Lock()
_cached: dict[bytes, _CacheEntry] = {}
"""By the hash of the secret."""


@on_reset
def reset() -> None:
    """Drop what this process has cached: after a change of users, before a snapshot, in tests."""
    with _lock:
        _cached.clear()


def put(secret: str, key: ActiveKey) -> None:
    """Cache a key that the database has just returned."""
    hashed, now, expiry = hash_secret(secret), time.time(), settings().key_remembered
    with _lock:
        before = _cached.get(hashed)
        written_at = before.written_at if before and before.key == key else _NEVER
        write = not is_fresh(written_at, expiry / 4)
        if len(_cached) >= _MAX_ENTRIES and before is None:
            _cached.clear()
        _cached[hashed] = _CacheEntry(key, now, now if write else written_at)
    if write and expiry:
        cache.attempt(
            lambda client: client.set(_redis_key(hashed), to_json(asdict(key)), ex=expiry)
        )


def get_fresh(secret: str) -> ActiveKey | None:
    """The key, if the database returned it within `key_memory` seconds.

    A key that was revoked through another process works that long in this one, and no longer.
    """
    with _lock:
        entry = _cached.get(hash_secret(secret))
    if entry is None or not is_fresh(entry.validated_at, settings().key_memory):
        return None
    return entry.key


def get_last_known(secret: str) -> ActiveKey | None:
    """The key, if it was valid within `key_remembered` seconds."""
    hashed, expiry = hash_secret(secret), settings().key_remembered
    with _lock:
        entry = _cached.get(hashed)
    if entry and is_fresh(entry.validated_at, expiry):
        return entry.key
    text = cache.attempt(lambda client: client.get(_redis_key(hashed))) if expiry else None
    if not text:
        return None
    fields = from_json(text)
    return ActiveKey(
        id=UUID(fields["id"]),
        scopes=tuple(Scope(scope) for scope in fields["scopes"]),
        owner_id=UUID(fields["owner_id"]),
        owner_role=Role(fields["owner_role"]),
        owner_email=fields["owner_email"],
    )


def invalidate(secret: str) -> None:
    """Drop a key from this process: the database does not know it (any more)."""
    _drop(hash_secret(secret))


def invalidate_everywhere(hashed: bytes) -> None:
    """Drop a revoked key from this process and from Redis."""
    _drop(hashed)
    try:
        cache.client().delete(_redis_key(hashed))
    except _CACHE_ERRORS:
        return


def _drop(hashed: bytes) -> None:
    with _lock:
        _cached.pop(hashed, None)


def _redis_key(hashed: bytes) -> str:
    return f"key:{hashed.hex()}"
