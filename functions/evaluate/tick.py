"""One tick of all alert rules: read, decide, write in one transaction.

Ticks are numbered. Starts come at least once, may overlap and may be missing: of two runs of a
tick one writes, and missed ticks are evaluated afterwards, in their order and with their own
windows. A process caches rules and states as long as it ran the last tick itself and no rule has
changed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg

from pulseboard.alerts import cache as alert_cache
from pulseboard.alerts import (
    channels_store,
    notification_log_store,
    notifier,
    recorder,
    state_store,
)
from pulseboard.alerts import inputs as alert_inputs
from pulseboard.alerts.changes import Changes, Current, InstanceRecord
from pulseboard.alerts.evaluate import Decision, decide
from pulseboard.alerts.notifications import Outgoing
from pulseboard.alerts.read_turns import ReadTurns
from pulseboard.alerts.recorder import RecorderCache
from pulseboard.alerts.state_machine import TICK, tick_at
from pulseboard.alerts.state_store import Head
from pulseboard.alerts.threshold_index import RuleIndex
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.observability import logger
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.db.isolated_writes import write_isolated
from pulseboard.ingest import spill
from pulseboard.ingest.telemetry_store import write_values

GAP = 3
"""After more missed ticks than this, missing data says nothing for a while."""

_PRUNE_EVERY = 360
_RETRIES = 3
_LEAST_SECONDS = 0.5
"""That the reads of a tick have, however many are to be caught up."""


@dataclass
class _TickCache:
    """Rules and states as this process cached them at its last tick."""

    runner: UUID
    tick: int
    rules_stamp: UUID | None
    index: RuleIndex
    states: dict[UUID, dict[str, InstanceRecord]]
    recorder: RecorderCache
    current: dict[UUID, Current] = field(default_factory=dict)
    """The values of series that are pending or firing, as each rule was evaluated last."""


@dataclass
class Report:
    """What a run did. Times in seconds."""

    tick: int
    evaluated: list[int] = field(default_factory=list)
    rules: int = 0
    recording_rules: int = 0
    failing: int = 0
    changes: int = 0
    lag: float = 0.0
    seconds: float = 0.0
    error: str | None = None
    """Why the tick failed as a whole."""
    claims: list[Outgoing] = field(default_factory=list)

    @property
    def oldest(self) -> int:
        """The oldest tick that it evaluated: how late that was is the lag."""
        return self.evaluated[0] if self.evaluated else self.tick


_cache: _TickCache | None = None
_turns: ReadTurns[alert_inputs.EvaluationKey] = ReadTurns()
"""What ticks have learned of what rules read. A tick that fails does not lose it."""


@on_reset
def reset() -> None:
    """Drop the cached rules and states."""
    global _cache
    _cache = None


@on_reset
def reset_turns() -> None:
    """Drop what is known of reads."""
    global _turns
    _turns = ReadTurns()


def run(*, now: float | None = None) -> Report:
    """Evaluate the tick at `now` (seconds since 1970) and those missed before it, and claim what
    is to be sent. Raises Unavailable when the database does not respond.
    """
    began = time.perf_counter()
    now_seconds = time.time() if now is None else now
    report = Report(tick=tick_at(now_seconds))
    runner = _cache.runner if _cache else uuid4()
    with database.connection() as connection:
        _run_all(connection, report, runner, now_seconds, began)
        report.claims = notifier.claim(connection, now=now_seconds)
    report.seconds = time.perf_counter() - began
    if report.evaluated:
        _apart("the tick's telemetry is not written", lambda: _measure(report))
    return report


def _run_all(
    connection: psycopg.Connection[Any],
    report: Report,
    runner: UUID,
    now_seconds: float,
    began: float,
) -> None:
    """Evaluate what is due. A tick that fails as a whole is late, which is an alarm; what is
    pending is sent all the same."""
    try:
        _run_ticks(connection, report, runner, now_seconds, began)
        report.lag = max(0.0, now_seconds - report.oldest * TICK)
    except Exception as error:
        if isinstance(error, Unavailable) or database.is_outage(error):
            raise
        logger().exception("the tick failed", extra={"tick": report.tick})
        report.error = f"{type(error).__name__}; the logs say more"
        reset()
        head = state_store.head(connection)
        evaluated = head.tick if head is not None and head.tick >= 0 else report.tick - 1
        report.lag = now_seconds - evaluated * TICK
    if report.tick % _PRUNE_EVERY == 0:
        _apart("old rows are not removed", lambda: _prune(connection, now_seconds))


def _prune(connection: psycopg.Connection[Any], now_seconds: float) -> None:
    state_store.prune(connection)
    notification_log_store.prune(connection, now=now_seconds)
    channels_store.prune(connection)


def _apart(what: str, work: Callable[[], object]) -> None:
    """Do what no tick depends on; an error is logged, unless the database is away."""
    try:
        work()
    except Exception as error:
        if isinstance(error, Unavailable) or database.is_outage(error):
            raise
        logger().error(what, exc_info=error)


def _run_ticks(
    connection: psycopg.Connection[Any],
    report: Report,
    runner: UUID,
    now_seconds: float,
    began: float,
) -> None:
    configured = settings()
    head = state_store.head(connection)
    known = head is not None and head.tick >= 0
    last = head.tick if head is not None and known else report.tick - 1
    gap = not known or report.tick - last > GAP
    stable_since = float(report.tick * TICK) if gap or head is None else head.stable_since
    first = max(last + 1, report.tick - configured.alert_catch_up + 1)
    for tick in range(first, report.tick + 1):
        resumed_at = float(tick * TICK) if tick == first > last + 1 else float("-inf")
        # Those that are caught up share the time, so that the newest is not evaluated late.
        following = report.tick - tick
        left = configured.alert_tick_budget - (time.perf_counter() - began)
        inputs = alert_inputs.ReadOnce(
            float(tick * TICK),
            _turns,
            seconds=max(left / (following + 1), _LEAST_SECONDS),
            hurried=following > 0,
        )
        if not _run_tick(connection, tick, runner, stable_since, resumed_at, report, inputs):
            return
        report.evaluated.append(tick)
        if time.perf_counter() - began > configured.alert_tick_budget:
            return


def _run_tick(
    connection: psycopg.Connection[Any],
    tick: int,
    runner: UUID,
    stable_since: float,
    resumed_at: float,
    report: Report,
    inputs: alert_inputs.ReadOnce,
) -> bool:
    """Evaluate and write one tick; False when another run has written it.

    Rules that change meanwhile are read again, and nothing else; those that change once more than
    `_RETRIES` are left to the next tick, so that no changes hold up the other rules.
    """
    at = float(tick * TICK)
    # Asked before the samples are read: what is drained meanwhile is read, or still waits here.
    missing_since = max(stable_since, spill.newest_waiting())
    _record(connection, _load(connection, runner), inputs, at, missing_since)
    for attempt in range(_RETRIES + 1):
        cached = _load(connection, runner)
        missing_since = max(missing_since, spill.newest_waiting())
        inputs.read(connection, cached.index.examples(at))
        decision = decide(cached.index, cached.states, inputs, at, missing_since, resumed_at)
        last = attempt == _RETRIES
        with connection.transaction():
            mine = state_store.begin_tick(
                connection,
                tick=tick,
                runner=runner,
                stable_since=stable_since,
                rules_stamp=cached.rules_stamp,
                whatever_changed=last,
            )
            if mine and last:
                _leave_out_changed(connection, cached, decision)
            if mine:
                _write(connection, decision, tick)
        if mine:
            changes = decision.changes
            cached.tick = tick
            _apply(cached, decision)
            current = partial(alert_cache.put_current, _current(cached, decision, at))
            _apart("current values are not in the cache", current)
            _record_alerts(connection, cached, at)
            report.rules = len(cached.index)
            report.recording_rules = len(cached.recorder.rules)
            report.failing = sum(
                rule.last_error is not None for rule in cached.index.always_evaluated
            )
            report.changes += len(changes.started) + len(changes.ended)
            return True
        head = state_store.head(connection)
        if head is not None and head.tick >= tick:
            reset()
            return False
    return False


def _current(cached: _TickCache, decision: Decision, at: float) -> dict[UUID, Current]:
    """The values of all rules: of those that are not due, as they were evaluated last."""
    rules = cached.index.by_id
    waiting = {
        rule_id: values
        for rule_id, values in cached.current.items()
        if rule_id in rules and not cached.index.due(rules[rule_id], at)
    }
    cached.current = {**waiting, **decision.current}
    return cached.current


def _record(
    connection: psycopg.Connection[Any],
    cached: _TickCache,
    inputs: alert_inputs.ReadOnce,
    at: float,
    missing_since: float,
) -> None:
    """Run the recording rules; alerts don't depend on that they can be written."""
    _recorded(
        cached,
        lambda: recorder.record(
            connection,
            cached.recorder,
            inputs,
            at=at,
            alerts=cached.index.examples(at),
            missing_since=missing_since,
        ),
    )


