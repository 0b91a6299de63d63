"""Notifications: their payload, and the requests that carry it to receivers.

The webhook body is that of Prometheus' Alertmanager, version 4
(https://prometheus.io/docs/alerting/latest/configuration/#webhook_config), so that what reads
those reads ours. Requests are rendered where the secrets are; the sender has none of its own.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from pulseboard.alerts.notification_log import sent_fingerprint
from pulseboard.alerts.state_machine import RuleSnapshot, format_threshold, format_value
from pulseboard.catalogue.selector import Matcher
from pulseboard.contracts.alerts import AlertAcknowledgement, AlertSeverity, SilenceMatcher
from pulseboard.contracts.base import Contract, iso_utc
from pulseboard.contracts.channels import (
    REVEAL,
    EmailChannel,
    PagerDutyChannel,
    Receiver,
    SlackChannel,
    WebhookChannel,
)
from pulseboard.contracts.vocabulary import MAX_TAG_VALUE, ForeignText, replace_unreadable
from pulseboard.core import text_templates
from pulseboard.core.text_templates import TemplateData

MAX_ALERTS = 20
"""Alerts listed in one notification; the others are counted."""

_NEVER = "0001-01-01T00:00:00Z"
_PAGERDUTY_SEVERITY = {
    AlertSeverity.INFO: "info",
    AlertSeverity.WARNING: "warning",
    AlertSeverity.CRITICAL: "critical",
}
_SLACK_COLORS = {
    AlertSeverity.INFO: "#2f8fc4",
    AlertSeverity.WARNING: "#d9822b",
    AlertSeverity.CRITICAL: "#c23030",
}
_SLACK_RESOLVED = "#2b8a5e"


_RECEIVER: TypeAdapter[Receiver] = TypeAdapter(Receiver)


class NotifiedAlert(Contract):
    """One alert in a payload. Times are seconds since 1970."""

    status: Literal["firing", "resolved"]
    tags: dict[str, str]
    labels: dict[str, str] = Field(
        default_factory=dict, description="What identifies it; empty: from the rule and its tags."
    )
    value: float | None
    reason: str
    started: float
    ended: float | None = None
    acknowledged: str = Field(default="", description="Who takes care of it, until when; a note.")
    fingerprint: str = Field(default="", description="Empty: from the rule and the labels.")


class NotificationPayload(Contract):
    """The content of a notification, whoever receives it."""

    rule_id: str
    rule_name: str
    severity: AlertSeverity
    threshold: float | None
    labels: dict[str, str] = Field(default_factory=dict)
    message: str = ""
    runbook_url: str = ""
    alerts: list[NotifiedAlert]
    more: int = Field(default=0, description="Alerts that are counted and not listed.")
    test: bool = False

    @property
    def firing(self) -> bool:
        """Whether an alert fires; else all have resolved."""
        return any(alert.status == "firing" for alert in self.alerts)


class Outgoing(Contract):
    """A rendered notification, ready to be sent. It may not be sent after `not_after` (seconds
    since 1970): by then it may be handed out again, or be over. Fields that a newer `evaluate` adds
    are left out.
    """

    model_config = ConfigDict(extra="ignore")

    id: str
    not_after: float | None = None
    kind: Literal["http", "email"]
    idempotency_key: str
    url: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    body: str = ""
    to: list[str] = Field(default_factory=list)
    subject: str = ""
    failures: int = 0
    """How often in a row its receiver has not taken it: those that never failed go first."""


class SendResult(Contract):
    """The result of sending an `Outgoing`. A permanent failure is not retried; its error may quote
    what a receiver said. What there was no time for was not `sent`: no fault of its receiver.
    """

    model_config = ConfigDict(extra="ignore")

    id: str
    ok: bool
    permanent: bool = False
    sent: bool = True
    error: ForeignText | None = None


def labels_of(
    rule_name: str,
    severity: str,
    labels: Mapping[str, str],
    tags: Mapping[str, str],
    *,
    value: float | None = None,
    threshold: float | None = None,
) -> dict[str, str]:
    """The labels of an alert: severity, its tags, the rule's labels, alertname.

    The rule's labels are `text_templates` of its tags and the value that it fired with; one that is
    empty takes away the tag of that name, as in Prometheus.
    """
    rendered: Mapping[str, str] = labels
    if any("{{" in text for text in labels.values()):
        names = _names(rule_name, severity, value, threshold)
        data = TemplateData(value, tags, names)
        rendered = {
            key: replace_unreadable(text_templates.render(text, data, longest=MAX_TAG_VALUE))
            for key, text in labels.items()
        }
    if labels.get("severity") == "":
        # The rule's file has none: a tag of that name stays.
        rendered = {**rendered, "severity": tags.get("severity", "")}
    found = {**tags, "severity": severity, **rendered, "alertname": rule_name}
    return {key: text for key, text in found.items() if text}


def _names(
    rule_name: str, severity: str, value: float | None, threshold: float | None
) -> dict[str, str]:
    return {
        "value": format_value(value),
        "threshold": format_threshold(threshold),
        "rule": rule_name,
        "severity": severity,
        "alertname": rule_name,
    }


def describe_acknowledgement(given: AlertAcknowledgement) -> str:
    """An acknowledgement as notifications say it."""
    until = f" until {iso_utc(given.until)}" if given.until else ""
    note = f": {given.note}" if given.note else ""
    return f"Acknowledged by {given.by or 'a deleted user'}{until}{note}"


def silenced(labels: Mapping[str, str], silences: Iterable[Iterable[SilenceMatcher]]) -> bool:
    """Whether any of the silences, each a list of matchers, covers an alert of these labels."""
    tags = dict(labels)
    return any(_covers(matchers, tags) for matchers in silences)


def _covers(matchers: Iterable[SilenceMatcher], tags: dict[str, str]) -> bool:
    """Whether a silence covers an alert; one whose pattern can't be read silences nobody."""
    try:
        return all(Matcher(m.label, m.operator.value, m.value).accepts(tags) for m in matchers)
    except ValueError:
        return False


