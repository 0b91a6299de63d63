"""One bad value, rule, read or silence never harms the other alert rules."""

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.evaluate import handler as evaluate
from functions.evaluate import tick
from functions.evaluate.tick import Report
from pulseboard.alerts import cache as alert_cache
from pulseboard.alerts import evaluate as evaluation
from pulseboard.alerts import state_machine, state_store
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
    response = http.post(f"{API}/rules", json=body)
    assert response.status_code == 201, response.text
    return str(response.json()["data"]["id"])


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


class Unexpected(Exception):
    """What nothing expects."""


def raising(original: Any, *, when: Any) -> Any:
    """`original`, which raises where `when` holds of its arguments."""

    def call(*args: Any, **given: Any) -> Any:
        if when(*args, **given):
            raise Unexpected("of this one")
        return original(*args, **given)

    return call


def tick_of_two(http: TestClient, now: float) -> tuple[Report, dict[str, Any], dict[str, Any]]:
    """A tick of the rules `bad` and `fine`, which both should fire; and what they say after it."""
    send(http, now - 1, {"bad": 9, "fine": 9})
    bad, fine = make(http, "bad", "bad"), make(http, "fine", "fine")
    report = tick.run(now=now)
    return report, rule(http, bad), rule(http, fine)


def test_a_rule_whose_tags_the_database_refuses_is_in_error(admin: TestClient, now: float) -> None:
    send(admin, now - 1, {"bad": 9, "fine": 9})
    bad = make(admin, "bad", 'label_replace(bad, "host", "\\u0000", "", "")')
    fine = make(admin, "fine", "fine")
    report = tick.run(now=now)
    assert list(bodies(report)) == ["fine"]
    assert "can't be stored" in rule(admin, bad)["lastError"]
    assert (rule(admin, fine)["status"], rule(admin, fine)["lastError"]) == ("firing", None)
    tick.run(now=now + TICK)
    assert "can't be stored" in rule(admin, bad)["lastError"]
    assert rule(admin, fine)["status"] == "firing"


def test_a_rule_that_can_not_be_stepped_is_in_error(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_bad(condition: Any, *args: Any, **given: Any) -> bool:
        return bool(condition.threshold == 6)

    monkeypatch.setattr(evaluation, "step", raising(state_machine.step, when=of_bad))
    send(admin, now - 1, {"bad": 9, "fine": 9})
    bad, fine = make(admin, "bad", "bad", threshold=6), make(admin, "fine", "fine")
    report = tick.run(now=now)
    assert list(bodies(report)) == ["fine"]
    assert "Unexpected" in rule(admin, bad)["lastError"]
    assert rule(admin, fine)["status"] == "firing"
    monkeypatch.undo()
    tick.run(now=now + TICK)
    assert (rule(admin, bad)["lastError"], rule(admin, bad)["status"]) == (None, "firing")


def test_a_rule_that_can_not_be_written_is_in_error(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_bad(connection: Any, *, changes: Any, tick: int) -> bool:
        return any(each.rule.name == "bad" for each in changes.started)

    monkeypatch.setattr(state_store, "write", raising(state_store.write, when=of_bad))
    report, bad, fine = tick_of_two(admin, now)
    assert list(bodies(report)) == ["fine"]
    assert ("can't be stored" in bad["lastError"], bad["status"]) == (True, "inactive")
    assert fine["status"] == "firing"
    monkeypatch.undo()
    tick.run(now=now + TICK)
    assert rule(admin, bad["id"])["status"] == "firing"


def test_a_stored_rule_that_can_not_be_read_is_in_error(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        state_store, "_snapshot", raising(state_store._snapshot, when=lambda row: row[1] == "bad")
    )
    report, bad, fine = tick_of_two(admin, now)
    assert list(bodies(report)) == ["fine"]
    assert "can't be read" in bad["lastError"]
    assert fine["status"] == "firing"


def test_a_tick_that_fails_as_a_whole_is_late_and_holds_nothing_back(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, *_ = tick_of_two(admin, now)
    assert (report.error, report.lag) == (None, 0)
    send(admin, now + TICK - 1, {"late": 9})
    make(admin, "late", "late")
    monkeypatch.setattr(tick, "decide", raising(None, when=lambda *args: True))
    failed = tick.run(now=now + 3 * TICK)
    assert (failed.error, failed.lag, failed.evaluated) == ("Unexpected; the logs say more", 30, [])
    assert evaluate.handler({}, None)["error"]
    monkeypatch.undo()
    assert tick.run(now=now + 3 * TICK + 1).evaluated == []
    assert tick.run(now=now + 4 * TICK).evaluated


def test_a_rule_that_can_not_be_evaluated_whole_is_in_error(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [
        {"name": "many", "tags": {"n": str(n)}, "value": 9, "timestamp": int((now - 1) * 1000)}
        for n in range(1_001)
    ]
    assert admin.post("/api/v1/metrics", json=points).json()["data"]["rejected"] == 0
    send(admin, now - 1, {"fine": 9})
    monkeypatch.setenv("PULSEBOARD_QUERY_MAX_MATCHED", "1000")
    settings.cache_clear()
    bad = [
        make(admin, f"bad {number}", text)
        for number, text in enumerate(
            ('many{n=~"1|2"}', 'many{n!="1"}', 'count(many{n!~"1.*"})', 'many{n=~"1"} + 0')
        )
    ]
    fine = make(admin, "fine", "fine")
    assert list(bodies(tick.run(now=now))) == ["fine"]
    for rule_id in bad:
        assert "1000" in rule(admin, rule_id)["lastError"]
    assert rule(admin, fine)["status"] == "firing"
    monkeypatch.setenv("PULSEBOARD_QUERY_MAX_MATCHED", "2000")
    settings.cache_clear()
    tick.run(now=now + TICK)
    found = [rule(admin, rule_id) for rule_id in bad]
    assert [one["lastError"] for one in (found[0], *found[2:])] == [None] * 3
    assert [found[0]["firing"], found[2]["firing"], found[3]["firing"]] == [2, 1, 1]


@pytest.mark.parametrize(
    ("module", "name"),
    [(state_store, "prune"), (alert_cache, "put_current"), (tick, "write_values")],
)
def test_what_no_tick_depends_on_fails_none(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    monkeypatch.setattr(module, name, raising(None, when=lambda *args, **given: True))
    monkeypatch.setattr(tick, "_PRUNE_EVERY", 1)
    report, bad, fine = tick_of_two(admin, now)
    assert (report.error, sorted(bodies(report))) == (None, ["bad", "fine"])
    assert (bad["status"], fine["status"]) == ("firing", "firing")


def test_the_status_page_says_when_rules_are_not_evaluated(admin: TestClient, now: float) -> None:
    def shown() -> list[dict[str, Any]]:
        components = admin.get("/api/v1/status").json()["data"]["components"]
        return [part for part in components if part["name"] == "alerts"]

    assert shown() == []
    tick.run(now=now)
    (late,) = shown()
    assert (late["ok"], late["message"].startswith("The rules were last evaluated 36")) == (
        False,
        True,
    )
    tick.run()
    assert shown() == [{"name": "alerts", "ok": True, "latencyMs": None, "message": None}]
