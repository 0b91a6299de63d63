"""Counting tries in fixed windows, in Redis."""

import hashlib

from pulseboard.exceptions import RateLimited
from pulseboard.stores.cache import client


def _key(name: str, subject: str) -> str:
    return f"rate:{name}:{hashlib.sha256(subject.encode('utf-8', 'replace')).hexdigest()}"


def check(*, name: str, subject: str, limit: int) -> None:
    """Raises RateLimited when `subject` has used up its tries."""
    key = _key(name, subject)
    if int(client().get(key) or 0) >= limit:
        wait = max(1, int(client().ttl(key)))
        raise RateLimited(f"Too many tries. Try again in {wait} s.", retry_after=wait)


def count(*, name: str, subject: str, window: int) -> None:
    """Count a try; the window of `window` seconds begins with the first."""
    key = _key(name, subject)
    if client().incr(key) == 1:
        client().expire(key, window)


def clear(*, name: str, subject: str) -> None:
    """Forget the tries."""
    client().delete(_key(name, subject))
