"""Applies the retention settings to TimescaleDB's policies: the settings are the only source.

`pulseboard.db.migrate` calls it with each migration, so a changed setting takes effect with the
next deploy or start. A policy is altered only where it differs.

A refresh must not look back further than its source's retention: it would recompute buckets from
samples that are gone, and so erase them. Its lookback (`start_offset`) therefore follows the
retention of its source, with 1/14 of it as a margin, up to the defaults of the schema.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg

from pulseboard.core.settings import Settings

MAX_LOOKBACK_RAW = timedelta(days=6, hours=12)
MAX_LOOKBACK_MINUTE = timedelta(days=8)
SHORTEST = timedelta(days=1)


class RetentionError(Exception):
    """The retention settings contradict each other; the message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class RetentionPlan:
    """The retention of each table, and how far its rollup's refresh looks back into it."""

    retention: dict[str, timedelta]
    lookback: dict[str, timedelta]


def plan(configured: Settings) -> RetentionPlan:
    """The policies that the settings define.

    Raises RetentionError when a rollup would end before its source, or when an accepted sample
    may be older than the refresh looks back: it would be missing from the rollups.
    """
    raw = timedelta(seconds=configured.retention_raw)
    minute = timedelta(seconds=configured.retention_minute)
    hour = timedelta(seconds=configured.retention_hour)
    if not SHORTEST <= raw <= minute <= hour:
        raise RetentionError(
            "retention must be at least a day, and no shorter for a coarser tier: "
            f"PULSEBOARD_RETENTION_RAW is {raw}, PULSEBOARD_RETENTION_MINUTE {minute}, "
            f"PULSEBOARD_RETENTION_HOUR {hour}"
        )
    lookback = min(MAX_LOOKBACK_RAW, raw * 13 / 14)
    oldest = timedelta(seconds=configured.ingest_max_age + configured.spill_max_age)
    if oldest > lookback:
        raise RetentionError(
            f"samples may be {oldest} old when they are written (PULSEBOARD_INGEST_MAX_AGE plus "
            f"PULSEBOARD_SPILL_MAX_AGE), but rollups look back {lookback} with "
            f"PULSEBOARD_RETENTION_RAW at {raw}: lower PULSEBOARD_INGEST_MAX_AGE to "
            f"{int((lookback - timedelta(seconds=configured.spill_max_age)).total_seconds())} "
            "or less, or raise the retention of raw samples"
        )
    return RetentionPlan(
        retention={"metrics_raw": raw, "metrics_1min": minute, "metrics_1hour": hour},
        lookback={
            "metrics_1min": lookback,
            "metrics_1hour": min(MAX_LOOKBACK_MINUTE, minute * 13 / 14),
        },
    )


def apply(connection: psycopg.Connection[Any], *, wanted: RetentionPlan) -> list[str]:
    """Alter the policies that differ, and return the tables whose policies changed.

    Run it inside a transaction. Catalogues of a handful of rows: no index matters.
    """
    changed = []
    for field, procedure, offsets in (
        ("start_offset", "policy_refresh_continuous_aggregate", wanted.lookback),
        ("drop_after", "policy_retention", wanted.retention),
    ):
        for table, offset in offsets.items():
            # Of a continuous aggregate, versions name either the view or what it is stored in.
            row = connection.execute(
                """
                select j.job_id, (j.config ->> %(field)s)::interval = %(offset)s
                from timescaledb_information.jobs j
                left join timescaledb_information.continuous_aggregates a
                  on a.view_name = %(table)s
                where j.proc_name = %(procedure)s
                  and j.hypertable_name in (%(table)s, a.materialization_hypertable_name)
                """,
                {"field": field, "offset": offset, "procedure": procedure, "table": table},
            ).fetchone()
            if row is None:
                raise RetentionError(
                    f"{table} has no policy {procedure}: it was removed from the database by hand; "
                    "add it again"
                )
            job_id, equal = row
            if equal:
                continue
            connection.execute(
                """
                select alter_job(job_id, config => jsonb_set(
                  config, array[%(field)s], to_jsonb(justify_hours(%(offset)s)::text)))
                from timescaledb_information.jobs where job_id = %(job)s
                """,
                {"field": field, "offset": offset, "job": job_id},
            )
            changed.append(table)
    return changed
