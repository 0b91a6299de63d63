"""`cache:dashboard:{id}`: a cached dashboard, deleted on every change of it.

A reader that is slower than a change can cache the former state again: it lives for
`dashboard_cache` seconds at most, and is deleted when a change conflicts with it.
"""

from uuid import UUID

import redis
from redis.exceptions import RedisClusterException

from pulseboard.contracts.dashboards import STORED, Dashboard
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings
from pulseboard.db.cache import client


def _key(dashboard_id: UUID) -> str:
    return f"cache:dashboard:{dashboard_id}"


def get(dashboard_id: UUID) -> Dashboard | None:
    """The cached dashboard, or None; without Redis always None."""
    try:
        found = client().get(_key(dashboard_id))
    except (redis.RedisError, RedisClusterException):
        return None
    return (
        Dashboard.model_validate_json(found, context=STORED) if isinstance(found, bytes) else None
    )


def put(dashboard: Dashboard) -> None:
    """Cache it, unless one is cached already."""
    try:
        client().set(
            _key(dashboard.id),
            dashboard.model_dump_json(by_alias=True),
            ex=settings().dashboard_cache,
            nx=True,
        )
    except (redis.RedisError, RedisClusterException) as error:
        logger().warning("dashboard not cached", exc_info=error)


def invalidate(dashboard_id: UUID) -> None:
    """Delete it. Raises nothing: without Redis nothing is read from it either."""
    try:
        client().delete(_key(dashboard_id))
    except (redis.RedisError, RedisClusterException) as error:
        logger().warning("dashboard cache not cleared", exc_info=error)
