"""API keys that were valid a moment ago: for seconds nothing is asked, and for longer while the
database can't be.

Kept in this process and, for processes that have just begun, in the cache: by the SHA-256 of a
random secret, from which it can't be guessed. A key that is revoked while the database is away
can't be told from others; one revoked before is forgotten by the cache at once.
"""

import threading
import time
from dataclasses import asdict
from uuid import UUID

import redis
from pydantic_core import from_json, to_json
from redis.exceptions import RedisClusterException

from pulseboard.auth.api_keys import KnownKey, hash_secret
from pulseboard.contracts.vocabulary import Role, Scope
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings
from pulseboard.db import cache

_MOST = 10_000
_NO_CACHE = (redis.RedisError, RedisClusterException)
_lock = threading.Lock()
_known: dict[bytes, tuple[KnownKey, float, float]] = {}
"""By hash: the key, when it was last seen valid, and when the cache was last told (monotonic)."""


@on_reset
def reset() -> None:
    """Drop what this process remembers: after a change of users, before a snapshot, in tests."""
    with _lock:
        _known.clear()


def remember(secret: str, key: KnownKey) -> None:
    """Note that the database has just vouched for this key."""
    hashed, now, life = hash_secret(secret), time.monotonic(), settings().key_remembered
    with _lock:
        before = _known.get(hashed)
        told = before[2] if before and before[0] == key else -float("inf")
        tell = now - told > life / 4
        if len(_known) >= _MOST and before is None:
            _known.clear()
        _known[hashed] = (key, now, now if tell else told)
    if tell and life and not cache.resting():
        try:
            cache.client().set(_name(hashed), to_json(asdict(key)), ex=life)
        except _NO_CACHE as error:
            cache.rest(error)


def fresh(secret: str) -> KnownKey | None:
    """The key, if the database vouched for it within `key_memory` seconds.

    That long a key revoked elsewhere still works in this process, and no longer.
    """
    with _lock:
        found = _known.get(hash_secret(secret))
    recent = found is not None and time.monotonic() - found[1] < settings().key_memory
    return found[0] if found is not None and recent else None


def drop(secret: str) -> None:
    """The database does not know this key (any more)."""
    _drop_hash(hash_secret(secret))


def revoked(hashed: bytes) -> None:
    """A key was revoked: the cache must not vouch for it."""
    _drop_hash(hashed)
    try:
        cache.client().delete(_name(hashed))
    except _NO_CACHE:
        return


def recall(secret: str) -> KnownKey | None:
    """The key, if it was valid within `key_remembered` seconds."""
    hashed, life = hash_secret(secret), settings().key_remembered
    with _lock:
        found = _known.get(hashed)
    if found and time.monotonic() - found[1] <= life:
        return found[0]
    try:
        text = cache.client().get(_name(hashed)) if life and not cache.resting() else None
    except _NO_CACHE as error:
        cache.rest(error)
        return None
    if not text:
        return None
    fields = from_json(text)
    return KnownKey(
        id=UUID(fields["id"]),
        scopes=tuple(Scope(scope) for scope in fields["scopes"]),
        owner_id=UUID(fields["owner_id"]),
        owner_role=Role(fields["owner_role"]),
        owner_email=fields["owner_email"],
    )


def _drop_hash(hashed: bytes) -> None:
    with _lock:
        _known.pop(hashed, None)


def _name(hashed: bytes) -> str:
    return f"key:{hashed.hex()}"
