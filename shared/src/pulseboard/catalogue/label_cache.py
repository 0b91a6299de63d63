"""What was read of the labels of very many series, in Redis for a minute.

An entry holds for one generation of the catalogue, so a deletion of series ends it. It says which
series was the newest when it was read: whoever gets it looks at those that are newer, which are
few. What changes only by time, as a series that is seen again, shows when the entry expires; and so
does a series whose transaction committed after that of a newer one (`CONFIRMED_SECONDS`).
Without Redis everything is read.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg
import redis
from pydantic_core import from_json, to_json
from redis.exceptions import RedisClusterException

from pulseboard.catalogue.series_cache import CONFIRMED_SECONDS
from pulseboard.core.settings import settings
from pulseboard.db import cache

_MOST_BYTES = 4_000_000
"""A larger entry is not cached."""


class CachedLabels(NamedTuple):
    """What the cache has of a read: `rows` as JSON has them, of the series up to the id `newest`.

    `newest_now` is the newest series that there is. Where nothing is cached `found` is False.
    """

    key: str
    generation: str
    newest_now: int
    found: bool = False
    newest: int = 0
    rows: Sequence[Any] = ()


def get(connection: psycopg.Connection[Any], *what: object) -> CachedLabels:
    """What is cached of a read, which `what` names: kind, conditions and limit."""
    key = f"labels:{hashlib.sha256(to_json(what)).hexdigest()}"
    stored = None
    if not cache.backing_off():
        try:
            stored = cache.client().get(key)
        except (redis.RedisError, RedisClusterException) as error:
            cache.back_off(error)
    # Served by metric_series_pkey. Before the series are read: those created since are read again.
    row = connection.execute(
        "select catalogue_generation(), (select coalesce(max(id), 0) from metric_series)"
    ).fetchone()
    assert row is not None, "a select without a table returns a row"
    generation, newest_now = str(row[0]), int(row[1])
    if stored is not None:
        known, newest, rows = from_json(stored)
        if known == generation:
            return CachedLabels(key, generation, newest_now, True, newest, rows)
    return CachedLabels(key, generation, newest_now)


def put(cached: CachedLabels, rows: Sequence[Any], *, read: int) -> None:
    """Cache what was read after `get`; `read` labels were counted to make it.

    What is read fast is not cached.
    """
    if read < settings().label_cache_from or cache.backing_off():
        return
    entry = to_json([cached.generation, cached.newest_now, rows])
    if len(entry) > _MOST_BYTES:
        return
    try:
        cache.client().set(cached.key, entry, ex=int(CONFIRMED_SECONDS))
    except (redis.RedisError, RedisClusterException) as error:
        cache.back_off(error)
