"""histogram_quantile and histogram_fraction, from cumulative buckets with their bounds in `le`.

The interpolation is that of Prometheus (promql/quantile.go, BucketQuantile and BucketFraction).
"""

import math
from collections.abc import Callable

import numpy as np

from pulseboard.promql.array_types import Bools, Floats, Indices
from pulseboard.promql.ast import NAME
from pulseboard.promql.vector import Vector, distinct, empty, group, key_of, nameless

BOUND = "le"
_SAME = 1e-12
"""Counts whose difference is relatively smaller are the same: it is an error of rounding."""
Computed = Callable[[Floats, Floats, Indices], Floats]
"""From bounds, counts of buckets by step, and the steps (by number), to a value for each step."""


def histogram_quantile(level: Floats, vector: Vector, position: int) -> tuple[Vector, set[str]]:
    """The quantile of each histogram, and the names of those whose counts decreased; series
    without a valid `le` are ignored.

    Raises InvalidRequest where two histograms would have the same labels.
    """
    forced: set[str] = set()

    def of(name: str) -> Computed:
        def quantile(bounds: Floats, counts: Floats, steps: Indices) -> Floats:
            value, fixed = _quantile(level[steps], bounds, counts)
            if fixed:
                forced.add(name)
            return value

        return quantile

    return _of_histograms(vector, position, of), forced


def histogram_fraction(lower: Floats, upper: Floats, vector: Vector, position: int) -> Vector:
    """Which part of the observations is between two bounds, of each histogram."""
    return _of_histograms(
        vector,
        position,
        lambda _: (
            lambda bounds, counts, steps: _fraction(lower[steps], upper[steps], bounds, counts)
        ),
    )


def malformed(vector: Vector) -> list[tuple[str, str]]:
    """The names and bounds of series that have values, but a bound that is none."""
    rows = np.flatnonzero(vector.present.any(axis=1))
    found = [vector.labels[row] for row in rows if _bound(vector.labels[row]) is None]
    return [(labels.get(NAME, ""), labels.get(BOUND, "")) for labels in found]


def _of_histograms(vector: Vector, position: int, computed: Callable[[str], Computed]) -> Vector:
    found = [(row, _bound(labels)) for row, labels in enumerate(vector.labels)]
    rows = [row for row, bound in found if bound is not None]
    steps = vector.values.shape[1]
    if not rows:
        return empty(steps)
    vector = vector.rows(rows)
    bounds = np.array([bound for _, bound in found if bound is not None])
    others = [{k: v for k, v in each.items() if k != BOUND} for each in vector.labels]
    firsts, of_row = group([key_of(labels) for labels in others])
    values = np.zeros((len(firsts), steps))
    present = np.zeros((len(firsts), steps), dtype=np.bool_)
    for number, first in enumerate(firsts):
        buckets = np.flatnonzero(of_row == number)
        buckets = buckets[np.argsort(bounds[buckets], kind="stable")]
        known = vector.present[buckets]
        present[number] = known.any(axis=0)
        values[number] = _by_presence(
            computed(others[first].get(NAME, "")), bounds[buckets], vector.values[buckets], known
        )
    # Two metrics may have histograms of the same tags: these are not one histogram.
    return distinct(Vector([nameless(others[row]) for row in firsts], values, present), position)


def _bound(labels: dict[str, str]) -> float | None:
    try:
        bound = float(labels.get(BOUND, ""))
    except ValueError:
        return None
    return None if math.isnan(bound) else bound


def _by_presence(computed: Computed, bounds: Floats, counts: Floats, present: Bools) -> Floats:
    result = np.full(counts.shape[1], math.nan)
    # The set of buckets seldom changes: steps with the same set are computed together.
    patterns, of_step = np.unique(present, axis=1, return_inverse=True)
    for number in range(patterns.shape[1]):
        rows = patterns[:, number]
        steps = np.flatnonzero(of_step.ravel() == number)
        if rows.any():
            edges, firsts = np.unique(bounds[rows], return_index=True)
            cumulative = np.add.reduceat(counts[np.ix_(rows, steps)], firsts, axis=0)
            result[steps] = computed(edges, cumulative, steps)
    return result


def _monotonic(counts: Floats) -> tuple[Floats, bool]:
    """The counts without what decreases, and whether more than a rounding error did.

    Scrapes are not atomic: a bucket may have a lower count than a smaller one.
    """
    fixed, forced = counts.copy(), False
    for row in range(1, len(fixed)):
        before, now = fixed[row - 1], fixed[row]
        size = np.abs(before) + np.abs(now)
        same = np.abs(before - now) < _SAME * size
        lower = (now < before) & ~same
        forced = forced or bool(lower.any())
        fixed[row] = np.where(same | lower, before, now)
    return fixed, forced


def _quantile(level: Floats, edges: Floats, counts: Floats) -> tuple[Floats, bool]:
    steps, forced = counts.shape[1], False
    if edges[-1] != math.inf or len(edges) < 2:
        value = np.full(steps, math.nan)
    else:
        cumulative, forced = _monotonic(counts)
        total = cumulative[-1]
        rank = np.where((level >= 0) & (level <= 1), level, 0.0) * total
        inside = cumulative[:-1] >= rank
        bucket = np.where(inside.any(axis=0), inside.argmax(axis=0), len(edges) - 1)
        column, below = np.arange(steps), np.maximum(bucket - 1, 0)
        begin = np.where(bucket > 0, edges[below], 0.0)
        before = np.where(bucket > 0, cumulative[below, column], 0.0)
        within = cumulative[bucket, column] - before
        value = begin + (edges[bucket] - begin) * ((rank - before) / within)
        value = np.where((bucket == 0) & (edges[0] <= 0), edges[0], value)
        value = np.where(bucket == len(edges) - 1, edges[-2], value)
        value = np.where((total == 0) | np.isnan(total), math.nan, value)
    value = np.where(level < 0, -math.inf, np.where(level > 1, math.inf, value))
    result: Floats = np.where(np.isnan(level), math.nan, value)
    return result, forced


def _fraction(lower: Floats, upper: Floats, edges: Floats, counts: Floats) -> Floats:
    if edges[-1] != math.inf:
        return np.full(counts.shape[1], math.nan)
    total = counts[-1]
    fraction = (_below(upper, edges, counts) - _below(lower, edges, counts)) / total
    fraction = np.where(lower >= upper, 0.0, fraction)
    unknown = np.isnan(lower) | np.isnan(upper) | (total == 0)
    result: Floats = np.where(unknown, math.nan, fraction)
    return result


def _below(value: Floats, edges: Floats, counts: Floats) -> Floats:
    """How many observations are below a value: interpolated in its bucket, where that has ends."""
    begins = np.concatenate([[0.0 if edges[0] > 0 else -math.inf], edges[:-1]])
    before = np.concatenate([np.zeros((1, counts.shape[1])), counts[:-1]])
    bucket = np.searchsorted(edges, np.where(np.isnan(value), 0.0, value), side="right")
    at, column = np.minimum(bucket, len(edges) - 1), np.arange(len(value))
    begin, low, high = begins[at], before[at, column], counts[at, column]
    inside = low + (high - low) * (value - begin) / (edges[at] - begin)
    inside = np.where(np.isneginf(begin), high, inside)
    inside = np.where(value <= begin, low, inside)
    below: Floats = np.where(bucket >= len(edges), counts[-1], np.minimum(inside, counts[-1]))
    return below
