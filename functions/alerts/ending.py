"""Resolves the firing alerts of a rule that is disabled, deleted or gets another query."""

import time
from typing import Any
from uuid import UUID, uuid4

import psycopg

from pulseboard.alerts import state_store
from pulseboard.alerts.changes import Changes, Ended, Queued, StateChange
from pulseboard.alerts.notifications import group_key, payload_of
from pulseboard.alerts.state_machine import Instance
from pulseboard.contracts.alerts import AlertStatus


def end_all(connection: psycopg.Connection[Any], *, rule_id: UUID, reason: str) -> None:
    """Resolve each firing series with this reason, notify the channels that were notified of it,
    and delete all states.

    Within a transaction that began with `rules_changed`, so that no tick runs in between.
    """
    # Imports numpy, see routes.py.
    from pulseboard.alerts.evaluate import alert_of

    rule = state_store.load_rule(connection, rule_id=rule_id)
    states = state_store.load_states(connection, rule_ids=[rule_id]).get(rule_id, {})
    if rule is None or not states:
        return
    now = time.time()
    firing = [record for record in states.values() if record.instance.status is AlertStatus.FIRING]
    end = Instance(status=AlertStatus.RESOLVED, since=now, reason=reason)
    alerts = [
        alert_of(
            record.tags,
            record.instance if record.resolve_pending else end,
            started=record.fired_at or now,
        )
        for record in states.values()
        if record.notified_at is not None
    ]
    queued = []
    if alerts:
        payload = payload_of(rule, alerts).model_dump(mode="json")
        for channel in rule.channels:
            group = group_key(str(rule.id), channel)
            queued.append(Queued(rule.id, f"{group}:{uuid4()}", group, dict(channel), payload))
    state_store.write(
        connection,
        changes=Changes(
            states=[StateChange(rule_id, series, None) for series in states],
            ended=[Ended(record.event_id, end) for record in firing if record.event_id is not None],
            queued=queued,
        ),
        tick=0,
    )
    state_store.reset_notified(connection, rule_id=rule_id)
