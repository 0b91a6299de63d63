"""Who is notified of what, and when; and what each receiver believes, whatever fails."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
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
LEASE = 90.0
LONGEST = 300.0
HOSTS = ("a", "b", "c")


def alert(
    host: str, *, started: float = 0.0, muted: bool = False, name: str = "r"
) -> tuple[str, FiringAlert]:
    labels = {"host": host, "alertname": name}
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
            notification_log.notified(firing, due.firing, at),
            due.resolved,
        )
        self.sent.append(
            (at, hosts(self.entry, due.firing, firing), hosts(self.entry, due.resolved, firing))
        )
        self.entry = notification_log.claimed(self.entry, claim, until=at + LEASE)
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
    """`ok`, `refuses` (4xx), `fails` before or after it took it, `hangs` or `loses` the result."""


OUTCOMES = ("ok", "refuses", "fails before", "fails after", "lost before", "lost after")


class WhatReceiversBelieve(RuleBasedStateMachine):
    """Alerts come and go, rules and channels are edited, silences begin and end, receivers and
    functions fail, results get lost and come twice. In the end every receiver believes the truth.
    """

    @initialize(
        wait=st.sampled_from([0.0, 20.0]),
        interval=st.sampled_from([0.0, 60.0]),
        repeat=st.sampled_from([50.0, 1e9]),
    )
    def begin(self, wait: float, interval: float, repeat: float) -> None:
        self.timing = Timing(wait, interval, repeat)
        self.receivers = {name: Receiver(Log(self.timing)) for name in ("x", "y")}
        self.chosen = {"x", "y"}
        self.firing: dict[str, float] = {}
        self.muted: set[str] = set()
        self.name = "r"
        self.now = 0.0
        self.late: list[tuple[Receiver, UUID, str]] = []

    @rule(host=st.sampled_from(HOSTS))
    def fires(self, host: str) -> None:
        self.firing.setdefault(host, self.now)

    @rule(host=st.sampled_from(HOSTS))
    def resolves(self, host: str) -> None:
        self.firing.pop(host, None)

    @rule(host=st.sampled_from(HOSTS))
    def is_silenced(self, host: str) -> None:
        self.muted ^= {host}

    @rule(name=st.sampled_from("rs"))
    def is_renamed(self, name: str) -> None:
        self.name = name

    @rule()
    def is_disabled(self) -> None:
        self.firing.clear()

    @rule(which=st.sampled_from("xy"))
    def its_channels_are_edited(self, which: str) -> None:
        self.chosen ^= {which}

    @rule(which=st.sampled_from("xy"), outcome=st.sampled_from(OUTCOMES))
    def receiver_changes(self, which: str, outcome: str) -> None:
        self.receivers[which].works = outcome

    @rule()
    def results_come_late_or_twice(self) -> None:
        for receiver, claim_id, outcome in self.late:
            self.acknowledge(receiver, claim_id, outcome)
        self.late.clear()

    @rule(count=st.sampled_from([1, 1, 3, 12]), twice=st.booleans())
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
            alert(host, started=at, muted=host in self.muted, name=self.name)
            for host, at in self.firing.items()
        )

    def beat(self) -> None:
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
        wait = notification_log.retry_wait(log.entry.attempts, first=10.0, longest=LONGEST)
        log.entry = notification_log.failed(log.entry, wait=wait, refused=outcome == "refuses")

    def teardown(self) -> None:
        if not hasattr(self, "receivers"):
            return
        self.muted.clear()
        for receiver in self.receivers.values():
            receiver.works = "ok"
        # The longest wait there is, and two ticks.
        self.ticks(count=int(max(LONGEST, LEASE, 60.0) / TICK) + 2, twice=False)
        for which, receiver in self.receivers.items():
            assert set(receiver.believed) == set(self.current(which)), which


TestWhatReceiversBelieve = WhatReceiversBelieve.TestCase
TestWhatReceiversBelieve.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None
)


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
                    notification_log.notified(current, named, at),
                    resolved,
                    incomplete=len(due.resolved) > len(resolved) or due.urgent > len(named),
                )
                log.entry = notification_log.delivered(
                    notification_log.claimed(log.entry, claim, until=at + LEASE)
                )
                believed = (believed - set(resolved)) | set(named)
            at += TICK
        assert believed == set(current)
