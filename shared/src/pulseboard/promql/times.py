"""When the parts of an expression are evaluated, and which samples they need for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pulseboard.promql.ast import At, Edge, Read, Within

if TYPE_CHECKING:
    from pulseboard.promql.array_types import Floats


@dataclass(frozen=True, slots=True)
class Times:
    """`count` times, `step` seconds apart, the first at `first` (seconds since 1970)."""

    first: float
    step: float
    count: int

    @property
    def last(self) -> float:
        """The last of them."""
        return self.first + (self.count - 1) * self.step

    def array(self) -> Floats:
        """All of them, ascending."""
        import numpy as np

        return self.first + np.arange(self.count, dtype=np.float64) * self.step


def time_of(at: At, *, start: float, end: float) -> float | None:
    """The time that `@` names, for a query from `start` to `end`; None without one."""
    if isinstance(at, Edge):
        return start if at is Edge.START else end
    return at


def inside(times: Times, within: Within, *, start: float, end: float) -> Times:
    """When a subquery's expression is evaluated for it to be evaluated at `times`.

    These are multiples of its step, whatever the times; there may be none.
    """
    at = time_of(within.at, start=start, end=end)
    first = (times.first if at is None else at) - within.offset - within.window
    last = (times.last if at is None else at) - within.offset
    # In whole microseconds, the resolution of times.
    step = max(round(within.step * 1e6), 1)
    low = round(first * 1e6) // step + 1
    high = round(last * 1e6) // step
    return Times(low * step / 1e6, step / 1e6, max(high - low + 1, 0))


def evaluated(read: Read, times: Times) -> Times:
    """When the selector of a read is evaluated for the whole expression to be at `times`."""
    start, end = times.first, times.last
    for within in read.within:
        times = inside(times, within, start=start, end=end)
    at = time_of(read.at, start=start, end=end)
    return times if at is None else Times(at, 0.0, min(times.count, 1))


def reach(read: Read, lookback_delta: float) -> tuple[float, float] | None:
    """How many seconds before and after a point the samples may be that it depends on.

    None: they do not depend on the point but on a fixed time, which `@` names.
    """
    if read.at is not None or any(within.at is not None for within in read.within):
        return None
    back = ahead = read.offset
    back += lookback_delta if read.window is None else read.window
    for within in read.within:
        back += within.window + within.offset
        ahead += within.offset
    return back, -ahead
