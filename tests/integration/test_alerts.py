"""Alert rules over the API and through ticks, on the real database and cache."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
from fastapi.testclient import TestClient

from functions.evaluate import handler as evaluate
from functions.evaluate import tick
from functions.evaluate.tick import Report
from functions.notify import handler as notify
from pulseboard.alerts import inputs as alert_inputs
from pulseboard.alerts.evaluate import decide
from pulseboard.alerts.state_machine import TICK
from pulseboard.contracts.alerts import AlertCondition
from pulseboard.contracts.channels import HIDDEN
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.settings import settings
from pulseboard.db import cache, database

pytestmark = pytest.mark.integration
API = "/api/v1/alerts"
MET = {"gt": 91.0, "gte": 90.0, "lt": 89.0, "lte": 90.0, "eq": 90.0, "ne": 1.0}
UNMET = {"gt": 90.0, "gte": 89.0, "lt": 90.0, "lte": 91.0, "eq": 91.0, "ne": 90.0}


class Clock:
    """A time of the past that a test moves tick by tick, with samples as it goes."""

    def __init__(self, http: TestClient, start: float) -> None:
        self.http = http
        self.now = start
        self.acknowledges = True

    def send(self, value: float, *, ago: float = 1.0, name: str = "cpu", **tags: str) -> None:
        point = {
            "name": name,
            "tags": tags,
            "timestamp": int((self.now - ago) * 1000),
            "value": value,
        }
        response = self.http.post("/api/v1/metrics", json=point)
        assert response.json()["data"]["rejected"] == 0, response.text

    def tick(self, count: int = 1) -> Report:
        for _ in range(count):
            self.now += TICK
            report = self.run()
        return report

    def run(self) -> Report:
        """A tick now, whose notifications all arrive, unless `acknowledges` is off."""
        report = tick.run(now=self.now)
        if self.acknowledges and report.claims:
            results = [{"id": claim.id, "ok": True} for claim in report.claims]
            evaluate.handler({"action": "acknowledge", "results": results}, None)
        return report

    def beat(self, value: float, count: int = 1, **tags: str) -> Report:
        """A sample, then a tick, `count` times."""
        for _ in range(count):
            self.now += TICK
            self.send(value, ago=1.0, name="cpu", **tags)
            report = self.run()
        return report


@pytest.fixture
def clock(admin: TestClient) -> Clock:
    return Clock(admin, time.time() // 10 * 10 - 6 * 3600)


@pytest.fixture(autouse=True)
def _private_receivers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PULSEBOARD_ALERT_ALLOW_PRIVATE", "true")
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    # Notifications go out at the tick that finds the change; group waits have their own tests.
    monkeypatch.setenv("PULSEBOARD_ALERT_GROUP_WAIT", "0")
    settings.cache_clear()
    yield
    settings.cache_clear()


def make(http: TestClient, **fields: Any) -> dict[str, Any]:
    body = {"name": "high", "query": "cpu", "condition": "gt", "threshold": 90, **fields}
    response = http.post(f"{API}/rules", json=body)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()["data"]
    return created


def hook(url: str = "http://127.0.0.1:9/alerts") -> dict[str, Any]:
    return {"channels": [{"type": "webhook", "url": url}]}


def read(http: TestClient, path: str, **query: Any) -> Any:
    response = http.get(f"{API}{path}", params=query)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def history(http: TestClient) -> list[tuple[str, str]]:
    return [(event["status"], event["tags"].get("host", "")) for event in read(http, "/events")]


def test_it_waits_fires_once_and_resolves_with_reasons(admin: TestClient, clock: Clock) -> None:
    rule = make(admin, duration="20s", notification=hook())
    clock.beat(50, host="a")
    assert read(admin, f"/rules/{rule['id']}")["status"] == "inactive"
    clock.beat(95, host="a")
    shown = read(admin, f"/rules/{rule['id']}")
    assert (shown["status"], shown["pending"], shown["instances"][0]["value"]) == ("pending", 1, 95)
    clock.beat(96, host="a")
    assert clock.beat(97, host="a").changes == 1
    clock.beat(98, 4, host="a")
    shown = read(admin, f"/rules/{rule['id']}")
    assert (shown["status"], shown["firing"]) == ("firing", 1)
    assert shown["instances"][0]["value"] == 98
    clock.beat(10, host="a")
    (event,) = read(admin, "/events", ruleId=rule["id"])
    assert event["reason"] == "97 > 90 for 20s"
    assert event["resolvedReason"] == "10 is not > 90"
    assert (event["value"], event["resolvedValue"]) == (97, 10)
    started = datetime.fromisoformat(event["triggeredAt"])
    assert (datetime.fromisoformat(event["resolvedAt"]) - started).total_seconds() == 50
    sent = read(admin, "/deliveries")
    assert [(one["firing"], one["resolved"]) for one in sent] == [(0, 1), (1, 0)]


@pytest.mark.parametrize("condition", list(MET))
def test_each_condition_through_flapping_gaps_and_late_data(
    admin: TestClient, clock: Clock, condition: AlertCondition
) -> None:
    yes, no = MET[condition], UNMET[condition]
    make(admin, condition=condition, duration="20s", window="10s")
    for value in (yes, yes, no, yes, no, yes):
        clock.beat(value, host="a")
    assert history(admin) == []
    # Kept through a gap; then samples that come late and out of order.
    clock.tick(2)
    assert history(admin) == []
    clock.now += TICK
    clock.send(yes, ago=2, host="a")
    clock.send(no, ago=5, host="a")
    tick.run(now=clock.now)
    assert history(admin) == [("firing", "a")]
    clock.beat(yes, 2, host="a")
    clock.tick(3)
    assert history(admin) == [("firing", "a")]
    clock.beat(no, host="a")
    assert history(admin) == [("resolved", "a")]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("keep_state", [("firing", "a")]), ("ok", [("resolved", "a")]), ("alert", None)],
)
def test_one_series_of_many_goes_silent(
    admin: TestClient, clock: Clock, policy: str, expected: list[tuple[str, str]] | None
) -> None:
    make(admin, noData=policy, window="20s")
    for _ in range(4):
        clock.beat(50, host="b")
        clock.send(95, ago=0.5, host="a")
    clock.beat(50, host="b")
    assert history(admin) == [("firing", "a")]
    if expected is None:
        # The firing one goes on, and the healthy one fires when it goes silent too.
        clock.tick(3)
        assert sorted(history(admin)) == [("firing", "a"), ("firing", "b")]
        assert "no data" in read(admin, "/events")[0]["reason"]
    else:
        clock.beat(50, 5, host="b")
        assert history(admin) == expected


def test_a_rule_without_any_series_alerts_on_no_data_and_resolves_when_data_comes(
    admin: TestClient, clock: Clock
) -> None:
    make(admin, query="nothing.here", noData="alert", window="20s")
    make(admin, name="quiet", query="nothing.here", noData="keep_state")
    clock.tick(4)
    (event,) = read(admin, "/events")
    assert (event["ruleName"], event["tags"], event["status"]) == ("high", {}, "firing")
    clock.send(1, ago=-8, name="nothing.here", host="a")
    clock.tick(1)
    (event,) = read(admin, "/events")
    assert (event["status"], event["resolvedReason"]) == ("resolved", "data arrived")


def test_a_tick_that_comes_again_changes_nothing(admin: TestClient, clock: Clock) -> None:
    make(admin, notification=hook())
    clock.beat(95, host="a")
    clock.send(10, ago=0.1, host="a")
    for _ in range(2):
        tick.reset()
        assert tick.run(now=clock.now).evaluated == []
    assert tick.run(now=clock.now - 50).evaluated == []
    assert history(admin) == [("firing", "a")]
    assert len(read(admin, "/deliveries")) == 1


def test_a_wiped_cache_neither_fires_again_nor_resolves(
    admin: TestClient, clock: Clock, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = make(admin, notification=hook())
    clock.beat(95, 2, host="a")
    with redis.Redis.from_url(redis_url) as client:
        session = {key: client.dump(key) for key in client.scan_iter("session*")}
        client.flushall()
        assert session is not None
    tick.reset()
    clock_http = clock.http
    login = {"email": "admin@example.com", "password": "correct horse battery"}
    clock_http.post("/api/v1/auth/login", json=login)
    clock.beat(95, 2, host="a")
    assert history(admin) == [("firing", "a")]
    # And with no cache at all.
    cache.close()
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    settings.cache_clear()
    clock.now += TICK
    assert tick.run(now=clock.now).evaluated
    monkeypatch.setenv("REDIS_URL", redis_url)
    settings.cache_clear()
    cache.close()
    shown = read(admin, f"/rules/{rule['id']}")
    assert shown["firing"] == 1
    assert len(read(admin, "/deliveries")) == 1


def test_the_database_is_away_for_a_minute(
    admin: TestClient, clock: Clock, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(admin, noData="ok", window="30s", duration="30s")
    clock.beat(95, 6, host="a")
    assert history(admin) == [("firing", "a")]

    def use(url: str) -> None:
        monkeypatch.setenv("DATABASE_URL", url)
        settings.cache_clear()
        database.close()

    monkeypatch.setenv("PULSEBOARD_DATABASE_CONNECT_TIMEOUT", "0.2")
    use("postgresql://postgres@127.0.0.1:1/postgres")
    with pytest.raises(Unavailable):
        tick.run(now=clock.now + TICK)
    assert evaluate.handler({}, None)["claims"] == []
    use(database_url)
    clock.now += 7 * TICK
    report = tick.run(now=clock.now)
    assert len(report.evaluated) == 7
    # Agents send what they buffered only now: nothing had resolved meanwhile.
    assert history(admin) == [("firing", "a")]
    clock.beat(95, 2, host="a")
    clock.beat(10, 1, host="a")
    assert history(admin) == [("resolved", "a")]


def test_missed_ticks_are_evaluated_with_their_own_windows(admin: TestClient, clock: Clock) -> None:
    make(admin, duration="30s", window="10s")
    clock.beat(50, host="a")
    start = clock.now
    for value in (95, 95, 95, 95, 95, 10, 10):
        clock.now += TICK
        clock.send(value, host="a")
    report = tick.run(now=clock.now)
    assert len(report.evaluated) == 7
    (event,) = read(admin, "/events")
    assert event["status"] == "resolved"
    assert datetime.fromisoformat(event["triggeredAt"]) == datetime.fromtimestamp(start + 40, UTC)
    assert datetime.fromisoformat(event["resolvedAt"]) == datetime.fromtimestamp(start + 60, UTC)


def test_a_failing_rule_is_marked_and_the_others_go_on(
    admin: TestClient, clock: Clock, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_ALERT_MAX_SERIES", "1")
    settings.cache_clear()
    broken = make(admin, name="broken")
    wide = make(admin, name="wide", query="load")
    make(admin, name="fine", query='cpu{host="a"}')
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(
            "update alert_rules set query = 'cpu{' where id = %s", (UUID(broken["id"]),)
        )
    clock.send(1, name="load", host="a")
    clock.send(1, name="load", host="b")
    clock.beat(95, host="a")
    assert history(admin) == [("firing", "a")]
    assert "can't be read" in read(admin, f"/rules/{broken['id']}")["lastError"]
    assert "2 series" in read(admin, f"/rules/{wide['id']}")["lastError"]
    monkeypatch.setenv("PULSEBOARD_ALERT_MAX_SERIES", "100")
    settings.cache_clear()
    clock.tick()
    assert read(admin, f"/rules/{wide['id']}")["lastError"] is None


@pytest.mark.parametrize("query", ["cpu", 'cpu{host=~"a|b"}', "sum by (host) (cpu)"])
def test_a_new_series_is_evaluated_at_the_next_tick(
    admin: TestClient, clock: Clock, query: str
) -> None:
    make(admin, query=query)
    clock.beat(5, host="a")
    clock.beat(5, host="a")
    assert history(admin) == []
    # No series "b" was known to this process, which has cached what the query selects.
    clock.beat(95, host="b")
    assert history(admin) == [("firing", "b")]


def test_a_deleted_series_is_left_out_at_the_next_tick(admin: TestClient, clock: Clock) -> None:
    rule = make(admin, query="cpu", noData="ok", window="1m")
    # After a whole window without a gap between ticks, missing data is evaluated.
    clock.beat(5, 8, host="a")
    clock.beat(95, host="a")
    assert history(admin) == [("firing", "a")]
    response = admin.delete("/api/v1/usage/series", params={"selector": "cpu", "expect": 1})
    assert response.status_code == 200
    clock.tick()
    assert read(admin, f"/rules/{rule['id']}")["status"] == "resolved"


def test_rules_share_reads(
    admin: TestClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        make(admin, name=str(number), threshold=number, reducer=["last", "avg"][number % 2])
    clock.beat(50, host="a")
    statements: list[Any] = []
    execute = psycopg.Cursor.execute

    def count(self: Any, query: Any, *args: Any, **more: Any) -> Any:
        statements.append(query)
        return execute(self, query, *args, **more)

    monkeypatch.setattr(psycopg.Cursor, "execute", count)
    clock.now += TICK
    tick.run(now=clock.now)
    reads = [text for text in statements if b"metrics_raw" in str(text).encode()]
    assert len([text for text in reads if "last(value" in str(text)]) == 1
    assert len(statements) < 20


def test_keep_firing_for_and_reducers(admin: TestClient, clock: Clock) -> None:
    make(admin, name="kept", keepFiringFor="30s", window="10s")
    make(admin, name="mean", reducer="avg", window="30s", threshold=60)
    for value in (95, 50, 95, 50):
        clock.beat(value, host="a")
    names = [(event["ruleName"], event["status"]) for event in read(admin, "/events")]
    assert sorted(names) == [("kept", "firing"), ("mean", "firing")]


def test_crud_with_versions_and_errors(admin: TestClient) -> None:
    rule = make(admin)
    path = f"{API}/rules/{rule['id']}"
    changed = admin.put(path, json={"version": 1, "threshold": 80, "window": "5m"})
    assert changed.json()["data"]["version"] == 2
    assert changed.json()["data"]["window"] == "5m"
    assert admin.put(path, json={"version": 1, "threshold": 70}).status_code == 409
    assert admin.put(path, json={"window": None}).json()["data"]["window"] is None
    bad = admin.post(
        f"{API}/rules", json={"name": "x", "query": "cpu{", "condition": "gt", "threshold": 1}
    )
    assert bad.status_code == 400
    assert bad.json()["details"][0]["position"] == 4
    unknown = {"channels": [{"type": "saved", "name": "nobody"}]}
    refused = admin.put(path, json={"notification": unknown})
    assert "nobody" in refused.json()["error"]
    assert admin.put(path, json={"duration": "300d"}).status_code == 400
    assert [one["name"] for one in read(admin, "/rules", search="HIG")] == ["high"]
    assert admin.delete(path).status_code == 204
    assert admin.delete(path).status_code == 404
    assert admin.get(path).status_code == 404


def test_what_fires_resolves_when_its_rule_is_disabled_changed_or_deleted(
    admin: TestClient, clock: Clock
) -> None:
    rule = make(admin, notification=hook())
    path = f"{API}/rules/{rule['id']}"
    clock.beat(95, host="a")
    admin.put(path, json={"message": "words only"})
    assert history(admin) == [("firing", "a")]
    admin.put(path, json={"enabled": False})
    clock.beat(95, 2, host="a")
    assert history(admin) == [("resolved", "a")]
    admin.put(path, json={"enabled": True})
    clock.beat(95, 7, host="a")
    admin.put(path, json={"query": " cpu{}  "})
    assert [status for status, _ in history(admin)] == ["firing", "resolved"]
    admin.put(path, json={"query": "other"})
    clock.tick()
    admin.put(path, json={"query": "cpu"})
    clock.beat(95, 7, host="a")
    admin.delete(path)
    clock.tick()
    reasons = [event["resolvedReason"] for event in read(admin, "/events")]
    assert reasons == [
        "the rule was deleted",
        "the rule's query was changed",
        "the rule was disabled",
    ]
    sent = [(one["firing"], one["resolved"]) for one in read(admin, "/deliveries")]
    assert sent == [(0, 1), (1, 0)] * 3


def test_evaluate_now_returns_states_and_changes_nothing(admin: TestClient) -> None:
    rule = make(admin)
    Clock(admin, time.time()).send(95, ago=12, host="a")
    response = admin.post(f"{API}/rules/{rule['id']}/evaluate").json()["data"]
    assert [(one["status"], one["value"]) for one in response["instances"]] == [("firing", 95)]
    assert read(admin, f"/rules/{rule['id']}")["status"] == "inactive"
    assert history(admin) == []


@pytest.mark.parametrize(
    ("reducer", "policy", "window"),
    [
        ("avg", "keep_state", "30s"),
        ("last", "ok", "30s"),
        ("max", "alert", "30s"),
        ("min", "ok", "25s"),
    ],
)
def test_a_backtest_equals_the_ticks_over_the_same_data(
    admin: TestClient, clock: Clock, reducer: str, policy: str, window: str
) -> None:
    fields = {
        "duration": "20s",
        "window": window,
        "reducer": reducer,
        "noData": policy,
        "keepFiringFor": "20s",
        "evaluationDelay": "10s",
    }
    make(admin, **fields)
    start = clock.now + TICK
    for number in range(40):
        value = 95.0 if number % 13 < 7 else 80.0
        # Now and then a sample is missing, and once all of them for a while.
        if number % 11 != 5 and not 26 <= number < 33:
            clock.now += TICK
            clock.send(value, ago=3, host="a")
            clock.now -= TICK
        clock.tick()
    body = {
        "rule": {"name": "x", "query": "cpu", "condition": "gt", "threshold": 90, **fields},
        "start": int(start * 1000),
        "end": int((clock.now + 1) * 1000),
    }
    preview = admin.post(f"{API}/preview", json=body).json()["data"]
    shown = [
        (one["status"], one["at"], one["reason"])
        for one in preview["changes"]
        if one["status"] in ("firing", "resolved")
    ]
    live = []
    for event in reversed(read(admin, "/events")):
        live.append(("firing", event["triggeredAt"], event["reason"]))
        if event["resolvedAt"]:
            live.append(("resolved", event["resolvedAt"], event["resolvedReason"]))
    assert shown == live
    assert preview["fired"] >= 2
    assert preview["ticks"] == 40


@pytest.mark.parametrize(
    ("reducer", "window"), [("last", "30s"), ("avg", "30s"), ("min", "25s"), ("max", "19s")]
)
def test_expressions_fire_live_as_they_do_in_a_backtest(
    admin: TestClient, clock: Clock, reducer: str, window: str
) -> None:
    fields = {
        "name": "busy",
        "query": "sum by (env) (rate(requests[1m]))",
        "condition": "gt",
        "threshold": 5,
        "window": window,
        "reducer": reducer,
    }
    make(admin, **fields)
    broken = make(admin, name="unmatched", query="cpu + on (host) requests")
    start = clock.now + TICK
    total = 0.0
    for number in range(30):
        clock.now += TICK
        total += 100 if 8 <= number < 16 else 10
        for host in "ab":
            clock.send(total, name="requests", host=host, env="prod")
        tick.run(now=clock.now)
    assert read(admin, f"/rules/{broken['id']}")["lastError"] is None
    events = [event for event in read(admin, "/events") if event["ruleName"] == "busy"]
    (event,) = events
    assert (event["tags"], event["status"]) == ({"env": "prod"}, "resolved")
    body = {"rule": fields, "start": int(start * 1000), "end": int((clock.now + 1) * 1000)}
    preview = admin.post(f"{API}/preview", json=body).json()["data"]
    assert [one["at"] for one in preview["changes"]] == [event["triggeredAt"], event["resolvedAt"]]


@pytest.mark.parametrize("start", ["now", "4000-01-01T00:00:00Z"])
def test_a_preview_of_the_future_costs_nothing(admin: TestClient, start: str) -> None:
    begin = datetime.now(UTC).isoformat() if start == "now" else start
    fields = {"name": "r", "query": "cpu", "condition": "gt", "threshold": 1, "severity": "info"}
    body = {"rule": fields, "start": begin, "end": "9000-01-01T00:00:00Z"}
    response = admin.post(f"{API}/preview", json=body)
    assert response.status_code == 200, response.text
    assert response.json()["data"]["ticks"] <= 2


def deliver(report: Report, response: dict[str, Any] | None = None) -> None:
    """What Step Functions does with a tick's result: notify, then acknowledge."""
    claims = [claim.model_dump(mode="json", by_alias=True) for claim in report.claims]
    evaluate.handler(response or notify.handler({"claims": claims}, None), None)


