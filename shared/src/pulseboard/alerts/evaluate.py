"""What a tick changes: states, events, notifications. A function of what was read; no I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID, uuid5

from pulseboard.alerts.cache import Current
from pulseboard.alerts.changes import Changes, Ended, InstanceRecord, Queued, Started, StateChange
from pulseboard.alerts.inputs import TickInputs
from pulseboard.alerts.notifications import NoticeAlert, group_key, labels_of, notice_of, silenced
from pulseboard.alerts.state_machine import NEW, Instance, RuleSnapshot, appear, step, tick_at
from pulseboard.alerts.threshold_index import RuleIndex
from pulseboard.contracts.alerts import AlertStatus, NoDataPolicy, SilenceMatcher
from pulseboard.core.exceptions import PulseboardError
from pulseboard.core.observability import logger

STAND_IN = ""
"""Key of the instance that stands for "no series at all"."""

SETTLED_EVERY = 6
"""Ticks between two looks at a rule of which all has resolved: a breach is seen at once, that its
data has gone within these."""

_FIRING = AlertStatus.FIRING
_Silences = list[list[SilenceMatcher]]


@dataclass
class Decision:
    """What a tick changes."""

    states: dict[tuple[UUID, str], InstanceRecord | None] = field(default_factory=dict)
    """New states by rule and series; None: nothing is left to keep."""
    started: list[Started] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    queued: list[Queued] = field(default_factory=list)
    told: dict[UUID, float] = field(default_factory=dict)
    errors: list[tuple[UUID, str | None]] = field(default_factory=list)
    current: dict[UUID, Current] = field(default_factory=dict)
    """What series read that are up to something, for people to see."""

    @property
    def changes(self) -> Changes:
        """What is to be written."""
        return Changes(
            states=[
                StateChange(rule_id, series, x) for (rule_id, series), x in self.states.items()
            ],
            started=self.started,
            ended=self.ended,
            queued=self.queued,
            told=self.told,
            errors=self.errors,
        )


def decide(
    index: RuleIndex,
    states: Mapping[UUID, Mapping[str, InstanceRecord]],
    told: Mapping[UUID, float],
    inputs: TickInputs,
    silences: _Silences,
    at: float,
    steady: float,
) -> Decision:
    """What the tick at `at` changes. `told` is when each rule's channels were last told."""
    made = Decision()
    for rule in _to_look_at(index, states, inputs, tick_at(at)):
        known = states.get(rule.id, {})
        evaluate_missing = at - steady >= rule.condition.window + rule.delay
        try:
            observed = inputs.of(rule)
            moved = _step_all(rule, known, observed, at, evaluate_missing)
        except PulseboardError as error:
            if rule.last_error != error.message:
                made.errors.append((rule.id, error.message))
            continue
        except Exception as error:  # noqa: BLE001 - one rule must never stop the others
            logger().exception("alert rule failed", extra={"rule": str(rule.id)})
            text = f"{type(error).__name__} while it was evaluated; the logs say more"
            if rule.last_error != text:
                made.errors.append((rule.id, text))
            continue
        if rule.last_error is not None:
            made.errors.append((rule.id, None))
        if known or moved:
            after = _settle(made, rule, known, moved, at)
            if rule.channels:
                _tell(made, rule, {**known, **after}, after, told.get(rule.id), silences, at)
            for series, live in after.items():
                keep = live.owed or live.instance.worth_keeping(rule.condition, at)
                if keep or series in known:
                    made.states[rule.id, series] = live if keep else None
            made.current[rule.id] = _current(known, moved, observed)
    return made


def _to_look_at(
    index: RuleIndex,
    states: Mapping[UUID, Mapping[str, InstanceRecord]],
    inputs: TickInputs,
    tick: int,
) -> Iterator[RuleSnapshot]:
    """The rules that this tick can change."""
    seen: dict[UUID, RuleSnapshot] = {rule.id: rule for rule in index.watchful}
    for rule_id, known in states.items():
        rule = index.by_id.get(rule_id)
        if rule is not None and (
            (tick + rule_id.int) % SETTLED_EVERY == 0
            or not all(live.settled for live in known.values())
        ):
            seen[rule_id] = rule
    for rule in index.breached(inputs.values_of):
        seen[rule.id] = rule
    yield from seen.values()


_Moved = dict[str, tuple[dict[str, str], Instance]]


def _step_all(
    rule: RuleSnapshot,
    known: Mapping[str, InstanceRecord],
    observed: list[tuple[str, dict[str, str], float | None]],
    at: float,
    evaluate_missing: bool,
) -> _Moved:
    """Instances that changed or are new, by series."""
    condition = rule.condition
    watching = condition.no_data is NoDataPolicy.ALERT
    moved: _Moved = {}
    any_data = False
    for series, tags, read in observed:
        value = None if read is None or read != read else read
        live = known.get(series)
        if live is None:
            if value is None:
                continue
            any_data = True
            after = step(condition, NEW, value, at)
            if after is not NEW or watching:
                moved[series] = (tags, after)
            continue
        any_data = any_data or value is not None
        after = step(condition, live.instance, value, at, evaluate_missing=evaluate_missing)
        if after is not live.instance:
            moved[series] = (tags, after)
    if known:
        present = {series for series, _, _ in observed}
        for series, live in known.items():
            if series not in present and series != STAND_IN:
                after = step(condition, live.instance, None, at, evaluate_missing=evaluate_missing)
                if after is not live.instance:
                    moved[series] = (live.tags, after)
    if watching:
        _stand_in(rule, known, any_data, at, evaluate_missing, moved)
    return moved


