"""What receivers are notified of, through everything that people change and that fails."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.evaluate import handler as evaluate
from functions.evaluate import tick
from pulseboard.alerts import notifier, state_store
from pulseboard.alerts.notifications import Outgoing, SendResult
from pulseboard.alerts.state_machine import TICK
from pulseboard.core.settings import settings
from pulseboard.db import database

pytestmark = pytest.mark.integration
API = "/api/v1/alerts"
HOOK = {"type": "webhook", "url": "http://127.0.0.1:9/a"}
OTHER = {"type": "webhook", "url": "http://127.0.0.1:9/b"}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PULSEBOARD_ALERT_GROUP_WAIT", "0")
    monkeypatch.setenv("PULSEBOARD_ALERT_GROUP_INTERVAL", "0")
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    settings.cache_clear()
    yield
    settings.cache_clear()


class World:
    """Ticks of the past, and what the receivers of webhooks believe to be firing."""

    def __init__(self, http: TestClient) -> None:
        self.http = http
        self.now = time.time() // TICK * TICK - 3600
        self.heard: dict[str, dict[str, tuple[str, str]]] = {}

    @property
    def believed(self) -> dict[str, set[tuple[str, str]]]:
        """By receiver: name and host of what fires for it."""
        return {receiver: set(known.values()) for receiver, known in self.heard.items()}

    def rule(self, *channels: dict[str, Any], **fields: Any) -> str:
        body = {
            "name": "high",
            "query": "cpu",
            "condition": "gt",
            "threshold": 90,
            "notification": {"channels": list(channels)},
            **fields,
        }
        response = self.http.post(f"{API}/rules", json=body)
        assert response.status_code == 201, response.text
        return str(response.json()["data"]["id"])

    def change(self, rule_id: str, **fields: Any) -> None:
        response = self.http.put(f"{API}/rules/{rule_id}", json=fields)
        assert response.status_code == 200, response.text

    def tick(self, **values: float) -> list[Outgoing]:
        """A sample of each host, then a tick, whose notifications all arrive."""
        self.now += TICK
        points = [
            {
                "name": "cpu",
                "tags": {"host": host},
                "value": value,
                "timestamp": int((self.now - 1) * 1000),
            }
            for host, value in values.items()
        ]
        if points:
            assert self.http.post("/api/v1/metrics", json=points).status_code == 200
        claims = tick.run(now=self.now).claims
        for claim in claims:
            if claim.kind == "http" and claim.url.startswith("http://127"):
                known = self.heard.setdefault(claim.url[-1], {})
                for alert in json.loads(claim.body)["alerts"]:
                    one = alert["fingerprint"]
                    if alert["status"] == "firing":
                        labels = alert["labels"]
                        known[one] = (labels["alertname"], labels.get("host", ""))
                    else:
                        assert known.pop(one, None), "an end without a beginning"
        results = [{"id": claim.id, "ok": True} for claim in claims]
        evaluate.handler({"action": "acknowledge", "results": results}, None)
        return claims


@pytest.fixture
def world(admin: TestClient) -> World:
    return World(admin)


def test_each_alert_beyond_twenty_is_named_and_resolved(world: World) -> None:
    world.rule(HOOK)
    firing = {f"h{number}": 95.0 for number in range(60)}
    world.tick(**firing)
    assert len(world.believed["a"]) == 60
    world.tick(**dict.fromkeys(firing, 5.0))
    assert world.believed["a"] == set()


def test_alerts_that_do_not_fit_come_in_the_next_notifications(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes are bytes: Japanese text has three for a character."""
    monkeypatch.setenv("PULSEBOARD_ALERT_CLAIM_BYTES", "20000")
    settings.cache_clear()
    world.rule(HOOK, message="高負荷 " * 200)
    firing = {f"h{number}": 95.0 for number in range(12)}
    for _ in range(12):
        for claim in world.tick(**firing):
            assert len(claim.model_dump_json().encode()) <= 10_000
    assert len(world.believed["a"]) == 12
    for _ in range(12):
        world.tick(**dict.fromkeys(firing, 5.0))
    assert world.believed["a"] == set()


