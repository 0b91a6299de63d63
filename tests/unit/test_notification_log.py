"""Who is notified of what, and when; and what each receiver believes, whatever fails."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import permutations, product
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from pulseboard.alerts import notification_log
from pulseboard.alerts.notification_log import (
    NO_ENTRY,
    Claim,
    Due,
    FiringAlert,
    LogEntry,
    Timing,
    fingerprint,
)

TICK = 10.0
LEASE = 20.0
LONGEST = 60.0
HOSTS = ("a", "b", "c")


def alert(
    host: str, *, started: float = 0.0, muted: bool = False, name: str = "r", severity: str = "info"
) -> tuple[str, FiringAlert]:
    labels = {"host": host, "alertname": name, "severity": severity}
    return fingerprint(labels), FiringAlert({"host": host}, labels, started, muted=muted)


def hosts(log: LogEntry | None, ids: Iterable[str], firing: dict[str, FiringAlert]) -> str:
    known = {one: alert.tags for one, alert in log.alerts.items()} if log else {}
    known |= {one: alert.tags for one, alert in firing.items()}
    return "".join(sorted(known[one]["host"] for one in ids))


@dataclass
class Log:
    """One receiver's entry, and what it was sent: (time, firing, resolved)."""

    timing: Timing
    entry: LogEntry = NO_ENTRY
    sent: list[tuple[float, str, str]] = field(default_factory=list)
    number: int = 0

    def plan(self, firing: dict[str, FiringAlert], at: float) -> Due | None:
        return notification_log.plan(self.entry, firing, self.timing, at)

    def claim(self, due: Due, firing: dict[str, FiringAlert], at: float) -> Claim:
        self.number += 1
        claim = Claim(
            UUID(int=self.number),
            at,
            notification_log.notified(firing, due.firing, at, rule_id="r", known=self.entry),
            due.resolved,
        )
        self.sent.append(
            (at, hosts(self.entry, due.firing, firing), hosts(self.entry, due.resolved, firing))
        )
        wait = notification_log.retry_wait(self.entry.attempts + 1, first=TICK, longest=LONGEST)
        self.entry = notification_log.claimed(self.entry, claim, until=at + LEASE, wait=wait)
        return claim

    def play(self, *rounds: str, muted: str = "") -> list[tuple[float, str, str]]:
        """A tick for each: the hosts that fire; every notification arrives."""
        began: dict[str, float] = {}
        for number, names in enumerate(rounds):
            at = number * TICK
            began = {host: began.get(host, at) for host in names}
            firing = dict(alert(host, started=began[host], muted=host in muted) for host in names)
            due = self.plan(firing, at)
            if due is not None:
                self.claim(due, firing, at)
                self.entry = notification_log.delivered(self.entry)
        return self.sent


def test_the_first_waits_for_others_to_be_notified_together() -> None:
    log = Log(Timing(group_wait=20.0, group_interval=60.0))
    assert log.play("a", "ab", "abc", "abc", "abc") == [(20.0, "abc", "")]


def test_what_ends_within_the_wait_is_notified_to_nobody() -> None:
    assert Log(Timing(group_wait=20.0)).play("a", "", "", "") == []


def test_later_changes_wait_for_the_group_interval() -> None:
    log = Log(Timing(group_interval=40.0))
    assert log.play("a", "ab", "bc", "bc", "bc", "bc") == [(0.0, "a", ""), (40.0, "bc", "a")]


def test_that_all_has_resolved_is_notified_at_once_and_firing_again_waits() -> None:
    log = Log(Timing(group_interval=40.0))
    assert log.play("a", "", "a", "a", "a", "a", "a") == [
        (0.0, "a", ""),
        (10.0, "", "a"),
        (50.0, "a", ""),
    ]


def test_it_repeats_while_it_fires() -> None:
    log = Log(Timing(group_interval=20.0, repeat=30.0))
    assert [at for at, _, _ in log.play(*["a"] * 8)] == [0.0, 30.0, 60.0]


@pytest.mark.parametrize("muted", ["a", "b"])
def test_a_muted_one_is_left_out(muted: str) -> None:
    assert Log(Timing()).play("ab", muted=muted) == [(0.0, "b" if muted == "a" else "a", "")]


def test_a_partial_recovery_during_a_silence_keeps_the_incident_open() -> None:
    log = Log(Timing())
    both = dict(alert(host) for host in "ab")
    log.claim(log.plan(both, 0.0), both, 0.0)  # type: ignore[arg-type]
    log.entry = notification_log.delivered(log.entry)
    # "b" is silenced and fires on; "a" recovers: "b" is shown as firing beside it.
    rest = dict([alert("b", muted=True)])
    due = log.plan(rest, 10.0)
    assert due is not None
    log.claim(due, rest, 10.0)
    log.entry = notification_log.delivered(log.entry)
    assert log.sent[-1] == (10.0, "b", "a")
    # The silence ends: nothing is new.
    assert log.plan(dict([alert("b")]), 20.0) is None
    assert log.plan({}, 30.0) is not None


