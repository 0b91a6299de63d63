"""A database that accepts connections and then hangs holds nobody up for long."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from functions.maintain import handler as maintain
from pulseboard.core.settings import settings
from pulseboard.db import database, timescale_jobs
from tests.support.proxy import Proxy

RUNNING = """
    insert into _timescaledb_internal.bgw_job_stat (
      job_id, last_start, last_finish, next_start, last_successful_finish,
      last_run_success, total_runs, total_duration, total_duration_failures,
      total_successes, total_failures, total_crashes, consecutive_failures,
      consecutive_crashes
    ) values (%s, now(), '-infinity', '-infinity', '-infinity',
      false, 1, '0', '0', 0, 0, 1, 0, 1)
    on conflict (job_id) do update set next_start = '-infinity'
"""
"""SQL: a job as TimescaleDB has it while it runs."""

pytestmark = pytest.mark.integration


@pytest.fixture
def hanging(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A database with a deadline of half a second, which `stall` makes hang."""
    monkeypatch.setenv("PULSEBOARD_DATABASE_DEADLINE", "0.5")
    settings.cache_clear()
    database.close()
    yield proxy
    proxy.resume()


@pytest.mark.parametrize(
    "path", ["/api/v1/dashboards", "/api/v1/metrics", "/api/v1/users", "/api/v1/alerts/rules"]
)
def test_lists_answer_503_when_the_database_hangs(
    hanging: Proxy, admin: TestClient, path: str
) -> None:
    assert admin.get(path).status_code == 200
    hanging.stall()
    assert admin.get(path).status_code == 503


def test_the_status_says_so_when_the_database_hangs(hanging: Proxy, admin: TestClient) -> None:
    assert admin.get("/api/v1/status").json()["data"]["components"][1]["ok"]
    hanging.stall()
    response = admin.get("/api/v1/status")
    assert response.status_code == 200
    parts = {part["name"]: part["ok"] for part in response.json()["data"]["components"]}
    assert parts == {"cache": True, "database": False}


def test_the_status_of_a_job_that_runs_has_no_next_start(stack: None) -> None:
    """TimescaleDB sets its next start to -infinity, which is no time of ours."""
    with database.connection() as connection, connection.transaction(force_rollback=True):
        [job, *_] = timescale_jobs.statuses(connection)
        connection.execute(
            RUNNING,
            (job.id,),
        )
        # Before, reading it raised.
        assert job.id in {each.id for each in timescale_jobs.statuses(connection)}


def test_maintain_goes_on_while_a_job_runs(admin: TestClient) -> None:
    with database.connection() as connection:
        [job, *_] = timescale_jobs.statuses(connection)
        before = connection.execute(
            "select next_start from _timescaledb_internal.bgw_job_stat where job_id = %s", (job.id,)
        ).fetchone()
        connection.execute(RUNNING, (job.id,))
    try:
        response = admin.get("/api/v1/status")
        outcome = maintain.handler({}, None)
    finally:
        with database.connection() as connection:
            table = "_timescaledb_internal.bgw_job_stat"
            if before is None:
                connection.execute(f"delete from {table} where job_id = %s".encode(), (job.id,))
            else:
                update = f"update {table} set next_start = %s where job_id = %s"
                connection.execute(update.encode(), (before[0], job.id))
    assert response.status_code == 200
    assert job.id in {each["id"] for each in response.json()["data"]["jobs"]}
    assert outcome is not None


def test_telemetry_is_off_and_never_late(stack: None) -> None:
    with database.connection() as connection:
        found = connection.execute(
            "select scheduled from timescaledb_information.jobs where proc_name = %s",
            ("policy_telemetry",),
        ).fetchall()
        jobs = timescale_jobs.statuses(connection)
    assert all(row == (False,) for row in found)
    assert not [job for job in jobs if job.name == "policy_telemetry" and job.late]