def test_a_rule_that_is_renamed_is_notified_once(world: World) -> None:
    rule_id = world.rule(HOOK)
    world.tick(a=95)
    world.change(rule_id, name="very high")
    assert len(world.tick(a=95)) == 1
    assert world.believed["a"] == {("very high", "a")}
    assert world.tick(a=95) == []
    world.change(rule_id, severity="critical", query="  cpu ")
    assert len(world.tick(a=95)) == 1
    assert world.tick(a=95) == []


def test_channels_change_while_it_fires(world: World) -> None:
    rule_id = world.rule(HOOK)
    world.tick(a=95)
    world.change(rule_id, notification={"channels": [OTHER]})
    world.tick(a=95)
    assert world.believed == {"a": set(), "b": {("high", "a")}}
    world.change(rule_id, notification={"channels": []})
    world.tick(a=95)
    assert world.believed == {"a": set(), "b": set()}
    world.change(rule_id, notification={"channels": [HOOK, OTHER]})
    world.tick(a=95)
    assert world.tick(a=95) == []
    assert world.believed == {"a": {("high", "a")}, "b": {("high", "a")}}


def test_a_saved_channel_gets_another_name_or_address(world: World) -> None:
    world.rule(HOOK)
    world.tick(a=95)
    (channel,) = world.http.get(f"{API}/channels").json()["data"]
    path = f"{API}/channels/{channel['id']}"
    assert world.http.put(path, json={"name": "ops"}).status_code == 200
    assert world.tick(a=95) == []
    assert world.http.put(path, json={"receiver": OTHER}).status_code == 200
    world.tick(a=95)
    assert world.believed == {"a": set(), "b": {("high", "a")}}


