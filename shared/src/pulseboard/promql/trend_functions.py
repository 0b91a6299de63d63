"""Range functions that fit a trend: a line by least squares, or exponential smoothing."""

from __future__ import annotations

import numpy as np

from pulseboard.promql.array_types import Bools, Floats
from pulseboard.promql.columns import MICRO
from pulseboard.promql.windows import Windows


def deriv(windows: Windows) -> tuple[Floats, Bools]:
    """The slope of the line per second."""
    slope, _ = _line(windows, np.zeros(windows.low.shape))
    return slope, windows.high - windows.low >= 2


def predict_linear(windows: Windows, evaluated: Floats, ahead: Floats) -> tuple[Floats, Bools]:
    """The value of the line `ahead` seconds after each of the times `evaluated`."""
    at = np.broadcast_to(evaluated * MICRO + ahead * MICRO, windows.low.shape)
    _, value = _line(windows, at)
    return value, windows.high - windows.low >= 2


def _line(windows: Windows, at: Floats) -> tuple[Floats, Floats]:
    """The slope of the least-squares line, and its value at `at` (microseconds, of each window).

    Centred, since squares of times lose digits.
    """
    slopes, found = np.zeros(windows.low.shape), np.zeros(windows.low.shape)
    values, times = windows.columns.column("last"), windows.columns.bucket_ends
    for part in windows.parts():
        y, origin = values[part.entries], times[part.entries[part.starts]]
        x = (times[part.entries] - origin[part.window]) / MICRO
        mean_x, mean_y = part.sums(x) / part.sizes, part.sums(y) / part.sizes
        x = x - part.spread(mean_x)
        slope = part.sums(x * (y - part.spread(mean_y))) / part.sums(x * x)
        lowest = np.minimum.reduceat(y, part.starts)
        constant = lowest == np.maximum.reduceat(y, part.starts)
        slope = np.where(constant & np.isfinite(lowest), 0.0, slope)
        slopes.ravel()[part.flat] = slope
        distance = (at.ravel()[part.flat] - origin) / MICRO - mean_x
        value = mean_y + slope * distance
        found.ravel()[part.flat] = np.where(constant & np.isfinite(lowest), lowest, value)
    return slopes, found


def smoothed(windows: Windows, smoothing: Floats, trend: Floats) -> tuple[Floats, Bools]:
    """Double exponential smoothing, with one smoothing and one trend factor for each step."""
    present = windows.high - windows.low >= 2
    values = windows.columns.column("last")
    rows, steps = np.nonzero(present)
    low, size = windows.low[rows, steps], (windows.high - windows.low)[rows, steps]
    factor, slope_factor = smoothing[steps], trend[steps]
    level = values[low]
    slope = values[np.where(size > 1, low + 1, low)] - level
    before = level
    # All windows at once, one sample after the other.
    for position in range(1, int(size.max(initial=0))):
        windows.budget.left()
        inside = position < size
        if position > 1:
            slope = slope_factor * (level - before) + (1 - slope_factor) * slope
        y = values[np.where(inside, low + position, 0)]
        after = factor * y + (1 - factor) * (level + slope)
        before = np.where(inside, level, before)
        level = np.where(inside, after, level)
    found = np.zeros(windows.low.shape)
    found[rows, steps] = level
    return found, present
