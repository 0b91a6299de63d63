"""What one rule, one series or one client does wrong stays its own: all other rules go on."""

import random
import string
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.evaluate import tick
from pulseboard.alerts.state_machine import TICK
from pulseboard.db import database

pytestmark = pytest.mark.integration
API = "/api/v1/alerts"


def now() -> float:
    return time.time() // TICK * TICK - 3600


def rule(http: TestClient, **fields: Any) -> dict[str, Any]:
    body = {"name": "r", "query": "cpu", "condition": "gt", "threshold": 90, **fields}
    response = http.post(f"{API}/rules", json=body)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()["data"]
    return created


def send(http: TestClient, at: float, tags: dict[str, str], *, value: float = 95) -> None:
    point = {"name": "cpu", "tags": tags, "timestamp": int(at * 1000), "value": value}
    assert http.post("/api/v1/metrics", json=point).json()["data"]["rejected"] == 0


def firing(http: TestClient) -> set[str]:
    found = http.get(f"{API}/events", params={"pageSize": 1000}).json()["data"]
    return {event["ruleName"] for event in found if event["status"] == "firing"}


def write_query(rule_id: str, column: str, value: str) -> None:
    """As a version of before the check stored it."""
    with database.connection() as connection:
        connection.execute(f"update alert_rules set {column} = %s where id = %s", (value, rule_id))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"query": "sum(cpu)", "window": "5s", "reducer": "avg"}, "window"),
        ({"query": "cpu offset 110000w"}, "query"),
        ({"query": "rate(cpu[2000w])"}, "query"),
        ({"query": "cpu @ 5 offset -3000w"}, "query"),
        ({"query": "max_over_time(cpu[5d] offset 5d)"}, "query"),
    ],
)
def test_what_no_tick_could_read_is_refused_with_its_field(
    admin: TestClient, fields: dict[str, Any], field: str
) -> None:
    body = {"name": "bad", "query": "cpu", "condition": "gt", "threshold": 1, **fields}
    response = admin.post(f"{API}/rules", json=body)
    assert response.status_code == 400, response.text
    assert response.json()["details"][0]["field"] == field


@pytest.mark.parametrize(
    ("column", "value", "fields"),
    [
        ("eval_window", "5 seconds", {"query": "sum(cpu)", "reducer": "avg"}),
        ("query", "cpu offset 110000w", {}),
        ("query", "sum(rate(cpu[2000w]))", {}),
        ("evaluation_delay", "100000 years", {}),
    ],
)
def test_a_stored_rule_that_no_tick_can_read_is_its_own_error(
    admin: TestClient, column: str, value: str, fields: dict[str, Any]
) -> None:
    bad = rule(admin, name="bad", **fields)
    rule(admin, name="good")
    rule(admin, name="good too", query="sum(cpu)")
    write_query(bad["id"], column, value)
    at = now()
    for number in range(2):
        send(admin, at + number * TICK - 1, {"host": "a"})
        assert tick.run(now=at + number * TICK).evaluated
    assert firing(admin) >= {"good", "good too"}


def test_a_series_with_long_tags_has_a_state(admin: TestClient) -> None:
    rule(admin, name="any")
    letters = random.Random(7)
    tags = {
        f"tag{n}": "".join(letters.choices(string.ascii_letters + string.digits, k=250))
        for n in range(16)
    }
    at = now()
    send(admin, at - 1, tags)
    send(admin, at - 1, {"host": "short"})
    assert tick.run(now=at).changes == 2
    tick.reset()
    send(admin, at + 9, tags, value=1)
    send(admin, at + 9, {"host": "short"}, value=1)
    assert tick.run(now=at + TICK).changes == 2
    assert firing(admin) == set()
