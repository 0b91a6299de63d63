"""The Redis (or Valkey) client of this process, made on first use.

ElastiCache Serverless is always a cluster: no command here spans hash slots. Losing the cache
makes Pulseboard slower and signs people out; it never makes an answer wrong.
"""

import threading
import time

import redis

from pulseboard.core.observability import logger
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings

Client = redis.Redis | redis.RedisCluster

PAUSE = 5.0
"""Seconds without asking a cache that has just failed, for what goes on without it."""

_lock = threading.Lock()
_client: Client | None = None
_not_before = 0.0


def client() -> Client:
    """The client. Raises RedisError, RedisClusterException without any node."""
    global _client
    with _lock:
        if _client is None:
            configured = settings()
            make = redis.RedisCluster if configured.redis_cluster else redis.Redis
            _client = make.from_url(
                configured.redis_url.get_secret_value(),
                socket_timeout=configured.redis_timeout,
                socket_connect_timeout=configured.redis_timeout,
            )
        return _client


def resting() -> bool:
    """Whether the cache has just failed. What can do without it asks this first: each question
    to a dead cache costs a wait."""
    return time.time() < _not_before


def rest(error: Exception) -> None:
    """Leave the cache alone for a while, since it has failed."""
    global _not_before
    _not_before = time.time() + PAUSE
    logger().warning("the cache is not answering: going on without it", exc_info=error)


@on_reset
def close() -> None:
    """Drop the connections: before a snapshot, and between tests."""
    global _client, _not_before
    with _lock:
        closing, _client = _client, None
        _not_before = 0.0
    if closing is None:
        return
    if isinstance(closing, redis.RedisCluster):
        # Its own close leaves the connections of its nodes to the garbage collector.
        for node in closing.nodes_manager.nodes_cache.values():
            node.redis_connection.connection_pool.disconnect()
    closing.close()
