"""What the evaluator stores: the last tick, rules, the state of their series, events.

`alert_ticks` has one row. Its lock guards a tick: a run that finds the tick written, or the rules
changed since it read them, writes nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from pydantic_core import to_json

from pulseboard.alerts.changes import Changes, InstanceRecord, Started, StateChange
from pulseboard.alerts.state_machine import Condition, Instance, RuleSnapshot, window_of
from pulseboard.contracts.alerts import (
    AlertCondition,
    AlertSeverity,
    AlertStatus,
    NoDataPolicy,
    Reducer,
)
from pulseboard.contracts.base import interval_seconds
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings


@dataclass(frozen=True, slots=True)
class Head:
    """The last tick, who ran it, since when there was no gap (seconds), the rules' stamp."""

    tick: int
    runner: UUID | None
    stable_since: float
    rules_stamp: UUID


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
    Raises Unavailable when another transaction holds the lock for `alert_lock_timeout`.
    """
    with _bounded_lock(connection):
        connection.execute(
            """
            insert into alert_ticks (single) values (true)
            on conflict (single) do update set rules_stamp = gen_random_uuid()
            """
        )


@contextmanager
def _bounded_lock(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Bound the wait for the lock of `alert_ticks`, and how long this transaction may hold it
    without a statement: a client that vanishes must not hold all ticks.
    """
    bound_transaction(connection)
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise Unavailable(
            "Another change of alert rules is not finished. Try again in a moment."
        ) from error


def bound_transaction(connection: psycopg.Connection[Any]) -> None:
    """Bound how long this transaction waits for locks, and stands still while it holds them.

    https://www.postgresql.org/docs/current/runtime-config-client.html
    """
    wait = f"{settings().alert_lock_timeout * 1000:.0f}"
    connection.execute(
        "select set_config('lock_timeout', %s, true),"
        " set_config('idle_in_transaction_session_timeout', %s, true)",
        (wait, wait),
    )


def begin_tick(
    connection: psycopg.Connection[Any],
    *,
    tick: int,
    runner: UUID,
    stable_since: float,
    rules_stamp: UUID | None,
    whatever_changed: bool = False,
) -> bool:
    """Claim a tick, within the transaction that writes it.

    False when another run wrote it, or rules have changed since `rules_stamp` was read: then
    nothing may be written; with `whatever_changed`, nothing of the rules that have changed. Raises
    Unavailable when another transaction holds the lock for `alert_lock_timeout`.
    """
    with _bounded_lock(connection):
        row = connection.execute(
            """
            insert into alert_ticks as t (single, tick, runner, steady_since)
            values (true, %(tick)s, %(runner)s, to_timestamp(%(stable_since)s))
            on conflict (single) do update
            set tick = excluded.tick, runner = excluded.runner,
              steady_since = excluded.steady_since
            where t.tick < excluded.tick
              and (%(whatever)s or t.rules_stamp is not distinct from %(stamp)s)
            returning 1
            """,
            {
                "tick": tick,
                "runner": runner,
                "stable_since": stable_since,
                "stamp": rules_stamp,
                "whatever": whatever_changed,
            },
        ).fetchone()
    return row is not None


_RULE = """
    select id, name, query, condition, threshold,
      extract(epoch from duration)::float8, extract(epoch from eval_window)::float8,
      reducer, severity, no_data, extract(epoch from keep_firing_for)::float8,
      extract(epoch from evaluation_delay)::float8, labels, message, notification, last_error,
      version, runbook_url, group_name
    from alert_rules
"""


def load_rules(
    connection: psycopg.Connection[Any], *, rule_ids: Sequence[UUID] | None = None
) -> list[RuleSnapshot]:
    """Enabled rules: all of them by a scan, or these, served by alert_rules_pkey."""
    rows = connection.execute(
        f"{_RULE} where enabled and (%(all)s or id = any(%(ids)s::uuid[]))",
        {"all": rule_ids is None, "ids": list(rule_ids or ())},
    ).fetchall()
    return [rule for row in rows if (rule := _snapshot_or_error(connection, row)) is not None]


