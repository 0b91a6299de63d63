"""Resolves the firing alerts of a rule that is disabled, deleted or gets another query."""

import time
from typing import Any
from uuid import UUID

import psycopg

from pulseboard.alerts import state_store
from pulseboard.alerts.changes import Changes, Ended, StateChange
from pulseboard.alerts.state_machine import Instance
from pulseboard.contracts.alerts import AlertStatus


def end_all(connection: psycopg.Connection[Any], *, rule_id: UUID, reason: str) -> None:
    """Resolve each firing series with this reason, and delete all states.

    Whoever was notified that they fire is notified of this with the next tick: `notifier`. Within a
    transaction that began with `rules_changed`, so that no tick runs in between.
    """
    states = state_store.load_states(connection, rule_ids=[rule_id]).get(rule_id, {})
    end = Instance(status=AlertStatus.RESOLVED, since=time.time(), reason=reason)
    state_store.write(
        connection,
        changes=Changes(
            states=[StateChange(rule_id, series, None) for series in states],
            ended=[
                Ended(record.event_id, end)
                for record in states.values()
                if record.instance.status is AlertStatus.FIRING and record.event_id is not None
            ],
        ),
        tick=0,
    )
