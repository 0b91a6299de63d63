"""Notes of late samples in Redis, so that what was kept of their time is read again.

`late:{metric}` is a sorted set: stretches of time (`domain.late`), scored by when a late sample of
theirs was stored. `late:` is the same for all metrics together. A note lives as long as an answer
that was read before it may.
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


def note(batch: Batch, *, now: float) -> None:
    """Note what of a stored batch is older than the grace at `now` (seconds since 1970).

    A batch in time costs one look at its times. Without the cache nothing is kept that could be
    wrong for longer than its own life.
    """
    before = round((now - settings().query_grace_raw) * 1000)
    found = late_marks.stretches(batch, before=before)
    if not found or cache.backing_off():
        return
    stored = time.time()
    try:
        pipe = cache.client().pipeline(transaction=False)
        for metric, stretches in found.items():
            pipe.zadd(_name(metric), dict.fromkeys(map(str, stretches), stored))
            pipe.expire(_name(metric), _life())
        pipe.execute()
    except (redis.RedisError, RedisClusterException) as error:
        cache.back_off(error)


def ask(pipe: Any, metrics: Sequence[str]) -> None:
    """Put the look-ups of these metrics' marks into a pipeline; `read` takes the answers."""
    for metric in metrics:
        pipe.zrange(_name(metric), 0, -1, withscores=True)


def read(metrics: Sequence[str], answers: Sequence[Any]) -> Mapping[str, late_marks.Marks]:
    """The marks by metric."""
    return {
        metric: {int(stretch): float(stored) for stretch, stored in answer}
        for metric, answer in zip(metrics, answers, strict=True)
        if answer
    }


def _name(metric: str) -> str:
    return f"late:{metric}"


def _life() -> int:
    configured = settings()
    return round(
        configured.query_cache_historical + configured.query_grace_rollup + late_marks.BUCKET
    )
