"""Selectors and range functions: the value of a window (t - w, t] of each series.

The formulas are those of Prometheus 3 (promql/functions.go), computed for all series and steps at
once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pulseboard.query.promql.array_types import Bools, Floats, Indices, Micros
from pulseboard.query.promql.budget import Budget, unlimited
from pulseboard.query.promql.columns import MICRO, SeriesColumns, micros
from pulseboard.query.promql.series import StoredSeries
from pulseboard.query.promql.vector import Vector

_EXPANDED = 4_000_000
"""Samples of overlapping windows that are copied at once: bounds memory to about 100 MB."""
_EDGE = 1.1
"""A gap at the window's edge up to this many sample intervals counts as covered."""


def instant(stored: Sequence[StoredSeries], times: Floats, lookback_delta: float) -> Vector:
    """The newest sample of each series in (t - lookback_delta, t], unless the series is stale."""
    columns = SeriesColumns(stored)
    at = micros(times)
    if not len(columns):
        return _no_values(columns, len(at))
    newest = columns.end_indices(at) - 1
    exists = newest >= columns.starts[:-1, None]
    entry = np.maximum(newest, 0)
    last_times = micros(columns.column("last_time"))[entry]
    present = exists & (last_times > at[None, :] - round(lookback_delta * MICRO))
    present &= ~columns.stale(at, last_times)
    return Vector(columns.labels, columns.column("last")[entry], present)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Entries [low, high) of every series at every step, where `present`, all of shape (S, T)."""

    columns: SeriesColumns
    times: Micros
    window: float
    low: Indices
    high: Indices
    present: Bools
    budget: Budget

    def first(self, column: str) -> Floats:
        """A column's entry at the window's start."""
        return self.columns.column(column)[np.where(self.present, self.low, 0)]

    def last(self, column: str) -> Floats:
        """A column's entry at the window's end."""
        return self.columns.column(column)[np.where(self.present, self.high - 1, 0)]

    def reduce(self, ufunc: np.ufunc, column: Floats, low: Indices | None = None) -> Floats:
        """One number for each window; for an empty window it is undefined."""
        begin = self.low if low is None else low
        pairs = np.stack([begin.ravel(), self.high.ravel()], axis=1).ravel()
        padded = np.append(column, 0.0)
        reduced: Floats = ufunc.reduceat(padded, pairs)[::2]
        return reduced.reshape(self.low.shape)

    def expanded(self) -> Iterator[tuple[Indices, Indices, Indices, Indices]]:
        """The present windows in parts of limited size.

        Each part: the flat indices of its windows, the entries of all its windows in sequence, the
        window (from 0 in this part) of each entry, and where each window starts among the entries.
        """
        flat = np.flatnonzero(self.present)
        low = self.low.ravel()[flat]
        lengths = self.high.ravel()[flat] - low
        part = np.cumsum(lengths) // _EXPANDED
        for number in np.unique(part):
            self.budget.left()
            selected = part == number
            size = lengths[selected]
            starts = np.concatenate([[0], np.cumsum(size)[:-1]])
            window = np.repeat(np.arange(len(size)), size)
            entries = np.arange(int(size.sum())) - starts[window] + low[selected][window]
            yield flat[selected], entries, window, starts


def over_range(
    function: str,
    stored: Sequence[StoredSeries],
    times: Floats,
    window: float,
    quantile: Floats | None = None,
    budget: Budget | None = None,
) -> Vector:
    """A function of the samples in (t - window, t] of each series; metric names are not dropped."""
    columns = SeriesColumns(stored)
    at = micros(times)
    if not len(columns):
        return _no_values(columns, len(at))
    low, high = columns.end_indices(at - round(window * MICRO)), columns.end_indices(at)
    windows = Windows(columns, at, window, low, high, high > low, budget or unlimited())
    if function == "quantile_over_time":
        level = np.full(len(at), math.nan) if quantile is None else quantile
        return Vector(columns.labels, _quantiles(windows, level), windows.present)
    values, present = _FUNCTIONS[function](windows)
    return Vector(columns.labels, values, present)


def _no_values(columns: SeriesColumns, steps: int) -> Vector:
    shape = (len(columns.labels), steps)
    return Vector(columns.labels, np.zeros(shape), np.zeros(shape, dtype=np.bool_))


def _reduced(ufunc: np.ufunc, column: str) -> Callable[[Windows], tuple[Floats, Bools]]:
    return lambda windows: (windows.reduce(ufunc, windows.columns.column(column)), windows.present)


def _average(windows: Windows) -> tuple[Floats, Bools]:
    total, _ = _reduced(np.add, "sum")(windows)
    count, _ = _reduced(np.add, "count")(windows)
    return total / count, windows.present


def _present(windows: Windows) -> tuple[Floats, Bools]:
    return np.ones(windows.low.shape), windows.present


def _last(windows: Windows) -> tuple[Floats, Bools]:
    return windows.last("last"), windows.present


def _extrapolated(windows: Windows, *, counter: bool, per_second: bool) -> tuple[Floats, Bools]:
    """How much a series grew over the whole window, extrapolated from the part with samples.

    The growth between the first and the last sample is extrapolated to the window's edges where
    these are within 1.1 sample intervals, else by half an interval; a counter is never
    extrapolated below zero.
    """
    count = windows.reduce(np.add, windows.columns.column("count"))
    present = windows.present & (count >= 2)
    first_value = windows.first("first")
    grown = windows.last("last") - first_value
    if counter:
        grown = grown + _resets(windows)
    first_time = micros(windows.columns.column("first_time"))[np.where(present, windows.low, 0)]
    last_time = micros(windows.columns.column("last_time"))[np.where(present, windows.high - 1, 0)]
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
    """The sum of a counter's values before each reset: inside entries, and between them."""
    columns = windows.columns
    inside = columns.column("increase_by_resets")
    first, last = columns.column("first"), columns.column("last")
    between = np.zeros(len(columns))
    dropped = (first[1:] < last[:-1]) & (columns.series[1:] == columns.series[:-1])
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
    last = np.where(present, windows.high - 1, 1 if len(windows.columns) > 1 else 0)
    values, times = windows.columns.column("last"), windows.columns.bucket_ends
    before = last - 1
    grown = np.where(values[last] < values[before], values[last], values[last] - values[before])
    return grown / ((times[last] - times[before]) / MICRO), present