@pytest.mark.parametrize(
    "matchers",
    [
        [("nosuchlabel", "=", "")],
        [("host", "=~", ".*")],
        [("host", "=~", "a|"), ("env", "!=", "prod")],
        [("host", "!~", "a+")],
    ],
)
def test_a_silence_that_would_match_everything_is_refused(
    admin: TestClient, matchers: list[tuple[str, str, str]]
) -> None:
    silence = {
        "matchers": [
            {"label": label, "operator": operator, "value": value}
            for label, operator, value in matchers
        ],
        "endsAt": "2999-01-01T00:00:00Z",
    }
    response = admin.post(f"{API}/silences", json=silence)
    assert response.status_code == 400, response.text
    assert "silence everything" in response.json()["error"]
    # One matcher that does not match the empty value is enough.
    silence["matchers"] = [*silence["matchers"], {"label": "job", "value": "api"}]
    assert admin.post(f"{API}/silences", json=silence).status_code == 201


def test_silences_hold_notifications_back_until_they_end(admin: TestClient, clock: Clock) -> None:
    make(admin, notification=hook())
    silence = {
        "matchers": [
            {"label": "host", "operator": "=~", "value": "a|z"},
            {"label": "alertname", "value": "high"},
        ],
        "endsAt": int((time.time() + 3600) * 1000),
        "comment": "works",
    }
    created = admin.post(f"{API}/silences", json=silence)
    assert created.status_code == 201, created.text
    assert created.json()["data"]["author"] == "admin@example.com"
    at = time.time() + 1
    clock.now = at
    clock.send(95, ago=11, host="a")
    clock.run()
    assert history(admin) == [("firing", "a")]
    assert read(admin, "/deliveries") == []
    assert read(admin, "/rules")[0]["firing"] == 1
    ended = admin.delete(f"{API}/silences/{created.json()['data']['id']}")
    assert ended.json()["data"]["active"] is False
    tick.run(now=at + TICK)
    assert [(one["firing"], one["resolved"]) for one in read(admin, "/deliveries")] == [(1, 0)]
    late = {**silence, "endsAt": 1000}
    assert admin.post(f"{API}/silences", json=late).status_code == 400
    evil = {**silence, "matchers": [{"label": "host", "operator": "=~", "value": "(?=a)"}]}
    assert admin.post(f"{API}/silences", json=evil).status_code == 400


