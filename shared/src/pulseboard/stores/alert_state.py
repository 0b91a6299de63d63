"""What the evaluator keeps: the tick that was done, rules, the state of their series, events.

`alert_ticks` has one row. Its lock is the guard of a tick: who finds the tick done, or the rules
changed since they were read, writes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic_core import to_json

from pulseboard.contracts.alerts import (
    AlertCondition,
    AlertSeverity,
    AlertStatus,
    NoDataPolicy,
    Reducer,
)
from pulseboard.contracts.base import interval_seconds
from pulseboard.domain.alerting import Instance, Limits, LiveRule, window_of
from pulseboard.settings import settings


@dataclass(frozen=True, slots=True)
class Head:
    """The last tick, who ran it, since when there was no gap (seconds), the rules' stamp."""

    tick: int
    runner: UUID | None
    steady_since: float
    rules_stamp: UUID


@dataclass(frozen=True, slots=True)
class Live:
    """One series of a rule, with what was told about it. Times are seconds since 1970."""

    tags: dict[str, str]
    instance: Instance
    event_id: UUID | None = None
    notified_at: float | None = None


@dataclass(frozen=True, slots=True)
class StateChange:
    """A series' new state; None when there is nothing left to keep."""

    rule_id: UUID
    series: str
    live: Live | None


@dataclass(frozen=True, slots=True)
class Started:
    """An alert that fired."""

    id: UUID
    rule: LiveRule
    series: str
    live: Live


@dataclass(frozen=True, slots=True)
class Ended:
    """An alert that resolved."""

    event_id: UUID
    instance: Instance


@dataclass(frozen=True, slots=True)
class Queued:
    """A notification for one channel."""

    rule_id: UUID
    key: str
    group: str
    channel: dict[str, Any]
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that one tick, or one change of a rule, writes."""

    states: Sequence[StateChange] = ()
    started: Sequence[Started] = ()
    ended: Sequence[Ended] = ()
    queued: Sequence[Queued] = ()
    errors: Sequence[tuple[UUID, str | None]] = ()


def head(connection: psycopg.Connection[Any]) -> Head | None:
    """The row of `alert_ticks`; None before the first tick."""
    row = connection.execute(
        "select tick, runner, extract(epoch from steady_since)::float8, rules_stamp"
        " from alert_ticks"
    ).fetchone()
    return None if row is None else Head(*row)


def rules_changed(connection: psycopg.Connection[Any]) -> None:
    """Lock out ticks until the transaction ends, and have the next one read the rules again.

    The first statement of every transaction that changes rules: ticks lock in the same order.
    """
    connection.execute(
        """
        insert into alert_ticks (single) values (true)
        on conflict (single) do update set rules_stamp = gen_random_uuid()
        """
    )


def begin_tick(
    connection: psycopg.Connection[Any],
    *,
    tick: int,
    runner: UUID,
    steady_since: float,
    rules_stamp: UUID | None,
) -> bool:
    """Take a tick, within the transaction that writes it.

    False when somebody else did it, or rules have changed since `rules_stamp` was read: then
    nothing may be written.
    """
    row = connection.execute(
        """
        insert into alert_ticks as t (single, tick, runner, steady_since)
        values (true, %(tick)s, %(runner)s, to_timestamp(%(steady)s))
        on conflict (single) do update
        set tick = excluded.tick, runner = excluded.runner, steady_since = excluded.steady_since
        where t.tick < excluded.tick and t.rules_stamp is not distinct from %(stamp)s
        returning 1
        """,
        {"tick": tick, "runner": runner, "steady": steady_since, "stamp": rules_stamp},
    ).fetchone()
    return row is not None


def load_rules(connection: psycopg.Connection[Any]) -> list[LiveRule]:
    """All enabled rules. A scan: the evaluator needs each of them."""
    forget = float(settings().alert_forget_after)
    rows = connection.execute(
        """
        select id, name, query, condition, threshold,
          extract(epoch from duration)::float8, extract(epoch from eval_window)::float8,
          reducer, severity, no_data, extract(epoch from keep_firing_for)::float8,
          extract(epoch from evaluation_delay)::float8, labels, message, notification, last_error
        from alert_rules where enabled
        """
    ).fetchall()
    return [_live_rule(row, forget) for row in rows]


def load_rule(connection: psycopg.Connection[Any], *, rule_id: UUID) -> LiveRule | None:
    """One rule, enabled or not, as the evaluator sees it. Served by the primary key."""
    row = connection.execute(
        """
        select id, name, query, condition, threshold,
          extract(epoch from duration)::float8, extract(epoch from eval_window)::float8,
          reducer, severity, no_data, extract(epoch from keep_firing_for)::float8,
          extract(epoch from evaluation_delay)::float8, labels, message, notification, last_error
        from alert_rules where id = %s
        """,
        (rule_id,),
    ).fetchone()
    return None if row is None else _live_rule(row, float(settings().alert_forget_after))


def _live_rule(row: Sequence[Any], forget: float) -> LiveRule:
    notification = row[14]
    return LiveRule(
        id=row[0],
        name=row[1],
        query=row[2],
        limits=Limits(
            condition=AlertCondition(row[3]),
            threshold=row[4],
            duration=row[5],
            window=window_of(row[5], row[6]),
            keep_firing_for=row[10],
            no_data=NoDataPolicy(row[9]),
            forget_after=forget,
        ),
        reducer=Reducer(row[7]),
        severity=AlertSeverity(row[8]),
        delay=row[11],
        labels=row[12],
        message=row[13],
        channels=tuple(notification.get("channels", ())),
        repeat=interval_seconds(notification.get("repeat_interval", "4h")),
        last_error=row[15],
    )


_STATE_COLUMNS = """
    series, tags, status, value, reason, extract(epoch from since)::float8,
    extract(epoch from first_triggered)::float8, extract(epoch from clear_since)::float8,
    extract(epoch from no_data_since)::float8, event_id, extract(epoch from notified_at)::float8
