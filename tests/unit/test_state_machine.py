"""The alert state machine: what it promises, on any history; and the backtest that runs it."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pulseboard.alerts import backtest
from pulseboard.alerts.state_machine import (
    NEW,
    TICK,
    Condition,
    Instance,
    resolve_absent,
    step,
    tick_at,
)
from pulseboard.contracts.alerts import AlertCondition, AlertStatus, NoDataPolicy, Reducer

INACTIVE, PENDING = AlertStatus.INACTIVE, AlertStatus.PENDING
FIRING, RESOLVED = AlertStatus.FIRING, AlertStatus.RESOLVED
ABOVE = Condition(operator=AlertCondition.GT, threshold=90.0)
MET = {"gt": 91.0, "gte": 90.0, "lt": 89.0, "lte": 90.0, "eq": 90.0, "ne": 1.0}
COMPARISONS = [each for each in AlertCondition if each is not AlertCondition.RETURNED]
RETURNED = Condition(operator=AlertCondition.RETURNED, threshold=None)
UNMET = {"gt": 90.0, "gte": 89.0, "lt": 90.0, "lte": 91.0, "eq": 91.0, "ne": 90.0}


def play(condition: Condition, *values: float | None, start: float = 1000.0) -> list[Instance]:
    instance, states = NEW, []
    for number, value in enumerate(values):
        instance = step(condition, instance, value, start + number * TICK)
        states.append(instance)
    return states


def statuses(condition: Condition, *values: float | None) -> list[AlertStatus]:
    return [state.status for state in play(condition, *values)]


@pytest.mark.parametrize("operator", COMPARISONS)
def test_each_condition_at_its_edge(operator: AlertCondition) -> None:
    condition = replace(ABOVE, operator=operator)
    yes, no = MET[operator], UNMET[operator]
    assert statuses(condition, no, yes, no) == [INACTIVE, FIRING, RESOLVED]
    assert statuses(condition, math.nan) == [INACTIVE]


@pytest.mark.parametrize("operator", COMPARISONS)
def test_flapping_within_the_duration_never_fires(operator: AlertCondition) -> None:
    condition = replace(ABOVE, operator=operator, duration=30)
    yes, no = MET[operator], UNMET[operator]
    assert FIRING not in statuses(condition, *[yes, yes, yes, no] * 20)
    assert statuses(condition, yes, yes, yes, yes)[-1] is FIRING


@pytest.mark.parametrize("operator", COMPARISONS)
def test_flapping_while_it_keeps_firing_fires_once(operator: AlertCondition) -> None:
    condition = replace(ABOVE, operator=operator, keep_firing_for=30)
    yes, no = MET[operator], UNMET[operator]
    seen = statuses(condition, *[yes, no, no] * 20, no, no, no, no)
    assert seen[:60] == [FIRING] * 60
    assert seen[-1] is RESOLVED


@pytest.mark.parametrize("operator", COMPARISONS)
@pytest.mark.parametrize("away", [None, math.nan])
def test_no_data_keeps_clears_or_alerts(operator: AlertCondition, away: float | None) -> None:
    yes, no = MET[operator], UNMET[operator]
    keep = replace(ABOVE, operator=operator)
    assert statuses(keep, yes, away, away, yes) == [FIRING] * 4
    assert statuses(keep, no, away, away) == [INACTIVE] * 3
    clear = replace(keep, no_data=NoDataPolicy.OK)
    assert statuses(clear, yes, away, yes) == [FIRING, RESOLVED, FIRING]
    alert = replace(keep, no_data=NoDataPolicy.ALERT, duration=10)
    assert statuses(alert, no, away, away, no) == [INACTIVE, PENDING, FIRING, RESOLVED]


def test_each_series_that_is_returned_fires_whatever_its_value() -> None:
    assert statuses(RETURNED, None, 0.0, None) == [INACTIVE, FIRING, RESOLVED]
    # A NaN is a value that is there.
    assert statuses(RETURNED, math.nan, None, math.inf) == [FIRING, RESOLVED, FIRING]
    held = replace(RETURNED, duration=20, keep_firing_for=20)
    assert statuses(held, 1.0, 1.0, None, 1.0, 2.0, math.nan) == [
        *(PENDING, PENDING, INACTIVE, PENDING, PENDING, FIRING)
    ]
    assert statuses(held, 1.0, 1.0, 1.0, None, 1.0, None, None, None)[2:] == [
        *(FIRING, FIRING, FIRING, FIRING, FIRING, RESOLVED)
    ]


def test_what_is_not_returned_after_a_gap_of_our_own_is_not_clear_yet() -> None:
    firing = play(RETURNED, 1.0)[-1]
    assert step(RETURNED, firing, None, 2000.0, evaluate_missing=False) is firing
    assert step(RETURNED, firing, None, 2000.0).status is RESOLVED


def test_reasons_of_what_is_returned() -> None:
    states = play(replace(RETURNED, duration=10), 2.5, math.nan, None)
    assert [state.reason for state in states] == [
        "the expression returns 2.5",
        "the expression returns NaN for 10s",
        "the expression does not return it any more",
    ]


def test_reasons_name_value_threshold_and_duration() -> None:
    condition = replace(ABOVE, duration=10, no_data=NoDataPolicy.OK)
    states = play(condition, 95.0, 96.5, None)
    assert [state.reason for state in states] == [
        "95 > 90",
        "96.5 > 90 for 10s",
        "no data in the last 1m",
    ]
    assert states[1].first_triggered == 1000.0
    assert states[1].value == 96.5


def test_series_without_data_are_removed_in_the_end() -> None:
    condition = replace(ABOVE, no_data=NoDataPolicy.ALERT, forget_after=50)
    states = play(condition, 50.0, *[None] * 8)
    assert [s.status for s in states] == [INACTIVE] + [FIRING] * 5 + [RESOLVED] * 3
    assert "removed" in states[-1].reason
    assert not states[-1].worth_storing(condition, 1000 + 9 * TICK)


def test_a_gap_of_our_own_says_nothing_about_the_data() -> None:
    condition = replace(ABOVE, no_data=NoDataPolicy.OK)
    firing = play(condition, 99.0)[-1]
    assert step(condition, firing, None, 2000.0, evaluate_missing=False).status is FIRING


def test_the_stand_in_for_no_series_ends_when_one_appears() -> None:
    firing = Instance(status=FIRING, since=10.0)
    assert resolve_absent(firing, 20.0).status is RESOLVED
    assert resolve_absent(firing, 10.0) is firing
    assert resolve_absent(NEW, 10.0) is NEW


def test_ticks_are_counted_from_1970() -> None:
    assert tick_at(0) == 0
    assert tick_at(9.99) == 0
    assert tick_at(1_700_000_010.0) == 170_000_001


class Machine(RuleBasedStateMachine):
    """Steps the machine beside its whole history, and holds each state against that history.

    A history is what each tick meant: breached, clear, or nothing (no data, state unchanged).
    """

    @initialize(
        duration=st.sampled_from([0, 10, 25, 60]),
        keep=st.sampled_from([0, 10, 35]),
        no_data=st.sampled_from(NoDataPolicy),
    )
    def begin(self, duration: float, keep: float, no_data: NoDataPolicy) -> None:
        self.condition = replace(ABOVE, duration=duration, keep_firing_for=keep, no_data=no_data)
        self.now = 1000.0
        self.instance = self.previous = NEW
        self.history: list[tuple[float, bool]] = []
        self.meaning: bool | None = None

    @rule(value=st.sampled_from([50.0, 95.0, None, math.nan]), ticks=st.sampled_from([1, 1, 1, 4]))
    def tick(self, value: float | None, ticks: int) -> None:
        self.now += ticks * TICK
        self.previous = self.instance
        self.instance = step(self.condition, self.instance, value, self.now)
        if value is None or math.isnan(value):
            self.meaning = {
                NoDataPolicy.KEEP_STATE: None,
                NoDataPolicy.OK: False,
                NoDataPolicy.ALERT: True,
            }[self.condition.no_data]
        else:
            self.meaning = value > 90
        if self.meaning is not None:
            self.history.append((self.now, self.meaning))

    @rule(value=st.sampled_from([50.0, 95.0, None]), back=st.integers(0, 3))
    def replay(self, value: float | None, back: int) -> None:
        if self.instance.since > self.now - TICK * (back + 1):
            again = step(self.condition, self.instance, value, self.instance.since - back * TICK)
            assert again is self.instance

    def run_of(self, meaning: bool) -> float:
        """How long, until now, each tick that meant something meant this; -1 when the last did
        not."""
        start = None
        for at, meant in reversed(self.history):
            if meant is not meaning:
                break
            start = at
        return -1.0 if start is None else self.now - start

    @invariant()
    def firing_has_its_reasons(self) -> None:
        if not hasattr(self, "instance"):
            return
        before, after = self.previous.status, self.instance.status
        breached, clear = self.run_of(True), self.run_of(False)
        if after is FIRING and before is not FIRING:
            assert self.meaning is True
            assert breached >= self.condition.duration
        if self.meaning is True and breached >= self.condition.duration:
            assert after is FIRING
        if after is PENDING:
            assert breached >= 0
        if after is RESOLVED and before is FIRING:
            assert self.meaning is False
            assert clear >= self.condition.keep_firing_for
        if self.meaning is False and clear >= self.condition.keep_firing_for:
            assert after in (INACTIVE, RESOLVED)
        if self.meaning is None:
            assert after is before


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

LIMITS = st.builds(
    Condition,
    operator=st.sampled_from(AlertCondition),
    threshold=st.sampled_from([1.0, 2.0]),
    duration=st.sampled_from([0.0, 10.0, 25.0, 70.0]),
    keep_firing_for=st.sampled_from([0.0, 10.0, 35.0]),
    no_data=st.sampled_from(NoDataPolicy),
    forget_after=st.sampled_from([100.0, 86_400.0]),
)


@settings(max_examples=100, deadline=None)
@given(LIMITS, st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0, math.nan]), max_size=60))
def test_a_backtest_that_skips_finds_what_every_tick_finds(
    condition: Condition, values: list[float]
) -> None:
    ticks = 5000.0 + np.arange(len(values), dtype=np.float64) * TICK
    column = np.array(values, dtype=np.float64)
    assert backtest.run(condition, ticks, column) == backtest.run(
        condition, ticks, column, skip=False
    )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, math.nan, None]), max_size=60),
    st.sampled_from([0.0, 10.0, 25.0]),
    st.sampled_from([0.0, 10.0, 35.0]),
)
def test_a_backtest_of_what_is_returned_is_what_each_tick_finds(
    values: list[float | None], duration: float, keep: float
) -> None:
    condition = replace(RETURNED, duration=duration, keep_firing_for=keep)
    expected, instance = [], NEW
    for number, value in enumerate(values):
        after = step(condition, instance, value, 5000.0 + number * TICK)
        if after.status is not instance.status:
            expected.append((5000.0 + number * TICK, after.status, after.reason))
        instance = after
    found = backtest.run(
        condition,
        5000.0 + np.arange(len(values), dtype=np.float64) * TICK,
        np.array([math.nan if value is None else value for value in values]),
        present=np.array([value is not None for value in values], dtype=bool),
    )
    changes = [(one.at, one.instance.status, one.instance.reason) for one in found]
    assert changes == expected


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(-5, 5)), max_size=40),
    st.sampled_from(Reducer),
    st.sampled_from([7.0, 10.0, 60.0, 250.0]),
)
def test_windows_are_reduced_as_one_by_one(
    samples: list[tuple[int, int]], reducer: Reducer, window: float
) -> None:
    known = dict(samples)
    times = np.array(sorted(known), dtype=np.float64)
    values = np.array([known[t] for t in sorted(known)], dtype=np.float64)
    ends = backtest.tick_times(3, 450)
    assert ends[0] == 10
    result = backtest.reduce_windows(times, values, ends, window=window, reducer=reducer)
    functions: dict[Reducer, Any] = {
        Reducer.LAST: lambda found: found[-1],
        Reducer.AVG: lambda found: sum(found) / len(found),
        Reducer.MIN: min,
        Reducer.MAX: max,
        Reducer.SUM: sum,
    }
    for end, value in zip(ends, result, strict=True):
        inside = [float(known[t]) for t in sorted(known) if end - window < t <= end]
        expected = functions[reducer](inside) if inside else math.nan
        assert value == pytest.approx(expected, nan_ok=True)
