"""Notifications and the requests they become; where notifications may go; email by SES and SNS."""

import hashlib
import hmac
import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar
from uuid import UUID, uuid4

import boto3
import pytest
from moto import mock_aws
from pydantic import SecretStr, TypeAdapter, ValidationError

from functions.notify import email, http
from functions.notify.handler import handler
from pulseboard.alerts.notifications import (
    MAX_ALERTS,
    NotificationPayload,
    NotifiedAlert,
    Outgoing,
    describe,
    fill,
    labels_of,
    payload_of,
    render,
    silenced,
)
from pulseboard.alerts.state_machine import Condition, RuleSnapshot, format_value
from pulseboard.alerts.state_store import json_text
from pulseboard.contracts.alerts import (
    AlertCondition,
    AlertSeverity,
    MatchOperator,
    SilenceMatcher,
)
from pulseboard.contracts.channels import (
    HIDDEN,
    REVEAL,
    Channel,
    EmailChannel,
    PagerDutyChannel,
    Receiver,
    SlackChannel,
    WebhookChannel,
)
from pulseboard.core.settings import Settings, settings

RULE = RuleSnapshot(
    id=UUID(int=7),
    name="High CPU",
    query="cpu",
    condition=Condition(operator=AlertCondition.GT, threshold=90),
    severity=AlertSeverity.CRITICAL,
    labels={"team": "ops"},
    runbook_url="https://wiki.example.com/cpu",
    message="{{host}} is at {{ value }} of {{threshold}}, {{nobody}}",
)
FIRING = NotifiedAlert(
    status="firing", tags={"host": "web-1"}, value=95.5, reason="95.5 > 90", started=1000.0
)
RESOLVED = FIRING.model_copy(update={"status": "resolved", "ended": 1100.0, "value": 10.0})


def rendered(
    receiver: Receiver, *alerts: NotifiedAlert, payload: NotificationPayload | None = None
) -> Outgoing:
    return render(
        payload or payload_of(RULE, list(alerts or (FIRING,))),
        receiver,
        outbox_id="1",
        key="k",
        group="g",
        name="ops",
        now=1200.0,
        public_url="https://pulse.example.com/",
        pagerduty_url="https://events.pagerduty.com/v2/enqueue",
    )


def webhook(**more: Any) -> WebhookChannel:
    return WebhookChannel.model_validate({"url": "https://example.com/hook", **more})


def test_the_webhook_body_is_alertmanagers() -> None:
    body = json.loads(rendered(webhook(), FIRING, RESOLVED).body)
    assert {key: body[key] for key in ("version", "status", "receiver", "groupLabels")} == {
        "version": "4",
        "status": "firing",
        "receiver": "ops",
        "groupLabels": {"alertname": "High CPU"},
    }
    first, second = body["alerts"]
    assert first["labels"] == {
        "alertname": "High CPU",
        "severity": "critical",
        "team": "ops",
        "host": "web-1",
    }
    assert first["annotations"]["summary"] == "web-1 is at 95.5 of 90, "
    assert first["annotations"]["runbook_url"] == "https://wiki.example.com/cpu"
    assert first["startsAt"] == "1970-01-01T00:16:40.000Z"
    assert first["endsAt"] == "0001-01-01T00:00:00Z"
    assert first["generatorURL"] == f"https://pulse.example.com/alerts/{RULE.id}"
    assert second["endsAt"] == "1970-01-01T00:18:20.000Z"
    assert first["fingerprint"] == second["fingerprint"]
    other = payload_of(replace(RULE, id=uuid4()), [FIRING])
    (alert,) = json.loads(rendered(webhook(), payload=other).body)["alerts"]
    assert alert["labels"] == first["labels"]
    assert alert["fingerprint"] != first["fingerprint"], "another rule's of equal labels"
    assert body["commonLabels"]["host"] == "web-1"
    assert json.loads(rendered(webhook(), RESOLVED).body)["status"] == "resolved"


