"""Selectors and the functions of ranges: what a window (t - w, t] of each series gives.

The formulas are those of Prometheus 3 (promql/functions.go), worked out for all series and steps
at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pulseboard.query.promql.array_types import Bools, Floats, Indices, Micros
from pulseboard.query.promql.columns import MICRO, Packed, micros
from pulseboard.query.promql.series import Stored
from pulseboard.query.promql.vector import Vector

_EXPANDED = 4_000_000
"""Samples of overlapping windows that are copied out at once: bounds memory to some 100 MB."""
_EDGE = 1.1
"""A gap at the window's edge up to this many sample intervals is taken as covered."""


def instant(stored: Sequence[Stored], times: Floats, lookback: float) -> Vector:
    """The newest sample in (t - lookback, t] of each series, unless a stale marker follows it."""
    packed = Packed(stored)
    at = micros(times)
    if not len(packed):
        return _nothing(packed, len(at))
    newest = packed.upto(at) - 1
    found = newest >= packed.starts[:-1, None]
    entry = np.maximum(newest, 0)
    last_times = micros(packed.column("last_time"))[entry]
    present = found & (last_times > at[None, :] - round(lookback * MICRO))
    present &= ~packed.stale(at, last_times)
    return Vector(packed.labels, packed.column("last")[entry], present)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Entries [low, high) of every series at every step, where `present`, all of shape (S, T)."""

    packed: Packed
    times: Micros
    window: float
    low: Indices
    high: Indices
    present: Bools

    def first(self, column: str) -> Floats:
        """A column's entry at the window's start."""
        return self.packed.column(column)[np.where(self.present, self.low, 0)]

    def last(self, column: str) -> Floats:
        """A column's entry at the window's end."""
        return self.packed.column(column)[np.where(self.present, self.high - 1, 0)]

    def reduce(self, ufunc: np.ufunc, column: Floats, low: Indices | None = None) -> Floats:
        """One number a window. An empty window gives anything."""
        begin = self.low if low is None else low
        pairs = np.stack([begin.ravel(), self.high.ravel()], axis=1).ravel()
        padded = np.append(column, 0.0)
        reduced: Floats = ufunc.reduceat(padded, pairs)[::2]
        return reduced.reshape(self.low.shape)

    def expanded(self) -> Iterator[tuple[Indices, Indices, Indices, Indices]]:
        """The present windows in parts: their flat numbers, the entries they hold one after the
        other, the window (from 0 in this part) of each entry, where each window starts in them.
        """
        flat = np.flatnonzero(self.present)
        low = self.low.ravel()[flat]
        lengths = self.high.ravel()[flat] - low
        part = np.cumsum(lengths) // _EXPANDED
        for number in np.unique(part):
            chosen = part == number
            size = lengths[chosen]
            starts = np.concatenate([[0], np.cumsum(size)[:-1]])
            window = np.repeat(np.arange(len(size)), size)
            entries = np.arange(int(size.sum())) - starts[window] + low[chosen][window]
            yield flat[chosen], entries, window, starts


def over_range(
    function: str,
    stored: Sequence[Stored],
    times: Floats,
    window: float,
    quantile: Floats | None = None,
) -> Vector:
    """A function of the samples in (t - window, t] of each series; names are kept here."""
    packed = Packed(stored)
    at = micros(times)
    if not len(packed):
        return _nothing(packed, len(at))
    low, high = packed.upto(at - round(window * MICRO)), packed.upto(at)
    windows = Windows(packed, at, window, low, high, high > low)
    if function == "quantile_over_time":
        level = np.full(len(at), math.nan) if quantile is None else quantile
        return Vector(packed.labels, _quantiles(windows, level), windows.present)
    values, present = _FUNCTIONS[function](windows)
    return Vector(packed.labels, values, present)


def _nothing(packed: Packed, steps: int) -> Vector:
    shape = (len(packed.labels), steps)
    return Vector(packed.labels, np.zeros(shape), np.zeros(shape, dtype=np.bool_))


def _reduced(ufunc: np.ufunc, column: str) -> Callable[[Windows], tuple[Floats, Bools]]:
    return lambda windows: (windows.reduce(ufunc, windows.packed.column(column)), windows.present)


def _average(windows: Windows) -> tuple[Floats, Bools]:
    total, _ = _reduced(np.add, "sum")(windows)
    count, _ = _reduced(np.add, "count")(windows)
    return total / count, windows.present


def _present(windows: Windows) -> tuple[Floats, Bools]:
    return np.ones(windows.low.shape), windows.present


def _last(windows: Windows) -> tuple[Floats, Bools]:
    return windows.last("last"), windows.present


def _extrapolated(windows: Windows, *, counter: bool, per_second: bool) -> tuple[Floats, Bools]:
    """How much a series grew over the whole window, from the part of it that samples cover.

    The growth between the first and the last sample is stretched to the window's edges where a
    sample is due within 1.1 intervals of them, else by half an interval; a counter is never
    stretched below zero.
    """
    count = windows.reduce(np.add, windows.packed.column("count"))
    present = windows.present & (count >= 2)
    first_value = windows.first("first")
    grown = windows.last("last") - first_value
    if counter:
        grown = grown + _resets(windows)
    first_time = micros(windows.packed.column("first_time"))[np.where(present, windows.low, 0)]
    last_time = micros(windows.packed.column("last_time"))[np.where(present, windows.high - 1, 0)]
    covered = (last_time - first_time) / MICRO
    interval = covered / (count - 1)
    to_start = (first_time - windows.times) / MICRO + windows.window
    to_end = (windows.times - last_time) / MICRO
    to_start = np.where(to_start >= interval * _EDGE, interval / 2, to_start)
    to_end = np.where(to_end >= interval * _EDGE, interval / 2, to_end)
    if counter:
        to_zero = covered * (first_value / grown)
        shorter = (grown > 0) & (first_value >= 0) & (to_zero < to_start)
        to_start = np.where(shorter, to_zero, to_start)
    factor = (covered + to_start + to_end) / covered
    return grown * (factor / windows.window if per_second else factor), present


def _resets(windows: Windows) -> Floats:
    """What a counter had reached before each drop: inside the entries, and between them."""
    packed = windows.packed
    inside = packed.column("increase_by_resets")
    first, last = packed.column("first"), packed.column("last")
    between = np.zeros(len(packed))
    dropped = (first[1:] < last[:-1]) & (packed.series[1:] == packed.series[:-1])
    between[1:][dropped] = last[:-1][dropped]
    total = np.zeros(windows.low.shape)
    if inside.any():
        total += windows.reduce(np.add, inside)
    if between.any():
        later = np.minimum(windows.low + 1, windows.high)
        total += np.where(later < windows.high, windows.reduce(np.add, between, later), 0.0)
    return total


def _instant_rate(windows: Windows) -> tuple[Floats, Bools]:
    present = windows.high - windows.low >= 2
    last = np.where(present, windows.high - 1, 1 if len(windows.packed) > 1 else 0)
    values, times = windows.packed.column("last"), windows.packed.bucket_ends
    before = last - 1
    grown = np.where(values[last] < values[before], values[last], values[last] - values[before])
    return grown / ((times[last] - times[before]) / MICRO), present


def _deriv(windows: Windows) -> tuple[Floats, Bools]:
    """The slope of the least-squares line; centred, since squares of times lose digits."""
    present = windows.high - windows.low >= 2
    slopes = np.zeros(windows.low.shape)
    values, times = windows.packed.column("last"), windows.packed.bucket_ends
    for flat, entries, window, starts in windows.expanded():
        size = np.diff(np.append(starts, len(entries)))
        y = values[entries]
        x = (times[entries] - times[entries[starts]][window]) / MICRO
        x = x - (np.add.reduceat(x, starts) / size)[window]
        centred = y - (np.add.reduceat(y, starts) / size)[window]
        slope = np.add.reduceat(x * centred, starts) / np.add.reduceat(x * x, starts)
        lowest, highest = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
        slopes.ravel()[flat] = np.where((lowest == highest) & np.isfinite(lowest), 0.0, slope)
    return slopes, present


def _deviation(windows: Windows) -> tuple[Floats, Bools]:
    deviations = np.zeros(windows.low.shape)
    values = windows.packed.column("last")
    for flat, entries, window, starts in windows.expanded():
        size = np.diff(np.append(starts, len(entries)))
        y = values[entries]
        centred = y - (np.add.reduceat(y, starts) / size)[window]
        deviations.ravel()[flat] = np.sqrt(np.add.reduceat(centred * centred, starts) / size)
    return deviations, windows.present


def _quantiles(windows: Windows, level: Floats) -> Floats:
    found = np.zeros(windows.low.shape)
    values = windows.packed.column("last")
    for flat, entries, window, starts in windows.expanded():
        size = np.diff(np.append(starts, len(entries)))
        y = values[entries]
        # NaN counts as smaller than everything.
        y = y[np.lexsort((y, ~np.isnan(y), window))]
        found.ravel()[flat] = interpolate(y, starts, size, level[flat % len(level)])
    return found


def interpolate(ordered: Floats, starts: Indices, sizes: Indices, level: Floats) -> Floats:
    """The quantile of each run of `ordered`: between the two nearest ranks.

    Below 0 it is -Inf, above 1 +Inf, for NaN it is NaN.
    """
    rank = np.where((level >= 0) & (level <= 1), level, 0.0) * (sizes - 1)
    lower = np.maximum(0, np.floor(rank)).astype(np.intp)
    upper = np.minimum(sizes - 1, lower + 1)
    weight = rank - np.floor(rank)
    found = ordered[starts + lower] * (1 - weight) + ordered[starts + upper] * weight
    found = np.where(level < 0, -math.inf, np.where(level > 1, math.inf, found))
    quantile: Floats = np.where(np.isnan(level), math.nan, found)
    return quantile


_FUNCTIONS: dict[str, Callable[[Windows], tuple[Floats, Bools]]] = {
    "rate": lambda windows: _extrapolated(windows, counter=True, per_second=True),
    "increase": lambda windows: _extrapolated(windows, counter=True, per_second=False),
    "delta": lambda windows: _extrapolated(windows, counter=False, per_second=False),
    "irate": _instant_rate,
    "deriv": _deriv,
    "avg_over_time": _average,
    # fmin and fmax pass over NaN unless there is nothing else, as Prometheus does.
    "min_over_time": _reduced(np.fmin, "min"),
    "max_over_time": _reduced(np.fmax, "max"),
    "sum_over_time": _reduced(np.add, "sum"),
    "count_over_time": _reduced(np.add, "count"),
    "last_over_time": _last,
    "stddev_over_time": _deviation,
    "present_over_time": _present,
    "absent_over_time": _present,
}