def _record_alerts(connection: psycopg.Connection[Any], cached: _TickCache, at: float) -> None:
    _recorded(
        cached,
        lambda: recorder.record_alerts(
            connection, cached.recorder, cached.index, cached.states, at=at
        ),
    )


def _recorded(cached: _TickCache, work: Callable[[], None]) -> None:
    """Do what writes series; of what fails the next tick reads again what was written last."""
    try:
        work()
    except Exception as error:
        if database.is_outage(error):
            raise
        logger().error("rules' series are not written", exc_info=error)
        cached.recorder.stale = True


def _leave_out_changed(
    connection: psycopg.Connection[Any], cached: _TickCache, decision: Decision
) -> None:
    """Leave out of a decision the rules that have changed since; no other can while this runs."""
    versions = state_store.rule_versions(connection)
    for rule_id, rule in cached.index.by_id.items():
        if versions.get(rule_id) != rule.version:
            decision.leave_out(rule_id)


def _write(connection: psycopg.Connection[Any], decision: Decision, tick: int) -> None:
    """Write what the tick changes; where that fails, each rule by itself, so that one whose
    changes can't be stored has its error and stops none of the others."""
    changes = decision.changes
    rules = changes.rules

    def write(some: Sequence[UUID]) -> None:
        mine = changes if len(some) == len(rules) else changes.of(some[0])
        state_store.write(connection, changes=mine, tick=tick)

    for rule_id, error in write_isolated(connection, rules, write):
        logger().error("alert rule not stored", extra={"rule": str(rule_id)}, exc_info=error)
        text = f"What the rule found can't be stored ({type(error).__name__})."
        decision.give_up(rule_id, text)
        with connection.transaction():
            state_store.write(connection, changes=Changes(errors=[(rule_id, text)]), tick=tick)


