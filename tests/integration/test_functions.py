"""Each function under Amazon's runtime client, with the sample event of `events/`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local import invoke, runtime_api
from infra.local.runtime_api import FunctionError
from pulseboard.db import database
from pulseboard.web import lambda_adapter
from tests.support.receiver import Received, receiving

pytestmark = pytest.mark.integration


@pytest.fixture
def environment(stack: None, database_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "PULSEBOARD_ALERT_ALLOW_PRIVATE": "true",
        "POWERTOOLS_METRICS_DISABLED": "true",
        "PULSEBOARD_SPILL_DIR": str(tmp_path / "spill"),
    }


@pytest.fixture
def receiver() -> Iterator[tuple[str, Received]]:
    with receiving() as created:
        yield created


@pytest.mark.parametrize("name", sorted({"ingest", "query", "dashboards", "alerts", "auth"}))
def test_an_http_function_responds_to_its_event(
    name: str, environment: dict[str, str], ingest_key: str
) -> None:
    response = invoke.invoke(name, environment=environment, key=ingest_key)
    assert response["statusCode"] in (200, 202), response
    assert json.loads(response["body"])["data"] is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("evaluate", "claims"),
        ("maintain", "late"),
        ("migrate", "applied"),
        # What its event names has been drained already.
        ("drain", "batchItemFailures"),
    ],
)
def test_a_background_function_handles_its_event(
    name: str, expected: str, environment: dict[str, str]
) -> None:
    assert expected in invoke.invoke(name, environment=environment, key="")


def test_notify_sends_what_its_event_claims(
    environment: dict[str, str], receiver: tuple[str, Received]
) -> None:
    url, received = receiver
    event: Any = invoke.event("notify", key="")
    for claim in event["claims"]:
        claim["url"] = url
    with runtime_api.running("notify", environment=environment) as function:
        response = function.invoke(event)
    assert [result["ok"] for result in response["results"]] == [True]
    assert len(received) == 1


def test_every_function_has_an_event() -> None:
    written = {path.parent.name for path in (invoke.ROOT / "functions").glob("*/handler.py")}
    assert set(invoke.functions()) == written


def test_a_failure_of_a_function_is_reported(environment: dict[str, str]) -> None:
    nowhere = {**environment, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    with pytest.raises(FunctionError, match="Unavailable"):
        invoke.invoke("maintain", environment=nowhere, key="")


def test_a_function_comes_back_from_its_snapshot(
    environment: dict[str, str], ingest_key: str
) -> None:
    with runtime_api.running("query", environment=environment, snap_start=True) as function:
        response = function.invoke(invoke.event("query", key=ingest_key))
        assert function.restores == 1
    assert response["statusCode"] == 200


def test_connections_open_again_after_a_restore(stack: None) -> None:
    with database.connection() as connection:
        connection.execute("select 1")
    before = database.pool()
    lambda_adapter.before_snapshot()
    assert before.closed
    lambda_adapter.after_restore()
    with database.connection() as connection:
        row = connection.execute("select 1").fetchone()
    assert row is not None
    assert database.pool() is not before
