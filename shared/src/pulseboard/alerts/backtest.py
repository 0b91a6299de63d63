"""Runs the state machine over past samples, at the same ticks as the live evaluation.

Between two ticks the machine can only move when its input changes (breach, no breach, no data)
or one of its timers ends (`Instance.due`), so only those ticks are stepped: six days of ten
series are half a million ticks and a few thousand steps. A property test checks that the result is
the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pulseboard.alerts.state_machine import NEW, TICK, Condition, Instance, step
from pulseboard.contracts.alerts import AlertCondition, AlertStatus, Reducer

Floats = NDArray[np.float64]
Present = NDArray[np.bool_]

_COMPARE: dict[AlertCondition, Callable[[Floats, float], NDArray[np.bool_]]] = {
    AlertCondition.GT: np.greater,
    AlertCondition.GTE: np.greater_equal,
    AlertCondition.LT: np.less,
    AlertCondition.LTE: np.less_equal,
    AlertCondition.EQ: np.equal,
    AlertCondition.NE: np.not_equal,
}
_REDUCE: dict[Reducer, Any] = {
    Reducer.MIN: np.minimum,
    Reducer.MAX: np.maximum,
    Reducer.SUM: np.add,
    Reducer.AVG: np.add,
}


@dataclass(frozen=True, slots=True)
class Change:
    """The state of a series after a tick that changed its status."""

    at: float
    instance: Instance


def tick_times(start: float, end: float) -> Floats:
    """The ticks in [start, end), in seconds since 1970."""
    first = -(-start // TICK) * TICK
    return np.arange(first, end, TICK, dtype=np.float64)


def reduce_windows(
    times: Floats,
    values: Floats,
    ends: Floats,
    *,
    window: float,
    reducer: Reducer,
    stale_markers: Sequence[float] = (),
) -> Floats:
    """The reduced value of (end - window, end] for each end; NaN where the window is empty, and,
    for `last`, where a stale marker came after the newest sample.

    `times` and `stale_markers` ascend. The same as `input_queries` does in SQL.
    """
    low = np.searchsorted(times, ends - window, side="right")
    high = np.searchsorted(times, ends, side="right")
    filled = high > low
    result = np.full(len(ends), np.nan)
    if not filled.any():
        return result
    low, high = low[filled], high[filled]
    if reducer is Reducer.LAST:
        newest = values[high - 1]
        if stale_markers:
            markers = np.array(stale_markers)
            stale = np.searchsorted(markers, ends[filled], side="right") > np.searchsorted(
                markers, times[high - 1], side="right"
            )
            newest = np.where(stale, np.nan, newest)
        result[filled] = newest
        return result
    bounds = np.empty(2 * len(low), dtype=np.intp)
    bounds[0::2], bounds[1::2] = low, high
    # The last bound may be the length; reduceat wants an element there.
    padded = np.append(values, 0.0)
    with np.errstate(all="ignore"):
        reduced = _REDUCE[reducer].reduceat(padded, bounds)[0::2]
    result[filled] = reduced / (high - low) if reducer is Reducer.AVG else reduced
    return result


def run(
    condition: Condition,
    ticks: Floats,
    values: Floats,
    *,
    present: Present | None = None,
    before: Instance = NEW,
    skip: bool = True,
) -> list[Change]:
    """The changes of one series: `values` has one entry per tick, and `present` whether it is
    there; left out, a NaN is no data.

    Without `skip` every tick is stepped, for the property test.
    """
    if present is None:
        present = ~np.isnan(values)
    kind = _kinds(condition, values, present)
    edges = np.flatnonzero(np.diff(kind)) + 1
    stops = iter([0, *edges.tolist(), len(ticks)])
    changes: list[Change] = []
    instance = before
    seen = before is not NEW
    index, following = 0, next(stops, 0)
    count = len(ticks)
    while index < count:
        at, value = float(ticks[index]), float(values[index]) if present[index] else None
        # Nothing is known of a series before its first sample.
        seen = seen or value is not None
        after = step(condition, instance, value, at) if seen else instance
        if after.status is not instance.status:
            changes.append(Change(at, after))
        instance = after
        if not skip:
            index += 1
            continue
        while following <= index:
            following = next(stops, count)
        due = instance.due(condition, at)
        timed = int(np.searchsorted(ticks, due)) if due < float("inf") else count
        index = max(index + 1, min(following, timed))
    return changes


def _kinds(condition: Condition, values: Floats, present: Present) -> NDArray[np.int8]:
    """At each tick 1: breached, 0: not, 2: no data."""
    if condition.returned or condition.threshold is None:
        return present.astype(np.int8)
    with np.errstate(invalid="ignore"):
        breached = _COMPARE[condition.operator](values, condition.threshold)
    return np.where(present & ~np.isnan(values), breached, 2).astype(np.int8)


def fired(changes: list[Change]) -> int:
    """How often it fired."""
    return sum(change.instance.status is AlertStatus.FIRING for change in changes)