def enabled_ids(connection: psycopg.Connection[Any], *, rule_ids: Iterable[UUID]) -> set[UUID]:
    """Which of these are rules that are enabled, readable or not. Served by alert_rules_pkey."""
    if not (chosen := list(rule_ids)):
        return set()
    rows = connection.execute(
        "select id from alert_rules where enabled and id = any(%s::uuid[])", (chosen,)
    ).fetchall()
    return {row[0] for row in rows}


def _snapshot_or_error(
    connection: psycopg.Connection[Any], row: Sequence[Any]
) -> RuleSnapshot | None:
    """The rule; None, and its error stored, where the row holds what no rule can."""
    try:
        return _snapshot(row)
    except Exception as error:  # noqa: BLE001 - one rule must never stop the others
        logger().error("alert rule not read", extra={"rule": str(row[0])}, exc_info=error)
        text = f"The stored rule can't be read ({type(error).__name__}): save it again."
        # Served by alert_rules_pkey.
        connection.execute("update alert_rules set last_error = %s where id = %s", (text, row[0]))
        return None


def group_intervals(connection: psycopg.Connection[Any]) -> dict[str, float]:
    """The seconds between two evaluations of each group that has an interval of its own. A scan."""
    return dict(
        connection.execute(
            "select name, extract(epoch from eval_interval)::float8 from rule_groups"
            " where eval_interval is not null"
        ).fetchall()
    )


def rule_versions(connection: psycopg.Connection[Any]) -> dict[UUID, int]:
    """The version of each enabled rule. A scan."""
    return dict(connection.execute("select id, version from alert_rules where enabled").fetchall())


def load_rule(connection: psycopg.Connection[Any], *, rule_id: UUID) -> RuleSnapshot | None:
    """One rule, enabled or not, as the evaluator sees it. Served by alert_rules_pkey."""
    row = connection.execute(f"{_RULE} where id = %s", (rule_id,)).fetchone()
    return None if row is None else _snapshot(row)


def _snapshot(row: Sequence[Any]) -> RuleSnapshot:
    notification = row[14]
    configured = settings()
    return RuleSnapshot(
        id=row[0],
        name=row[1],
        query=row[2],
        condition=Condition(
            operator=AlertCondition(row[3]),
            threshold=row[4],
            duration=row[5],
            window=window_of(row[5], row[6], Reducer(row[7])),
            keep_firing_for=row[10],
            no_data=NoDataPolicy(row[9]),
            forget_after=float(configured.alert_forget_after),
        ),
        reducer=Reducer(row[7]),
        default_window=row[6] is None,
        severity=AlertSeverity(row[8]),
        delay=row[11],
        labels=row[12],
        message=row[13],
        channels=tuple(notification.get("channels", ())),
        group_wait=_seconds(notification.get("group_wait"), configured.alert_group_wait),
        group_interval=_seconds(
            notification.get("group_interval"), configured.alert_group_interval
        ),
        repeat=interval_seconds(notification.get("repeat_interval", "4h")),
        last_error=row[15],
        version=row[16],
        runbook_url=row[17],
        group=row[18],
    )


def _seconds(given: str | None, otherwise: int) -> float:
    return float(otherwise) if given is None else interval_seconds(given)


_STATE_COLUMNS = """
    series, tags, status, value, reason, extract(epoch from since)::float8,
    extract(epoch from first_triggered)::float8, extract(epoch from clear_since)::float8,
    extract(epoch from no_data_since)::float8, event_id, extract(epoch from fired_at)::float8
"""


def load_states(
    connection: psycopg.Connection[Any], *, rule_ids: Sequence[UUID] | None = None
) -> dict[UUID, dict[str, InstanceRecord]]:
    """Stored states by rule and series: of these rules, or of all. Served by alert_state_pkey."""
    rows = connection.execute(
        f"""
        select rule_id, {_STATE_COLUMNS} from alert_state
        where %(all)s or rule_id = any(%(ids)s::uuid[])
        """,
        {"all": rule_ids is None, "ids": list(rule_ids or ())},
    ).fetchall()
    states: dict[UUID, dict[str, InstanceRecord]] = {}
    for row in rows:
        states.setdefault(row[0], {})[row[1]] = InstanceRecord(
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
            fired_at=row[11],
        )
    return states