def test_a_rule_whose_reads_fail_after_it_fired_is_notified(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule_id = world.rule(HOOK, notification={"channels": [HOOK], "groupWait": "20s"})
    assert world.tick(a=95) == []
    with database.connection() as connection:
        connection.execute("update alert_rules set query = 'cpu{' where id = %s", (rule_id,))
    tick.reset()
    world.tick(a=95)
    world.tick(a=95)
    assert world.believed["a"] == {("high", "a")}


def test_what_fires_for_a_rule_that_can_not_be_read_is_not_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule_id = world.rule(HOOK)
    world.tick(a=95)
    world.change(rule_id, threshold=80)
    with monkeypatch.context() as patch:
        patch.setattr(state_store, "_snapshot", lambda row: [][0])
        assert world.tick(a=95) == []
    assert world.believed["a"] == {("high", "a")}
    world.change(rule_id, threshold=70)
    world.tick(a=5)
    assert world.believed["a"] == set()


def test_a_resolved_notification_has_the_words_of_the_end(world: World) -> None:
    rule_id = world.rule(HOOK, duration="20s", notification={"channels": [HOOK]})
    for value in (95, 95, 95):
        world.tick(a=value)
    world.change(
        rule_id, notification={"channels": [HOOK], "groupInterval": "1m", "groupWait": "0s"}
    )
    # It ends and is pending again before that may be notified, beside one that fires on.
    claims = [claim for value in (10, 95, 95, 10, 10, 10) for claim in world.tick(a=value)]
    bodies = [alert for claim in claims for alert in json.loads(claim.body)["alerts"]]
    ended = [one for one in bodies if one["status"] == "resolved"]
    assert [one["annotations"]["reason"] for one in ended] == ["10 is not > 90"]


def test_what_fires_again_between_two_notifications_ends_with_its_last_end(world: World) -> None:
    world.rule(HOOK, notification={"channels": [HOOK], "groupWait": "0s", "groupInterval": "10m"})
    for a in (95, 5, 95):
        # The other one fires on, so that the end of this one waits.
        world.tick(a=a, b=95)
    (claim,) = world.tick(a=6, b=7)
    alerts = json.loads(claim.body)["alerts"]
    assert {one["annotations"]["reason"] for one in alerts} == {"6 is not > 90", "7 is not > 90"}
    assert len({one["endsAt"] for one in alerts}) == 1
    assert len({one["startsAt"] for one in alerts}) == 2


def test_a_deleted_rule_is_resolved(world: World) -> None:
    rule_id = world.rule(HOOK)
    world.tick(a=95)
    assert world.http.delete(f"{API}/rules/{rule_id}").status_code == 204
    (claim,) = world.tick()
    (alert,) = json.loads(claim.body)["alerts"]
    assert alert["annotations"]["reason"] == "the rule was deleted"
    assert world.believed["a"] == set()


def test_alerts_of_equal_name_and_labels_are_told_apart(world: World) -> None:
    """Two rules `HighLoad`, such as two groups of a Prometheus file may have: one ends."""
    for threshold, group in ((90, "web"), (50, "batch")):
        world.rule(HOOK, name="HighLoad", threshold=threshold, group=group)
    claims = world.tick(a=95)
    assert len({json.loads(claim.body)["groupKey"] for claim in claims}) == 2
    for value, firing in ((95, 2), (60, 1), (5, 0)):
        world.tick(a=value)
        assert len(world.heard["a"]) == firing


@pytest.mark.parametrize("rules", [1, 2])
def test_an_upgrade_keeps_what_an_older_version_sent(world: World, rules: int) -> None:
    """It sent the fingerprint of the labels alone, to which no rule belongs."""
    for threshold in (90, 50)[:rules]:
        world.rule(HOOK, name="HighLoad", threshold=threshold)
    world.tick(a=95)
    with database.connection() as connection:
        connection.execute(
            "update alert_notified set alerts ="
            " (select jsonb_object_agg(key, value - 'sent_as') from jsonb_each(alerts))"
        )
        row = connection.execute("select jsonb_object_keys(alerts) from alert_notified").fetchone()
    assert row is not None
    world.heard["a"] = {row[0]: ("HighLoad", "a")}
    # What was notified is not repeated, but for the one that its receiver couldn't tell apart.
    for value, claims, firing in ((95, rules - 1, rules), (60, 1, rules - 1), (5, rules - 1, 0)):
        assert (len(world.tick(a=value)), len(world.heard["a"])) == (claims, firing)
    world.tick(a=95)
    assert row[0] not in world.heard["a"]


GONE = {
    "the rule is deleted or disabled": ("deleted", "disabled"),
    "the rule does not use the channel any more": ("removed", "moved"),
}


@pytest.mark.parametrize(("why", "how"), [(why, how) for why, hows in GONE.items() for how in hows])
def test_a_receiver_that_is_gone_and_not_used_any_more_is_given_up_after_a_day(
    world: World, why: str, how: str
) -> None:
    rule_id = world.rule(HOOK, notification={"channels": [HOOK], "repeatInterval": "7d"})
    world.tick(a=95)
    (channel,) = world.http.get(f"{API}/channels").json()["data"]
    match how:
        case "deleted":
            assert world.http.delete(f"{API}/rules/{rule_id}").status_code == 204
        case "disabled":
            world.change(rule_id, enabled=False)
        case "removed":
            world.change(rule_id, notification={"channels": []})
        case "moved":
            path = f"{API}/channels/{channel['id']}"
            assert world.http.put(path, json={"receiver": OTHER}).status_code == 200

    def refused_at(at: float) -> int:
        with database.connection() as connection:
            claims = notifier.claim(connection, now=at)
            results = [
                SendResult(id=one.id, ok=False, error="gone", permanent=True)
                if one.url == HOOK["url"]
                else SendResult(id=one.id, ok=True)
                for one in claims
            ]
            notifier.acknowledge(connection, results=results)
        return sum(not one.ok for one in results)

    # Notified days ago, it has a day from when it was not used any more.
    began = time.time() + 3 * 86_400
    assert refused_at(began) == 1
    assert refused_at(began + 86_000) == 1
    assert refused_at(began + 86_500) == 0
    with database.connection() as connection:
        left = connection.execute("select receiver ->> 'url' from alert_notified").fetchall()
    assert left == ([(OTHER["url"],)] if how == "moved" else [])
    (dead,) = world.http.get(f"{API}/deliveries", params={"status": "dead"}).json()["data"]
    assert dead["lastError"] == f"given up, as {why}; gone"


def test_a_receiver_that_is_used_again_is_not_given_up(world: World) -> None:
    rule_id = world.rule(HOOK)
    world.tick(a=95)
    for enabled in (False, True):
        world.change(rule_id, enabled=enabled)
        with database.connection() as connection:
            notifier.claim(connection, now=time.time() + 60)
    with database.connection() as connection:
        notifier.claim(connection, now=time.time() + 3 * 86_400)
        kept = connection.execute("select unused_since, alerts <> '{}' from alert_notified")
        assert kept.fetchall() == [(None, True)]


def test_what_has_resolved_is_forgotten_after_its_retention(world: World) -> None:
    """Not what began long ago and fires still, or ended a moment ago: that is still notified."""
    world.rule(HOOK)
    world.tick(a=95, b=95, c=95)
    world.tick(a=95, b=5, c=5)
    with database.connection() as connection:
        connection.execute("update alert_events set triggered_at = now() - interval '9 years'")
        state_store.prune(connection)
        kept = "select count(*) from alert_events"
        assert connection.execute(kept).fetchone() == (3,)
        connection.execute(
            "update alert_events set resolved_at = now() - interval '9 years'"
            " where tags ->> 'host' = 'b'"
        )
        state_store.prune(connection)
        assert connection.execute(kept).fetchone() == (2,)


def test_many_rules_at_once_are_notified_at_once_critical_ones_first(world: World) -> None:
    slack = {"type": "slack", "url": "https://hooks.slack.com/x"}
    pager = {"type": "pagerduty", "routingKey": "R"}
    for number in range(120):
        severity = "critical" if number >= 100 else "warning"
        channels = [HOOK, slack, pager] if number >= 90 else [HOOK, slack]
        world.rule(*channels, name=f"rule {number}", severity=severity)
    claims = world.tick(a=95)
    assert len(world.believed["a"]) == 120
    (message,) = [claim for claim in claims if "slack" in claim.url]
    text = json.loads(message.body)
    assert text["text"] == "[120 firing] 120 rules"
    assert "and 100 more rules" in text["attachments"][0]["text"]
    assert text["attachments"][0]["text"].count("CRITICAL") == 20
    incidents = [json.loads(claim.body) for claim in claims if "pagerduty" in claim.url]
    assert len(incidents) == 30
    severities = [one["payload"]["severity"] for one in incidents]
    assert severities == ["critical"] * 20 + ["warning"] * 10
    assert world.tick(a=95) == []
    world.tick(a=5)
    assert world.believed["a"] == set()


def test_an_acknowledged_alert_is_quiet_until_then_and_its_end_is_notified(
    world: World, admin: TestClient
) -> None:
    rule_id = world.rule(
        HOOK,
        notification={"channels": [HOOK], "repeatInterval": "20s"},
        labels={"team": "{{host}}"},
    )
    assert len(world.tick(a=95)) == 1
    (event,) = admin.get(f"{API}/events").json()["data"]
    assert event["labels"] == {
        **{"alertname": "high", "severity": "warning"},
        **{"host": "a", "team": "a"},
    }
    path = f"{API}/events/{event['id']}/acknowledge"
    past = admin.post(path, json={"until": "2020-01-01T00:00:00Z"})
    assert (past.status_code, past.json()["details"][0]["field"]) == (400, "until")
    given = admin.post(path, json={"note": "disk is on its way"})
    assert given.status_code == 200, given.text
    # The ticks of this test are an hour ago: the clock of the API is ahead of them.
    until = world.now + 45
    with database.connection() as connection:
        connection.execute(
            "update alert_events set acknowledged_until = to_timestamp(%s)", (until,)
        )
    shown = admin.get(f"{API}/rules/{rule_id}").json()["data"]["instances"][0]
    assert shown["eventId"] == event["id"]
    # It says so where another alert is notified.
    assert [len(world.tick(a=95)) for _ in range(3)] == [0, 0, 0]
    (claim,) = world.tick(a=95, b=95)
    notes = {
        alert["labels"]["host"]: alert["annotations"].get("acknowledged", "")
        for alert in json.loads(claim.body)["alerts"]
    }
    assert notes["b"] == ""
    assert notes["a"].startswith("Acknowledged by ")
    assert notes["a"].endswith(": disk is on its way")
    # Until then: it repeats again.
    assert [len(world.tick(a=95, b=95)) for _ in range(3)] == [0, 1, 0]
    world.tick(a=5, b=5)
    assert world.believed["a"] == set()
    assert admin.post(path, json={}).status_code == 409
    (_, first) = admin.get(f"{API}/events").json()["data"]
    assert first["acknowledgement"]["note"] == "disk is on its way"


def test_an_acknowledgement_that_is_withdrawn_and_who_may(world: World, admin: TestClient) -> None:
    world.rule(HOOK, notification={"channels": [HOOK], "repeatInterval": "20s"})
    world.tick(a=95)
    (event,) = admin.get(f"{API}/events").json()["data"]
    path = f"{API}/events/{event['id']}/acknowledge"
    given = admin.post(path, json={}).json()["data"]["acknowledgement"]
    assert (given["by"], given["until"], given["note"]) == (
        admin.get("/api/v1/auth/me").json()["data"]["email"],
        *(None, ""),
    )
    assert [len(world.tick(a=95)) for _ in range(3)] == [0, 0, 0]
    assert admin.delete(path).json()["data"]["acknowledgement"] is None
    assert len(world.tick(a=95)) == 1
    missing = path.replace(event["id"], "00000000-0000-0000-0000-000000000000")
    assert admin.post(missing, json={}).status_code == 404


def test_a_silence_of_all_the_labels_of_an_alert_with_many_tags(
    world: World, admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the page sends by one click: each label, of which the rule may have replaced some."""
    monkeypatch.setenv("PULSEBOARD_INGEST_MAX_TAGS", "64")
    settings.cache_clear()
    world.rule(HOOK, labels={f"t{number}": "of the rule" for number in range(32, 96)})
    world.now += TICK
    # As many as a series and a rule may have.
    tags = {f"t{number}": f'{number} "{{{{' + "x" * 60 for number in range(64)}
    point = {"name": "cpu", "tags": tags, "value": 95, "timestamp": int((world.now - 1) * 1000)}
    assert admin.post("/api/v1/metrics", json=point).json()["data"]["rejected"] == 0
    assert len(tick.run(now=world.now).claims) == 1
    (event,) = admin.get(f"{API}/events").json()["data"]
    matchers = [{"label": key, "value": value} for key, value in event["labels"].items()]
    assert len(matchers) == 96 + 2
    body = {"matchers": matchers, "endsAt": "2100-01-01T00:00:00Z"}
    assert admin.post(f"{API}/silences", json=body).status_code == 201
    (rule,) = admin.get(f"{API}/rules").json()["data"]
    (shown,) = admin.get(f"{API}/rules/{rule['id']}").json()["data"]["instances"]
    assert shown["silenced"]
