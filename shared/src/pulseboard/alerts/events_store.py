"""The history of alerts: what fired and resolved, and who took care of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from pulseboard.alerts.notifications import labels_of
from pulseboard.contracts.alerts import (
    AcknowledgeAlert,
    AlertAcknowledgement,
    AlertEvent,
    AlertStatus,
)
from pulseboard.core.exceptions import Conflict, NotFound

_EVENT = """
    select e.id, e.rule_id, e.rule_name, e.severity, e.tags, e.status, e.value, e.reason,
      e.triggered_at, e.resolved_at, e.resolved_value, e.resolved_reason,
      e.acknowledged_at, e.acknowledged_until, e.acknowledged_note, u.email as acknowledged_by,
      r.query, r.labels as rule_labels, r.threshold
    from alert_events e
    left join alert_rules r on r.id = e.rule_id
    left join users u on u.id = e.acknowledged_by
"""


def _event(row: dict[str, Any]) -> AlertEvent:
    labels, threshold = row.pop("rule_labels") or {}, row.pop("threshold")
    at, until = row.pop("acknowledged_at"), row.pop("acknowledged_until")
    by, note = row.pop("acknowledged_by"), row.pop("acknowledged_note")
    return AlertEvent(
        **row,
        labels=labels_of(
            row["rule_name"],
            row["severity"],
            labels,
            row["tags"],
            value=row["value"],
            threshold=threshold,
        ),
        acknowledgement=None
        if at is None
        else AlertAcknowledgement(by=by, at=at, until=until, note=note),
    )


def get_event(connection: psycopg.Connection[Any], *, event_id: UUID) -> AlertEvent:
    """One alert. Raises NotFound. Served by alert_events_pkey."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(f"{_EVENT} where e.id = %s", (event_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such alert.")
    return _event(row)


def list_events(
    connection: psycopg.Connection[Any],
    *,
    rule_id: UUID | None,
    status: AlertStatus | None,
    start: datetime | None,
    end: datetime | None,
    page: int,
    page_size: int,
) -> tuple[list[AlertEvent], int]:
    """A page of alerts, newest first: of a rule, or all; those that were firing at any time of
    [start, end). Served by alert_events_rule and alert_events_time.
    """
    condition = """
        (%(rule)s::uuid is null or e.rule_id = %(rule)s)
        and (%(status)s::text is null or e.status = %(status)s)
        and (%(end)s::timestamptz is null or e.triggered_at < %(end)s)
        and (%(start)s::timestamptz is null or coalesce(e.resolved_at, 'infinity') >= %(start)s)
    """
    wanted: Mapping[str, Any] = {
        "rule": rule_id,
        "status": status,
        "start": start,
        "end": end,
        "limit": page_size,
        "offset": (page - 1) * page_size,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        rows: Sequence[dict[str, Any]] = cursor.execute(
            f"{_EVENT} where {condition} order by e.triggered_at desc, e.id"
            " limit %(limit)s offset %(offset)s",
            wanted,
        ).fetchall()
        total = cursor.execute(
            f"select count(*) as total from alert_events e where {condition}", wanted
        ).fetchone()
    return [_event(row) for row in rows], total["total"] if total else 0


def acknowledge(
    connection: psycopg.Connection[Any], *, event_id: UUID, user_id: UUID, body: AcknowledgeAlert
) -> AlertEvent:
    """Record who takes care of an alert; the last one counts. Raises NotFound, Conflict.

    Served by alert_events_pkey.
    """
    return _put(
        connection, event_id, {"by": user_id, "until": body.until, "note": body.note, "set": True}
    )


def withdraw(connection: psycopg.Connection[Any], *, event_id: UUID) -> AlertEvent:
    """Nobody takes care of a firing alert any more. Raises NotFound, Conflict."""
    return _put(connection, event_id, {"by": None, "until": None, "note": "", "set": False})


def _put(
    connection: psycopg.Connection[Any], event_id: UUID, values: Mapping[str, Any]
) -> AlertEvent:
    changed = connection.execute(
        """
        update alert_events set acknowledged_by = %(by)s, acknowledged_until = %(until)s,
          acknowledged_note = %(note)s, acknowledged_at = case when %(set)s then now() end
        where id = %(id)s and status = 'firing' returning 1
        """,
        {**values, "id": event_id},
    ).fetchone()
    found = get_event(connection, event_id=event_id)
    if changed is None:
        raise Conflict("This alert has resolved.")
    return found


def active_acknowledgements(
    connection: psycopg.Connection[Any], *, at: float, rule_id: UUID | None = None
) -> dict[UUID, AlertAcknowledgement]:
    """By event, who takes care of the alerts that fire, at a time (seconds since 1970).

    Served by alert_events_acknowledged.
    """
    rows = connection.execute(
        """
        select e.id, u.email, e.acknowledged_at, e.acknowledged_until, e.acknowledged_note
        from alert_events e left join users u on u.id = e.acknowledged_by
        where e.status = 'firing' and e.acknowledged_at is not null
          and (%(rule)s::uuid is null or e.rule_id = %(rule)s)
          and coalesce(e.acknowledged_until, 'infinity') > to_timestamp(%(at)s)
        """,
        {"at": at, "rule": rule_id},
    ).fetchall()
    return {
        row[0]: AlertAcknowledgement(by=row[1], at=row[2], until=row[3], note=row[4])
        for row in rows
    }
