"""One tick of all alert rules: read, decide, write in one transaction.

Ticks are numbered. Starts come at least once, may overlap and may be missing: of two runs of a
tick one writes, and missed ticks are evaluated afterwards, in their order and with their own
windows. What a process knows of rules and states it keeps, as long as it ran the last tick itself
and no rule has changed.
"""

import time
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID, uuid4

import psycopg

from pulseboard.alerts import cache as alert_cache
from pulseboard.alerts import inputs as alert_inputs
from pulseboard.alerts import outbox_store, silences_store, state_store
from pulseboard.alerts.changes import InstanceRecord
from pulseboard.alerts.evaluate import Decision, decide
from pulseboard.alerts.notifications import Outgoing
from pulseboard.alerts.state_machine import TICK, tick_at
from pulseboard.alerts.state_store import Head
from pulseboard.alerts.threshold_index import RuleIndex
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest.telemetry_store import note

GAP = 3
"""More missed ticks than this and we were away: data that is missing then says nothing."""

_PRUNE_EVERY = 360
_RETRIES = 3


@dataclass
class _Memory:
    """What this process knows since its last tick."""

    runner: UUID
    tick: int
    rules_stamp: UUID | None
    index: RuleIndex
    states: dict[UUID, dict[str, InstanceRecord]]
    notified: dict[UUID, float]


@dataclass
class Report:
    """What a run did. Times in seconds."""

    tick: int
    evaluated: list[int] = field(default_factory=list)
    rules: int = 0
    failing: int = 0
    changes: int = 0
    lag: float = 0.0
    seconds: float = 0.0
    claims: list[Outgoing] = field(default_factory=list)


_memory: _Memory | None = None


@on_reset
def reset() -> None:
    """Know nothing, as a new process does."""
    global _memory
    _memory = None


def run(*, now: float | None = None) -> Report:
    """Evaluate the tick at `now` (seconds since 1970) and those missed before it, and claim what
    is to be sent. Raises Unavailable when the database does not answer.
    """
    began = time.perf_counter()
    moment = time.time() if now is None else now
    report = Report(tick=tick_at(moment))
    runner = _memory.runner if _memory else uuid4()
    with database.connection() as connection:
        if alert_cache.lease_tick(report.tick, runner):
            _run_ticks(connection, report, runner, moment, began)
            report.lag = max(0.0, moment - report.tick * TICK)
            if report.tick % _PRUNE_EVERY == 0:
                state_store.prune(connection)
        report.claims = outbox_store.claim(connection, now=moment)
    report.seconds = time.perf_counter() - began
    if report.evaluated:
        _measure(report)
    return report


def _run_ticks(
    connection: psycopg.Connection[Any],
    report: Report,
    runner: UUID,
    moment: float,
    began: float,
) -> None:
    configured = settings()
    head = state_store.head(connection)
    known = head is not None and head.tick >= 0
    last = head.tick if head is not None and known else report.tick - 1
    away = not known or report.tick - last > GAP
    stable_since = float(report.tick * TICK) if away or head is None else head.stable_since
    for tick in range(max(last + 1, report.tick - configured.alert_catch_up + 1), report.tick + 1):
        if not _run_tick(connection, tick, runner, stable_since, moment, report):
            return
        report.evaluated.append(tick)
        if time.perf_counter() - began > configured.alert_tick_budget:
            return


def _run_tick(
    connection: psycopg.Connection[Any],
    tick: int,
    runner: UUID,
    stable_since: float,
    moment: float,
    report: Report,
) -> bool:
    """Evaluate and write one tick; False when somebody else has it."""
    at = float(tick * TICK)
    for _ in range(_RETRIES):
        memory = _remember(connection, runner)
        inputs = alert_inputs.read(connection, memory.index.examples, at=at)
        # A tick that is late is told now: what is silenced now is not told.
        silences = silences_store.active(connection, at=moment)
        decision = decide(
            memory.index, memory.states, memory.notified, inputs, silences, at, stable_since
        )
        changes = decision.changes
        with connection.transaction():
            mine = state_store.begin_tick(
                connection,
                tick=tick,
                runner=runner,
                stable_since=stable_since,
                rules_stamp=memory.rules_stamp,
            )
            if mine:
                state_store.write(connection, changes=changes, tick=tick)
        if mine:
            memory.tick = tick
            _apply(memory, decision)
            alert_cache.put_current(decision.current)
            report.rules = len(memory.index)
            report.failing = sum(
                rule.last_error is not None for rule in memory.index.always_evaluated
            )
            report.changes += len(changes.started) + len(changes.ended)
            return True
        head = state_store.head(connection)
        if head is not None and head.tick >= tick:
            reset()
            return False
    return False


def _remember(connection: psycopg.Connection[Any], runner: UUID) -> _Memory:
    """Rules and states as they are now; of what is known only the rules that changed are read."""
    global _memory
    head = state_store.head(connection)
    ours = (
        _memory is not None
        and head is not None
        and (head.runner, head.tick) == (_memory.runner, _memory.tick)
    )
    if (
        _memory is not None
        and head is not None
        and ours
        and head.rules_stamp == _memory.rules_stamp
    ):
        return _memory
    before = _memory if ours else None
    _memory = None
    with connection.transaction():
        # One snapshot: rules and states must belong to each other.
        connection.execute("set transaction isolation level repeatable read")
        head = state_store.head(connection)
        if before is not None and head is not None and head.tick == before.tick:
            _memory = _refresh(connection, before, head)
        else:
            _memory = _Memory(
                runner=runner,
                tick=head.tick if head else -1,
                rules_stamp=head.rules_stamp if head else None,
                index=RuleIndex(state_store.load_rules(connection)),
                states=state_store.load_states(connection),
                notified=state_store.load_notified(connection),
            )
    return _memory


def _refresh(connection: psycopg.Connection[Any], before: _Memory, head: Head) -> _Memory:
    """What is remembered, with the rules that were made, changed or removed since."""
    versions = state_store.rule_versions(connection)
    kept = {
        rule_id: rule
        for rule_id, rule in before.index.by_id.items()
        if versions.get(rule_id) == rule.version
    }
    changed = [rule_id for rule_id in versions if rule_id not in kept]
    rules = state_store.load_rules(connection, rule_ids=changed)
    states = state_store.load_states(connection, rule_ids=changed)
    notified = state_store.load_notified(connection, rule_ids=changed)
    return _Memory(
        runner=before.runner,
        tick=before.tick,
        rules_stamp=head.rules_stamp,
        index=RuleIndex([*kept.values(), *rules]),
        states={**{one: x for one, x in before.states.items() if one in kept}, **states},
        notified={**{one: x for one, x in before.notified.items() if one in kept}, **notified},
    )


def _apply(memory: _Memory, decision: Decision) -> None:
    for (rule_id, series), record in decision.states.items():
        known = memory.states.setdefault(rule_id, {})
        if record is not None:
            known[series] = record
        else:
            known.pop(series, None)
            if not known:
                del memory.states[rule_id]
    memory.notified.update(decision.notified)
    if decision.errors:
        rules = dict(memory.index.by_id)
        for rule_id, error in decision.errors:
            rules[rule_id] = replace(rules[rule_id], last_error=error)
        memory.index = RuleIndex(rules.values())


def _measure(report: Report) -> None:
    """Write the tick's own metrics beside everybody's; they are worth less than the tick."""
    note(
        {
            "pulseboard_alert_rules": report.rules,
            "pulseboard_alert_rules_failing": report.failing,
            "pulseboard_alert_tick_seconds": report.seconds,
            "pulseboard_alert_lag_seconds": report.lag,
        }
    )
