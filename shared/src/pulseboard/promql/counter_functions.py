"""Range functions that compare neighbouring samples: rates, resets and changes.

The formulas are those of Prometheus 3 (promql/functions.go).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pulseboard.promql.array_types import Bools, Floats
from pulseboard.promql.columns import MICRO, micros
from pulseboard.promql.windows import Windows

_EDGE = 1.1
"""A gap at the window's edge up to this many sample intervals counts as covered."""


def extrapolated(windows: Windows, *, counter: bool, per_second: bool) -> tuple[Floats, Bools]:
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


def instant_change(windows: Windows, *, counter: bool) -> tuple[Floats, Bools]:
    """irate, per second, or idelta: what changed between the last two samples."""
    present = windows.high - windows.low >= 2
    last = np.where(present, windows.high - 1, 1 if len(windows.columns) > 1 else 0)
    values, times = windows.columns.column("last"), windows.columns.bucket_ends
    before = last - 1
    changed = values[last] - values[before]
    if not counter:
        return changed, present
    grown = np.where(values[last] < values[before], values[last], changed)
    return grown / ((times[last] - times[before]) / MICRO), present


def _changed(earlier: Floats, later: Floats) -> Bools:
    changed: Bools = (later != earlier) & ~(np.isnan(earlier) & np.isnan(later))
    return changed


def counted(
    windows: Windows, inside: str, differs: Callable[[Floats, Floats], Bools]
) -> tuple[Floats, Bools]:
    """In how many places a window's sample differs from the one before.

    `inside` is the column that counts those inside of entries.
    """
    columns = windows.columns
    first, last, series = columns.column("first"), columns.column("last"), columns.series
    at = np.zeros(len(last))
    at[1:] = differs(last[:-1], first[1:]) & (series[1:] == series[:-1])
    before = np.concatenate([[0.0], np.cumsum(at)])
    within = np.concatenate([[0.0], np.cumsum(columns.column(inside))])
    low = np.where(windows.present, windows.low, 0)
    high = np.where(windows.present, windows.high, 1)
    between = before[high] - before[np.minimum(low + 1, len(last))]
    return between + within[high] - within[low], windows.present


def changes(windows: Windows) -> tuple[Floats, Bools]:
    """How often a series changed its value."""
    return counted(windows, "changes", _changed)


def resets(windows: Windows) -> tuple[Floats, Bools]:
    """How often a counter was reset."""
    return counted(windows, "resets", lambda earlier, later: later < earlier)
