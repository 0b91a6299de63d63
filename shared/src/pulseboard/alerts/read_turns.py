"""Whose turn it is to be read at a tick, when there is no time to read for all rules. Pure: the
clock is an argument.

Rules that are known to be cheap come first, of these the ones read longest ago. One that took long
last time is heavy: heavy ones, and those never read, come after the cheap ones, in turns, and a
part of the time is theirs alone, so that neither keeps the other waiting for ever. What is heavy
and fails waits before it is tried again, longer each time. A rule that is left over has not failed:
it is read at a later tick.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

from pulseboard.alerts.state_machine import TICK
from pulseboard.core.exceptions import InvalidRequest, PulseboardError

LIGHT_SHARE = 0.75
"""The part of the time that cheap rules may use while others wait."""

FORGOTTEN = 7200.0
"""Seconds after which a read that nobody asks for any more is forgotten."""

K = TypeVar("K", bound=Hashable)


class LeftOver(InvalidRequest):
    """There was no time to read it at this tick; `overdue`: for so long that people should know."""

    def __init__(self, message: str, *, overdue: bool) -> None:
        super().__init__(message)
        self.overdue = overdue


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """Seconds: for all reads of a tick, for one of them, from when on one is heavy, and that a
    heavy one which fails waits at most. `hurried`: other ticks are to follow at once.
    """

    budget: float
    longest: float
    heavy: float
    longest_wait: float
    hurried: bool = False


@dataclass(slots=True)
class _Known:
    """What is known of a read: the tick it was asked for first and last, was read last, and is left
    over since (seconds since 1970); how long reading it took; its failures in a row while it was
    heavy, and the last error.
    """

    asked_first: float
    asked: float
    read_at: float = -inf
    left_at: float | None = None
    seconds: float = 0.0
    failures: int = 0
    error: PulseboardError | None = None


class ReadTurns(Generic[K]):
    """What is known of reads by their key, across ticks."""

    def __init__(self) -> None:
        self._known: dict[K, _Known] = {}

    def ask(self, keys: Iterable[K], at: float) -> None:
        """These are to be read at the tick `at`. Forgets what was not asked for a long time."""
        for key in keys:
            known = self._known.get(key)
            if known is None:
                self._known[key] = _Known(at, at)
            else:
                known.asked = at
        self._known = {k: x for k, x in self._known.items() if at - x.asked < FORGOTTEN}

    def is_heavy(self, key: K, limits: TurnLimits) -> bool:
        """Whether it took long last time."""
        known = self._known.get(key)
        return known is not None and known.seconds >= limits.heavy

    def refused(self, key: K, at: float, limits: TurnLimits) -> PulseboardError | None:
        """The error of a heavy read that failed, while it waits to be tried again."""
        known = self._known.get(key)
        if known is None or not known.failures:
            return None
        wait = min(limits.longest_wait, TICK * 2.0 ** min(known.failures, 30))
        return known.error if at - known.read_at < wait else None

    def take(
        self,
        keys: Iterable[K],
        limits: TurnLimits,
        *,
        budget: float,
        clock: Callable[[], float],
    ) -> Iterator[tuple[K, float]]:
        """The keys to read now, one by one, each with the seconds it may take, while `budget`
        seconds last; those of which the same is known in the order they are given.

        First those that are known to be cheap, then the others in their turns. A heavy one is begun
        when it will fit; the first of a tick in any case, so that each has its turn, however heavy
        it is, unless the tick is hurried.
        """
        began = clock()

        def left(share: float = 1.0) -> float:
            return began + share * budget - clock()

        ordered = sorted(keys, key=self._turn)
        light = [key for key in ordered if self._is_light(key, limits)]
        others = [key for key in ordered if not self._is_light(key, limits)]
        share = LIGHT_SHARE if others else 1.0
        number = 0
        while number < len(light) and left(share) > 0:
            yield light[number], min(limits.longest, left() + limits.heavy)
            number += 1
        for position, key in enumerate(others):
            if left() <= 0:
                break
            heavy = self.is_heavy(key, limits)
            first = not position and not limits.hurried
            if heavy and not first and self._known[key].seconds > left():
                continue
            yield (
                key,
                limits.longest if heavy or first else min(limits.longest, left() + limits.heavy),
            )
        while number < len(light) and left() > 0:
            yield light[number], min(limits.longest, left() + limits.heavy)
            number += 1

    def _is_light(self, key: K, limits: TurnLimits) -> bool:
        known = self._known.get(key)
        return known is not None and known.read_at > -inf and known.seconds < limits.heavy

    def _turn(self, key: K) -> tuple[float, float]:
        known = self._known.get(key)
        if known is None:
            return -inf, 0.0
        # What was never read, as if the tick before had read it.
        return max(known.read_at, known.asked_first - TICK), known.seconds

    def put(
        self, key: K, at: float, seconds: float, limits: TurnLimits, error: PulseboardError | None
    ) -> None:
        """It was read at the tick `at`, which took so long, and failed with this error or not."""
        known = self._known.setdefault(key, _Known(at, at))
        known.read_at, known.left_at, known.seconds = at, None, seconds
        failed = error is not None and seconds >= limits.heavy
        known.failures = known.failures + 1 if failed else 0
        known.error = error.with_traceback(None) if failed and error is not None else None

    def put_cut(self, key: K, limits: TurnLimits) -> None:
        """It was ended for lack of time: it counts as heavy, and as not read."""
        self._known[key].seconds = max(limits.heavy, limits.longest)

    def leave(self, key: K, at: float) -> float:
        """It is left over at the tick `at`: the seconds since that began."""
        known = self._known[key]
        if known.left_at is None:
            known.left_at = at
        return at - known.left_at
