"""histogram_quantile: a quantile from cumulative buckets with their upper bounds in `le`.

The interpolation is that of Prometheus (promql/quantile.go, bucketQuantile).
"""

import math

import numpy as np

from pulseboard.query.promql.array_types import Bools, Floats
from pulseboard.query.promql.vector import Vector, empty, group, key_of, nameless

BOUND = "le"


def histogram_quantile(level: Floats, vector: Vector) -> Vector:
    """The quantile of each histogram; series without a valid `le` are ignored."""
    rows = [row for row, labels in enumerate(vector.labels) if not math.isnan(_bound(labels))]
    steps = vector.values.shape[1]
    if not rows:
        return empty(steps)
    vector = vector.rows(rows)
    bounds = np.array([_bound(labels) for labels in vector.labels])
    others = [{k: v for k, v in nameless(each).items() if k != BOUND} for each in vector.labels]
    firsts, of_row = group([key_of(labels) for labels in others])
    values = np.zeros((len(firsts), steps))
    present = np.zeros((len(firsts), steps), dtype=np.bool_)
    for number in range(len(firsts)):
        buckets = np.flatnonzero(of_row == number)
        buckets = buckets[np.argsort(bounds[buckets], kind="stable")]
        known = vector.present[buckets]
        present[number] = known.any(axis=0)
        values[number] = _by_presence(level, bounds[buckets], vector.values[buckets], known)
    return Vector([others[row] for row in firsts], values, present)


def _bound(labels: dict[str, str]) -> float:
    try:
        return float(labels.get(BOUND, "nan"))
    except ValueError:
        return math.nan


def _by_presence(level: Floats, bounds: Floats, counts: Floats, present: Bools) -> Floats:
    result = np.full(counts.shape[1], math.nan)
    # The set of buckets seldom changes: steps with the same set are computed together.
    patterns, of_step = np.unique(present, axis=1, return_inverse=True)
    for number in range(patterns.shape[1]):
        rows = patterns[:, number]
        steps = np.flatnonzero(of_step.ravel() == number)
        if rows.any():
            result[steps] = _quantile(level[steps], bounds[rows], counts[np.ix_(rows, steps)])
    return result


def _quantile(level: Floats, bounds: Floats, counts: Floats) -> Floats:
    steps = counts.shape[1]
    edges, firsts = np.unique(bounds, return_index=True)
    cumulative = np.add.reduceat(counts, firsts, axis=0)
    if len(edges) < 2 or edges[-1] != math.inf:
        value = np.full(steps, math.nan)
    else:
        # Scrapes are not atomic: a bucket may have a lower count than a smaller one.
        cumulative = np.fmax.accumulate(cumulative, axis=0)
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
    return result
