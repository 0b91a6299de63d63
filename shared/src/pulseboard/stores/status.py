"""How the database, the cache and the background jobs are doing."""

import time
from typing import Any

import psycopg
import redis
from psycopg.rows import dict_row
from redis.exceptions import RedisClusterException

from pulseboard.contracts.status import ComponentStatus, JobStatus
from pulseboard.stores import cache, database


def check_cache() -> ComponentStatus:
    """Ask the cache for a key."""
    began = time.perf_counter()
    try:
        cache.client().get("status")
    except (redis.RedisError, RedisClusterException):
        return ComponentStatus(name="cache", ok=False, message="The cache is not answering.")
    return ComponentStatus(name="cache", ok=True, latency_ms=_milliseconds_since(began))


def check_database(connection: psycopg.Connection[Any]) -> ComponentStatus:
    """Ask the database for nothing."""
    began = time.perf_counter()
    connection.execute("select 1")
    return ComponentStatus(name="database", ok=True, latency_ms=_milliseconds_since(began))


def _milliseconds_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 2)


def list_jobs(connection: psycopg.Connection[Any]) -> list[JobStatus]:
    """The policies of TimescaleDB; late when the last end is two intervals and a minute ago."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            select j.job_id as id, j.application_name as name,
              coalesce(c.view_name, j.hypertable_name)::text as target,
              nullif(s.last_run_started_at, '-infinity') as last_run_at,
              case when isfinite(s.next_start) then s.next_start end as next_run_at,
              s.last_run_status as last_status,
              coalesce(s.last_run_started_at
                < now() - 2 * j.schedule_interval - interval '1 minute', false) as late
            from timescaledb_information.jobs j
            left join timescaledb_information.job_stats s using (job_id)
            left join timescaledb_information.continuous_aggregates c
              on c.materialization_hypertable_name = j.hypertable_name
            where j.proc_name like 'policy\\_%%' and j.job_id >= 1000
            order by j.job_id
            """.replace("%%", "%")
        ).fetchall()
    return [JobStatus.model_validate(row) for row in rows]


def count_metrics(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Metrics and series."""
    row = connection.execute(
        "select (select count(*) from metric_definitions), (select count(*) from metric_series)"
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


def breaker_state() -> str:
    """`closed`, `open` or `half-open`."""
    return str(database.breaker().current_state)