def _stand_in(
    rule: RuleSnapshot,
    known: Mapping[str, InstanceRecord],
    any_data: bool,
    at: float,
    evaluate_missing: bool,
    moved: _Moved,
) -> None:
    live = known.get(STAND_IN)
    before = live.instance if live else NEW
    if any_data:
        after = appear(before, at)
    elif known.keys() <= {STAND_IN}:
        after = step(rule.condition, before, None, at, evaluate_missing=evaluate_missing)
    else:
        return
    if after is not before:
        moved[STAND_IN] = ({}, after)


def _settle(
    made: Decision,
    rule: RuleSnapshot,
    known: Mapping[str, InstanceRecord],
    moved: _Moved,
    at: float,
) -> dict[str, InstanceRecord]:
    """The states of the series that moved; their events begin and end."""
    after: dict[str, InstanceRecord] = {}
    for series, (tags, instance) in moved.items():
        before = known.get(series)
        was = before.instance.status if before else AlertStatus.INACTIVE
        event_id = before.event_id if before else None
        fired_at = before.fired_at if before else None
        # Without channels nobody is owed that it has resolved.
        notified_at = before.notified_at if before and rule.channels else None
        if instance.status is _FIRING and was is not _FIRING:
            event_id, fired_at = uuid5(rule.id, f"{series}@{tick_at(at)}"), at
            live = InstanceRecord(tags, instance, event_id, notified_at, fired_at)
            made.started.append(Started(event_id, rule, series, live))
        elif was is _FIRING and instance.status is not _FIRING and event_id is not None:
            made.ended.append(Ended(event_id, instance))
        after[series] = InstanceRecord(tags, instance, event_id, notified_at, fired_at)
    return after


def _tell(
    made: Decision,
    rule: RuleSnapshot,
    states: Mapping[str, InstanceRecord],
    after: dict[str, InstanceRecord],
    told_at: float | None,
    silences: _Silences,
    at: float,
) -> None:
    """Queue what is due to be told of a rule to its channels, and note in `after` that it was.

    As Alertmanager does it: a first alert waits `group_wait` for others, further changes wait until
    `group_interval` after the last notice. That all has resolved is told at once.
    """
    owed, audible, over = [], [], True
    for series, live in states.items():
        if live.owed:
            owed.append((series, live))
        elif live.instance.status is _FIRING:
            if not silences or not silenced(
                labels_of(rule.name, rule.severity, rule.labels, live.tags), silences
            ):
                audible.append((series, live))
            over = over and live.notified_at is None
    over = over and not audible
    fresh = [live.instance.since for _, live in audible if live.notified_at is None]
    repeat = any(
        live.notified_at is not None and at - live.notified_at >= rule.repeat for _, live in audible
    )
    rested = told_at is None or at - told_at >= rule.group_interval
    due = (
        (bool(owed) and (rested or over))
        or (bool(fresh) and rested and at - min(fresh) >= rule.group_wait)
        or repeat
    )
    if not due:
        return
    alerts = [
        *(alert_of(live.tags, live.instance, started=live.fired_at or 0.0) for _, live in owed),
        *(alert_of(live.tags, live.instance) for _, live in audible),
    ]
    payload = notice_of(rule, alerts).model_dump(mode="json")
    for channel in rule.channels:
        group = group_key(str(rule.id), channel)
        key = f"{group}:{tick_at(at)}"
        made.queued.append(Queued(rule.id, key, group, dict(channel), payload))
    made.told[rule.id] = at
    for series, live in owed:
        after[series] = InstanceRecord(live.tags, live.instance, live.event_id, None, live.fired_at)
    for series, live in audible:
        after[series] = InstanceRecord(live.tags, live.instance, live.event_id, at, live.fired_at)


def alert_of(
    tags: dict[str, str], instance: Instance, *, started: float | None = None
) -> NoticeAlert:
    """An instance as notices name it; `started` when it has resolved."""
    return NoticeAlert(
        status="firing" if started is None else "resolved",
        tags=tags,
        value=instance.value,
        reason=instance.reason,
        started=instance.since if started is None else started,
        ended=None if started is None else instance.since,
    )


def _current(
    known: Mapping[str, InstanceRecord],
    moved: _Moved,
    observed: list[tuple[str, dict[str, str], float | None]],
) -> Current:
    shown: Current = {}
    for series, _, value in observed:
        live = known.get(series)
        if series in moved:
            instance = moved[series][1]
        elif live is not None:
            instance = live.instance
        else:
            continue
        # What has resolved is not looked at each tick: it keeps the value it resolved with.
        if instance.status is AlertStatus.RESOLVED:
            continue
        shown[series] = (value, instance.status is _FIRING, instance.first_triggered)
    return shown
