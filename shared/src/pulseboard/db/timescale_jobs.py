"""TimescaleDB's policy jobs: list them, claim those that are due, run them, report late ones.

Where the server runs background workers its own scheduler drives them. Where it does not (the
embedded one), whoever calls `claim_due` and `run` does, and `job_runs` stores when.
"""

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from pulseboard.contracts.status import JobStatus


@dataclass(frozen=True, slots=True)
class DueJob:
    """A job that was claimed and must now be run."""

    id: int
    name: str


def server_runs_jobs(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has background workers for jobs.

    The setting is defined by TimescaleDB's preloaded part alone, which starts them.
    """
    row = connection.execute(
        "select coalesce(current_setting('timescaledb.max_background_workers', true), '0')"
    ).fetchone()
    return row is not None and row[0] not in ("0", "")


# A handful of rows in each of these catalogues and tables: no index matters.
_STATUS: LiteralString = """
    select
      j.job_id as id,
      j.proc_name as name,
      j.hypertable_name as target,
      greatest(nullif(s.last_run_started_at, '-infinity'), r.started_at) as last_run_at,
      -- While a job runs its next start is -infinity.
      coalesce(
        nullif(nullif(s.next_start, '-infinity'), 'infinity'), r.started_at + j.schedule_interval
      ) as next_run_at,
      case
        when s.last_run_status is not null then s.last_run_status
        when r.error is not null then 'Failed'
        when r.finished_at is not null then 'Success'
      end as last_status,
      j.scheduled and j.proc_name <> 'policy_telemetry'
      and now() > 5 * interval '1 minute' + 2 * j.schedule_interval + coalesce(
        nullif(greatest(
          nullif(s.last_successful_finish, '-infinity'),
          case when r.error is null then r.finished_at end
        ), '-infinity'),
        (select max(applied_at) from schema_migrations)
      ) as late
    from timescaledb_information.jobs j
    left join timescaledb_information.job_stats s using (job_id)
    left join job_runs r using (job_id)
    order by j.job_id
"""


def statuses(connection: psycopg.Connection[Any]) -> list[JobStatus]:
    """All jobs. One is late when it has not succeeded for two intervals and five minutes."""
    with connection.cursor(row_factory=class_row(JobStatus)) as cursor:
        return cursor.execute(_STATUS).fetchall()


def claim_due(connection: psycopg.Connection[Any]) -> list[DueJob]:
    """Jobs whose interval has passed, marked as started in the same statement:
    of two callers at once one gets each job. Served by `job_runs_pkey`.
    """
    rows = connection.execute(
        """
        insert into job_runs as r (job_id, started_at)
        select job_id, now() from timescaledb_information.jobs j
        where scheduled and not exists (
          select from job_runs known
          where known.job_id = j.job_id and known.started_at + j.schedule_interval > now()
        )
        on conflict (job_id) do update set started_at = excluded.started_at
        where r.started_at < excluded.started_at - interval '5 seconds'
        returning job_id
        """
    ).fetchall()
    ids = [row[0] for row in rows]
    with connection.cursor(row_factory=class_row(DueJob)) as cursor:
        return cursor.execute(
            """
            select job_id as id, proc_name as name from timescaledb_information.jobs
            where job_id = any(%s) order by job_id
            """,
            (ids,),
        ).fetchall()


def summarise_new_rows(connection: psycopg.Connection[Any]) -> None:
    """Do for the newest chunks what autovacuum does elsewhere: refreshes find new rows by it.

    Each BRIN index gets its new ranges, and a chunk that has grown by half new statistics. A few
    rows of the catalogues: no index matters.
    """
    rows = connection.execute(
        """
        select format('%I.%I', c.chunk_schema, c.chunk_name), i.indexrelid,
          pg_relation_size(t.oid) > 1.5 * 8192 * t.relpages
        from timescaledb_information.chunks c
        join pg_namespace n on n.nspname = c.chunk_schema
        join pg_class t on t.relnamespace = n.oid and t.relname = c.chunk_name
        join pg_index i on i.indrelid = t.oid
        join pg_class x on x.oid = i.indexrelid
        join pg_am m on m.oid = x.relam and m.amname = 'brin'
        where c.range_end > now() - interval '4 hours'
        """
    ).fetchall()
    for chunk, index, grown in rows:
        connection.execute("select brin_summarize_new_values(%s)", (index,))
        if grown:
            connection.execute(sql.SQL("analyze {}").format(sql.Identifier(*chunk.split("."))))


def run(connection: psycopg.Connection[Any], *, job_id: int) -> str | None:
    """Run a claimed job now, on a connection outside a transaction; its error as text, or None.

    Served by `job_runs_pkey`.
    """
    error: str | None = None
    try:
        connection.execute("call run_job(%s)", (job_id,))
    except psycopg.OperationalError:
        raise
    except psycopg.Error as failure:
        error = str(failure)[:500]
    connection.execute(
        "update job_runs set finished_at = clock_timestamp(), error = %s where job_id = %s",
        (error, job_id),
    )
    return error
