"""The Redis (or Valkey) client of this process, created on first use.

ElastiCache Serverless is always a cluster: no command here spans hash slots. Losing the cache
makes Pulseboard slower and signs people out; it never makes a result wrong.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import redis
from redis.exceptions import RedisClusterException

from pulseboard.core.freshness import is_fresh
from pulseboard.core.observability import logger
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings

Client = redis.Redis | redis.RedisCluster
T = TypeVar("T")

BACKOFF = 5.0
"""Seconds for which callers with a fallback skip a cache that has just failed."""

_lock = threading.Lock()
_client: Client | None = None
_skip_until = 0.0


def client() -> Client:
    """The client. Raises RedisError, RedisClusterException without any node."""
    global _client
    with _lock:
        if _client is None:
            configured = settings()
            client_class = redis.RedisCluster if configured.redis_cluster else redis.Redis
            _client = client_class.from_url(
                configured.redis_url.get_secret_value(),
                socket_timeout=configured.redis_timeout,
                socket_connect_timeout=configured.redis_timeout,
            )
        return _client


def backing_off() -> bool:
    """Whether the cache has just failed.

    Callers with a fallback check this first: each command to a dead cache costs a timeout.
    """
    return is_fresh(_skip_until - BACKOFF, BACKOFF)


def back_off(error: Exception) -> None:
    """Skip the cache for `BACKOFF` seconds, since it has just failed."""
    global _skip_until
    _skip_until = time.time() + BACKOFF
    logger().warning("the cache does not respond: continuing without it", exc_info=error)


def attempt(command: Callable[[Client], T]) -> T | None:
    """What a command returns; None, at once, while the cache is backing off or when it fails."""
    if backing_off():
        return None
    try:
        return command(client())
    except (redis.RedisError, RedisClusterException) as error:
        back_off(error)
        return None


@on_reset
def close() -> None:
    """Drop the connections: before a snapshot, and between tests."""
    global _client, _skip_until
    with _lock:
        closing, _client = _client, None
        _skip_until = 0.0
    if closing is None:
        return
    if isinstance(closing, redis.RedisCluster):
        # Its `close` leaves the connections of its nodes to the garbage collector.
        for node in closing.nodes_manager.nodes_cache.values():
            node.redis_connection.connection_pool.disconnect()
    closing.close()
