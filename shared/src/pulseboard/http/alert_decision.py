"""What a tick changes: states, events, notifications. A function of what was read; no I/O."""

from collections.abc import Iterable, Mapping
from uuid import UUID, uuid5

from pulseboard.contracts.alerts import AlertStatus, NoDataPolicy, SilenceMatcher
from pulseboard.domain.alerting import NEW, Instance, LiveRule, appear, step, tick_at
from pulseboard.domain.notifications import (
    NoticeAlert,
    group_key,
    labels_of,
    notice_of,
    silenced,
)
from pulseboard.exceptions import PulseboardError
from pulseboard.http.alert_reads import Readings
from pulseboard.observability import logger
from pulseboard.stores.alert_cache import Current
from pulseboard.stores.alert_state import Changes, Ended, Live, Queued, Started, StateChange

STAND_IN = ""
"""Key of the instance that stands for "no series at all"."""

Patch = dict[tuple[UUID, str], Live | None]
"""New states by rule and series; None: nothing is left to keep."""

_FIRING = AlertStatus.FIRING
_Silences = list[list[SilenceMatcher]]


def decide(
    rules: Iterable[LiveRule],
    states: Mapping[UUID, Mapping[str, Live]],
    readings: Readings,
    silences: _Silences,
    at: float,
    steady: float,
) -> tuple[Changes, Patch, dict[UUID, Current]]:
    """What the tick at `at` changes: to write, to remember, and all current values."""
    tick = tick_at(at)
    patch: Patch = {}
    started: list[Started] = []
    ended: list[Ended] = []
    queued: list[Queued] = []
    errors: list[tuple[UUID, str | None]] = []
    current: dict[UUID, Current] = {}
    for rule in rules:
        known = states.get(rule.id, {})
        judge = at - steady >= rule.limits.window + rule.delay
        try:
            observed = readings.of(rule)
            moved = _step_all(rule, known, observed, at, judge)
        except PulseboardError as error:
            if rule.last_error != error.message:
                errors.append((rule.id, error.message))
            continue
        except Exception as error:  # noqa: BLE001 - one rule must never stop the others
            logger().exception("alert rule failed", extra={"rule": str(rule.id)})
            text = f"{type(error).__name__} while it was evaluated; the logs say more"
            if rule.last_error != text:
                errors.append((rule.id, text))
            continue
        if rule.last_error is not None:
            errors.append((rule.id, None))
        if known or moved:
            told = _settle(rule, known, moved, silences, at, tick, started, ended, queued)
            for series, live in told.items():
                patch[rule.id, series] = live
        current[rule.id] = _current(known, moved, observed)
    changes = Changes(
        states=[StateChange(rule_id, series, live) for (rule_id, series), live in patch.items()],
        started=started,
        ended=ended,
        queued=queued,
        errors=errors,
    )
    return changes, patch, current


_Moved = dict[str, tuple[dict[str, str], Instance]]


def _step_all(
    rule: LiveRule,
    known: Mapping[str, Live],
    observed: list[tuple[str, dict[str, str], float | None]],
    at: float,
    judge: bool,
) -> _Moved:
    """Instances that changed or are new, by series."""
    limits = rule.limits
    watching = limits.no_data is NoDataPolicy.ALERT
    moved: _Moved = {}
    any_data = False
    for series, tags, value in observed:
        live = known.get(series)
        if live is None:
            if value is None:
                continue
            any_data = True
            after = step(limits, NEW, value, at)
            if after is not NEW or watching:
                moved[series] = (tags, after)
            continue
        any_data = any_data or value is not None
        after = step(limits, live.instance, value, at, judge_missing=judge)
        if after is not live.instance:
            moved[series] = (tags, after)
    if known:
        present = {series for series, _, _ in observed}
        for series, live in known.items():
            if series not in present and series != STAND_IN:
                after = step(limits, live.instance, None, at, judge_missing=judge)
                if after is not live.instance:
                    moved[series] = (live.tags, after)
    if watching:
        _stand_in(rule, known, any_data, at, judge, moved)
    return moved


def _stand_in(
    rule: LiveRule,
    known: Mapping[str, Live],
    any_data: bool,
    at: float,
    judge: bool,
    moved: _Moved,
) -> None:
    live = known.get(STAND_IN)
    before = live.instance if live else NEW
    if any_data:
        after = appear(before, at)
    elif known.keys() <= {STAND_IN}:
        after = step(rule.limits, before, None, at, judge_missing=judge)
    else:
        return
    if after is not before:
        moved[STAND_IN] = ({}, after)


def _settle(
    rule: LiveRule,
    known: Mapping[str, Live],
    moved: _Moved,
    silences: _Silences,
    at: float,
    tick: int,
    started: list[Started],
    ended: list[Ended],
    queued: list[Queued],
) -> dict[str, Live | None]:
    """New states of a rule's series, its events, and its notifications where any are due."""
    told: dict[str, Live | None] = {}
    resolved: list[NoticeAlert] = []
    for series, (tags, instance) in moved.items():
        before = known.get(series)
        was = before.instance.status if before else AlertStatus.INACTIVE
        event_id = before.event_id if before else None
        notified_at = before.notified_at if before else None
        if instance.status is _FIRING and was is not _FIRING:
            event_id = uuid5(rule.id, f"{series}@{tick}")
            live = Live(tags, instance, event_id)
            started.append(Started(event_id, rule, series, live))
            told[series] = live
            continue
        if was is _FIRING and instance.status is not _FIRING:
            if event_id is not None:
                ended.append(Ended(event_id, instance))
            if notified_at is not None and before is not None:
                resolved.append(alert_of(tags, instance, started=before.instance.since))
            notified_at = None
        if instance.worth_keeping(rule.limits, at):
            told[series] = Live(tags, instance, event_id, notified_at)
        elif before is not None:
            told[series] = None
    if rule.channels:
        _notify(rule, known, told, resolved, silences, at, tick, queued)
    return told


def _notify(
    rule: LiveRule,
    known: Mapping[str, Live],
    told: dict[str, Live | None],
    resolved: list[NoticeAlert],
    silences: _Silences,
    at: float,
    tick: int,
    queued: list[Queued],
) -> None:
    audible = []
    for series, live in [*((s, x) for s, x in known.items() if s not in told), *told.items()]:
        if live is None or live.instance.status is not _FIRING:
            continue
        if silences and silenced(
            labels_of(rule.name, rule.severity, rule.labels, live.tags), silences
        ):
            continue
        audible.append((series, live))
    due = any(
        live.notified_at is None or at - live.notified_at >= rule.repeat for _, live in audible
    )
    if not due and not resolved:
        return
    alerts = [*resolved, *(alert_of(live.tags, live.instance) for _, live in audible)]
    payload = notice_of(rule, alerts).model_dump(mode="json")
    for channel in rule.channels:
        group = group_key(str(rule.id), channel)
        queued.append(Queued(rule.id, f"{group}:{tick}", group, dict(channel), payload))
    for series, live in audible:
        told[series] = Live(live.tags, live.instance, live.event_id, at)


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
    known: Mapping[str, Live],
    moved: _Moved,
    observed: list[tuple[str, dict[str, str], float | None]],
) -> Current:
    shown: Current = {}
    for series, _, value in observed[:100]:
        if not known and series not in moved:
            shown[series] = (value, False, None)
            continue
        live = known.get(series)
        instance = moved[series][1] if series in moved else live.instance if live else NEW
        shown[series] = (value, instance.status is _FIRING, instance.first_triggered)
    return shown
