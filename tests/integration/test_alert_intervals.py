"""Rules on metrics that are sent seldom read like queries: the newest sample in the look-back."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.evaluate import tick
from pulseboard.alerts import rule_files
from pulseboard.alerts.state_machine import TICK
from pulseboard.catalogue import intervals, intervals_store
from pulseboard.db import database

pytestmark = pytest.mark.integration

API = "/api/v1/alerts"


@pytest.fixture
def start() -> int:
    """A whole ten seconds, an hour ago."""
    return int(time.time()) // 10 * 10 - 3_600


def send(client: TestClient, times: range, value: float) -> None:
    body = [
        {"name": "up", "tags": {"job": "a"}, "timestamp": at * 1000, "value": value} for at in times
    ]
    response = client.post("/api/v1/metrics", json=body)
    assert response.json()["data"]["rejected"] == 0, response.text


def make(client: TestClient, **fields: Any) -> dict[str, Any]:
    response = client.post(f"{API}/rules", json={"name": "down", **fields})
    assert response.status_code == 201, response.text
    rule: dict[str, Any] = response.json()["data"]
    return rule


def events(client: TestClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"{API}/events").json()["data"]
    return found


@pytest.mark.parametrize("wait", ["0s", "1m"])
@pytest.mark.parametrize("interval", [60, 61])
@pytest.mark.parametrize("query", ["up", "up + 0"])
def test_an_imported_rule_on_a_metric_every_minute_fires_once(
    admin: TestClient, start: int, interval: int, wait: str, query: str
) -> None:
    entry = {"alert": "down", "expr": f"{query} == 0", "for": wait}
    (rule,) = rule_files.read({"groups": [{"name": "g", "rules": [entry]}]}).rules
    response = admin.post(f"{API}/rules", json=rule.model_dump(mode="json", by_alias=True))
    assert response.status_code == 201, response.text
    send(admin, range(start - 300, start + 600, interval), 0)
    for at in range(start, start + 600, TICK):
        tick.run(now=at)
    (event,) = events(admin)
    assert event["status"] == "firing"
    body = {
        "rule": rule.model_dump(mode="json", by_alias=True),
        "start": datetime.fromtimestamp(start, UTC).isoformat(),
        "end": datetime.fromtimestamp(start + 600, UTC).isoformat(),
    }
    preview = admin.post(f"{API}/preview", json=body).json()["data"]
    assert [change["status"] for change in preview["changes"] if change["status"] == "firing"] == [
        "firing"
    ]


def test_a_stale_marker_and_the_look_back_end_what_a_rule_reads(
    admin: TestClient, start: int
) -> None:
    rule = make(admin, query="up", condition="eq", threshold=0, noData="ok")
    send(admin, range(start, start + 121, 60), 0)
    with database.connection() as connection:
        connection.execute(
            "insert into series_end (series_id, time) select id, to_timestamp(%s) "
            "from metric_series",
            (start + 150,),
        )

    def status(at: int) -> str:
        evaluated = admin.post(f"{API}/preview", json=preview(at)).json()["data"]
        return str(evaluated["changes"][-1]["status"]) if evaluated["changes"] else "inactive"

    def preview(end: int) -> dict[str, Any]:
        fields = {key: rule[key] for key in ("name", "query", "condition", "threshold", "noData")}
        return {
            "rule": fields,
            "start": datetime.fromtimestamp(start - 10, UTC).isoformat(),
            "end": datetime.fromtimestamp(end, UTC).isoformat(),
        }

    assert status(start + 145) == "firing"
    assert status(start + 165) == "resolved"
    with database.connection() as connection:
        connection.execute("delete from series_end")
    assert status(start + 415) == "firing"
    assert status(start + 435) == "resolved"
    for at in range(start - 310, start + 440, TICK):
        tick.run(now=at)
    (event,) = events(admin)
    assert event["status"] == "resolved"


@pytest.mark.parametrize("reducer", ["avg", "max", "last"])
def test_a_default_window_holds_two_samples_of_a_seldom_metric(
    admin: TestClient, start: int, reducer: str
) -> None:
    make(admin, query="up", condition="eq", threshold=0, noData="ok", reducer=reducer)
    send(admin, range(start - 3_000, start + 1_200, 299), 0)
    with database.connection() as connection:
        intervals_store.measure_due(connection, seconds=30)
    intervals.reset()
    for at in range(start, start + 1_200, TICK):
        tick.run(now=at)
    (event,) = events(admin)
    assert event["status"] == "firing"