def test_bodies_are_signed_with_their_time() -> None:
    created = rendered(webhook(secret="s3cret"))
    stamp, signature = created.headers["X-Pulseboard-Signature"].split(",")
    assert stamp == "t=1200"
    expected = hmac.new(b"s3cret", f"1200.{created.body}".encode(), hashlib.sha256).hexdigest()
    assert signature == f"v1={expected}"
    assert "s3cret" not in created.model_dump_json()


def test_many_alerts_are_counted_beyond_the_named() -> None:
    alerts = [FIRING.model_copy(update={"tags": {"host": str(n)}}) for n in range(MAX_ALERTS + 5)]
    body = json.loads(rendered(webhook(), *alerts).body)
    assert (len(body["alerts"]), body["truncatedAlerts"]) == (MAX_ALERTS, 5)


def test_slack_pagerduty_and_mail() -> None:
    slack = rendered(SlackChannel(url=SecretStr("https://hooks.slack.com/services/x")))
    text = json.loads(slack.body)
    assert slack.url == "https://hooks.slack.com/services/x"
    assert text["text"] == "[FIRING] High CPU (host=web-1)"
    assert "95.5 &gt; 90" in text["attachments"][0]["text"]
    pager = PagerDutyChannel(routing_key=SecretStr("R0"))
    trigger, resolve = (json.loads(rendered(pager, alert).body) for alert in (FIRING, RESOLVED))
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert trigger["routing_key"] == "R0"
    assert trigger["payload"]["source"] == "web-1"
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["links"] == [{"href": "https://wiki.example.com/cpu", "text": "Runbook"}]
    assert "Runbook: https://wiki" in text["attachments"][0]["text"]
    evil = RULE.name + "\r\nBcc: x@example.com"
    notification = payload_of(RULE, [FIRING]).model_copy(update={"rule_name": evil})
    mail = render(
        notification,
        EmailChannel(to=["a@example.com"]),
        outbox_id="1",
        key="k",
        group="g",
        name="x",
        now=0,
        public_url="",
        pagerduty_url="",
    )
    assert "\n" not in mail.subject
    assert "web-1 is at 95.5" in mail.body


def test_secrets_are_hidden_unless_revealed() -> None:
    channels = TypeAdapter(list[Channel])
    given = [
        {"type": "slack", "url": "https://hooks.slack.com/x"},
        {"type": "pagerduty", "routingKey": "R0"},
        {"type": "webhook", "url": "https://example.com/", "secret": "s"},
    ]
    read = channels.validate_python(given)
    shown = channels.dump_python(read, mode="json", by_alias=True)
    assert [shown[0]["url"], shown[1]["routingKey"], shown[2]["secret"]] == [HIDDEN] * 3
    stored = channels.dump_python(read, mode="json", by_alias=True, context=REVEAL)
    assert stored == given
    assert channels.validate_python(shown)
    assert [describe(one) for one in stored] == [
        "slack",
        "pagerduty",
        "webhook https://example.com/",
    ]
    with pytest.raises(ValidationError, match="leave the user out"):
        webhook(url="https://user:pass@example.com/")
    with pytest.raises(ValidationError, match="write an address"):
        channels.validate_python([{"type": "slack", "url": "ftp://x"}])


def test_silences_match_all_of_their_labels() -> None:
    def matchers(*given: tuple[str, str, str]) -> list[SilenceMatcher]:
        return [
            SilenceMatcher.model_validate({"label": label, "operator": how, "value": value})
            for label, how, value in given
        ]

    labels = {"host": "web-1", "severity": "critical"}
    assert silenced(labels, [matchers(("host", "=~", "web-.*"), ("severity", "=", "critical"))])
    assert not silenced(labels, [matchers(("host", "=~", "web-.*"), ("severity", "=", "info"))])
    assert silenced(labels, [matchers(("env", "!=", "prod"))])
    assert not silenced(labels, [])


