"""The health of the database, the cache and the background jobs."""

import time
from typing import Any

import psycopg
import redis
from redis.exceptions import RedisClusterException

from pulseboard.contracts.status import ComponentStatus, JobStatus
from pulseboard.db import cache, database, timescale_jobs

LATE_TICK = 60.0
"""Seconds without an evaluation of the alert rules, which comes every ten."""


def check_cache() -> ComponentStatus:
    """Check the cache by reading a key."""
    began = time.perf_counter()
    try:
        cache.client().get("status")
    except (redis.RedisError, RedisClusterException):
        return ComponentStatus(name="cache", ok=False, message="The cache is not responding.")
    return ComponentStatus(name="cache", ok=True, latency_ms=_milliseconds_since(began))


def check_database(connection: psycopg.Connection[Any]) -> ComponentStatus:
    """Check the database by an empty query."""
    began = time.perf_counter()
    connection.execute("select 1")
    return ComponentStatus(name="database", ok=True, latency_ms=_milliseconds_since(began))


def check_ticks(connection: psycopg.Connection[Any]) -> list[ComponentStatus]:
    """Whether the alert rules are evaluated; nothing before the first time. By one row."""
    row = connection.execute(
        "select extract(epoch from now())::float8 - tick * 10 from alert_ticks where tick >= 0"
    ).fetchone()
    if row is None:
        return []
    late = row[0] > LATE_TICK
    message = f"The rules were last evaluated {round(row[0])} s ago." if late else None
    return [ComponentStatus(name="alerts", ok=not late, message=message)]


def _milliseconds_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)


def list_jobs(connection: psycopg.Connection[Any]) -> list[JobStatus]:
    """The jobs of TimescaleDB; none on a PostgreSQL without it."""
    try:
        return timescale_jobs.statuses(connection)
    except psycopg.errors.UndefinedTable:
        return []


def count_metrics(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Metrics and series."""
    row = connection.execute(
        "select (select count(*) from metric_definitions), (select count(*) from metric_series)"
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def database_bytes(connection: psycopg.Connection[Any]) -> int:
    """What the database holds on disk. Reads the sizes of its files: once a minute, not more."""
    row = connection.execute("select pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def wal_bytes(connection: psycopg.Connection[Any]) -> int:
    """What the write-ahead log holds on the same disk; 0 where its size may not be read."""
    allowed = connection.execute(
        "select has_function_privilege('pg_ls_waldir()', 'execute')"
    ).fetchone()
    if not allowed or not allowed[0]:
        return 0
    row = connection.execute("select coalesce(sum(size), 0) from pg_ls_waldir()").fetchone()
    return int(row[0]) if row else 0


def breaker_state() -> str:
    """`closed`, `open` or `half-open`."""
    states = {str(database.breaker(purpose).current_state) for purpose in ("read", "write")}
    return next(state for state in ("open", "half-open", "closed") if state in states)
