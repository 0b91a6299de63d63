"""Every minute: runs the due database jobs where the server can't, monitors them everywhere, and
removes samples of deleted series and stale markers of series without samples."""

from functions import bootstrap

bootstrap.before_imports()

from typing import Any

from pulseboard.catalogue import stale_markers_store
from pulseboard.core.observability import logger, record
from pulseboard.core.settings import settings
from pulseboard.db import database, status, timescale_jobs
from pulseboard.ingest.telemetry_store import write_values
from pulseboard.usage import deletion_store

PURGE_SECONDS = 15.0
PRUNE_SECONDS = 5.0


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Names of the jobs that ran, failed, and are late; numbers of purged series and of pruned
    stale markers. Raises Unavailable without a database.
    """
    failed: list[str] = []
    ran: list[str] = []
    with database.connection() as connection:
        if not timescale_jobs.server_runs_jobs(connection):
            for job in timescale_jobs.claim_due(connection):
                error = timescale_jobs.run(connection, job_id=job.id)
                ran.append(job.name)
                if error:
                    failed.append(job.name)
                    logger().error("job failed", extra={"job": job.name, "reason": error})
        used = status.database_bytes(connection)
        late = [job.name for job in timescale_jobs.statuses(connection) if job.late]
    if late:
        logger().warning("jobs are late", extra={"jobs": late})
    disk = settings().database_disk_bytes
    record(
        LateJobs=len(late),
        FailedJobs=len(failed),
        DatabaseBytes=used,
        **({"DatabaseUsedPercent": 100 * used / disk} if disk else {}),
    )
    write_values({"pulseboard_database_bytes": used, "pulseboard_late_jobs": len(late)})
    with database.connection() as connection:
        purged = deletion_store.purge(connection, seconds=PURGE_SECONDS)
        pruned = stale_markers_store.prune(connection, seconds=PRUNE_SECONDS)
    return {"ran": ran, "failed": failed, "late": late, "purged": purged, "pruned": pruned}


bootstrap.after_imports()