def test_templates_say_no_data() -> None:
    alert = FIRING.model_copy(update={"value": None})
    notification = NotificationPayload(
        rule_id="x", rule_name="r", severity=AlertSeverity.INFO, threshold=1, alerts=[alert]
    )
    assert fill("{{value}} {{rule}} {{severity}}", notification, alert) == "no data r info"
    as_prometheus = "{{ $labels.host }}: {{ $value }} {{$labels.nobody}}"
    assert fill(as_prometheus, notification, FIRING) == "web-1: 95.5 "


def test_labels_of_a_rule_are_templates_and_a_severity_among_them_stays() -> None:
    labels = {"team": "{{ $labels.owner | toUpper }}", "severity": "page", "gone": "{{nobody}}"}
    tags = {"owner": "ops", "gone": "x", "severity": "of the series"}
    found = labels_of("high", "critical", labels, tags, value=1e6, threshold=3)
    assert found == {"owner": "ops", "team": "OPS", "severity": "page", "alertname": "high"}
    assert labels_of("high", "critical", {}, tags)["severity"] == "critical"
    at = labels_of("high", "info", {"at": "{{value}} of {{threshold}}"}, {}, value=2.5, threshold=3)
    assert at["at"] == "2.5 of 3"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("ff02::1", False),
        ("::127.0.0.1", False),
        ("::10.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("::ffff:0:169.254.169.254", False),
        ("64:ff9b:1::a9fe:a9fe", False),
        ("64:ff9b:1::5db8:d80e", False),
        ("64:ff9b::5db8:d80e", True),
        ("fec0::1", False),
        ("feff::1", False),
        ("192.0.0.8", False),
        ("192.0.0.170", False),
        ("192.88.99.1", False),
        ("198.18.0.1", False),
        ("203.0.113.7", False),
        ("64:ff9b::c058:6301", False),
        ("5f00::1", False),
        ("5f00:ffff::1", False),
        ("3fff::1", False),
        ("3fff:fff::1", False),
        ("4000::1", False),
        ("e000::1", False),
        ("2001:10::1", False),
        ("2001:db8::1", False),
        ("2a00:1450:4001:81b::200e", True),
        ("2400:cb00:2048:1::c629:d7a2", True),
        ("192.0.1.1", True),
        ("198.20.0.1", True),
    ],
)
def test_only_the_public_internet_is_public(address: str, public: bool) -> None:
    assert http.is_public(address) is public


