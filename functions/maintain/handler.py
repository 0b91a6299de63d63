"""Every minute: run the database's due jobs where it can't by itself, watch them everywhere, and
remove the samples of deleted series and the ends of series that no sample is left for."""

from typing import Any

from functions import imported
from pulseboard.observability import logger, record
from pulseboard.settings import settings
from pulseboard.stores import database, deletion, jobs, series_ends, status
from pulseboard.stores.own_metrics import note

PURGE_SECONDS = 15.0
PRUNE_SECONDS = 5.0


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Names of the jobs that ran, failed, and are late; how many deleted series are done with, and
    how many ends went. Raises Unavailable without a database.
    """
    failed: list[str] = []
    ran: list[str] = []
    with database.connection() as connection:
        if not jobs.server_runs_jobs(connection):
            for job in jobs.claim_due(connection):
                error = jobs.run(connection, job_id=job.id)
                ran.append(job.name)
                if error:
                    failed.append(job.name)
                    logger().error("job failed", extra={"job": job.name, "reason": error})
        used = status.database_bytes(connection)
        late = [job.name for job in jobs.statuses(connection) if job.late]
    if late:
        logger().warning("jobs are late", extra={"jobs": late})
    disk = settings().database_disk_bytes
    record(
        LateJobs=len(late),
        FailedJobs=len(failed),
        DatabaseBytes=used,
        **({"DatabaseUsedPercent": 100 * used / disk} if disk else {}),
    )
    note({"pulseboard_database_bytes": used, "pulseboard_late_jobs": len(late)})
    with database.connection() as connection:
        purged = deletion.purge(connection, seconds=PURGE_SECONDS)
        pruned = series_ends.prune(connection, seconds=PRUNE_SECONDS)
    return {"ran": ran, "failed": failed, "late": late, "purged": purged, "pruned": pruned}


imported()