def test_a_renamed_rule_resolves_the_old_name_and_fires_the_new_one_once() -> None:
    log = Log(Timing(group_interval=20.0))
    old, new = dict([alert("a")]), dict([alert("a", name="s")])
    for at, firing in ((0.0, old), (10.0, new), (20.0, new), (30.0, new), (50.0, new)):
        due = log.plan(firing, at)
        if due is not None:
            log.claim(due, firing, at)
            log.entry = notification_log.delivered(log.entry)
    assert log.sent == [(0.0, "a", ""), (20.0, "a", "a")]


def test_a_receiver_that_refuses_is_notified_again_and_left_alone() -> None:
    log = Log(Timing())
    firing = dict([alert("a")])
    log.claim(log.plan(firing, 0.0), firing, 0.0)  # type: ignore[arg-type]
    log.entry = notification_log.failed(log.entry, wait=LONGEST, refused=True)
    assert log.plan({}, LONGEST) is None
    assert log.plan(firing, LONGEST - 1) is None
    assert log.plan(firing, LONGEST) is not None


@pytest.mark.parametrize(("refused", "notified"), [(False, True), (True, False)])
def test_firing_is_sent_again_after_a_resolved_that_may_have_arrived(
    refused: bool, notified: bool
) -> None:
    log = Log(Timing(repeat=1e9))
    firing = dict([alert("a")])
    log.claim(log.plan(firing, 0.0), firing, 0.0)  # type: ignore[arg-type]
    log.entry = notification_log.delivered(log.entry)
    log.claim(log.plan({}, TICK), {}, TICK)  # type: ignore[arg-type]
    log.entry = notification_log.failed(log.entry, wait=LONGEST, refused=refused)
    again = dict([alert("a", started=2 * TICK)])
    assert (log.plan(again, TICK + LONGEST) is not None) is notified


def test_what_was_not_sent_is_no_failure_and_due_at_once() -> None:
    log = Log(Timing(repeat=1e9))
    firing = dict([alert("a")])
    log.claim(log.plan(firing, 0.0), firing, 0.0)  # type: ignore[arg-type]
    log.entry = notification_log.not_sent(log.entry)
    assert (log.entry.alerts, log.entry.attempts) == ({}, 0)
    log.claim(log.plan(firing, 1.0), firing, 1.0)  # type: ignore[arg-type]
    log.entry = notification_log.delivered(log.entry)
    log.claim(log.plan({}, TICK), {}, TICK)  # type: ignore[arg-type]
    log.entry = notification_log.not_sent(log.entry)
    # It fires again: its receiver has never heard that it was over.
    assert log.plan(firing, TICK) is None
    assert log.plan({}, TICK) is not None


def test_what_may_have_arrived_before_a_refusal_stays_in_doubt() -> None:
    log = Log(Timing(repeat=1e9))
    firing = dict([alert("a")])
    log.claim(log.plan(firing, 0.0), firing, 0.0)  # type: ignore[arg-type]
    log.entry = notification_log.delivered(log.entry)
    for at, refused in ((TICK, False), (TICK + LONGEST, True)):
        log.claim(log.plan({}, at), {}, at)  # type: ignore[arg-type]
        log.entry = notification_log.failed(log.entry, wait=LONGEST, refused=refused)
    assert log.plan(firing, TICK + 2 * LONGEST) is not None


@given(st.integers(min_value=1, max_value=2000))
def test_waits_grow_and_are_bounded(attempts: int) -> None:
    wait = notification_log.retry_wait(attempts, first=10.0, longest=LONGEST)
    assert 10.0 <= wait <= LONGEST


@dataclass
class Receiver:
    """What a receiver believes: the alerts that fire, as the notifications it got say."""

    log: Log
    believed: dict[str, str] = field(default_factory=dict)
    works: str = "ok"
    """`ok`, `refuses` (4xx), `fails` before or after it took it, is `not sent` for lack of time, or
    its result is `lost`."""


OUTCOMES = (
    *("ok", "refuses", "fails before", "fails after", "not sent", "lost before", "lost after"),
)