def payload_of(
    rule: RuleSnapshot, alerts: list[NotifiedAlert], *, most: int = MAX_ALERTS
) -> NotificationPayload:
    """A payload of these alerts, firing ones first, as many as are named."""
    ordered = sorted(alerts, key=lambda alert: (alert.status != "firing", -alert.started))
    return NotificationPayload(
        rule_id=str(rule.id),
        rule_name=rule.name,
        severity=rule.severity,
        threshold=rule.condition.threshold,
        labels=dict(rule.labels),
        message=rule.message,
        runbook_url=rule.runbook_url,
        alerts=ordered[:most],
        more=max(0, len(ordered) - most),
    )


def receiver_key(receiver: Receiver) -> str:
    """What identifies where notifications arrive: renaming a channel, or another signing secret,
    makes no other receiver; another address does.
    """
    match receiver:
        case WebhookChannel():
            parts = ["webhook", str(receiver.url)]
        case SlackChannel():
            parts = ["slack", receiver.url.get_secret_value()]
        case PagerDutyChannel():
            parts = ["pagerduty", receiver.routing_key.get_secret_value()]
        case EmailChannel():
            parts = ["email", *sorted(receiver.to)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def read_receiver(stored: Mapping[str, Any]) -> Receiver | None:
    """A receiver as it is stored, with its secrets; None for what this version can't read."""
    try:
        return _RECEIVER.validate_python(stored)
    except ValidationError:
        return None


def revealed(receiver: Receiver) -> dict[str, Any]:
    """A receiver with its secrets, to be stored."""
    return receiver.model_dump(mode="json", context=REVEAL)


def describe(channel: Mapping[str, Any]) -> str:
    """A stored channel's kind and address, without its secrets."""
    match channel.get("type"):
        case "saved":
            return str(channel.get("name") or "a channel that was deleted")
        case "webhook":
            return f"webhook {channel['url']}"
        case "email":
            return f"email {', '.join(channel['to'])}"
        case kind:
            return str(kind)


def fill(
    template: str, payload: NotificationPayload, alert: NotifiedAlert, *, public_url: str = ""
) -> str:
    """The message with its placeholders filled (`text_templates`)."""
    if "{{" not in template:
        return template
    labels = _labels(payload, alert)
    names = _names(payload.rule_name, payload.severity, alert.value, payload.threshold)
    names |= {"severity": labels.get("severity", payload.severity), "reason": alert.reason}
    names["externalURL"] = public_url
    return text_templates.render(template, TemplateData(alert.value, labels, names, public_url))


def _labels(payload: NotificationPayload, alert: NotifiedAlert) -> dict[str, str]:
    return alert.labels or labels_of(
        payload.rule_name,
        payload.severity,
        payload.labels,
        alert.tags,
        value=alert.value,
        threshold=payload.threshold,
    )


def render(
    payload: NotificationPayload,
    receiver: Receiver,
    *,
    outbox_id: str,
    key: str,
    group: str,
    name: str,
    now: float,
    public_url: str,
    pagerduty_url: str,
) -> Outgoing:
    """The request that notifies `receiver`; `now` (seconds since 1970) is when it is signed."""
    frame = _Frame(payload, group, name, now, public_url.rstrip("/"), pagerduty_url)
    outgoing = _RENDERERS[type(receiver)](frame, receiver)
    return outgoing.model_copy(update={"id": outbox_id, "idempotency_key": key})


def takes_digests(receiver: Receiver) -> bool:
    """Whether one notification can stand for several rules; an incident is one rule's."""
    return not isinstance(receiver, PagerDutyChannel)


def render_digest(
    payloads: list[NotificationPayload],
    receiver: Receiver,
    *,
    outbox_id: str,
    key: str,
    group: str,
    name: str,
    now: float,
    public_url: str,
) -> Outgoing:
    """One request for many rules, the most urgent first: people read the first of them and how
    many more there are, webhooks get every alert.
    """
    frames = [_Frame(payload, group, name, now, public_url.rstrip("/"), "") for payload in payloads]
    counts = [
        (status, sum(a.status == status for payload in payloads for a in payload.alerts))
        for status in ("firing", "resolved")
    ]
    shown = ", ".join(f"{count:,} {status}" for status, count in counts if count)
    headline = f"[{shown}] {len(payloads):,} rules"
    lines = []
    for frame in frames[:MAX_ALERTS]:
        first, *others = frame.payload.alerts
        more = len(others) + frame.payload.more
        lines.append(
            f"{frame.payload.severity.upper()}  {frame.payload.rule_name}: {frame.line(first)}"
            + (f" and {more:,} more" if more else "")
        )
    if len(frames) > MAX_ALERTS:
        lines.append(f"and {len(frames) - MAX_ALERTS:,} more rules")
    link = f"{public_url.rstrip('/')}/alerts" if public_url else ""
    match receiver:
        case WebhookChannel():
            outgoing = _webhook_request(frames, receiver)
        case SlackChannel():
            firing = any(payload.firing for payload in payloads)
            attachment: dict[str, Any] = {
                "color": _SLACK_COLORS[payloads[0].severity] if firing else _SLACK_RESOLVED,
                "fallback": _escape(headline),
                "text": _escape("\n".join(lines)),
                "footer": "Pulseboard",
                "ts": int(now),
            }
            if link:
                attachment |= {"title": "Alerts", "title_link": link}
            body = json.dumps({"text": _escape(headline), "attachments": [attachment]})
            outgoing = _http(receiver.url.get_secret_value(), body)
        case EmailChannel():
            outgoing = _mail(receiver, headline, [*lines, link] if link else lines)
        case PagerDutyChannel():
            raise TypeError("an incident of PagerDuty is one rule's")
    return outgoing.model_copy(update={"id": outbox_id, "idempotency_key": key})


def sign(secret: str, body: str, now: float) -> str:
    """`t=…,v1=…`: HMAC-SHA256 over the time, a dot and the body, so that it can't be replayed."""
    signed = f"{int(now)}.{body}".encode()
    return f"t={int(now)},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


class _Frame:
    """What every rendering of one payload needs."""

    def __init__(
        self,
        payload: NotificationPayload,
        group: str,
        name: str,
        now: float,
        public_url: str,
        pagerduty_url: str,
    ) -> None:
        self.payload = payload
        self.group = group
        self.name = name
        self.now = now
        self.public_url = public_url
        self.pagerduty_url = pagerduty_url

    @property
    def link(self) -> str:
        return f"{self.public_url}/alerts/{self.payload.rule_id}" if self.public_url else ""

    @property
    def headline(self) -> str:
        payload = self.payload
        counts = [
            f"{sum(a.status == status for a in payload.alerts)} {status}"
            for status in ("firing", "resolved")
            if any(a.status == status for a in payload.alerts)
        ]
        test = "[TEST] " if payload.test else ""
        if len(payload.alerts) == 1 and not payload.more:
            alert = payload.alerts[0]
            tags = ", ".join(f"{k}={v}" for k, v in sorted(alert.tags.items()))
            where = f" ({tags})" if tags else ""
            return f"{test}[{alert.status.upper()}] {payload.rule_name}{where}"
        more = f" and {payload.more} more" if payload.more else ""
        return f"{test}[{', '.join(counts)}{more}] {payload.rule_name}"

    def line(self, alert: NotifiedAlert) -> str:
        tags = ", ".join(f"{k}={v}" for k, v in sorted(alert.tags.items())) or "all"
        filled = fill(self.payload.message, self.payload, alert, public_url=self.public_url)
        lines = [f"{alert.status.upper()}  {tags}: {alert.reason}", filled, alert.acknowledged]
        return "\n".join(line for line in lines if line)


def _iso(seconds: float) -> str:
    return iso_utc(datetime.fromtimestamp(seconds, UTC))


def _webhook(frame: _Frame, receiver: WebhookChannel) -> Outgoing:
    return _webhook_request([frame], receiver)


def _webhook_request(frames: list[_Frame], receiver: WebhookChannel) -> Outgoing:
    first = frames[0]
    alerts = [_webhook_alert(frame, alert) for frame in frames for alert in frame.payload.alerts]
    names = {frame.payload.rule_name for frame in frames}
    body = json.dumps(
        {
            "version": "4",
            "groupKey": first.group,
            "truncatedAlerts": sum(frame.payload.more for frame in frames),
            "status": "firing" if any(frame.payload.firing for frame in frames) else "resolved",
            "receiver": first.name,
            "groupLabels": {"alertname": first.payload.rule_name} if len(names) == 1 else {},
            "commonLabels": _common([alert["labels"] for alert in alerts]),
            "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
            "externalURL": first.public_url,
            "alerts": alerts,
        },
        ensure_ascii=False,
    )
    headers = {"Content-Type": "application/json"}
    if receiver.secret is not None:
        headers["X-Pulseboard-Signature"] = sign(
            receiver.secret.get_secret_value(), body, first.now
        )
    return _http(str(receiver.url), body, headers)


def _webhook_alert(frame: _Frame, alert: NotifiedAlert) -> dict[str, Any]:
    payload = frame.payload
    labels = _labels(payload, alert)
    message = fill(payload.message, payload, alert, public_url=frame.public_url)
    annotations = {
        "summary": message or f"{payload.rule_name}: {alert.reason}",
        "reason": alert.reason,
        "value": "" if alert.value is None else format_value(alert.value),
        "threshold": format_threshold(payload.threshold),
    }
    if alert.acknowledged:
        annotations["acknowledged"] = alert.acknowledged
    if payload.runbook_url:
        annotations["runbook_url"] = payload.runbook_url
    return {
        "status": alert.status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": _iso(alert.started),
        "endsAt": _NEVER if alert.ended is None else _iso(alert.ended),
        "generatorURL": frame.link,
        "fingerprint": alert.fingerprint or sent_fingerprint(payload.rule_id, labels),
    }


def _common(sets: list[Any]) -> dict[str, str]:
    first, *rest = sets
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in rest)}