def _deriv(windows: Windows) -> tuple[Floats, Bools]:
    """The slope of the least-squares line; centred, since squares of times lose digits."""
    present = windows.high - windows.low >= 2
    slopes = np.zeros(windows.low.shape)
    values, times = windows.columns.column("last"), windows.columns.bucket_ends
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
    values = windows.columns.column("last")
    for flat, entries, window, starts in windows.expanded():
        size = np.diff(np.append(starts, len(entries)))
        y = values[entries]
        centred = y - (np.add.reduceat(y, starts) / size)[window]
        deviations.ravel()[flat] = np.sqrt(np.add.reduceat(centred * centred, starts) / size)
    return deviations, windows.present


def _quantiles(windows: Windows, level: Floats) -> Floats:
    quantiles = np.zeros(windows.low.shape)
    values = windows.columns.column("last")
    for flat, entries, window, starts in windows.expanded():
        size = np.diff(np.append(starts, len(entries)))
        y = values[entries]
        # NaN counts as smaller than everything.
        y = y[np.lexsort((y, ~np.isnan(y), window))]
        quantiles.ravel()[flat] = interpolate(y, starts, size, level[flat % len(level)])
    return quantiles


def interpolate(ordered: Floats, starts: Indices, sizes: Indices, level: Floats) -> Floats:
    """The quantile of each run of `ordered`: between the two nearest ranks.

    Below 0 it is -Inf, above 1 +Inf, for NaN it is NaN.
    """
    rank = np.where((level >= 0) & (level <= 1), level, 0.0) * (sizes - 1)
    lower = np.maximum(0, np.floor(rank)).astype(np.intp)
    upper = np.minimum(sizes - 1, lower + 1)
    weight = rank - np.floor(rank)
    value = ordered[starts + lower] * (1 - weight) + ordered[starts + upper] * weight
    value = np.where(level < 0, -math.inf, np.where(level > 1, math.inf, value))
    quantile: Floats = np.where(np.isnan(level), math.nan, value)
    return quantile


_FUNCTIONS: dict[str, Callable[[Windows], tuple[Floats, Bools]]] = {
    "rate": lambda windows: _extrapolated(windows, counter=True, per_second=True),
    "increase": lambda windows: _extrapolated(windows, counter=True, per_second=False),
    "delta": lambda windows: _extrapolated(windows, counter=False, per_second=False),
    "irate": _instant_rate,
    "deriv": _deriv,
    "avg_over_time": _average,
    # fmin and fmax ignore NaN unless there is nothing else, as Prometheus does.
    "min_over_time": _reduced(np.fmin, "min"),
    "max_over_time": _reduced(np.fmax, "max"),
    "sum_over_time": _reduced(np.add, "sum"),
    "count_over_time": _reduced(np.add, "count"),
    "last_over_time": _last,
    "stddev_over_time": _deviation,
    "present_over_time": _present,
    "absent_over_time": _present,
}