CHANGES: list[tuple[str, tuple[Any, ...]]] = [
    *(("fires", (host,)) for host in HOSTS for _ in range(4)),
    *(("resolves", (host,)) for host in HOSTS for _ in range(2)),
    *(("reads_fail_or_work_again", (works,)) for works in (False, True, True)),
    *((name, (host,)) for name in ("is_silenced", "is_acknowledged") for host in HOSTS),
    *(("is_renamed_or_relabelled", one) for one in product("rs", ("info", "critical"))),
    *((name, ()) for name in ("is_disabled", "its_query_is_changed", "results_come_late_or_twice")),
    *(("its_channels_are_edited", (which,)) for which in "xyz"),
    *(("a_channel_gets_another_address", one) for one in permutations("xyz", 2)),
    *(("the_function_that_evaluates_fails", (count,)) for count in (1, 4, 40)),
    *(("receiver_changes", one) for one in product("xyz", OUTCOMES)),
    *(("its_end_fails_and_it_fires_again", one) for one in product("xy", "a", OUTCOMES)),
]
"""What may happen, the frequent more often."""


class WhatReceiversBelieve(RuleBasedStateMachine):
    """Alerts come and go, rules and channels are edited, silences and acknowledgements begin and
    end, receivers and functions fail, reads fail, results get lost and come twice. In the end every
    receiver believes the truth: two ticks after the last fault, beside the intervals that the rule
    asks for, and the wait for a receiver that has failed.
    """

    @initialize(
        wait=st.sampled_from([0.0, 20.0]),
        interval=st.sampled_from([0.0, 60.0]),
        repeat=st.sampled_from([50.0, 1e9]),
    )
    def begin(self, wait: float, interval: float, repeat: float) -> None:
        self.timing = Timing(wait, interval, repeat)
        self.receivers = {name: Receiver(Log(self.timing)) for name in ("x", "y", "z")}
        self.chosen = {"x", "y"}
        self.breached: set[str] = set()
        self.reads = True
        self.firing: dict[str, float] = {}
        self.silenced: set[str] = set()
        self.acknowledged: set[str] = set()
        self.name = "r"
        self.severity = "info"
        self.now = 0.0
        self.late: list[tuple[Receiver, UUID, str]] = []

    def fires(self, host: str) -> None:
        self.breached.add(host)

    def resolves(self, host: str) -> None:
        self.breached.discard(host)

    def reads_fail_or_work_again(self, works: bool) -> None:
        self.reads = works

    def is_silenced(self, host: str) -> None:
        self.silenced ^= {host}

    def is_acknowledged(self, host: str) -> None:
        if host in self.firing:
            self.acknowledged ^= {host}

    def is_renamed_or_relabelled(self, name: str, severity: str) -> None:
        self.name, self.severity = name, severity

    def is_disabled(self) -> None:
        self.breached.clear()
        self.firing.clear()

    def its_query_is_changed(self) -> None:
        # What fires resolves, and what the new query breaches fires at the next tick.
        self.firing.clear()

    def its_channels_are_edited(self, which: str) -> None:
        self.chosen ^= {which}

    def a_channel_gets_another_address(self, before: str, after: str) -> None:
        self.chosen = {after if one == before else one for one in self.chosen}

    def the_function_that_evaluates_fails(self, count: int) -> None:
        self.now += count * TICK

    def receiver_changes(self, which: str, outcome: str) -> None:
        self.receivers[which].works = outcome

    def its_end_fails_and_it_fires_again(self, which: str, host: str, outcome: str) -> None:
        """Known to fire, resolved without an acknowledgement, and back before the next attempt."""
        self.fires(host)
        self.ticks(count=7, twice=False)
        self.receiver_changes(which, outcome)
        self.resolves(host)
        self.ticks(count=7, twice=False)
        self.fires(host)

    def results_come_late_or_twice(self) -> None:
        for receiver, claim_id, outcome in self.late:
            self.acknowledge(receiver, claim_id, outcome)
        self.late.clear()

    @rule(
        changes=st.lists(st.sampled_from(CHANGES), max_size=4),
        count=st.sampled_from([1, 1, 2, 5]),
        twice=st.booleans(),
    )
    def time_passes(self, changes: list[tuple[str, Any]], count: int, twice: bool) -> None:
        for name, values in changes:
            getattr(self, name)(*values)
        self.ticks(count, twice)

    def ticks(self, count: int, twice: bool) -> None:
        for _ in range(count):
            self.now += TICK
            # A beat that comes twice claims nothing more.
            self.beat()
            if twice:
                self.beat()

    def current(self, which: str) -> dict[str, FiringAlert]:
        if which not in self.chosen:
            return {}
        return dict(
            alert(
                host,
                started=at,
                muted=host in self.silenced | self.acknowledged,
                name=self.name,
                severity=self.severity,
            )
            for host, at in self.firing.items()
        )

    def beat(self) -> None:
        # A rule that can't be read stays as it is, and is notified all the same.
        if self.reads:
            self.firing = {host: self.firing.get(host, self.now) for host in self.breached}
            # An acknowledgement is one event's.
            self.acknowledged &= set(self.firing)
        for which, receiver in self.receivers.items():
            firing = self.current(which)
            due = receiver.log.plan(firing, self.now)
            if due is None:
                continue
            before = receiver.log.entry
            claim = receiver.log.claim(due, firing, self.now)
            if receiver.works in ("ok", "fails after", "lost after"):
                for one in claim.resolved:
                    receiver.believed.pop(one, None)
                receiver.believed |= {one: x.tags["host"] for one, x in claim.firing.items()}
                assert (
                    claim.resolved
                    or set(claim.firing) - {one for one, x in before.alerts.items() if x.sure}
                    or self.timing.repeat < 1e9
                ), "nothing new"
            if not receiver.works.startswith("lost"):
                self.acknowledge(receiver, claim.id, receiver.works)
            self.late.append((receiver, claim.id, receiver.works))

    def acknowledge(self, receiver: Receiver, claim_id: UUID, outcome: str) -> None:
        log = receiver.log
        if log.entry.claim is None or log.entry.claim.id != claim_id:
            return
        if outcome in ("ok", "lost after"):
            log.entry = notification_log.delivered(log.entry)
            return
        if outcome == "not sent":
            log.entry = notification_log.not_sent(log.entry)
            return
        wait = notification_log.retry_wait(log.entry.attempts, first=10.0, longest=LONGEST)
        log.entry = notification_log.failed(log.entry, wait=wait, refused=outcome == "refuses")

    def teardown(self) -> None:
        if not hasattr(self, "receivers"):
            return
        self.silenced.clear()
        self.acknowledged.clear()
        self.reads = True
        for receiver in self.receivers.values():
            receiver.works = "ok"
        # Two ticks, the intervals that the rule asks for, and for a receiver its current wait.
        at_rest = self.now + self.timing.group_wait + self.timing.group_interval + 2 * TICK
        rested = {
            which: max(at_rest, receiver.log.entry.next_attempt_at + TICK)
            for which, receiver in self.receivers.items()
        }
        for which, receiver in self.receivers.items():
            entry = receiver.log.entry
            if entry.attempts < 2 and entry.claimed_until is not None:
                # A result was lost once: that is no receiver's fault.
                assert entry.next_attempt_at <= self.now + 2 * TICK
            assert entry.next_attempt_at <= self.now + LONGEST, which
        while rested:
            self.ticks(1, twice=False)
            for which in [one for one, at in rested.items() if at <= self.now]:
                del rested[which]
                believed = self.receivers[which].believed
                assert set(believed) == set(self.current(which)), which
                assert set(believed.values()) == (self.breached if which in self.chosen else set())


