"""The state machine of an alert. Pure: the live evaluator and the backtest run this function.

    inactive ──breach──▶ pending ──held for `duration`──▶ firing ──cleared──▶ resolved
        ▲                   │                               ▲  │                  │
        └────not breached───┘                               └──┴─keep_firing_for  └─breach─▶ pending

Times are seconds since 1970, lengths are seconds. A value that is missing, or is not a number,
is no data; the rule's no-data policy says what that means. With `keep_state` nothing changes while
data is away, however long, until `forget_after`. The meaning of `duration` and `keep_firing_for`
is that of Prometheus' `for` and `keep_firing_for`
(https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/), apart from a gap in
the data, which does not start `duration` anew.

A rule with the condition `returned` fires for each series that its expression returns, whatever the
value, NaN included: as a rule of Prometheus. A series that is not returned is clear, not missing.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isinf
from typing import Any
from uuid import UUID

from pulseboard.contracts.alerts import (
    AlertCondition,
    AlertRuleFields,
    AlertSeverity,
    AlertStatus,
    NoDataPolicy,
    Reducer,
)
from pulseboard.contracts.base import format_interval, interval_seconds
from pulseboard.core.lookback import LOOKBACK_DELTA

TICK = 10
"""Seconds between two evaluations. Tick n is n × 10 s after the start of 1970."""

MIN_WINDOW = 60.0
"""Seconds: the shortest window of a rule that sets none and reduces it by other than `last`."""

_COMPARE: dict[AlertCondition, Callable[[float, float], bool]] = {
    AlertCondition.GT: operator.gt,
    AlertCondition.GTE: operator.ge,
    AlertCondition.LT: operator.lt,
    AlertCondition.LTE: operator.le,
    AlertCondition.EQ: operator.eq,
    AlertCondition.NE: operator.ne,
}
SYMBOLS: Mapping[AlertCondition, str] = {
    AlertCondition.GT: ">",
    AlertCondition.GTE: "≥",
    AlertCondition.LT: "<",
    AlertCondition.LTE: "≤",
    AlertCondition.EQ: "=",
    AlertCondition.NE: "≠",
}
"""The signs of the comparisons; `returned` compares nothing."""


@dataclass(frozen=True, slots=True)
class Condition:
    """When a rule fires: its comparison, and its durations in seconds."""

    operator: AlertCondition
    threshold: float | None
    """None with `returned`, and only then."""
    duration: float = 0.0
    window: float = MIN_WINDOW
    keep_firing_for: float = 0.0
    no_data: NoDataPolicy = NoDataPolicy.KEEP_STATE
    forget_after: float = 86_400.0

    @property
    def returned(self) -> bool:
        """Whether it fires for each series that the expression returns."""
        return self.operator is AlertCondition.RETURNED

    def breached_by(self, value: float) -> bool:
        """Whether a value that is there is an alert."""
        return self.threshold is None or _COMPARE[self.operator](value, self.threshold)


@dataclass(frozen=True, slots=True)
class Instance:
    """The state of one series of a rule, since `since`.

    `first_triggered` is when the condition was first met, `clear_since` when a firing one first
    did not meet it any more, `no_data_since` the first tick without data. `value` and `reason`
    belong to the last change of status.
    """

    status: AlertStatus = AlertStatus.INACTIVE
    since: float = float("-inf")
    value: float | None = None
    reason: str = ""
    first_triggered: float | None = None
    clear_since: float | None = None
    no_data_since: float | None = None

    def due(self, condition: Condition, at: float) -> float:
        """The next time after `at` at which this can change while the input stays the same."""
        times = []
        if self.status is AlertStatus.PENDING and self.first_triggered is not None:
            times.append(self.first_triggered + condition.duration)
        if self.clear_since is not None:
            times.append(self.clear_since + condition.keep_firing_for)
        if self.no_data_since is not None:
            times.append(self.no_data_since + condition.forget_after)
        return min((each for each in times if each > at), default=float("inf"))

    def worth_storing(self, condition: Condition, at: float) -> bool:
        """Whether a later tick would decide otherwise without it.

        An inactive one matters only where missing data is an alert, and until `forget_after`.
        """
        if self.status is AlertStatus.INACTIVE and condition.no_data is not NoDataPolicy.ALERT:
            return False
        if self.status is AlertStatus.RESOLVED and at - self.since >= condition.forget_after:
            return condition.no_data is NoDataPolicy.ALERT and self.no_data_since is None
        busy = self.status in (AlertStatus.PENDING, AlertStatus.FIRING)
        return (
            busy or self.no_data_since is None or at - self.no_data_since < condition.forget_after
        )


@dataclass(frozen=True, slots=True)
class RuleSnapshot:
    """A rule as the evaluator needs it. `channels` are as stored, with their secrets."""

    id: UUID
    name: str
    query: str
    condition: Condition
    reducer: Reducer = Reducer.LAST
    default_window: bool = False
    """The rule sets no window: it may be widened to what the interval of its metric needs, and
    `last` is PromQL's instant selector."""
    severity: AlertSeverity = AlertSeverity.WARNING
    delay: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    runbook_url: str = ""
    channels: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    group_wait: float = 0.0
    group_interval: float = 0.0
    repeat: float = 4 * 3600.0
    last_error: str | None = None
    version: int = 1
    recording: bool = False
    """What a recording rule reads: it may have more series than an alert rule."""
    group: str = ""

    @property
    def read_key(self) -> "ReadKey":
        """What rules that read the same have in common."""
        window = self.condition.window
        return (
            *(self.query, window, self.default_window, self.delay, self.reducer),
            self.condition.returned,
        )


