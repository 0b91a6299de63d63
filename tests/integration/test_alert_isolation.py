"""One bad value, rule, read or silence never harms the other alert rules."""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from psycopg.pq import TransactionStatus

from functions.evaluate import handler as evaluate
from functions.evaluate import tick
from functions.evaluate.tick import Report
from pulseboard import promql
from pulseboard.alerts import cache as alert_cache
from pulseboard.alerts import evaluate as evaluation
from pulseboard.alerts import (
    expression_inputs,
    input_queries,
    notification_log_store,
    notifier,
    outbox_store,
    state_machine,
    state_store,
)
from pulseboard.alerts import inputs as alert_inputs
from pulseboard.alerts.state_machine import TICK
from pulseboard.core import process_state
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


@dataclass
class Clock:
    """The time that reads take, in place of the machine's."""

    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def perf_counter(self) -> float:
        return self.now

    def time(self) -> float:
        return time.time()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(alert_inputs, "time", clock)
    return clock


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


def test_a_rule_whose_tags_the_database_refuses_is_in_error(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser refuses a NUL; whatever lets one through harms no other rule."""
    original = expression_inputs.evaluate

    def with_a_nul(*args: Any, **given: Any) -> Any:
        found = original(*args, **given)
        return [replace(one, tags={"host": "\0"}) for one in found]

    monkeypatch.setattr(expression_inputs, "evaluate", with_a_nul)
    send(admin, now - 1, {"bad": 9, "fine": 9})
    bad = make(admin, "bad", "bad + 0")
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
    # The next start makes up for it.
    assert len(tick.run(now=now + 3 * TICK + 1).evaluated) == 3
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
    bad = [
        make(admin, f"bad {number}", text)
        for number, text in enumerate(
            ('many{n=~"1|2"}', 'many{n!="1"}', 'count(many{n!~"1.*"})', 'many{n=~"1"} + 0')
        )
    ]
    fine = make(admin, "fine", "fine")
    # Saved when there were fewer; what was found is cached.
    monkeypatch.setenv("PULSEBOARD_QUERY_MAX_MATCHED", "1000")
    process_state.reset()
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


def acknowledge(report: Report, **of_bad: Any) -> None:
    """Acknowledge what `tick_of_two` sends: `fine` arrived, and this is the result of `bad`."""
    results = []
    for claim in report.claims:
        bad = json.loads(claim.body)["groupLabels"]["alertname"] == "bad"
        results.append({"id": claim.id, "ok": not bad, **(of_bad if bad else {})})
    assert len(results) == 2
    evaluate.handler({"action": "acknowledge", "results": results}, None)


def deliveries(http: TestClient) -> dict[str, tuple[str, str | None]]:
    """Of each rule's notification its status and its error."""
    found = http.get(f"{API}/deliveries").json()["data"]
    return {one["ruleName"]: (one["status"], one["lastError"]) for one in found}


@pytest.mark.parametrize("body", ["a\0b", "half \ud83d", "\x1f\x8b\x08\0\0 a gzip"])
def test_what_a_receiver_says_is_stored_and_holds_nobody_up(
    admin: TestClient, now: float, body: str
) -> None:
    report, *_ = tick_of_two(admin, now)
    acknowledge(report, error=f"HTTP 502: {body}")
    assert deliveries(admin)["fine"] == ("sent", None)
    status, error = deliveries(admin)["bad"]
    assert status == "waiting"
    assert error is not None
    assert "\ufffd" in error
    # Nothing waits for the end of a claim: the next tick sends it again.
    assert list(bodies(tick.run(now=now + 2 * TICK))) == ["bad"]


@pytest.mark.parametrize("damaged", [{"id": "no id", "ok": True}, {"ok": True}, "text"])
def test_a_result_that_can_not_be_read_takes_no_others_with_it(
    admin: TestClient, now: float, damaged: Any
) -> None:
    report, *_ = tick_of_two(admin, now)
    results = [damaged, *({"id": claim.id, "ok": True} for claim in report.claims)]
    evaluate.handler({"action": "acknowledge", "results": results}, None)
    assert deliveries(admin) == {"fine": ("sent", None), "bad": ("sent", None)}


@pytest.mark.parametrize(
    ("module", "name"), [(outbox_store, "record_outcomes"), (notification_log_store, "put_entries")]
)
def test_a_result_that_can_not_be_stored_is_its_own_error(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    report, *_ = tick_of_two(admin, now)

    def quoting(connection: Any, **given: Any) -> bool:
        (stored,) = given.values()
        return "poison" in repr(list(stored.values()))

    monkeypatch.setattr(module, name, raising(getattr(module, name), when=quoting))
    acknowledge(report, error="poison")
    assert deliveries(admin)["fine"] == ("sent", None)
    status, error = deliveries(admin)["bad"]
    assert (status, "can't be stored (Unexpected)" in str(error)) == ("waiting", True)
    assert list(bodies(tick.run(now=now + 2 * TICK))) == ["bad"]


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (notifier, "render"),
        (notifier, "payload_of"),
        (outbox_store, "put_deliveries"),
        (notification_log_store, "put_entries"),
    ],
)
def test_a_notification_that_can_not_be_made_keeps_none_back(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    monkeypatch.setattr(
        module,
        name,
        raising(getattr(module, name), when=lambda *args, **given: "'bad'" in repr((args, given))),
    )
    report, *_ = tick_of_two(admin, now)
    assert (list(bodies(report)), report.error) == (["fine"], None)
    monkeypatch.undo()
    monkeypatch.setenv("PULSEBOARD_ALERT_GROUP_WAIT", "0")
    assert list(bodies(tick.run(now=now + TICK))) == ["bad"]


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


@pytest.mark.parametrize("text", ["many", "sum by (n) (many)"])
def test_a_heavy_rule_is_read_last_marked_and_takes_no_time_from_the_others(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch, text: str, clock: Clock
) -> None:
    """A statement over its series takes too long; those of the others are in the same window."""
    points = [
        {"name": "many", "tags": {"n": str(n)}, "value": 9, "timestamp": int((now - 1) * 1000)}
        for n in range(50)
    ]
    assert admin.post("/api/v1/metrics", json=points).json()["data"]["rejected"] == 0
    send(admin, now - 1, {"fine": 9})
    heavy = make(admin, "heavy", text, window="1m", reducer="avg")
    fine = [make(admin, f"fine {n}", "fine" + " + 0" * n, window="1m") for n in range(2)]
    order: list[str] = []
    selector = text == "many"
    owner, name = (input_queries, "read_windows") if selector else (expression_inputs, "evaluate")
    original = getattr(owner, name)

    def with_a_heavy_one(source: Any, *given: Any, **named: Any) -> Any:
        is_heavy = len(named["series_ids"]) > 9 if selector else "many" in repr(given[0].tree)
        order.append("heavy" if is_heavy else "fine")
        if is_heavy:
            clock.now += 3
            # As the server says it when a statement takes too long.
            (source if selector else source.connection).execute(
                "do $$ begin raise exception 'too long' using errcode = '57014'; end $$"
            )
        return original(source, *given, **named)

    monkeypatch.setattr(owner, name, with_a_heavy_one)
    assert sorted(bodies(tick.run(now=now))) == ["fine 0", "fine 1"]
    assert "took too long" in rule(admin, heavy)["lastError"]
    assert [rule(admin, one)["status"] for one in fine] == ["firing"] * 2
    # It waits, marked, and from now on comes last, by itself.
    order.clear()
    tick.run(now=now + TICK)
    assert "heavy" not in order
    assert "took too long" in rule(admin, heavy)["lastError"]
    tick.run(now=now + 2 * TICK)
    assert order[-1] == "heavy"
    assert order.count("heavy") == 1


def test_small_rules_are_evaluated_at_each_tick_beside_heavy_ones(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    """Ten heavy rules that succeed take twice the time of a tick: they have turns, none fails."""
    heavy = [make(admin, f"heavy {n}", f"vector({n}) * 0 + 9") for n in range(10)]
    read: list[str] = []
    original = expression_inputs.evaluate

    def evaluated(reader: Any, expression: Any, *given: Any, **named: Any) -> Any:
        text = repr(expression.tree)
        clock.now += 0.01 if "small" in text else 1.7
        read.append(text)
        return original(reader, expression, *given, **named)

    monkeypatch.setattr(expression_inputs, "evaluate", evaluated)
    for number in range(3):
        tick.run(now=now + number * TICK)
    small = [make(admin, f"small {n}", f"sum(small) + {n}") for n in range(3)]
    for number in range(3, 9):
        at = now + number * TICK
        value = 10.0 * (number % 2)
        send(admin, at - 1, {"small": value})
        read.clear()
        tick.run(now=at)
        assert sum("small" in text for text in read) == 3
        # What the tick was read with: above the threshold at every other one.
        for n, rule_id in enumerate(small):
            state = rule(admin, rule_id)
            assert (state["status"] == "firing") is (value + n > 5)
    found = [rule(admin, one) for one in (*heavy, *small)]
    assert [one["lastError"] for one in found] == [None] * 13
    assert [rule(admin, one)["status"] for one in heavy] == ["firing"] * 10


def test_ticks_that_are_caught_up_share_the_time(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    for n in range(10):
        make(admin, f"heavy {n}", f"vector({n}) * 0 + 9")
    fine = make(admin, "fine", "fine")
    original = expression_inputs.evaluate

    def evaluated(*given: Any, **named: Any) -> Any:
        clock.now += 1.7
        return original(*given, **named)

    monkeypatch.setattr(expression_inputs, "evaluate", evaluated)
    monkeypatch.setattr(tick, "time", clock)
    for number in range(3):
        tick.run(now=now + number * TICK)
    send(admin, now + 5 * TICK - 1, {"fine": 9})
    began = clock.now
    assert len(tick.run(now=now + 6 * TICK).evaluated) == 4
    # The time of one tick, and of what the newest begins in any case.
    assert clock.now - began <= 8 + 1.7
    assert rule(admin, fine)["status"] == "firing"


def test_a_rule_that_there_is_no_time_for_is_marked_when_people_should_know(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    rules = [make(admin, f"rule {n}", f"vector({n}) * 0 + 9") for n in range(40)]
    original = expression_inputs.evaluate

    def evaluated(*given: Any, **named: Any) -> Any:
        clock.now += 2.9
        return original(*given, **named)

    monkeypatch.setattr(expression_inputs, "evaluate", evaluated)
    tick.run(now=now)
    assert not any(rule(admin, one)["lastError"] for one in rules)
    for number in range(1, 7):
        tick.run(now=now + number * TICK)
    errors = [rule(admin, one)["lastError"] for one in rules]
    assert "no time to read it for 60 s" in "".join(filter(None, errors))
    assert None in errors
    monkeypatch.undo()
    monkeypatch.setattr(alert_inputs, "time", clock)
    for number in range(7, 40):
        tick.run(now=now + number * TICK)
    assert [rule(admin, one)["lastError"] for one in rules] == [None] * 40


def test_no_transaction_is_open_while_expressions_are_computed(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(admin, now - 1, {"one": 9, "other": 9})
    texts = ("one + 0", "one + 1", "other + 0", "other + 1")
    rules = [make(admin, text, text) for text in texts]
    connections: list[Any] = []
    statuses: list[Any] = []
    original_read, original = expression_inputs.evaluate, promql.evaluate

    def reading(reader: Any, *given: Any, **named: Any) -> Any:
        connections.append(reader.connection)
        return original_read(reader, *given, **named)

    def computing(*given: Any, **named: Any) -> Any:
        statuses.append(connections[-1].info.transaction_status)
        return original(*given, **named)

    monkeypatch.setattr(expression_inputs, "evaluate", reading)
    monkeypatch.setattr(promql, "evaluate", computing)
    tick.run(now=now)
    assert statuses == [TransactionStatus.IDLE] * 4
    assert [rule(admin, one)["status"] for one in rules] == ["firing"] * 4