def write(connection: psycopg.Connection[Any], *, changes: Changes, tick: int) -> None:
    """Write changes in a transaction, by a number of statements that does not grow with them."""
    stored = [change for change in changes.states if change.record is not None]
    deleted = [change for change in changes.states if change.record is None]
    if stored:
        _put_states(connection, stored, tick)
    if deleted:
        # Served by alert_state_pkey.
        connection.execute(
            """
            delete from alert_state s using unnest(%s::uuid[], %s::text[]) as w (rule_id, series)
            where s.rule_id = w.rule_id and s.series = w.series
            """,
            ([change.rule_id for change in deleted], [change.series for change in deleted]),
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
    pairs = [(change, change.record) for change in changes if change.record is not None]
    never = float("-inf")
    # Conflicts are found by alert_state_pkey. The state of a deleted rule is not written.
    connection.execute(
        """
        insert into alert_state (rule_id, series, tags, status, value, reason, since,
          first_triggered, clear_since, no_data_since, event_id, fired_at, tick)
        select w.rule_id, w.series, w.tags::jsonb, w.status, w.value, w.reason,
          to_timestamp(w.since), to_timestamp(w.first_triggered), to_timestamp(w.clear_since),
          to_timestamp(w.no_data_since), w.event_id, to_timestamp(w.fired_at),
          %s
        from unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::float8[], %s::text[],
          %s::float8[], %s::float8[], %s::float8[], %s::float8[], %s::uuid[], %s::float8[])
          as w (rule_id, series, tags, status, value, reason, since, first_triggered,
            clear_since, no_data_since, event_id, fired_at)
        on conflict (rule_id, series) do update set
          status = excluded.status, value = excluded.value, reason = excluded.reason,
          since = excluded.since, first_triggered = excluded.first_triggered,
          clear_since = excluded.clear_since, no_data_since = excluded.no_data_since,
          event_id = excluded.event_id, fired_at = excluded.fired_at, tick = excluded.tick
        """,
        (
            tick,
            [change.rule_id for change, _ in pairs],
            [change.series for change, _ in pairs],
            [json_text(record.tags) for _, record in pairs],
            [record.instance.status.value for _, record in pairs],
            [record.instance.value for _, record in pairs],
            [record.instance.reason for _, record in pairs],
            [
                record.instance.since if record.instance.since != never else 0.0
                for _, record in pairs
            ],
            [record.instance.first_triggered for _, record in pairs],
            [record.instance.clear_since for _, record in pairs],
            [record.instance.no_data_since for _, record in pairs],
            [record.event_id for _, record in pairs],
            [record.fired_at for _, record in pairs],
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
            [json_text(one.record.tags) for one in started],
            [one.record.instance.value for one in started],
            [one.record.instance.reason for one in started],
            [one.record.instance.since for one in started],
        ),
    )


def prune(connection: psycopg.Connection[Any]) -> None:
    """Remove old rows: sent notifications, dead letters, resolved alerts, past silences.

    Served by alert_outbox_sent, alert_outbox_dead, alert_events_time and alert_silences_end.
    """
    outbox = timedelta(seconds=settings().alert_outbox_retention)
    history = timedelta(seconds=settings().alert_history_retention)
    connection.execute("delete from alert_outbox where sent_at < now() - %s", (outbox,))
    connection.execute("delete from alert_outbox where dead_at < now() - 4 * %s", (outbox,))
    connection.execute(
        "delete from alert_events where triggered_at < now() - %(age)s and status = 'resolved'"
        " and resolved_at < now() - %(age)s",
        {"age": history},
    )
    connection.execute("delete from alert_silences where ends_at < now() - %s", (history,))


def as_jsonb(value: Any) -> Jsonb:
    """A value for a jsonb column."""
    return Jsonb(value, dumps=json_text)


def json_text(value: Any) -> str:
    """JSON that PostgreSQL takes: it has no infinities, so that these are texts ("Infinity")."""
    return to_json(value, inf_nan_mode="strings").decode()