"""


def load_states(
    connection: psycopg.Connection[Any], *, rule_id: UUID | None = None
) -> dict[UUID, dict[str, Live]]:
    """Kept states by rule and series: of one rule, or of all. Served by alert_state_pkey."""
    rows = connection.execute(
        f"""
        select rule_id, {_STATE_COLUMNS} from alert_state
        where %(rule)s::uuid is null or rule_id = %(rule)s
        """,
        {"rule": rule_id},
    ).fetchall()
    states: dict[UUID, dict[str, Live]] = {}
    for row in rows:
        states.setdefault(row[0], {})[row[1]] = Live(
            tags=row[2],
            instance=Instance(
                status=AlertStatus(row[3]),
                value=row[4],
                reason=row[5],
                since=row[6] if row[6] is not None else float("-inf"),
                first_triggered=row[7],
                clear_since=row[8],
                no_data_since=row[9],
            ),
            event_id=row[10],
            notified_at=row[11],
        )
    return states


def write(connection: psycopg.Connection[Any], *, changes: Changes, tick: int) -> None:
    """Write changes, a handful of statements however many they are. In a transaction."""
    kept = [change for change in changes.states if change.live is not None]
    gone = [change for change in changes.states if change.live is None]
    if kept:
        _put_states(connection, kept, tick)
    if gone:
        # Served by alert_state_pkey.
        connection.execute(
            """
            delete from alert_state s using unnest(%s::uuid[], %s::text[]) as w (rule_id, series)
            where s.rule_id = w.rule_id and s.series = w.series
            """,
            ([change.rule_id for change in gone], [change.series for change in gone]),
        )
    if changes.started:
        _put_started(connection, changes.started)
    if changes.ended:
        # Served by alert_events_pkey.
        connection.execute(
            """
            update alert_events e
            set status = 'resolved', resolved_at = to_timestamp(w.at),
              resolved_value = w.value, resolved_reason = w.reason
            from unnest(%s::uuid[], %s::float8[], %s::float8[], %s::text[])
              as w (id, at, value, reason)
            where e.id = w.id and e.status = 'firing'
            """,
            (
                [ended.event_id for ended in changes.ended],
                [ended.instance.since for ended in changes.ended],
                [ended.instance.value for ended in changes.ended],
                [ended.instance.reason for ended in changes.ended],
            ),
        )
    if changes.queued:
        # Conflicts are found by alert_outbox_idempotency_key_key.
        connection.execute(
            """
            insert into alert_outbox (rule_id, idempotency_key, group_key, channel, payload)
            select w.rule_id, w.key, w.group_key, w.channel::jsonb, w.payload::jsonb
            from unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[])
              as w (rule_id, key, group_key, channel, payload)
            on conflict (idempotency_key) do nothing
            """,
            (
                [queued.rule_id for queued in changes.queued],
                [queued.key for queued in changes.queued],
                [queued.group for queued in changes.queued],
                [to_json(queued.channel).decode() for queued in changes.queued],
                [to_json(queued.payload).decode() for queued in changes.queued],
            ),
        )
    if changes.errors:
        # Served by alert_rules_pkey.
        connection.execute(
            """
            update alert_rules r set last_error = w.error, last_evaluated_at = to_timestamp(%s)
            from unnest(%s::uuid[], %s::text[]) as w (id, error) where r.id = w.id
            """,
            (
                tick * 10.0,
                [rule_id for rule_id, _ in changes.errors],
                [error for _, error in changes.errors],
            ),
        )


def _put_states(
    connection: psycopg.Connection[Any], changes: Sequence[StateChange], tick: int
) -> None:
    pairs = [(change, change.live) for change in changes if change.live is not None]
    finite = float("-inf")
    # Conflicts are found by alert_state_pkey. A rule that is gone takes no state.
    connection.execute(
        """
        insert into alert_state (rule_id, series, tags, status, value, reason, since,
          first_triggered, clear_since, no_data_since, event_id, notified_at, tick)
        select w.rule_id, w.series, w.tags::jsonb, w.status, w.value, w.reason,
          to_timestamp(w.since), to_timestamp(w.first_triggered), to_timestamp(w.clear_since),
          to_timestamp(w.no_data_since), w.event_id, to_timestamp(w.notified_at), %s
        from unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::float8[], %s::text[],
          %s::float8[], %s::float8[], %s::float8[], %s::float8[], %s::uuid[], %s::float8[])
          as w (rule_id, series, tags, status, value, reason, since, first_triggered,
            clear_since, no_data_since, event_id, notified_at)
        on conflict (rule_id, series) do update set
          status = excluded.status, value = excluded.value, reason = excluded.reason,
          since = excluded.since, first_triggered = excluded.first_triggered,
          clear_since = excluded.clear_since, no_data_since = excluded.no_data_since,
          event_id = excluded.event_id, notified_at = excluded.notified_at, tick = excluded.tick
        """,
        (
            tick,
            [change.rule_id for change, _ in pairs],
            [change.series for change, _ in pairs],
            [to_json(live.tags).decode() for _, live in pairs],
            [live.instance.status.value for _, live in pairs],
            [live.instance.value for _, live in pairs],
            [live.instance.reason for _, live in pairs],
            [live.instance.since if live.instance.since != finite else 0.0 for _, live in pairs],
            [live.instance.first_triggered for _, live in pairs],
            [live.instance.clear_since for _, live in pairs],
            [live.instance.no_data_since for _, live in pairs],
            [live.event_id for _, live in pairs],
            [live.notified_at for _, live in pairs],
        ),
    )


def _put_started(connection: psycopg.Connection[Any], started: Sequence[Started]) -> None:
    # Conflicts are found by alert_events_pkey: ids follow from rule, series and tick.
    connection.execute(
        """
        insert into alert_events
          (id, rule_id, rule_name, severity, series, tags, status, value, reason, triggered_at)
        select w.id, w.rule_id, w.rule_name, w.severity, w.series, w.tags::jsonb, 'firing',
          w.value, w.reason, to_timestamp(w.at)
        from unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[],
          %s::float8[], %s::text[], %s::float8[])
          as w (id, rule_id, rule_name, severity, series, tags, value, reason, at)
        on conflict (id) do nothing
        """,
        (
            [one.id for one in started],
            [one.rule.id for one in started],
            [one.rule.name for one in started],
            [one.rule.severity.value for one in started],
            [one.series for one in started],
            [to_json(one.live.tags).decode() for one in started],
            [one.live.instance.value for one in started],
            [one.live.instance.reason for one in started],
            [one.live.instance.since for one in started],
        ),
    )


def prune(connection: psycopg.Connection[Any]) -> None:
    """Remove what is old: sent notifications, dead letters, resolved alerts, past silences.

    Served by alert_outbox_sent, alert_outbox_dead, alert_events_time and alert_silences_end.
    """
    outbox = timedelta(seconds=settings().alert_outbox_retention)
    history = timedelta(seconds=settings().alert_history_retention)
    connection.execute("delete from alert_outbox where sent_at < now() - %s", (outbox,))
    connection.execute("delete from alert_outbox where dead_at < now() - 4 * %s", (outbox,))
    connection.execute(
        "delete from alert_events where triggered_at < now() - %s and status = 'resolved'",
        (history,),
    )
    connection.execute("delete from alert_silences where ends_at < now() - %s", (history,))


def as_jsonb(value: Any) -> Jsonb:
    """A value for a jsonb column."""
    return Jsonb(value, dumps=to_json)
