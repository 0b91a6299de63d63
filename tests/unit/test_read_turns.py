"""Whose turn it is to be read: cheap rules each tick, heavy ones in turns, and none never."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pulseboard.alerts.read_turns import LIGHT_SHARE, ReadTurns, TurnLimits
from pulseboard.core.exceptions import LimitExceeded, PulseboardError

TICK = 10.0
LIMITS = TurnLimits(budget=8.0, longest=3.0, heavy=0.5, longest_wait=300.0)


@dataclass
class World:
    """Ticks of reads that take so many seconds, or fail after so many."""

    costs: Mapping[str, float]
    failing: frozenset[str] = frozenset()
    turns: ReadTurns[str] = field(default_factory=ReadTurns)
    at: float = 0.0
    now: float = 0.0
    reads: dict[str, list[float]] = field(default_factory=dict)
    """The ticks at which each was read."""
    spent: float = 0.0
    """Seconds of the last tick."""

    def tick(self) -> list[str]:
        """What was read, in its order."""
        self.at += TICK
        began = self.now
        self.turns.ask(self.costs, self.at)
        due = [key for key in self.costs if self.turns.refused(key, self.at, LIMITS) is None]
        read = []
        for key, seconds in self.turns.take(
            due, LIMITS, budget=LIMITS.budget, clock=lambda: self.now
        ):
            took = min(self.costs[key], seconds)
            self.now += took
            if took < self.costs[key] and seconds < LIMITS.longest:
                self.turns.put_cut(key, LIMITS)
                continue
            error: PulseboardError | None = None
            if key in self.failing or took < self.costs[key]:
                error = LimitExceeded("too much")
            self.turns.put(key, self.at, took, LIMITS, error)
            self.reads.setdefault(key, []).append(self.at)
            read.append(key)
        self.spent = self.now - began
        return read


def test_small_rules_are_read_at_each_tick_beside_heavy_ones_that_take_turns() -> None:
    heavy = {f"heavy {n}": 1.7 for n in range(10)}
    small = {f"small {n}": 0.01 for n in range(3)}
    world = World(small)
    world.tick()
    world.costs = {**heavy, **small}
    for _ in range(20):
        read = world.tick()
        assert read[:3] == sorted(small)
        assert len(read) > 3
    assert set(world.reads) == {*heavy, *small}
    for key in heavy:
        gaps = [b - a for a, b in pairwise(world.reads[key])]
        assert max(gaps) <= 4 * TICK


COSTS = st.lists(st.floats(0.001, 2.9), min_size=1, max_size=25)


@given(costs=COSTS)
def test_none_waits_for_ever(costs: list[float]) -> None:
    world = World({str(n): cost for n, cost in enumerate(costs)})
    # At least one heavy read, and one that is not, at each tick; as long again to learn which.
    longest = (2 * len(costs) + 2) * TICK
    for _ in range(3 * len(costs) + 6):
        world.tick()
        assert world.spent <= LIMITS.budget + LIMITS.longest
    for key in world.costs:
        times = [0.0, *world.reads[key], world.at]
        assert max(b - a for a, b in pairwise(times)) <= longest


@given(
    light=st.lists(st.floats(0.001, 0.4), min_size=1, max_size=14),
    heavy=st.lists(st.floats(0.6, 2.9), max_size=25),
)
def test_light_ones_that_fit_are_read_at_each_tick(light: list[float], heavy: list[float]) -> None:
    costs = {f"light {n}": cost for n, cost in enumerate(light)}
    while sum(costs.values()) > LIGHT_SHARE * LIMITS.budget:
        costs.popitem()
    everything = {**{f"heavy {n}": cost for n, cost in enumerate(heavy)}, **costs}
    world = World(everything)
    # Which are heavy is learned by reading them.
    for _ in range(2 * len(everything) + 2):
        world.tick()
    for _ in range(5):
        assert set(costs) <= set(world.tick())


def test_what_is_heavy_and_fails_waits_longer_each_time() -> None:
    world = World({"bad": 1.0, "cheap": 0.01, "fine": 0.01}, failing=frozenset({"bad", "cheap"}))
    for _ in range(360):
        world.tick()
    assert len(world.reads["fine"]) == len(world.reads["cheap"]) == 360
    bad = world.reads["bad"]
    assert [b - a for a, b in pairwise(bad)][:5] == [20, 40, 80, 160, 300]
    assert len(bad) < 18


def test_it_is_read_at_each_tick_again_once_it_works() -> None:
    world = World({"bad": 1.0}, failing=frozenset({"bad"}))
    for _ in range(5):
        world.tick()
    world.failing = frozenset()
    for _ in range(60):
        world.tick()
    assert world.tick() == ["bad"]
    assert world.tick() == ["bad"]


def test_what_is_cut_off_for_lack_of_time_is_heavy_and_not_read() -> None:
    world = World({**{str(n): 0.4 for n in range(19)}, "new": 2.0})
    world.tick()
    assert "new" not in world.reads
    assert world.turns.is_heavy("new", LIMITS)
    assert world.turns.leave("new", world.at) == 0
    assert world.turns.leave("new", world.at + TICK) == TICK
    assert "new" in world.tick()


def test_a_hurried_tick_begins_nothing_heavy_that_will_not_fit() -> None:
    world = World({"light": 0.01, "one": 1.7, "two": 2.9})
    for _ in range(3):
        world.tick()
    began = world.now
    taken = world.turns.take(
        world.costs, replace(LIMITS, hurried=True), budget=2.0, clock=lambda: world.now
    )
    read = []
    for key, _ in taken:
        read.append(key)
        world.now += world.costs[key]
    assert read == ["light", "one"]
    assert world.now - began < 2


def test_what_nobody_asks_for_is_forgotten() -> None:
    world = World({"gone": 1.0})
    world.tick()
    assert world.turns.is_heavy("gone", LIMITS)
    world.turns.ask(["other"], world.at + 8000)
    assert not world.turns.is_heavy("gone", LIMITS)
