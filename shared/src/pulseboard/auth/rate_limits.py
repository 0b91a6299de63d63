"""Rate limits by fixed windows, in Redis."""

import hashlib

from pulseboard.core.exceptions import RateLimited
from pulseboard.db.cache import client


def _key(name: str, subject: str) -> str:
    return f"rate:{name}:{hashlib.sha256(subject.encode('utf-8', 'replace')).hexdigest()}"


def count(*, name: str, subject: str, limit: int, window: int) -> None:
    """Count an attempt before it happens, so that concurrent ones can't exceed the limit together.

    The window of `window` seconds begins with the first. The key contains its end, so a
    process that dies in between locks nobody out. Raises RateLimited beyond `limit` attempts.
    """
    key = _key(name, subject)
    client().set(key, 0, ex=window, nx=True)
    if int(client().incr(key)) > limit:
        wait = max(1, int(client().ttl(key)))
        raise RateLimited(f"Too many tries. Try again in {wait} s.", retry_after=wait)


def clear(*, name: str, subject: str) -> None:
    """Reset the count."""
    client().delete(_key(name, subject))