ReadKey = tuple[str, float, bool, float, Reducer, bool]


NEW = Instance()

_INACTIVE, _PENDING = AlertStatus.INACTIVE, AlertStatus.PENDING
_FIRING, _RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED


def condition_of(rule: AlertRuleFields, *, forget_after: float) -> Condition:
    """The condition of a rule of the API."""
    duration = interval_seconds(rule.duration)
    return Condition(
        operator=rule.condition,
        threshold=rule.threshold,
        duration=duration,
        window=window_of(
            duration, interval_seconds(rule.window) if rule.window else None, rule.reducer
        ),
        keep_firing_for=interval_seconds(rule.keep_firing_for),
        no_data=rule.no_data,
        forget_after=forget_after,
    )


def window_of(duration: float, window: float | None, reducer: Reducer) -> float:
    """Seconds of samples that a rule reads: as set, or the look-back for `last`, or the larger of
    `duration` and a minute.
    """
    if window is not None:
        return window
    return LOOKBACK_DELTA if reducer is Reducer.LAST else max(duration, MIN_WINDOW)


def format_value(value: float | None) -> str:
    """A value as people read it: six digits, and Prometheus' words for infinities."""
    if value is None:
        return "no data"
    if value != value:
        return "NaN"
    return f"{value:+.6g}".title() if isinf(value) else f"{value:.6g}"


def format_threshold(threshold: float | None) -> str:
    """A threshold as people read it; empty for a rule that has none."""
    return "" if threshold is None else f"{threshold:.6g}"


