"""What ticks decide for all rules: as if each had been evaluated; and who is notified when."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pulseboard.alerts.changes import InstanceRecord, Queued
from pulseboard.alerts.evaluate import Decision, decide
from pulseboard.alerts.inputs import TickInputs
from pulseboard.alerts.state_machine import TICK, Condition, RuleSnapshot
from pulseboard.alerts.threshold_index import RuleIndex
from pulseboard.catalogue.series_key import Series
from pulseboard.contracts.alerts import (
    AlertCondition,
    AlertStatus,
    MatchOperator,
    NoDataPolicy,
    Reducer,
    SilenceMatcher,
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
    """What the database holds between ticks, and what was notified."""

    def __init__(self, rules: Sequence[RuleSnapshot]) -> None:
        self.index = RuleIndex(rules)
        self.states: dict[UUID, dict[str, InstanceRecord]] = {}
        self.notified: dict[UUID, float] = {}
        self.queued: list[Queued] = []

    def tick(
        self,
        at: float,
        values: dict[str, float | None],
        silences: list[list[SilenceMatcher]] | None = None,
    ) -> Decision:
        decision = decide(
            self.index, self.states, self.notified, inputs(values), silences or [], at, 0.0
        )
        for (rule_id, series), record in decision.states.items():
            known = self.states.setdefault(rule_id, {})
            if record is None:
                known.pop(series, None)
            else:
                known[series] = record
        self.notified |= decision.notified
        self.queued += decision.queued
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
        group_interval=st.sampled_from([0.0, 40.0]),
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
        assert {one.key for one in found.queued} == {one.key for one in expected.queued}
        assert some.statuses() == every.statuses()


def test_a_quiet_tick_evaluates_no_rule_that_does_not_breach() -> None:
    rules = [make(number, threshold=float(number)) for number in range(1, 101)]
    store = Store(rules)
    decision = store.tick(START, dict.fromkeys(HOSTS, 0.0))
    assert (decision.states, decision.current) == ({}, {})
    decision = store.tick(START + TICK, {"a": 3.5, "b": 0.0, "c": None})
    assert {one.rule.name for one in decision.started} == {"rule 1", "rule 2", "rule 3"}


def notifications(store: Store) -> list[tuple[float, list[str], list[str]]]:
    """Of each notification: its tick after the start, the hosts that fire and that resolved."""
    return [
        (
            float(one.key.rpartition(":")[2]) * TICK - START,
            sorted(x["tags"]["host"] for x in one.payload["alerts"] if x["status"] == "firing"),
            sorted(x["tags"]["host"] for x in one.payload["alerts"] if x["status"] == "resolved"),
        )
        for one in store.queued
    ]


def play(store: Store, *rounds: str, silenced: Sequence[str] = ()) -> None:
    """A tick for each: the hosts that breach."""
    silences = [
        [SilenceMatcher(label="host", operator=MatchOperator.EQUAL, value=host)]
        for host in silenced
    ]
    for number, breaching in enumerate(rounds):
        values: dict[str, float | None] = {
            host: 95.0 if host in breaching else 5.0 for host in HOSTS
        }
        store.tick(START + number * TICK, values, silences)


def test_the_first_waits_for_others_to_be_notified_together() -> None:
    store = Store([make(group_wait=20.0, group_interval=60.0)])
    play(store, "a", "ab", "abc", "abc", "abc")
    assert notifications(store) == [(20.0, ["a", "b", "c"], [])]


def test_what_ends_within_the_wait_is_notified_to_nobody() -> None:
    store = Store([make(group_wait=20.0)])
    play(store, "a", "", "", "", "")
    assert notifications(store) == []


def test_later_changes_wait_for_the_group_interval() -> None:
    store = Store([make(group_interval=40.0)])
    play(store, "a", "ab", "bc", "bc", "bc", "bc")
    assert notifications(store) == [(0.0, ["a"], []), (40.0, ["b", "c"], ["a"])]
    (resolved,) = [x for x in store.queued[1].payload["alerts"] if x["status"] == "resolved"]
    assert (resolved["started"], resolved["ended"]) == (START, START + 20)


def test_that_all_has_resolved_is_notified_at_once_and_firing_again_waits() -> None:
    store = Store([make(group_interval=40.0)])
    play(store, "a", "", "a", "a", "a", "a", "a")
    assert notifications(store) == [(0.0, ["a"], []), (10.0, [], ["a"]), (50.0, ["a"], [])]


def test_it_repeats_while_it_fires() -> None:
    store = Store([make(group_interval=20.0, repeat=30.0)])
    play(store, *["a"] * 8)
    assert [at for at, _, _ in notifications(store)] == [0.0, 30.0, 60.0]


@pytest.mark.parametrize("silenced", ["a", "b"])
def test_a_silenced_one_is_left_out(silenced: str) -> None:
    store = Store([make()])
    play(store, "ab", silenced=[silenced])
    assert notifications(store) == [(0.0, ["b" if silenced == "a" else "a"], [])]


class Notifying(RuleBasedStateMachine):
    """Series come and go, silences too, processes die before they write: who was notified of what?

    The receiver believes what notifications say. It must never hear of an end without a beginning,
    nor twice of a beginning, and in the end believe what is.
    """

    @initialize(
        wait=st.sampled_from([0.0, 10.0, 30.0]),
        interval=st.sampled_from([0.0, 30.0, 60.0]),
        duration=st.sampled_from([0.0, 20.0]),
        keep=st.sampled_from([0.0, 20.0]),
        no_data=st.sampled_from(NoDataPolicy),
    )
    def begin(
        self, wait: float, interval: float, duration: float, keep: float, no_data: NoDataPolicy
    ) -> None:
        self.rule = make(
            group_wait=wait,
            group_interval=interval,
            repeat=1e9,
            duration=duration,
            keep_firing_for=keep,
            no_data=no_data,
        )
        self.store = Store([self.rule])
        self.now = START
        self.values: dict[str, float | None] = dict.fromkeys(HOSTS)
        self.silences: list[list[SilenceMatcher]] = []
        self.believed: set[str] = set()
        self.heard = float("-inf")

    @rule(host=st.sampled_from(HOSTS), value=st.sampled_from([None, math.nan, 5.0, 95.0]))
    def sample(self, host: str, value: float | None) -> None:
        self.values[host] = value

    @rule(host=st.sampled_from(HOSTS))
    def silence(self, host: str) -> None:
        self.silences = [[SilenceMatcher(label="host", operator=MatchOperator.EQUAL, value=host)]]

    @rule()
    def silence_ends(self) -> None:
        self.silences = []

    @rule()
    def dies_before_it_writes(self) -> None:
        decide(
            self.store.index,
            self.store.states,
            self.store.notified,
            inputs(self.values),
            self.silences,
            self.now + TICK,
            0.0,
        )

    @precondition(lambda self: self.now > START)
    @rule()
    def comes_again(self) -> None:
        again = decide(
            self.store.index,
            self.store.states,
            self.store.notified,
            inputs(self.seen),
            self.silences,
            self.now,
            0.0,
        )
        assert again.started == []
        assert again.ended == []

    @rule(count=st.sampled_from([1, 1, 3]))
    def tick(self, count: int) -> None:
        for _ in range(count):
            self.now += TICK
            self.seen = dict(self.values)
            self.hear(self.store.tick(self.now, self.values, self.silences).queued)

    def hear(self, queued: list[Queued]) -> None:
        for one in queued:
            ended = {x["tags"].get("host", "") for x in one.payload["alerts"] if x["ended"]}
            begun = {x["tags"].get("host", "") for x in one.payload["alerts"]} - ended
            assert ended <= self.believed, "an end without a beginning"
            assert ended or begun - self.believed, "nothing new"
            if begun:
                assert self.now - self.heard >= self.rule.group_interval
            self.believed = (self.believed - ended) | begun
            self.heard = self.now

    @invariant()
    def what_is_believed_is_known(self) -> None:
        if hasattr(self, "store"):
            known = self.store.states.get(self.rule.id, {})
            notified = {x.tags.get("host", "") for x in known.values() if x.notified_at is not None}
            assert notified == self.believed

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        self.silences = []
        self.tick(20)
        firing = {
            record.tags.get("host", "")
            for record in self.store.states.get(self.rule.id, {}).values()
            if record.instance.status is AlertStatus.FIRING
        }
        assert self.believed == firing


TestNotifying = Notifying.TestCase
TestNotifying.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