class _Receiver(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, dict[str, str], str]]] = []

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length).decode()
        self.seen.append((self.path, dict(self.headers), body))
        status = int(self.path.strip("/").split("?")[0] or 200)
        if status == 299:
            for _ in range(100):
                time.sleep(0.05)
                try:
                    self.wfile.write(b"H")
                    self.wfile.flush()
                except OSError:
                    return
        self.send_response(status)
        self.send_header("Location", "http://169.254.169.254/")
        self.end_headers()
        self.wfile.write(b"why not")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[str]:
    _Receiver.seen.clear()
    server = HTTPServer(("127.0.0.1", 0), _Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def claim(url: str) -> Outgoing:
    return Outgoing(id="1", kind="http", idempotency_key="key-1", url=url, body="{}")


def test_what_becomes_of_each_response(receiver: str) -> None:
    def sent(path: str, **more: Any) -> tuple[bool, bool]:
        done = http.send(claim(receiver + path), timeout=2, allow_private=True, **more)
        return done.ok, done.permanent

    assert sent("/204?a=b") == (True, False)
    path, headers, body = _Receiver.seen[0]
    assert (path, body, headers["Idempotency-Key"]) == ("/204?a=b", "{}", "key-1")
    assert sent("/503") == sent("/429") == (False, False)
    assert sent("/404") == sent("/302") == (False, True)
    assert len(_Receiver.seen) == 5


def test_private_addresses_are_refused_before_a_connection(receiver: str) -> None:
    port = receiver.rpartition(":")[2]
    disguises = ("127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1")
    mapped = ("[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]")
    for host in (*disguises, *mapped, "169.254.169.254", "2852039166", "0"):
        url = f"http://{host}:{port}/"
        done = http.send(claim(url), timeout=2, allow_private=False)
        assert (done.ok, done.permanent) == (False, True)
        assert "not a public address" in str(done.error)
    assert _Receiver.seen == []


def test_a_name_is_resolved_once_and_each_of_its_addresses_must_be_public(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name server gains nothing by a second response, nor by one with two addresses."""
    resolved = [["93.184.215.14"], ["127.0.0.1"]]
    reached: list[Any] = []

    def look_up(host: str, port: int, **more: Any) -> list[Any]:
        return [(socket.AF_INET, 1, 6, "", (address, port)) for address in resolved.pop(0)]

    def connect(address: Any, timeout: float) -> socket.socket:
        reached.append(address)
        raise OSError("not really")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "create_connection", connect)
    assert not http.send(claim("http://rebinding.example/"), timeout=1, allow_private=False).ok
    assert reached == [("93.184.215.14", 80)]
    assert resolved == [["127.0.0.1"]]
    resolved[:] = [["93.184.215.14", "10.0.0.1"]]
    done = http.send(claim("http://two.example/"), timeout=1, allow_private=False)
    assert (done.permanent, "10.0.0.1" in str(done.error)) == (True, True)
    assert len(reached) == 1


def test_a_receiver_that_dribbles_is_cut_off(receiver: str) -> None:
    done = http.send(claim(receiver + "/299"), timeout=0.3, allow_private=True)
    assert (done.ok, done.permanent) == (False, False)


def test_nobody_there_is_tried_again() -> None:
    done = http.send(claim("http://127.0.0.1:9/"), timeout=1, allow_private=True)
    assert (done.ok, done.permanent) == (False, False)
    done = http.send(claim("http://nowhere.invalid/"), timeout=1, allow_private=True)
    assert not done.ok
    assert not http.send(claim("gopher://x/"), timeout=1, allow_private=True).ok


def test_the_handler_returns_a_result_for_each_claim(
    receiver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_ALERT_ALLOW_PRIVATE", "true")
    settings.cache_clear()
    claims = [
        claim(receiver).model_dump(mode="json", by_alias=True) | {"id": str(n)} for n in (1, 2)
    ]
    outcome = handler({"claims": claims}, None)
    settings.cache_clear()
    assert outcome["action"] == "acknowledge"
    assert [(one["id"], one["ok"]) for one in outcome["results"]] == [("1", True), ("2", True)]
    assert handler({}, None)["results"] == []


MAIL = Outgoing(
    id="1", kind="email", idempotency_key="k", to=["b@example.com"], subject="Hot é", body="95"
)


def test_mail_goes_by_ses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert "PULSEBOARD_ALERT_EMAIL_FROM" in str(email.send(MAIL, configured=Settings()).error)
    with mock_aws():
        ses = Settings(alert_email_from="a@example.com")
        refused = email.send(MAIL, configured=ses)
        assert (refused.ok, refused.permanent) == (False, False)
        boto3.client("sesv2").create_email_identity(EmailIdentity="a@example.com")
        assert email.send(MAIL, configured=ses).ok


def test_a_silence_whose_pattern_can_not_be_read_silences_nobody() -> None:
    def silence(pattern: str) -> list[SilenceMatcher]:
        return [SilenceMatcher(label="host", operator=MatchOperator.MATCHES, value=pattern)]

    # Stored by a version whose patterns were Python's.
    stored = silence("(?=a).*")
    assert not silenced({"host": "a"}, [stored])
    assert silenced({"host": "a"}, [stored, silence("a|b")])


def test_infinite_values_pass_the_database_as_texts() -> None:
    alert = NotifiedAlert(
        status="firing", tags={}, value=-math.inf, reason="-Inf < 5", started=1_700_000_000
    )
    stored = json_text(alert.model_dump(mode="json"))
    assert json.loads(stored, parse_constant=pytest.fail)["value"] == "-Infinity"
    assert NotifiedAlert.model_validate_json(stored) == alert
    assert [format_value(value) for value in (math.inf, -math.inf, 0.1 + 0.2, None)] == [
        "+Inf",
        "-Inf",
        "0.3",
        "no data",
    ]