TestWhatReceiversBelieve = WhatReceiversBelieve.TestCase
TestWhatReceiversBelieve.settings = settings(max_examples=60, stateful_step_count=15, deadline=None)


def test_no_alert_is_left_firing_when_not_all_fit() -> None:
    """Notifications that name five alerts each: all are named, and all are resolved."""
    log = Log(Timing(group_interval=3600.0))
    firing = dict(alert(f"h{n}") for n in range(23))
    believed: set[str] = set()
    at = 0.0
    for current in (firing, {}):
        for _ in range(6):
            due = log.plan(current, at)
            if due is not None:
                resolved = due.resolved[:5]
                named = due.firing[: 5 - len(resolved)]
                claim = Claim(
                    UUID(int=random.getrandbits(64)),
                    at,
                    notification_log.notified(current, named, at, rule_id="r", known=log.entry),
                    resolved,
                    incomplete=len(due.resolved) > len(resolved) or due.urgent > len(named),
                )
                log.entry = notification_log.delivered(
                    notification_log.claimed(log.entry, claim, until=at + LEASE)
                )
                believed = (believed - set(resolved)) | set(named)
            at += TICK
        assert believed == set(current)


def test_what_an_older_version_sent_keeps_its_fingerprint_until_it_is_over() -> None:
    """Only of two that have the same, the second is notified again, with its own."""
    first, second = UUID(int=1), UUID(int=2)
    log = Log(Timing())
    log.play("a")
    (one,) = log.entry.alerts
    older = replace(log.entry, alerts={one: replace(log.entry.alerts[one], sent_as="")})
    labels = older.alerts[one].labels
    assert notification_log.sent_as(older, one, str(first), labels) == one
    assert notification_log.set_apart({(first, "x"): older, (second, "y"): older}) == {}
    changed = notification_log.set_apart({(second, "x"): older, (first, "x"): older})
    assert list(changed) == [(second, "x")]
    apart = changed[second, "x"]
    assert not apart.alerts[one].sure
    assert notification_log.set_apart({(first, "x"): older, (second, "x"): apart}) == {}
    own = notification_log.sent_as(apart, one, str(second), labels)
    assert own == notification_log.sent_fingerprint(str(second), labels) != one