def test_repeats_groups_and_order(
    admin: TestClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_ALERT_CLAIM_LEASE", "90")
    settings.cache_clear()
    make(admin, notification={**hook(), "repeatInterval": "40s"})
    clock.acknowledges = False
    clock.now += TICK
    for host in "abc":
        clock.send(95, host=host)
    report = tick.run(now=clock.now)
    (claim,) = report.claims
    assert '"host": "a"' in claim.body
    assert '"host": "c"' in claim.body
    for _ in range(4):
        clock.now += TICK
        for host in "abc":
            clock.send(95, host=host)
        later = tick.run(now=clock.now)
        # Claimed and not acknowledged: what comes after it in its group waits.
        assert later.claims == []
    assert len(read(admin, "/deliveries")) == 1
    deliver(report, {"action": "acknowledge", "results": [{"id": claim.id, "ok": True}]})
    (second,) = tick.run(now=clock.now).claims
    assert second.idempotency_key != claim.idempotency_key
    assert len(read(admin, "/deliveries")) == 2


def test_failures_are_tried_again_with_what_is_true_then(
    admin: TestClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_ALERT_MAX_ATTEMPTS", "2")
    settings.cache_clear()
    make(admin, notification=hook("http://127.0.0.1:9/nobody"))
    clock.acknowledges = False
    first = clock.beat(95, host="a")
    deliver(first)
    (waiting,) = read(admin, "/deliveries")
    assert waiting["status"] == "waiting"
    assert "refused" in waiting["lastError"]
    second = clock.beat(95, host="a")
    assert second.claims[0].idempotency_key == first.claims[0].idempotency_key
    deliver(second)
    (dead,) = read(admin, "/deliveries", status="dead")
    assert dead["attempts"] == 2
    again = admin.post(f"{API}/deliveries/{dead['id']}/resend")
    assert again.json()["data"]["status"] == "waiting"
    assert admin.post(f"{API}/deliveries/{dead['id']}/resend").status_code == 404
    (third,) = clock.beat(95, host="a").claims
    deliver(Report(0, claims=[third]))
    # By the time it is sent again, the alert is over: no receiver hears that it fires.
    assert clock.beat(10, 3, host="a").claims == []
    (fourth,) = clock.beat(10, host="a").claims
    assert json.loads(fourth.body)["status"] == "resolved"


def test_a_dead_letter_is_not_notified(admin: TestClient, clock: Clock) -> None:
    """One 404, and the receiver is notified again when it works, not after the repeat interval."""
    make(admin, notification=hook())
    clock.acknowledges = False
    (claim,) = clock.beat(95, host="a").claims
    gone = {"id": claim.id, "ok": False, "permanent": True, "error": "HTTP 404"}
    evaluate.handler({"action": "acknowledge", "results": [gone]}, None)
    assert [one["status"] for one in read(admin, "/deliveries")] == ["dead"]
    for _ in range(5):
        assert clock.beat(95, host="a").claims == []
    (again,) = clock.beat(95, host="a").claims
    assert json.loads(again.body)["status"] == "firing"
    deliver(Report(0), {"action": "acknowledge", "results": [{"id": again.id, "ok": True}]})
    assert [one["status"] for one in read(admin, "/deliveries")] == ["sent"]


def test_a_refused_alert_that_is_over_is_pending_for_nobody(
    admin: TestClient, clock: Clock
) -> None:
    make(admin, notification=hook())
    clock.acknowledges = False
    (claim,) = clock.beat(95, host="a").claims
    gone = {"id": claim.id, "ok": False, "permanent": True, "error": "HTTP 404"}
    evaluate.handler({"action": "acknowledge", "results": [gone]}, None)
    clock.beat(10, host="a")
    (dead,) = read(admin, "/deliveries", status="dead")
    again = admin.post(f"{API}/deliveries/{dead['id']}/resend")
    assert again.status_code == 202 or again.status_code == 200
    assert clock.beat(10, host="a").claims == []


def test_a_receiver_that_is_back_gets_all_at_once(admin: TestClient, clock: Clock) -> None:
    """After long failures of one rule, the success of another tries it again."""
    make(admin, name="first", query='cpu{host="a"}', notification=hook())
    make(admin, name="second", query='cpu{host="b"}', notification=hook())
    clock.acknowledges = False
    for _ in range(60):
        for claim in clock.beat(95, host="a").claims:
            failure = {"id": claim.id, "ok": False, "error": "HTTP 500"}
            evaluate.handler({"action": "acknowledge", "results": [failure]}, None)
    clock.now += TICK
    clock.send(95, host="a")
    clock.send(95, host="b")
    (other,) = clock.run().claims
    assert '"second"' in other.body
    evaluate.handler({"action": "acknowledge", "results": [{"id": other.id, "ok": True}]}, None)
    (first,) = clock.beat(95, host="a").claims
    assert '"first"' in first.body


def test_a_process_killed_before_it_sent_loses_nothing(admin: TestClient, clock: Clock) -> None:
    make(admin, notification=hook())
    clock.acknowledges = False
    first = clock.beat(95, host="a")
    tick.reset()
    # Two ticks later, and later each time that it is lost again.
    for waits in (1, 1, 3, 5, 5):
        for _ in range(waits):
            assert clock.beat(95, host="a").claims == []
        again = clock.beat(95, host="a")
        assert [one.idempotency_key for one in again.claims] == [
            one.idempotency_key for one in first.claims
        ]


def test_secrets_go_in_and_never_come_out(admin: TestClient, clock: Clock) -> None:
    channel: dict[str, Any] = {
        "name": "ops",
        "receiver": {"type": "slack", "url": "https://hooks.slack.com/services/T0/B0/secret"},
    }
    created = admin.post(f"{API}/channels", json=channel)
    assert created.status_code == 201, created.text
    assert "secret" not in created.text
    assert admin.post(f"{API}/channels", json=channel).status_code == 409
    identity = created.json()["data"]["id"]
    inline = {"type": "webhook", "url": "https://example.com/x", "secret": "s3cret"}
    rule = make(admin, notification={"channels": [{"type": "saved", "name": "ops"}, inline]})
    path = f"{API}/rules/{rule['id']}"
    assert "s3cret" not in admin.get(path).text
    assert [one["usedBy"] for one in read(admin, "/channels")] == [1, 1]
    # What was read is written back, and the name changes: secrets stay, rules follow.
    renamed = admin.put(
        f"{API}/channels/{identity}",
        json={"name": "night shift", "receiver": created.json()["data"]["receiver"]},
    )
    assert renamed.status_code == 200, renamed.text
    shown = read(admin, f"/rules/{rule['id']}")
    assert shown["notification"]["channels"][0]["name"] == "night shift"
    assert shown["version"] == rule["version"]
    kept = admin.put(path, json={"notification": shown["notification"]})
    assert kept.status_code == 200, kept.text
    hidden = inline | {"secret": HIDDEN}
    kept = admin.put(path, json={"notification": {"channels": [hidden, channel["receiver"]]}})
    assert kept.status_code == 200, kept.text
    stolen = admin.put(
        path,
        json={"notification": {"channels": [hidden | {"url": "https://evil.example.com/"}]}},
    )
    assert stolen.status_code == 400
    claims = {claim.url: claim for claim in clock.beat(95, host="a").claims}
    assert set(claims) == {"https://hooks.slack.com/services/T0/B0/secret", "https://example.com/x"}
    assert "X-Pulseboard-Signature" in claims["https://example.com/x"].headers
    assert admin.delete(f"{API}/channels/{identity}").status_code == 409
    admin.delete(path)
    assert admin.delete(f"{API}/channels/{identity}").status_code == 204
    assert "s3cret" not in admin.get(f"{API}/deliveries").text


def test_the_first_of_two_alike_is_taken_out(admin: TestClient, clock: Clock) -> None:
    """Removing Slack A from [A, B] keeps B, and B's secret."""
    slack = [{"type": "slack", "url": f"https://hooks.slack.com/{name}"} for name in "AB"]
    rule = make(admin, notification={"channels": slack})
    path = f"{API}/rules/{rule['id']}"
    _, second = rule["notification"]["channels"]
    changed = admin.put(path, json={"notification": {"channels": [second]}})
    assert changed.status_code == 200, changed.text
    ambiguous = [{"type": "slack", "url": HIDDEN}]
    admin.put(path, json={"notification": {"channels": slack}})
    refused = admin.put(path, json={"notification": {"channels": ambiguous}})
    assert refused.status_code == 400
    assert "several" in refused.json()["error"]
    admin.put(path, json={"notification": {"channels": [second]}})
    assert [claim.url for claim in clock.beat(95, host="a").claims] == ["https://hooks.slack.com/B"]


def test_a_test_notification_goes_the_way_of_real_ones(admin: TestClient, clock: Clock) -> None:
    receiver = {"type": "webhook", "url": "http://127.0.0.1:9/nobody"}
    queued = admin.post(f"{API}/channels/test", json=receiver)
    assert queued.status_code == 202, queued.text
    clock.acknowledges = False
    report = clock.tick()
    assert '"TEST' not in report.claims[0].body
    assert "Test notification" in report.claims[0].body
    deliver(report)
    shown = read(admin, f"/deliveries/{queued.json()['data']['id']}")
    assert shown["lastError"]


def test_ticks_that_overlap_write_once(
    admin: TestClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads here; `test_alert_race.py` has processes."""
    make(admin, notification=hook())
    clock.now += TICK
    clock.send(95, host="a")
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: tick.run(now=clock.now), range(2)))
    assert sorted(len(report.evaluated) for report in reports) == [0, 1]
    assert history(admin) == [("firing", "a")]


def test_viewers_read_and_change_nothing(admin: TestClient, ingest_key: str) -> None:
    from functions.dev import api

    user = {"email": "v@example.com", "password": "correct horse battery", "role": "viewer"}
    assert admin.post("/api/v1/users", json=user).status_code == 201
    with TestClient(api(), base_url="http://testserver") as viewer:
        login = {"email": user["email"], "password": user["password"]}
        assert viewer.post("/api/v1/auth/login", json=login).status_code == 200
        assert viewer.get(f"{API}/rules").status_code == 200
        body = {"name": "x", "query": "cpu", "condition": "gt", "threshold": 1}
        assert viewer.post(f"{API}/rules", json=body).status_code == 403
        assert viewer.post(f"{API}/channels/test", json={}).status_code == 403
        care = f"{API}/events/{uuid4()}/acknowledge"
        assert viewer.post(care, json={}).status_code == 403
        assert viewer.delete(care).status_code == 403


@pytest.mark.parametrize("changed", ["a rule", "the only rule"])
def test_changes_of_rules_hold_up_no_tick_and_read_nothing_again(
    admin: TestClient, clock: Clock, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """Rules change each time while a tick reads: the others are evaluated all the same."""
    watched = make(admin, name="watched", query="sum by (host) (cpu)")
    edited = make(admin, name="edited", query="cpu") if changed == "a rule" else watched
    clock.beat(10, host="a")
    reads: list[list[str]] = []
    original = alert_inputs.read
    number = iter(range(100))

    def read_while_rules_change(connection: Any, rules: Any, **given: Any) -> Any:
        rules = list(rules)
        reads.append([rule.query for rule in rules])
        return original(connection, rules, **given)

    def decided_while_rules_change(*given: Any) -> Any:
        path = f"{API}/rules/{edited['id']}"
        threshold = 200 + next(number)
        assert admin.put(path, json={"threshold": threshold}).status_code == 200
        return decide(*given)

    monkeypatch.setattr(alert_inputs, "read", read_while_rules_change)
    monkeypatch.setattr("functions.evaluate.tick.decide", decided_while_rules_change)
    for _ in range(3):
        reads.clear()
        report = clock.beat(95, host="a")
        assert report.evaluated == [report.tick]
        assert len(reads) == 1, "what is read is not read again"
    monkeypatch.setattr("functions.evaluate.tick.decide", decide)
    expected = [] if changed == "the only rule" else ["watched"]
    assert [event["ruleName"] for event in read(admin, "/events")] == expected
    # What was left out is evaluated as it is by then.
    admin.put(f"{API}/rules/{edited['id']}", json={"threshold": 5})
    clock.beat(95, host="a")
    assert len(read(admin, "/events")) == len(expected) + 1


def test_a_backtest_is_bounded_in_ticks_and_series(
    admin: TestClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in ("a", "b", "c"):
        clock.send(95, host=host)
    rule = {"name": "x", "condition": "gt", "threshold": 90}

    def preview(query: str, hours: float, ahead: float = 0.0) -> Any:
        start = datetime.fromtimestamp(clock.now - 60, UTC)
        body = {
            "rule": {**rule, "query": query},
            "start": start.isoformat(),
            "end": (start + timedelta(hours=hours, days=ahead)).isoformat(),
        }
        return admin.post(f"{API}/preview", json=body)

    far = preview("cpu", 1, ahead=3650).json()["data"]
    assert far["ticks"] <= 7 * 360
    assert "nothing is known of the future" in far["notes"][0]
    monkeypatch.setenv("PULSEBOARD_ALERT_PREVIEW_MAX_VALUES", "1000")
    settings.cache_clear()
    # Of an expression the samples are counted first, by what they are about.
    for query, reason in (("cpu", "(360 ticks × 3 series)"), ("cpu + 0", "1000 are allowed")):
        refused = preview(query, 1)
        assert refused.status_code == 400
        assert reason in refused.json()["error"]


def test_rules_are_found_by_words_of_labels_state_and_severity(
    admin: TestClient, clock: Clock
) -> None:
    make(admin, name="disk full", labels={"team": "ops"}, severity="critical", threshold=1)
    make(admin, name="disk slow", labels={"team": "web_1"}, enabled=False)
    make(admin, name="odd", query="sum(cpu)", threshold=1e9)
    clock.beat(95, host="a")

    def names(**query: str) -> list[str]:
        return [rule["name"] for rule in read(admin, "/rules", **query)]

    assert names(search="DISK team=ops") == ["disk full"]
    assert names(search="team=web_1") == ["disk slow"]
    assert names(search="100%") == []
    assert names(state="firing") == ["disk full"]
    assert names(state="disabled", search="disk") == ["disk slow"]
    assert names(state="ok") == ["odd"]
    assert names(severity="critical") == ["disk full"]
    response = admin.get(f"{API}/rules", params={"pageSize": 2, "page": 2})
    assert (len(response.json()["data"]), response.json()["meta"]["total"]) == (1, 3)
    assert [event["query"] for event in read(admin, "/events")] == ["cpu"]
