"""Rules that fire for each series that their expression returns, through ticks and the API."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.evaluate import tick
from pulseboard.alerts.state_machine import TICK
from pulseboard.contracts.base import iso_utc
from pulseboard.db import database

pytestmark = pytest.mark.integration
API = "/api/v1/alerts"


class World:
    """Rules, and a time of the past that a test moves tick by tick."""

    def __init__(self, http: TestClient) -> None:
        self.http = http
        self.now = time.time() // TICK * TICK - 6 * 3600

    def watch(self, query: str, **fields: Any) -> str:
        body = {"name": "rule", "query": query, "condition": "returned", **fields}
        response = self.http.post(f"{API}/rules", json=body)
        assert response.status_code == 201, response.text
        identity: str = response.json()["data"]["id"]
        return identity

    def send(self, **values: float) -> None:
        """A sample a metric: `cpu_a=1` is of the host a."""
        points = []
        for text, value in values.items():
            name, host = text.rsplit("_", 1)
            stamp = int((self.now - 1) * 1000)
            points.append(
                {"name": name, "tags": {"host": host}, "timestamp": stamp, "value": value}
            )
        response = self.http.post("/api/v1/metrics", json=points)
        assert response.json()["data"]["rejected"] == 0, response.text

    def beat(self, **values: float) -> None:
        self.now += TICK
        self.send(**values)
        tick.run(now=self.now)

    def events(self) -> list[tuple[str, str, float | None]]:
        """Host, status and value of each alert, oldest first."""
        found = self.http.get(f"{API}/events").json()["data"]
        return [(e["tags"].get("host", ""), e["status"], e["value"]) for e in reversed(found)]


@pytest.fixture
def world(admin: TestClient) -> World:
    made = World(admin)
    tick.run(now=made.now)
    with database.connection() as connection:
        # As if ticks had followed each other for an hour: what is not returned then is clear.
        connection.execute("update alert_ticks set steady_since = steady_since - interval '1 hour'")
    return made


def test_each_series_that_is_returned_fires_and_resolves_when_it_is_not(world: World) -> None:
    world.watch("cpu > 90 and on (host) disk < 10", labels={"at": "{{ $value }}"})
    world.beat(cpu_a=95, disk_a=5, cpu_b=99, disk_b=50, cpu_c=91)
    assert world.events() == [("a", "firing", 95)]
    world.beat(cpu_a=96, disk_a=5, cpu_b=99, disk_b=9)
    assert world.events() == [("a", "firing", 95), ("b", "firing", 99)]
    world.beat(cpu_a=97, disk_a=70)
    assert world.events() == [("a", "resolved", 95), ("b", "firing", 99)]
    # Without a sample it is returned for as long as the look-back says, and then resolves.
    for _ in range(31):
        world.beat(disk_b=9)
    assert world.events() == [("a", "resolved", 95), ("b", "resolved", 99)]


@pytest.mark.parametrize(
    ("query", "values", "expected"),
    [
        ("absent(gone)", {"cpu_a": 1}, [("", "firing", 1)]),
        ("cpu unless on (host) disk", {"cpu_a": 1, "cpu_b": 0, "disk_b": 1}, [("a", "firing", 1)]),
        (
            "(cpu > 5 or disk > 5)",
            {"cpu_a": 6, "disk_b": 7},
            [("a", "firing", 6), ("b", "firing", 7)],
        ),
        (
            "cpu > disk * 2",
            {"cpu_a": 5, "disk_a": 2, "cpu_b": 3, "disk_b": 2},
            [("a", "firing", 5)],
        ),
        ("cpu", {"cpu_a": 0}, [("a", "firing", 0)]),
        # A value that is not a number is a value: it is returned.
        ("cpu / cpu", {"cpu_a": 0}, [("a", "firing", None)]),
        ("cpu > 5", {"cpu_a": 1}, []),
        ("nothing > 5 or nothing_else", {"cpu_a": 1}, []),
    ],
)
def test_what_an_expression_returns_is_an_alert(
    world: World, query: str, values: dict[str, float], expected: list[Any]
) -> None:
    identity = world.watch(query)
    world.beat(**values)
    assert sorted(world.events()) == sorted(expected)
    rule = world.http.get(f"{API}/rules/{identity}").json()["data"]
    assert rule["lastError"] is None
    assert rule["status"] == ("firing" if expected else "inactive")


def test_for_starts_anew_when_it_is_not_returned_and_keep_firing_holds(world: World) -> None:
    world.watch("cpu > 5", duration="20s", keepFiringFor="20s")
    for value in (6, 6, 0, 6, 6):
        world.beat(cpu_a=value)
    assert world.events() == []
    world.beat(cpu_a=7)
    assert world.events() == [("a", "firing", 7)]
    for value in (0, 6, 0, 0):
        world.beat(cpu_a=value)
    assert world.events() == [("a", "firing", 7)]
    world.beat(cpu_a=0)
    assert world.events() == [("a", "resolved", 7)]


def test_a_backtest_and_an_evaluation_find_what_ticks_find(world: World) -> None:
    identity = world.watch("cpu > 5 unless on (host) disk")
    start = world.now
    for value in (0, 6, 7, 0, 8):
        world.beat(cpu_a=value)
    live = [
        (e["status"], e["triggeredAt"], e["resolvedAt"])
        for e in world.http.get(f"{API}/events").json()["data"]
    ]
    body = {
        "rule": {"name": "rule", "query": "cpu > 5 unless on (host) disk", "condition": "returned"},
        "start": iso_utc(datetime.fromtimestamp(start, UTC)),
        "end": iso_utc(datetime.fromtimestamp(world.now + 1, UTC)),
    }
    preview = world.http.post(f"{API}/preview", json=body).json()["data"]
    changes = [(one["status"], one["at"]) for one in preview["changes"]]
    assert changes == [
        ("firing", live[1][1]),
        ("resolved", live[1][2]),
        ("firing", live[0][1]),
    ]
    assert preview["fired"] == 2
    # Now, hours later, nothing is returned, and that is normal.
    now = world.http.post(f"{API}/rules/{identity}/evaluate").json()["data"]
    assert now["instances"] == []
    assert now["notes"] == ["The expression returns nothing: no alert fires."]


def test_what_does_not_fit_the_condition_is_refused_with_what_to_do(admin: TestClient) -> None:
    fields: dict[str, Any] = {"name": "a", "query": "cpu", "condition": "returned"}
    for extra, says in (
        ({"threshold": 1}, "threshold: leave it out"),
        ({"window": "5m"}, "window: leave it out"),
        ({"reducer": "max"}, "reducer: leave it out"),
        ({"noData": "alert"}, "write absent() in the query"),
        ({"condition": "gt"}, "threshold is missing"),
    ):
        response = admin.post(f"{API}/rules", json={**fields, **extra})
        assert response.status_code == 400, response.text
        assert says in response.text
    created = admin.post(f"{API}/rules", json=fields).json()["data"]
    assert (created["threshold"], created["noData"]) == (None, "ok")


def test_a_rule_changes_to_what_is_returned_and_back(admin: TestClient) -> None:
    fields = {
        **{"name": "a", "query": "cpu", "condition": "gt", "threshold": 5, "window": "5m"},
        **{"reducer": "max", "noData": "alert"},
    }
    path = f"{API}/rules/{admin.post(f'{API}/rules', json=fields).json()['data']['id']}"
    changed = admin.put(path, json={"condition": "returned", "query": "cpu > 5"}).json()["data"]
    assert (changed["condition"], changed["threshold"], changed["window"]) == (
        *("returned", None, None),
    )
    refused = admin.put(path, json={"condition": "lt"})
    assert refused.status_code == 400
    assert "threshold is missing" in refused.text
    back = admin.put(path, json={"condition": "lt", "threshold": 3}).json()["data"]
    assert (back["condition"], back["threshold"]) == ("lt", 3)