def _slack(frame: _Frame, receiver: SlackChannel) -> Outgoing:
    payload = frame.payload
    color = _SLACK_COLORS[payload.severity] if payload.firing else _SLACK_RESOLVED
    text = "\n".join(frame.line(alert) for alert in payload.alerts)
    if payload.more:
        text += f"\nand {payload.more:,} more"
    if payload.runbook_url:
        text += f"\nRunbook: {payload.runbook_url}"
    attachment = {
        "color": color,
        "fallback": _escape(frame.headline),
        "text": _escape(text),
        "footer": "Pulseboard",
        "ts": int(frame.now),
    }
    if frame.link:
        attachment["title"] = _escape(payload.rule_name)
        attachment["title_link"] = frame.link
    body = json.dumps({"text": _escape(frame.headline), "attachments": [attachment]})
    return _http(receiver.url.get_secret_value(), body)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _pagerduty(frame: _Frame, receiver: PagerDutyChannel) -> Outgoing:
    payload = frame.payload
    event: dict[str, Any] = {
        "routing_key": receiver.routing_key.get_secret_value(),
        "event_action": "trigger" if payload.firing else "resolve",
        "dedup_key": f"pulseboard/{payload.rule_id}",
        "client": "Pulseboard",
        "payload": {
            "summary": frame.headline[:1024],
            "source": next(
                (
                    a.tags[key]
                    for a in payload.alerts
                    for key in ("host", "instance")
                    if key in a.tags
                ),
                "pulseboard",
            ),
            "severity": _PAGERDUTY_SEVERITY[payload.severity],
            "timestamp": _iso(min(alert.started for alert in payload.alerts)),
            "class": payload.rule_name,
            "custom_details": {
                "alerts": [frame.line(alert) for alert in payload.alerts],
                "more": payload.more,
            },
        },
    }
    if frame.link:
        event["client_url"] = frame.link
    if payload.runbook_url:
        event["links"] = [{"href": payload.runbook_url, "text": "Runbook"}]
    return _http(frame.pagerduty_url, json.dumps(event))


