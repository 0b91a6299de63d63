"""Late marks in Redis: they make the result cache read late samples again.

`late:{metric}` is a sorted set of time buckets (`ingest.late_marks`), scored by when a late sample
in the bucket was last stored. `late:` is the same for all metrics together. A mark lives as long
as a cached result that is older than it can, and is then neither kept nor read.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import redis
from redis.exceptions import RedisClusterException

from pulseboard.core.settings import settings
from pulseboard.db import cache
from pulseboard.ingest import late_marks
from pulseboard.ingest.batch import Batch


def record(batch: Batch, *, now: float) -> None:
    """Mark the samples of a stored batch beyond the allowed lateness at `now` (seconds since 1970).

    Without late samples this costs one pass over the times. While Redis is down nothing is marked:
    a cached result is then outdated until it expires.
    """
    before = round((now - settings().query_grace_raw) * 1000)
    found = late_marks.time_buckets(batch, before=before)
    if not found or cache.backing_off():
        return
    stored = time.time()
    try:
        pipe = cache.client().pipeline(transaction=False)
        for metric, buckets in found.items():
            pipe.zadd(_key(metric), dict.fromkeys(map(str, buckets), stored))
            # A metric that is always late never expires as a whole.
            pipe.zremrangebyscore(_key(metric), "-inf", stored - _ttl())
            pipe.expire(_key(metric), _ttl())
        pipe.execute()
    except (redis.RedisError, RedisClusterException) as error:
        cache.back_off(error)


def queue_reads(pipe: Any, metrics: Sequence[str]) -> None:
    """Add the reads of these metrics' marks to a pipeline; `parse` reads its results."""
    since = time.time() - _ttl()
    for metric in metrics:
        pipe.zrange(_key(metric), since, "+inf", byscore=True, withscores=True)


def parse(metrics: Sequence[str], results: Sequence[Any]) -> Mapping[str, late_marks.LateMarks]:
    """The late marks by metric; metrics without marks are left out."""
    return {
        metric: {int(bucket): float(stored) for bucket, stored in result}
        for metric, result in zip(metrics, results, strict=True)
        if result
    }


def _key(metric: str) -> str:
    return f"late:{metric}"


def _ttl() -> int:
    configured = settings()
    return round(
        configured.query_cache_historical
        + configured.query_grace_rollup
        + late_marks.BUCKET_SECONDS
    )
