"""One bad value, rule, read or silence never harms the other alert rules."""

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.evaluate import tick
from functions.evaluate.tick import Report
from pulseboard.alerts.state_machine import TICK
from pulseboard.core.settings import settings

pytestmark = pytest.mark.integration
API = "/api/v1/alerts"
HOOK = {"channels": [{"type": "webhook", "url": "http://127.0.0.1:9/alerts"}]}


@pytest.fixture
def now() -> float:
    return time.time() // TICK * TICK - 3600.0


@pytest.fixture(autouse=True)
def _notify_at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PULSEBOARD_ALERT_GROUP_WAIT", "0")
    monkeypatch.setenv("PULSEBOARD_ALERT_ALLOW_PRIVATE", "true")
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    settings.cache_clear()
    yield
    settings.cache_clear()


def make(http: TestClient, name: str, query: str, **fields: Any) -> str:
    body = {
        "name": name,
        "query": query,
        "condition": "gt",
        "threshold": 5,
        "notification": HOOK,
        **fields,
    }
    answer = http.post(f"{API}/rules", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


def rule(http: TestClient, rule_id: str) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"{API}/rules/{rule_id}").json()["data"]
    return found


def send(http: TestClient, at: float, values: dict[str, float]) -> None:
    points = [
        {"name": name, "value": value, "timestamp": int(at * 1000)}
        for name, value in values.items()
    ]
    assert http.post("/api/v1/metrics", json=points).json()["data"]["rejected"] == 0


def bodies(report: Report) -> dict[str, dict[str, Any]]:
    """The alerts that are to be sent, by the name of their rule."""
    sent = [json.loads(claim.body) for claim in report.claims]
    return {body["groupLabels"]["alertname"]: body["alerts"][0] for body in sent}


def test_an_infinite_value_fires_and_is_notified_as_such(admin: TestClient, now: float) -> None:
    send(admin, now - 1, {"a": 3, "b": 0, "minus": -1, "fine": 9})
    high = make(admin, "high", "a / b")
    low = make(admin, "low", "minus / b", condition="lt", message="it is {{value}}")
    fine = make(admin, "fine", "fine")
    report = tick.run(now=now)
    alerts = bodies(report)
    assert alerts["high"]["annotations"]["value"] == "+Inf"
    assert alerts["high"]["annotations"]["reason"] == "+Inf > 5"
    assert alerts["low"]["annotations"]["summary"] == "it is -Inf"
    assert alerts["fine"]["annotations"]["value"] == "9"
    for rule_id in (high, low, fine):
        assert (rule(admin, rule_id)["status"], rule(admin, rule_id)["lastError"]) == (
            "firing",
            None,
        )
    events = admin.get(f"{API}/events").json()["data"]
    assert {event["reason"] for event in events} == {"+Inf > 5", "-Inf < 5", "9 > 5"}
    send(admin, now + TICK - 1, {"b": 1, "a": math.pi})
    tick.run(now=now + TICK)
    assert rule(admin, high)["status"] == "resolved"