def _email(frame: _Frame, receiver: EmailChannel) -> Outgoing:
    lines = [frame.line(alert) for alert in frame.payload.alerts]
    if frame.payload.more:
        lines.append(f"and {frame.payload.more} more")
    if frame.payload.runbook_url:
        lines.append(f"Runbook: {frame.payload.runbook_url}")
    if frame.link:
        lines.append(frame.link)
    return _mail(receiver, frame.headline, lines)


def _mail(receiver: EmailChannel, headline: str, lines: list[str]) -> Outgoing:
    return Outgoing(
        id="",
        idempotency_key="",
        kind="email",
        to=receiver.to,
        # A line break in a subject would begin another header.
        subject=re.sub(r"\s+", " ", headline)[:200],
        body="\n\n".join(lines),
    )


def _http(url: str, body: str, headers: dict[str, str] | None = None) -> Outgoing:
    return Outgoing(
        id="",
        idempotency_key="",
        kind="http",
        url=url,
        headers=headers or {"Content-Type": "application/json"},
        body=body,
    )


_RENDERERS: dict[type, Callable[[_Frame, Any], Outgoing]] = {
    WebhookChannel: _webhook,
    SlackChannel: _slack,
    PagerDutyChannel: _pagerduty,
    EmailChannel: _email,
}
