"""Alert rules as the API shows and changes them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from pulseboard.alerts import channels_store
from pulseboard.alerts.state_machine import TICK
from pulseboard.alerts.state_store import as_jsonb, rules_changed
from pulseboard.contracts.alerts import (
    AlertRule,
    AlertRuleFields,
    AlertRuleState,
    AlertSeverity,
    AlertStatus,
)
from pulseboard.contracts.base import format_interval, interval_seconds
from pulseboard.core.exceptions import Conflict, InvalidRequest, NotFound
from pulseboard.core.settings import settings

# With the counts of its series by status: a rule is as urgent as its most urgent series.
_SELECT = """
    select r.id, r.name, r.owner_id, r.query, r.condition, r.threshold, r.duration,
      r.eval_window, r.reducer, r.severity, r.enabled, r.no_data, r.keep_firing_for,
      r.evaluation_delay, r.labels, r.message, r.runbook_url, r.source,
      r.group_name, r.position, r.annotations,
      jsonb_set(r.notification, '{channels}', coalesce((
        select jsonb_agg(jsonb_build_object('type', 'saved', 'id', k.id, 'name', k.name)
          order by x.position)
        from jsonb_array_elements(r.notification -> 'channels') with ordinality as x (c, position)
        join alert_channels k on k.id = (x.c ->> 'id')::uuid
      ), '[]')) as notification,
      r.version, r.last_error, r.last_evaluated_at, r.created_at, r.updated_at,
      coalesce(s.firing, 0) as firing, coalesce(s.pending, 0) as pending,
      coalesce(s.resolved, 0) as resolved, t.tick
    from alert_rules r
    left join alert_ticks t on true
    left join lateral (
      select count(*) filter (where status = 'firing') as firing,
        count(*) filter (where status = 'pending') as pending,
        count(*) filter (where status = 'resolved') as resolved
      from alert_state where rule_id = r.id
    ) s on true
"""


def _rule(row: dict[str, Any]) -> AlertRule:
    resolved, tick = row.pop("resolved"), row.pop("tick")
    group = row.pop("group_name")
    window = row.pop("eval_window")
    status = AlertStatus.INACTIVE
    if row["firing"]:
        status = AlertStatus.FIRING
    elif row["pending"]:
        status = AlertStatus.PENDING
    elif resolved:
        status = AlertStatus.RESOLVED
    evaluated = row["last_evaluated_at"]
    # A tick is not written to each rule that it evaluated without an error: there are too many.
    if row["enabled"] and row["last_error"] is None and tick is not None and tick >= 0:
        ticked_at = datetime.fromtimestamp(tick * TICK, UTC)
        evaluated = ticked_at if ticked_at >= row["created_at"] else evaluated
    return AlertRule.model_validate(
        {
            **row,
            "group": group,
            "duration": format_interval(row["duration"]),
            "window": None if window is None else format_interval(window),
            "keep_firing_for": format_interval(row["keep_firing_for"]),
            "evaluation_delay": format_interval(row["evaluation_delay"]),
            "status": status,
            "last_evaluated_at": evaluated,
        }
    )


def _columns(fields: AlertRuleFields, channels: list[dict[str, Any]]) -> dict[str, Any]:
    notification = fields.notification.model_dump(mode="json", exclude={"channels"})
    return {
        "name": fields.name,
        "query": fields.query,
        "condition": fields.condition,
        "threshold": fields.threshold,
        "duration": timedelta(seconds=interval_seconds(fields.duration)),
        "eval_window": timedelta(seconds=interval_seconds(fields.window))
        if fields.window
        else None,
        "reducer": fields.reducer,
        "severity": fields.severity,
        "enabled": fields.enabled,
        "no_data": fields.no_data,
        "keep_firing_for": timedelta(seconds=interval_seconds(fields.keep_firing_for)),
        "evaluation_delay": timedelta(seconds=interval_seconds(fields.evaluation_delay)),
        "labels": as_jsonb(fields.labels),
        "message": fields.message,
        "runbook_url": fields.runbook_url,
        "source": fields.source,
        "group": fields.group,
        "position": fields.position,
        "annotations": as_jsonb(fields.annotations),
        "notification": as_jsonb({**notification, "channels": channels}),
    }


def get_rule(connection: psycopg.Connection[Any], *, rule_id: UUID) -> AlertRule:
    """A rule. Raises NotFound. Served by alert_rules_pkey and alert_state_pkey."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(f"{_SELECT} where r.id = %s", (rule_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such alert rule.")
    return _rule(row)


