"""Range functions: one number from the samples in the window (t - w, t] of each series.

The formulas are those of Prometheus 3 (promql/functions.go), computed for all series and steps at
once. `FUNCTIONS` is the table of them; those with other formulas have their own modules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pulseboard.promql import counter_functions, distribution_functions, trend_functions
from pulseboard.promql.array_types import Bools, Floats
from pulseboard.promql.budget import Budget, unlimited
from pulseboard.promql.columns import MICRO, SeriesColumns
from pulseboard.promql.series import StoredSeries
from pulseboard.promql.sums import MEAN_SCALE, corrected, unscaled_mean
from pulseboard.promql.vector import Vector
from pulseboard.promql.windows import Windows, no_values, windows_of

Result = tuple[Floats, Bools]
"""Values, and where there are any, both of shape (series, steps)."""


def over_range(
    function: str,
    stored: Sequence[StoredSeries],
    times: Floats,
    window: float,
    args: Sequence[Floats] = (),
    budget: Budget | None = None,
) -> Vector:
    """A function of the samples in (t - window, t] of each series; metric names are not dropped.

    `args` are the other arguments, each with one number for each step.
    """
    columns = SeriesColumns(stored)
    if not len(columns):
        return no_values(columns, len(times))
    windows = windows_of(columns, times, window, budget or unlimited())
    values, present = FUNCTIONS[function](windows, *args)
    return Vector(columns.labels, values, present)


def _reduced(ufunc: np.ufunc, column: str) -> Callable[[Windows], Result]:
    return lambda windows: (windows.reduce(ufunc, windows.columns.column(column)), windows.present)


def _sum(windows: Windows) -> Result:
    values = windows.columns.column("sum")
    total = windows.reduce(np.add, values)
    size = windows.reduce(np.add, np.abs(values))
    return corrected(total, size, values, windows.low, windows.high, windows.present), (
        windows.present
    )


def _average(windows: Windows) -> Result:
    total, _ = _sum(windows)
    counts = windows.columns.column("count")
    count = windows.reduce(np.add, counts)
    mean = total / count
    overflowed = ~np.isfinite(total) & windows.present
    if overflowed.any():
        # The sum can overflow where the mean does not.
        means = windows.columns.column("mean") / MEAN_SCALE
        scaled = windows.reduce(np.add, means * counts) / count
        mean = np.where(overflowed, unscaled_mean(scaled), mean)
    return mean, windows.present


def _present(windows: Windows) -> Result:
    return np.ones(windows.low.shape), windows.present


def _last(windows: Windows) -> Result:
    return windows.last("last"), windows.present


def _first(windows: Windows) -> Result:
    return windows.first("first"), windows.present


def _first_time(windows: Windows) -> Result:
    return windows.first("first_time"), windows.present


def _last_time(windows: Windows) -> Result:
    return windows.last("last_time"), windows.present


def _extreme_time(largest: bool) -> Callable[[Windows], Result]:
    """When the largest or smallest sample was, the last of several."""

    def found(windows: Windows) -> Result:
        when = np.zeros(windows.low.shape)
        values, times = windows.columns.column("last"), windows.columns.bucket_ends
        for part in windows.parts():
            y = values[part.entries]
            rank = y if largest else -y
            order = np.lexsort((part.entries, rank, ~np.isnan(y), part.window))
            last = order[part.starts + part.sizes - 1]
            when.ravel()[part.flat] = times[part.entries[last]] / MICRO
        return when, windows.present

    return found


FUNCTIONS: dict[str, Callable[..., Result]] = {
    "rate": lambda windows: counter_functions.extrapolated(windows, counter=True, per_second=True),
    "increase": lambda windows: counter_functions.extrapolated(
        windows, counter=True, per_second=False
    ),
    "delta": lambda windows: counter_functions.extrapolated(
        windows, counter=False, per_second=False
    ),
    "irate": lambda windows: counter_functions.instant_change(windows, counter=True),
    "idelta": lambda windows: counter_functions.instant_change(windows, counter=False),
    "changes": counter_functions.changes,
    "resets": counter_functions.resets,
    "deriv": trend_functions.deriv,
    "predict_linear": trend_functions.predict_linear,
    "double_exponential_smoothing": trend_functions.smoothed,
    "holt_winters": trend_functions.smoothed,
    "avg_over_time": _average,
    # fmin and fmax ignore NaN unless there is nothing else, as Prometheus does.
    "min_over_time": _reduced(np.fmin, "min"),
    "max_over_time": _reduced(np.fmax, "max"),
    "sum_over_time": _sum,
    "count_over_time": _reduced(np.add, "count"),
    "first_over_time": _first,
    "last_over_time": _last,
    "quantile_over_time": distribution_functions.quantiles,
    "stddev_over_time": distribution_functions.deviation,
    "stdvar_over_time": distribution_functions.variance,
    "mad_over_time": distribution_functions.absolute_deviation,
    "present_over_time": _present,
    "absent_over_time": _present,
    "ts_of_first_over_time": _first_time,
    "ts_of_last_over_time": _last_time,
    "ts_of_min_over_time": _extreme_time(largest=False),
    "ts_of_max_over_time": _extreme_time(largest=True),
}
