"""Range functions of how samples are distributed: deviations and quantiles."""

from __future__ import annotations

import math

import numpy as np

from pulseboard.promql.array_types import Bools, Floats, Indices
from pulseboard.promql.windows import Part, Windows


def variance(windows: Windows) -> tuple[Floats, Bools]:
    """The population's variance: around the means of the entries, and inside of them."""
    found = np.zeros(windows.low.shape)
    means, counts = windows.columns.column("mean"), windows.columns.column("count")
    inside = windows.columns.column("squared_deviations")
    for part in windows.parts():
        y, n = means[part.entries], counts[part.entries]
        total = part.sums(n)
        centred = y - part.spread(part.sums(n * y) / total)
        # Once more for the error of the mean: the deviation of equal values is 0.
        centred = centred - part.spread(part.sums(n * centred) / total)
        squared = n * centred * centred + inside[part.entries]
        found.ravel()[part.flat] = part.sums(squared) / total
    return found, windows.present


def deviation(windows: Windows) -> tuple[Floats, Bools]:
    """The population's standard deviation."""
    squared, present = variance(windows)
    return np.sqrt(squared), present


def quantiles(windows: Windows, level: Floats) -> tuple[Floats, Bools]:
    """A quantile of the samples; `level` is one for each step."""
    found = np.zeros(windows.low.shape)
    values = windows.columns.column("last")
    for part in windows.parts():
        found.ravel()[part.flat] = _quantile(
            part, values[part.entries], level[part.flat % len(level)]
        )
    return found, windows.present


def absolute_deviation(windows: Windows) -> tuple[Floats, Bools]:
    """The median of the distances from the median; NaN where any sample is."""
    found = np.zeros(windows.low.shape)
    values = windows.columns.column("last")
    for part in windows.parts():
        y, half = values[part.entries], np.full(len(part.flat), 0.5)
        distances = np.abs(y - part.spread(_quantile(part, y, half)))
        unknown = np.logical_or.reduceat(np.isnan(y), part.starts)
        found.ravel()[part.flat] = np.where(unknown, math.nan, _quantile(part, distances, half))
    return found, windows.present


def _quantile(part: Part, values: Floats, level: Floats) -> Floats:
    ordered = np.empty_like(values)
    # Windows of one size are the rows of a table, which is sorted row by row: as samples come at
    # regular times there are few sizes.
    for size in np.unique(part.sizes).tolist():
        entries = part.starts[part.sizes == size][:, None] + np.arange(size)
        rows = np.sort(values[entries], axis=1)
        unknown = np.isnan(rows[:, -1])
        if unknown.any():
            # NaN counts as smaller than everything; numpy sorts it to the end.
            rows[unknown] = [np.roll(row, np.isnan(row).sum()) for row in rows[unknown]]
        ordered[entries] = rows
    return interpolate(ordered, part.starts, part.sizes, level)


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
