"""A step of maintain, or a batch of drain, that fails in any way stops none of the others."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.maintain import handler as maintain
from pulseboard.catalogue import stale_markers_store
from pulseboard.core.exceptions import Unavailable
from pulseboard.db import status, timescale_jobs
from pulseboard.usage import deletion_store

pytestmark = pytest.mark.integration


class Unexpected(Exception):
    """What nothing expects."""


def fail(*args: Any, **given: Any) -> Any:
    raise Unexpected("of this one")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (timescale_jobs, "server_runs_jobs"),
        (timescale_jobs, "claim_due"),
        (timescale_jobs, "run"),
        (timescale_jobs, "statuses"),
        (status, "database_bytes"),
        (maintain, "write_values"),
        (deletion_store, "purge"),
    ],
)
def test_a_step_that_fails_stops_no_other_and_is_told(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    steps: list[str] = []

    def pruned(*args: Any, **given: Any) -> int:
        steps.append("pruned")
        return 0

    # Each claim has something to run.
    monkeypatch.setattr(timescale_jobs, "server_runs_jobs", lambda connection: False)
    jobs = [timescale_jobs.DueJob(id=1, name="refresh"), timescale_jobs.DueJob(id=2, name="other")]
    monkeypatch.setattr(timescale_jobs, "claim_due", lambda connection: jobs)
    monkeypatch.setattr(
        timescale_jobs, "run", lambda connection, job_id: steps.append(f"job {job_id}")
    )
    monkeypatch.setattr(stale_markers_store, "prune", pruned)
    monkeypatch.setattr(module, name, fail)
    with pytest.raises(Unexpected):
        maintain.handler({}, None)
    assert steps[-1] == "pruned"
    if name in ("statuses", "database_bytes", "write_values", "purge"):
        assert steps == ["job 1", "job 2", "pruned"]


def test_one_job_that_fails_leaves_the_others(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[int] = []

    def run(connection: Any, *, job_id: int) -> None:
        if job_id == 1:
            fail()
        ran.append(job_id)

    monkeypatch.setattr(timescale_jobs, "server_runs_jobs", lambda connection: False)
    jobs = [timescale_jobs.DueJob(id=1, name="refresh"), timescale_jobs.DueJob(id=2, name="other")]
    monkeypatch.setattr(timescale_jobs, "claim_due", lambda connection: jobs)
    monkeypatch.setattr(timescale_jobs, "run", run)
    with pytest.raises(Unexpected):
        maintain.handler({}, None)
    assert ran == [2]


def test_a_database_that_is_away_ends_all_steps(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any) -> Any:
        raise Unavailable("away")

    monkeypatch.setattr(timescale_jobs, "statuses", away)
    with pytest.raises(Unavailable):
        maintain.handler({}, None)