def _load(connection: psycopg.Connection[Any], runner: UUID) -> _TickCache:
    """Rules and states as they are now; of cached ones only the rules that changed are read."""
    global _cache
    head = state_store.head(connection)
    ours = (
        _cache is not None
        and head is not None
        and (head.runner, head.tick) == (_cache.runner, _cache.tick)
    )
    if _cache is not None and head is not None and ours and head.rules_stamp == _cache.rules_stamp:
        if _cache.recorder.stale:
            _cache.recorder = recorder.load(connection)
        return _cache
    before = _cache if ours else None
    _cache = None
    with connection.transaction():
        # One snapshot, so that rules and states belong together.
        connection.execute("set transaction isolation level repeatable read")
        head = state_store.head(connection)
        if before is not None and head is not None and head.tick == before.tick:
            _cache = _refresh(connection, before, head)
        else:
            _cache = _TickCache(
                runner=runner,
                tick=head.tick if head else -1,
                rules_stamp=head.rules_stamp if head else None,
                index=RuleIndex(
                    state_store.load_rules(connection), state_store.group_intervals(connection)
                ),
                states=state_store.load_states(connection),
                recorder=recorder.load(connection),
            )
    return _cache


def _refresh(connection: psycopg.Connection[Any], before: _TickCache, head: Head) -> _TickCache:
    """The cached ones, with the rules that were created, changed or deleted since."""
    versions = state_store.rule_versions(connection)
    unchanged = {
        rule_id: rule
        for rule_id, rule in before.index.by_id.items()
        if versions.get(rule_id) == rule.version
    }
    changed = [rule_id for rule_id in versions if rule_id not in unchanged]
    rules = state_store.load_rules(connection, rule_ids=changed)
    states = state_store.load_states(connection, rule_ids=changed)
    return _TickCache(
        runner=before.runner,
        tick=before.tick,
        rules_stamp=head.rules_stamp,
        index=RuleIndex([*unchanged.values(), *rules], state_store.group_intervals(connection)),
        states={**{one: x for one, x in before.states.items() if one in unchanged}, **states},
        recorder=recorder.load(connection, before.recorder),
        current=before.current,
    )


def _apply(cached: _TickCache, decision: Decision) -> None:
    for (rule_id, series), record in decision.states.items():
        known = cached.states.setdefault(rule_id, {})
        if record is not None:
            known[series] = record
        else:
            known.pop(series, None)
            if not known:
                del cached.states[rule_id]
    if decision.errors:
        rules = dict(cached.index.by_id)
        for rule_id, error in decision.errors:
            rules[rule_id] = replace(rules[rule_id], last_error=error)
        cached.index = RuleIndex(rules.values(), cached.index.intervals)


def _measure(report: Report) -> None:
    """Write the tick's telemetry; failing to does not fail the tick."""
    write_values(
        {
            "pulseboard_alert_rules": report.rules,
            "pulseboard_alert_rules_failing": report.failing,
            "pulseboard_recording_rules": report.recording_rules,
            "pulseboard_alert_tick_seconds": report.seconds,
            "pulseboard_alert_lag_seconds": report.lag,
        }
    )
