"""Sums whose rounding errors are kept where they matter.

A plain sum of n numbers is off by at most n × 1e-16 of the sum of their absolute values. That is
little unless the numbers cancel each other out: then the sum is computed again, with the error of
each addition (Knuth's two-sum), as Prometheus does for every sum.
"""

import numpy as np

from pulseboard.promql.array_types import Bools, Floats, Indices

_CANCELLED = 100.0
"""A sum is computed again when the absolute values are so many times as large."""

MEAN_SCALE = 2.0**64
"""Numbers divided by it have finite sums, and the division is exact for large ones."""
_LARGEST = np.finfo(np.float64).max / MEAN_SCALE
_AT_ONCE = 4_000_000
"""Numbers that are copied at once."""


def cancelled(total: Floats, size: Floats) -> Bools:
    """Where sums are small beside the sums `size` of absolute values."""
    found: Bools = np.abs(total) * _CANCELLED < size
    return found & np.isfinite(size)


def corrected(
    total: Floats, size: Floats, values: Floats, low: Indices, high: Indices, present: Bools
) -> Floats:
    """The sums `total` of values[low:high], with those that are cancelled computed again."""
    again = np.flatnonzero(cancelled(total, size) & present)
    starts, counts = low.ravel()[again], (high - low).ravel()[again]
    most = int(counts.max(initial=1))
    at_once = max(_AT_ONCE // most, 1)
    padded = np.append(values, 0.0)
    for begin in range(0, len(again), at_once):
        part = slice(begin, begin + at_once)
        position = np.arange(most)[:, None]
        inside = position < counts[part]
        numbers = padded[np.where(inside, starts[part] + position, len(values))]
        total.ravel()[again[part]] = exact(numbers)
    return total


def exact(values: Floats) -> Floats:
    """The sum of each column of a matrix, by pairs, with the errors of the additions."""
    errors = np.zeros(values.shape[1])
    while len(values) > 1:
        if len(values) % 2:
            values = np.concatenate([values, np.zeros((1, values.shape[1]))])
        a, b = values[0::2], values[1::2]
        values = a + b
        of_b = values - a
        errors += ((a - (values - of_b)) + (b - of_b)).sum(axis=0)
    found: Floats = values[0] + errors if len(values) else errors
    return found


def unscaled_mean(scaled: Floats) -> Floats:
    """Means of numbers that were divided by `MEAN_SCALE`, since their sums overflow."""
    # Rounded up, the mean of the largest doubles would be out of range.
    bounded = np.clip(scaled, -_LARGEST, _LARGEST)
    found: Floats = np.where(np.isfinite(scaled), bounded, scaled) * MEAN_SCALE
    return found
