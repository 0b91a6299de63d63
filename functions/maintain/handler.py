"""Every minute: runs the due database jobs where the server can't, monitors them everywhere, moves
rows of rollups that a migration has made anew, removes samples of deleted series, stale markers of
series without samples, and expired series, and measures how often metrics are sent."""

from functions import bootstrap

bootstrap.before_imports()

from collections.abc import Iterator
from contextlib import contextmanager
from time import time
from typing import Any

from pulseboard.catalogue import (
    cardinality_queries,
    expiry_store,
    intervals_store,
    stale_markers_store,
)
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.observability import logger, record
from pulseboard.core.settings import settings
from pulseboard.db import database, rollups, status, timescale_jobs
from pulseboard.ingest import events_store
from pulseboard.ingest.telemetry_store import write_values
from pulseboard.usage import deletion_store

# As long as the function itself: a job rewrites a day of samples, and a statement that is cut here
# would go on in the server.
JOB_SECONDS = 840.0
MOVE_SECONDS = 30.0
PURGE_SECONDS = 15.0
PRUNE_SECONDS = 5.0
EXPIRE_SECONDS = 10.0
RECOUNT_MINUTES = 5
MEASURE_SECONDS = 5.0


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Names of the jobs that ran, failed, and are late; numbers of rollups whose rows are
    still being moved, of purged series, of pruned stale markers, of expired series, and of metrics
    whose interval was measured.

    A step that fails stops none of the others; its error is raised at the end. Raises Unavailable
    without a database.
    """
    failed: list[str] = []
    ran: list[str] = []
    moving = purged = pruned = expired = measured = 0
    late: list[str] = []
    steps = _Steps()
    with steps.step("jobs"), database.connection(deadline=JOB_SECONDS) as connection:
        if not timescale_jobs.server_runs_jobs(connection):
            with steps.step("new rows"):
                timescale_jobs.summarise_new_rows(connection)
            for job in timescale_jobs.claim_due(connection):
                with steps.step(job.name):
                    error = timescale_jobs.run(connection, job_id=job.id)
                    ran.append(job.name)
                    if error:
                        failed.append(job.name)
                        logger().error("job failed", extra={"job": job.name, "reason": error})
    with steps.step("late jobs"), database.connection(deadline=JOB_SECONDS) as connection:
        late = [job.name for job in timescale_jobs.statuses(connection) if job.late]
        if late:
            logger().warning("jobs are late", extra={"jobs": late})
        record(LateJobs=len(late))
        write_values({"pulseboard_late_jobs": len(late)})
    with (
        steps.step("size of the database"),
        database.connection(deadline=JOB_SECONDS) as connection,
    ):
        used = status.database_bytes(connection)
        disk = settings().database_disk_bytes
        if disk:
            on_disk = used + status.wal_bytes(connection)
            record(DatabaseUsedPercent=100 * on_disk / disk)
        write_values({"pulseboard_database_bytes": used})
    with steps.step("rollups"), database.connection(deadline=JOB_SECONDS) as connection:
        moving = rollups.move(connection, seconds=MOVE_SECONDS)
    with steps.step("deleted series"), database.connection(deadline=JOB_SECONDS) as connection:
        purged = deletion_store.purge(connection, seconds=PURGE_SECONDS)
    with steps.step("stale markers"), database.connection(deadline=JOB_SECONDS) as connection:
        pruned = stale_markers_store.prune(connection, seconds=PRUNE_SECONDS)
    with steps.step("old events"), database.connection(deadline=JOB_SECONDS) as connection:
        events_store.prune(connection)
    with steps.step("expired series"), database.connection(deadline=JOB_SECONDS) as connection:
        expired = expiry_store.expire(connection, seconds=EXPIRE_SECONDS)
    with steps.step("active series"), database.connection(deadline=JOB_SECONDS) as connection:
        if expired or int(time() / 60) % RECOUNT_MINUTES == 0:
            cardinality_queries.recount(connection)
    with steps.step("intervals"), database.connection() as connection:
        measured = intervals_store.measure_due(connection, seconds=MEASURE_SECONDS)
    steps.raise_first()
    return {
        "ran": ran,
        "failed": failed,
        "late": late,
        "moving": moving,
        "purged": purged,
        "pruned": pruned,
        "expired": expired,
        "measured": measured,
    }


class _Steps:
    """Steps that run whatever became of those before them."""

    def __init__(self) -> None:
        self._errors: list[Exception] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Log and remember what goes wrong in it. An unavailable database ends all of them."""
        try:
            yield
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - no step may stop the others
            logger().error("a step of maintain failed", extra={"step": name}, exc_info=error)
            self._errors.append(error)

    def raise_first(self) -> None:
        """Raise the first error: the function's alarm tells somebody."""
        if self._errors:
            raise self._errors[0]


bootstrap.after_imports()
