"""The window (t - w, t] of each series at each step, and the values of instant selectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pulseboard.promql.array_types import Bools, Floats, Indices, Micros
from pulseboard.promql.budget import Budget
from pulseboard.promql.columns import MICRO, SeriesColumns, micros
from pulseboard.promql.series import StoredSeries
from pulseboard.promql.vector import Vector

_EXPANDED = 4_000_000
"""Samples of overlapping windows that are copied at once: bounds memory to about 100 MB."""


def instant(
    stored: Sequence[StoredSeries], times: Floats, lookback_delta: float, *, dated: bool = False
) -> Vector:
    """The newest sample of each series in (t - lookback_delta, t], unless the series is stale.

    With `dated` its time (seconds since 1970) instead of its value.
    """
    columns = SeriesColumns(stored)
    at = micros(times)
    if not len(columns):
        return no_values(columns, len(at))
    newest = columns.end_indices(at) - 1
    exists = newest >= columns.starts[:-1, None]
    entry = np.maximum(newest, 0)
    last_times = micros(columns.column("last_time"))[entry]
    present = exists & (last_times > at[None, :] - round(lookback_delta * MICRO))
    present &= ~columns.stale(at, last_times)
    values = last_times / MICRO if dated else columns.column("last")[entry]
    return Vector(columns.labels, values, present)


def no_values(columns: SeriesColumns, steps: int) -> Vector:
    """The series without a value at any step."""
    shape = (len(columns.labels), steps)
    return Vector(columns.labels, np.zeros(shape), np.zeros(shape, dtype=np.bool_))


def windows_of(columns: SeriesColumns, times: Floats, window: float, budget: Budget) -> Windows:
    """The windows of `window` seconds that end at `times`."""
    at = micros(times)
    low, high = columns.end_indices(at - round(window * MICRO)), columns.end_indices(at)
    return Windows(columns, at, window, low, high, high > low, budget)


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

    def parts(self) -> Iterator[Part]:
        """The present windows as `expanded`, as objects."""
        for flat, entries, window, starts in self.expanded():
            yield Part(flat, entries, window, starts, np.diff(np.append(starts, len(entries))))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some windows with their entries in sequence.

    `flat`: the flat indices of the windows; `entries`: the entries of all; `window`: the window
    (from 0 in this part) of each entry; `starts` and `sizes`: where each window has its entries.
    """

    flat: Indices
    entries: Indices
    window: Indices
    starts: Indices
    sizes: Indices

    def sums(self, values: Floats) -> Floats:
        """The sum of each window of one value for each entry."""
        total: Floats = np.add.reduceat(values, self.starts)
        return total

    def spread(self, values: Floats) -> Floats:
        """One value for each window as one for each entry."""
        return values[self.window]