def tick_at(time: float) -> int:
    """The number of the newest tick at a time (seconds since 1970)."""
    return int(time // TICK)


def step(
    condition: Condition,
    before: Instance,
    value: float | None,
    at: float,
    *,
    evaluate_missing: bool = True,
    resumed_at: float = float("-inf"),
) -> Instance:
    """The state after the tick at `at`; `before` itself when nothing changed.

    A tick that was evaluated already, or is older than the last change, changes nothing. Without
    `evaluate_missing` missing data is ignored: ticks were missed, so it says nothing. What began
    before `resumed_at`, before ticks that nobody evaluates any more, is not known to have held.
    """
    if at <= before.since:
        return before
    if before.first_triggered is not None and before.status is _PENDING:
        if before.first_triggered < resumed_at:
            before = replace(before, first_triggered=at)
    elif before.clear_since is not None and before.clear_since < resumed_at:
        before = replace(before, clear_since=at)
    if condition.returned:
        if value is not None:
            return _breached(condition, before, value, at, _returned)
        return _cleared(condition, before, None, at, _not_returned) if evaluate_missing else before
    if value is None or value != value:
        return _missing(condition, before, at, evaluate_missing)
    breached = condition.breached_by(value)
    if before.status is _INACTIVE and not breached and before.no_data_since is None:
        return before
    if before.no_data_since is not None:
        before = replace(before, no_data_since=None)
    if breached:
        return _breached(condition, before, value, at, _crossed)
    return _cleared(condition, before, value, at, _receded)


def _missing(condition: Condition, before: Instance, at: float, evaluate_missing: bool) -> Instance:
    if before.no_data_since is None:
        before = replace(before, no_data_since=at)
    since = before.no_data_since
    if since is not None and at - since >= condition.forget_after:
        if before.status in (_INACTIVE, _RESOLVED):
            return before
        return Instance(
            status=_RESOLVED if before.status is _FIRING else _INACTIVE,
            since=at,
            reason=f"no data for {format_interval(condition.forget_after)}: removed",
            no_data_since=since,
        )
    if not evaluate_missing or condition.no_data is NoDataPolicy.KEEP_STATE:
        return before
    if condition.no_data is NoDataPolicy.ALERT:
        return _breached(condition, before, None, at, _absent)
    return _cleared(condition, before, None, at, _absent)


def resolve_absent(before: Instance, at: float) -> Instance:
    """The state of a rule's absent-series instance, once there is a series."""
    if before.status not in (_PENDING, _FIRING) or at <= before.since:
        return before
    return Instance(
        status=_RESOLVED if before.status is _FIRING else _INACTIVE,
        since=at,
        reason="data arrived",
    )


_Reason = Callable[[Condition, float | None], str]


def _breached(
    condition: Condition, before: Instance, value: float | None, at: float, reason: _Reason
) -> Instance:
    if before.status is _FIRING:
        return before if before.clear_since is None else replace(before, clear_since=None)
    first = before.first_triggered if before.status is _PENDING else at
    assert first is not None, "a pending instance has first_triggered"
    held = at - first >= condition.duration
    if before.status is _PENDING and not held:
        return before
    text = reason(condition, value)
    if held and condition.duration:
        text += f" for {format_interval(condition.duration)}"
    return Instance(
        status=_FIRING if held else _PENDING,
        since=at,
        value=value,
        reason=text,
        first_triggered=first,
        no_data_since=before.no_data_since,
    )


def _cleared(
    condition: Condition, before: Instance, value: float | None, at: float, reason: _Reason
) -> Instance:
    if before.status in (_INACTIVE, _RESOLVED):
        return before
    if before.status is _FIRING and condition.keep_firing_for:
        if before.clear_since is None:
            return replace(before, clear_since=at)
        if at - before.clear_since < condition.keep_firing_for:
            return before
    return Instance(
        status=_RESOLVED if before.status is _FIRING else _INACTIVE,
        since=at,
        value=value,
        reason=reason(condition, value),
        no_data_since=before.no_data_since,
    )


def _crossed(condition: Condition, value: float | None) -> str:
    threshold = format_threshold(condition.threshold)
    return f"{format_value(value)} {SYMBOLS[condition.operator]} {threshold}"


def _receded(condition: Condition, value: float | None) -> str:
    threshold = format_threshold(condition.threshold)
    return f"{format_value(value)} is not {SYMBOLS[condition.operator]} {threshold}"


def _returned(condition: Condition, value: float | None) -> str:
    return f"the expression returns {format_value(value)}"


def _not_returned(condition: Condition, value: float | None) -> str:
    return "the expression does not return it any more"


def _absent(condition: Condition, value: float | None) -> str:
    return f"no data in the last {format_interval(condition.window)}"
