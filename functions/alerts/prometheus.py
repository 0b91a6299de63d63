"""The rules and alerts of Prometheus' HTTP API."""

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Response

from pulseboard.alerts import recordings_store, rules_store, state_store
from pulseboard.alerts.expression_text import expression_of
from pulseboard.alerts.notifications import labels_of
from pulseboard.alerts.state_machine import TICK, Instance
from pulseboard.auth.access import PrometheusReader
from pulseboard.contracts.alerts import AlertRule, AlertStatus
from pulseboard.contracts.base import interval_seconds
from pulseboard.contracts.recordings import RecordingRule, RuleGroup
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.web.prometheus import Parameters, PrometheusRoute
from pulseboard.web.prometheus_errors import PREFIX

router = APIRouter(
    prefix=PREFIX, tags=["prometheus"], route_class=PrometheusRoute, include_in_schema=False
)
_SHOWN = (AlertStatus.FIRING, AlertStatus.PENDING)
_NO_GROUP = "rules"


@router.get("/api/v1/rules")
def list_rules(caller: PrometheusReader, given: Parameters) -> Response:
    """The rules in groups, in their order, with what is pending or firing."""
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    if given["type"] != "alert":
        for recorded in _recordings():
            found.setdefault(recorded.group, []).append((recorded.position, _recording(recorded)))
    if given["type"] != "record":
        hidden = given["exclude_alerts"].lower() == "true"
        for rule, active in _rules():
            shown = _rule(rule, [] if hidden else active)
            found.setdefault(rule.group, []).append((rule.position, shown))
    with database.connection() as connection:
        described = {one.name: one for one in recordings_store.list_groups(connection)}
    names, groups = given.all("rule_name[]"), given.all("rule_group[]")
    listed = []
    for group, rules in sorted(found.items()):
        in_order = [rule for _, rule in sorted(rules, key=lambda one: one[0])]
        wanted = [rule for rule in in_order if not names or rule["name"] in names]
        if wanted and (not groups or (group or _NO_GROUP) in groups):
            listed.append(_group(described.get(group), group or _NO_GROUP, wanted))
    return _json({"groups": listed})


def _group(described: RuleGroup | None, name: str, rules: list[dict[str, Any]]) -> dict[str, Any]:
    records = any(rule["type"] == "recording" for rule in rules)
    interval = float(settings().recording_interval if records else TICK)
    if described is not None and described.interval is not None:
        interval = interval_seconds(described.interval)
    return {
        "name": name,
        "file": "pulseboard",
        "interval": interval,
        "limit": 0 if described is None else described.limit,
        "evaluationTime": 0,
        "lastEvaluation": max(rule["lastEvaluation"] for rule in rules),
        "rules": rules,
    }


def _recordings() -> list[RecordingRule]:
    with database.connection() as connection:
        found, _ = recordings_store.list_rules(
            connection, search="", page=1, page_size=settings().recording_max_rules
        )
    return found


def _recording(rule: RecordingRule) -> dict[str, Any]:
    return {
        "name": rule.name,
        "query": rule.query,
        "labels": rule.labels,
        "health": "err" if rule.last_error else "ok" if rule.last_evaluated_at else "unknown",
        "lastError": rule.last_error or "",
        "lastEvaluation": _time(rule.last_evaluated_at),
        "evaluationTime": 0,
        "type": "recording",
    }


@router.get("/api/v1/alerts")
def list_alerts(caller: PrometheusReader) -> Response:
    """All alerts that are pending or firing."""
    return _json({"alerts": [alert for _, active in _rules() for alert in active]})


def _rules() -> Iterable[tuple[AlertRule, list[dict[str, Any]]]]:
    """Each rule with its alerts."""
    with database.connection() as connection:
        rules, _ = rules_store.list_rules(
            connection, search="", status=None, page=1, page_size=settings().alert_max_rules
        )
        states = state_store.load_states(connection)
    for rule in rules:
        records = states.get(rule.id, {}).values()
        yield (
            rule,
            [
                _alert(rule, record.tags, record.instance)
                for record in records
                if record.instance.status in _SHOWN
            ],
        )


def _rule(rule: AlertRule, alerts: list[dict[str, Any]]) -> dict[str, Any]:
    health = "err" if rule.last_error else "ok" if rule.last_evaluated_at else "unknown"
    active = {AlertStatus.FIRING, AlertStatus.PENDING}
    return {
        "name": rule.name,
        "query": expression_of(rule),
        "duration": interval_seconds(rule.duration),
        "keepFiringFor": interval_seconds(rule.keep_firing_for),
        "labels": {"severity": rule.severity, **rule.labels},
        "annotations": _annotations(rule),
        "alerts": alerts,
        "state": str(rule.status) if rule.status in active else "inactive",
        "health": health,
        "lastError": rule.last_error or "",
        "lastEvaluation": _time(rule.last_evaluated_at),
        "evaluationTime": 0,
        "type": "alerting",
    }


def _alert(rule: AlertRule, tags: Mapping[str, str], instance: Instance) -> dict[str, Any]:
    labels = labels_of(
        rule.name,
        rule.severity,
        rule.labels,
        dict(tags),
        value=instance.value,
        threshold=rule.threshold,
    )
    since = instance.first_triggered or instance.since
    at = since if since > 0 else time.time()
    return {
        "labels": labels,
        "annotations": {"runbook_url": rule.runbook_url},
        "state": str(instance.status),
        "activeAt": _time(datetime.fromtimestamp(at, UTC)),
        "value": "" if instance.value is None else f"{instance.value:e}",
    }


def _annotations(rule: AlertRule) -> dict[str, str]:
    """Those of the file, and the message and runbook of a rule that comes from none."""
    own = {"summary": rule.message, "runbook_url": rule.runbook_url}
    return rule.annotations or {key: text for key, text in own.items() if text}


def _time(at: datetime | None) -> str:
    return "0001-01-01T00:00:00Z" if at is None else at.astimezone(UTC).isoformat()


def _json(data: Any) -> Response:
    body = orjson.dumps({"status": "success", "data": data})
    return Response(body, media_type="application/json")
