"""What ticks decide for all rules: as if each had been evaluated."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from pulseboard.alerts.changes import InstanceRecord
from pulseboard.alerts.evaluate import Decision, decide
from pulseboard.alerts.inputs import TickInputs
from pulseboard.alerts.state_machine import TICK, Condition, RuleSnapshot
from pulseboard.alerts.threshold_index import RuleIndex
from pulseboard.catalogue.series_key import Series
from pulseboard.contracts.alerts import (
    AlertCondition,
    AlertStatus,
    NoDataPolicy,
    Reducer,
)

HOSTS = ("a", "b", "c")
WINDOW = 60.0
SERIES = {host: Series(number, {"host": host}) for number, host in enumerate(HOSTS)}
START = 1_000_000.0


def make(number: int = 1, **fields: Any) -> RuleSnapshot:
    condition = {
        name: fields.pop(name)
        for name in list(fields)
        if name in ("operator", "threshold", "no_data", "duration", "keep_firing_for")
    }
    defaults: dict[str, Any] = {"operator": AlertCondition.GT, "threshold": 90.0}
    rule = RuleSnapshot(
        id=UUID(int=number),
        name=f"rule {number}",
        query="cpu",
        condition=Condition(**{**defaults, **condition}, window=WINDOW),
        channels=({"type": "webhook", "url": "https://example.com/"},),
    )
    return replace(rule, **fields)


def inputs(values: dict[str, float | None]) -> TickInputs:
    rows = {
        SERIES[host].id: (value, value, value, value, value)
        for host, value in values.items()
        if value is not None
    }
    return TickInputs(series={"cpu": list(SERIES.values())}, windows={(WINDOW, 0.0): rows})


class Store:
    """What the database holds between ticks."""

    def __init__(self, rules: Sequence[RuleSnapshot]) -> None:
        self.index = RuleIndex(rules)
        self.states: dict[UUID, dict[str, InstanceRecord]] = {}

    def tick(
        self, at: float, values: dict[str, float | None], *, resumed_at: float = -math.inf
    ) -> Decision:
        decision = decide(self.index, self.states, inputs(values), at, 0.0, resumed_at)
        for (rule_id, series), record in decision.states.items():
            known = self.states.setdefault(rule_id, {})
            if record is None:
                known.pop(series, None)
            else:
                known[series] = record
        return decision

    def statuses(self) -> dict[tuple[UUID, str], AlertStatus]:
        quiet = (AlertStatus.INACTIVE, AlertStatus.RESOLVED)
        return {
            (rule_id, series): record.instance.status
            for rule_id, known in self.states.items()
            for series, record in known.items()
            if record.instance.status not in quiet
        }


class EvaluatesAll(RuleIndex):
    """Breaches are not searched for: each rule is evaluated."""

    def __init__(self, rules: Sequence[RuleSnapshot]) -> None:
        super().__init__(rules)
        self.always_evaluated = list(rules)


VALUE = st.sampled_from([None, math.nan, 1.0, 2.0, 3.0])
RULES = st.lists(
    st.builds(
        make,
        operator=st.sampled_from(AlertCondition),
        threshold=st.sampled_from([1.0, 1.5, 2.0, 3.0]),
        duration=st.sampled_from([0.0, 20.0]),
        keep_firing_for=st.sampled_from([0.0, 20.0]),
        no_data=st.sampled_from(NoDataPolicy),
        reducer=st.sampled_from(Reducer),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(RULES, st.lists(st.fixed_dictionaries(dict.fromkeys(HOSTS, VALUE)), max_size=25))
def test_what_is_not_evaluated_would_not_have_changed(
    given_rules: list[RuleSnapshot], rounds: list[dict[str, float | None]]
) -> None:
    rules = [replace(one, id=UUID(int=n)) for n, one in enumerate(given_rules)]
    some, every = Store(rules), Store(rules)
    every.index = EvaluatesAll(rules)
    for number, values in enumerate(rounds):
        at = START + number * TICK
        found, expected = some.tick(at, values), every.tick(at, values)
        assert {one.id for one in found.started} == {one.id for one in expected.started}
        assert {one.event_id for one in found.ended} == {one.event_id for one in expected.ended}
        assert some.statuses() == every.statuses()


def test_a_quiet_tick_evaluates_no_rule_that_does_not_breach() -> None:
    rules = [make(number, threshold=float(number)) for number in range(1, 101)]
    store = Store(rules)
    decision = store.tick(START, dict.fromkeys(HOSTS, 0.0))
    assert (decision.states, decision.current) == ({}, {})
    decision = store.tick(START + TICK, {"a": 3.5, "b": 0.0, "c": None})
    assert {one.rule.name for one in decision.started} == {"rule 1", "rule 2", "rule 3"}


def test_one_breach_after_a_long_outage_does_not_fire_as_if_it_had_held() -> None:
    store = Store([make(duration=20.0)])
    store.tick(START, {"a": 95.0})
    late = START + 3600.0
    assert store.tick(late, {"a": 95.0}, resumed_at=late).started == []
    assert store.tick(late + TICK, {"a": 95.0}).started == []
    assert len(store.tick(late + 2 * TICK, {"a": 95.0}).started) == 1


def test_data_that_never_comes_back_gives_no_all_clear() -> None:
    """`noData: alert` without any series: one page, and none each day."""
    store = Store([make(no_data=NoDataPolicy.ALERT)])
    store.index = RuleIndex([make(no_data=NoDataPolicy.ALERT)])
    nothing: dict[str, float | None] = dict.fromkeys(HOSTS)
    events = [0, 0]
    for number in range(3):
        for at in (START, START + 86_390.0, START + 86_400.0, START + 86_410.0):
            decision = store.tick(at + number * 86_400.0 * 1.5, nothing)
            events[0] += len(decision.started)
            events[1] += len(decision.ended)
    assert events == [1, 0]


def test_resolved_series_are_forgotten() -> None:
    store = Store([make()])
    store.tick(START, {"a": 95.0})
    store.tick(START + TICK, {"a": 5.0})
    for number in range(7):
        store.tick(START + 86_500.0 + number * TICK, {"a": 5.0})
    assert not any(store.states.values())


def test_a_rule_is_evaluated_at_the_interval_of_its_group() -> None:
    minutely, always = make(number=1, group="minutely"), make(number=2)
    store = Store([])
    store.index = RuleIndex([minutely, always], {"minutely": 60.0})
    assert [rule.id for rule in store.index.examples(70.0)] == [always.id]
    assert {rule.id for rule in store.index.examples(120.0)} == {minutely.id, always.id}

    def fired(at: float, value: float | None) -> set[UUID | None]:
        decision = store.tick(at, {"a": value})
        return {each.rule.id for each in decision.started} | {
            each.rule_id for each in decision.ended
        }

    above, below = 1e9, -1e9
    assert fired(70.0, above) == {always.id}, "the other is not due"
    assert fired(120.0, above) == {minutely.id}
    assert fired(130.0, below) == {always.id}
    assert fired(170.0, below) == set(), "it fires until it is evaluated again"
    assert fired(180.0, below) == {minutely.id}