_TEXT = """
    r.name || ' ' || r.query || ' ' || coalesce(
      (select string_agg(key || '=' || value, ', ' order by key) from jsonb_each_text(r.labels)),
      '')
"""
_STATE = """
    case when not r.enabled then 'disabled' when coalesce(s.firing, 0) > 0 then 'firing'
      when r.last_error is not null then 'failing'
      when coalesce(s.pending, 0) > 0 then 'pending' else 'ok' end
"""


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def list_rules(
    connection: psycopg.Connection[Any],
    *,
    search: str,
    status: AlertStatus | None,
    state: AlertRuleState | None = None,
    severity: AlertSeverity | None = None,
    page: int,
    page_size: int,
) -> tuple[list[AlertRule], int]:
    """A page of rules, the most urgent first, and how many there are.

    `search`: words that name, query or labels contain. A scan of the rules; each one's states are
    served by alert_state_pkey.
    """
    condition = f"({_TEXT}) ilike all (%(patterns)s::text[])"
    condition += " and (%(severity)s::text is null or r.severity = %(severity)s)"
    condition += f" and (%(state)s::text is null or ({_STATE}) = %(state)s)"
    if status in (AlertStatus.FIRING, AlertStatus.PENDING):
        condition += f" and coalesce(s.{status.value}, 0) > 0"
    wanted = {
        "patterns": [f"%{_escaped(word)}%" for word in search.split()],
        "state": state,
        "severity": severity,
        "limit": page_size,
        "offset": (page - 1) * page_size,
    }
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"""
            {_SELECT} where {condition}
            order by (coalesce(s.firing, 0) > 0) desc, (r.last_error is not null) desc,
              (coalesce(s.pending, 0) > 0) desc, lower(r.name), r.id
            limit %(limit)s offset %(offset)s
            """,
            wanted,
        ).fetchall()
        total = cursor.execute(
            f"select count(*) as total from ({_SELECT} where {condition}) as found", wanted
        ).fetchone()
    return [_rule(row) for row in rows], total["total"] if total else 0


def create_rule(
    connection: psycopg.Connection[Any], *, owner_id: UUID, fields: AlertRuleFields
) -> AlertRule:
    """Add a rule. Raises InvalidRequest when there are too many or a channel is unknown."""
    with connection.transaction():
        rules_changed(connection)
        channels = channels_store.saved(connection, channels=fields.notification.channels)
        most = settings().alert_max_rules
        row = connection.execute("select count(*) from alert_rules").fetchone()
        if row is not None and row[0] >= most:
            raise InvalidRequest(f"There are {row[0]} alert rules; {most} are allowed.")
        created = connection.execute(
            """
            insert into alert_rules (owner_id, name, query, condition, threshold, duration,
              eval_window, reducer, severity, enabled, no_data, keep_firing_for,
              evaluation_delay, labels, message, runbook_url, source, group_name, position,
              annotations, notification)
            values (%(owner)s, %(name)s, %(query)s, %(condition)s, %(threshold)s, %(duration)s,
              %(eval_window)s, %(reducer)s, %(severity)s, %(enabled)s, %(no_data)s,
              %(keep_firing_for)s, %(evaluation_delay)s, %(labels)s, %(message)s,
              %(runbook_url)s, %(source)s, %(group)s, %(position)s, %(annotations)s,
              %(notification)s)
            returning id
            """,
            {"owner": owner_id, **_columns(fields, channels)},
        ).fetchone()
    assert created is not None, "an insert without a conflict clause returns its row"
    return get_rule(connection, rule_id=created[0])


def put_rule(
    connection: psycopg.Connection[Any], *, rule_id: UUID, version: int, fields: AlertRuleFields
) -> None:
    """Write a rule over its `version`, after `rules_changed`. Raises Conflict, InvalidRequest.

    Served by alert_rules_pkey.
    """
    channels = channels_store.saved(
        connection,
        channels=fields.notification.channels,
        known_ids=_channel_ids(connection, rule_id),
    )
    row = connection.execute(
        """
        update alert_rules set name = %(name)s, query = %(query)s, condition = %(condition)s,
          threshold = %(threshold)s, duration = %(duration)s, eval_window = %(eval_window)s,
          reducer = %(reducer)s, severity = %(severity)s, enabled = %(enabled)s,
          no_data = %(no_data)s, keep_firing_for = %(keep_firing_for)s,
          evaluation_delay = %(evaluation_delay)s, labels = %(labels)s, message = %(message)s,
          runbook_url = %(runbook_url)s, source = %(source)s, group_name = %(group)s,
          position = %(position)s, annotations = %(annotations)s,
          notification = %(notification)s, version = version + 1, updated_at = now(),
          last_error = null
        where id = %(id)s and version = %(version)s
        returning 1
        """,
        {"id": rule_id, "version": version, **_columns(fields, channels)},
    ).fetchone()
    if row is None:
        raise Conflict("Somebody else has changed this rule. Load it again.")


def delete_rule(connection: psycopg.Connection[Any], *, rule_id: UUID) -> None:
    """Remove a rule and its states, after `rules_changed`; its history stays. Raises NotFound."""
    row = connection.execute(
        "delete from alert_rules where id = %s returning 1", (rule_id,)
    ).fetchone()
    if row is None:
        raise NotFound("There is no such alert rule.")


def _channel_ids(connection: psycopg.Connection[Any], rule_id: UUID) -> list[str]:
    """Served by alert_rules_pkey."""
    row = connection.execute(
        "select notification -> 'channels' from alert_rules where id = %s", (rule_id,)
    ).fetchone()
    return [str(one["id"]) for one in (row[0] or ())] if row is not None else []
