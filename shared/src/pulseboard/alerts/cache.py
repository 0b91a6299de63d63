"""Current values of alerts in Redis, for display; without it pages show those they changed at."""

import json
import zlib
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import redis
from pydantic_core import to_json
from redis.exceptions import RedisClusterException

from pulseboard.alerts.changes import Current
from pulseboard.core.observability import logger
from pulseboard.db import cache

_BUCKETS = 16
_LIFE = 300


def bucket_of(rule_id: UUID) -> int:
    """The key that holds a rule's values."""
    return rule_id.int % _BUCKETS


def put_current(values: Mapping[UUID, Current]) -> None:
    """Store the values of all rules of this tick: one key a bucket, so none spans slots."""
    buckets: list[dict[str, Current]] = [{} for _ in range(_BUCKETS)]
    for rule_id, current in values.items():
        buckets[bucket_of(rule_id)][rule_id.hex] = current
    try:
        pipe = cache.client().pipeline(transaction=False)
        for number, bucket in enumerate(buckets):
            packed = zlib.compress(to_json(bucket, inf_nan_mode="null"), 1)
            pipe.set(f"alerts:current:{number}", packed, ex=_LIFE)
        pipe.execute()
    except (redis.RedisError, RedisClusterException) as error:
        logger().warning("current values are not in the cache", exc_info=error)


def get_current(rule_id: UUID) -> Current:
    """A rule's values at the last tick; empty when the cache has none."""
    try:
        found = cache.client().get(f"alerts:current:{bucket_of(rule_id)}")
    except (redis.RedisError, RedisClusterException):
        return {}
    if not isinstance(found, bytes):
        return {}
    known: dict[str, Any] = json.loads(zlib.decompress(found))
    return {series: tuple(row) for series, row in known.get(rule_id.hex, {}).items()}
