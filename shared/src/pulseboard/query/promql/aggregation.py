"""Aggregations across series, for all steps at once."""

import math
from collections.abc import Callable

import numpy as np

from pulseboard.query.promql.array_types import Bools, Floats, Indices
from pulseboard.query.promql.ast import NAME, Aggregate
from pulseboard.query.promql.range_functions import interpolate
from pulseboard.query.promql.series import Labels
from pulseboard.query.promql.vector import Vector, empty, group, key_of


def aggregate(node: Aggregate, vector: Vector, param: Floats | None) -> Vector:
    """One series for each group; topk and bottomk select series of the group instead."""
    steps = vector.values.shape[1]
    if not vector.labels:
        return empty(steps)
    grouped = [_group_labels(node, labels) for labels in vector.labels]
    firsts, of_row = group([key_of(labels) for labels in grouped])
    labels = [grouped[row] for row in firsts]
    if node.operator in ("topk", "bottomk"):
        return _ranked(vector, of_row, param, largest=node.operator == "topk")
    order = np.argsort(of_row, kind="stable")
    starts = np.searchsorted(of_row[order], np.arange(len(firsts)))
    values, present = vector.values[order], vector.present[order]
    counts: Floats = np.add.reduceat(present.astype(np.float64), starts, axis=0)
    if node.operator == "quantile":
        level = np.full(steps, math.nan) if param is None else param
        result = _quantiles(values, present, starts, counts, level)
    else:
        result = _REDUCTIONS[node.operator](values, present, starts, counts)
    return Vector(labels, result, counts > 0)


def _group_labels(node: Aggregate, labels: Labels) -> Labels:
    if node.without:
        dropped = {NAME, *node.labels}
        return {key: value for key, value in labels.items() if key not in dropped}
    return {key: labels[key] for key in node.labels if key in labels}


def _sum(values: Floats, present: Bools, starts: Indices, counts: Floats) -> Floats:
    total: Floats = np.add.reduceat(np.where(present, values, 0.0), starts, axis=0)
    return total


def _mean(values: Floats, present: Bools, starts: Indices, counts: Floats) -> Floats:
    mean = _sum(values, present, starts, counts) / counts
    # The sum can overflow where the mean does not.
    scaled = values / np.repeat(counts, np.diff(np.append(starts, len(values))), axis=0)
    return np.where(np.isinf(mean), _sum(scaled, present, starts, counts), mean)


def _deviation(values: Floats, present: Bools, starts: Indices, counts: Floats) -> Floats:
    sizes = np.diff(np.append(starts, len(values)))
    centred = values - np.repeat(_mean(values, present, starts, counts), sizes, axis=0)
    return np.sqrt(_sum(centred * centred, present, starts, counts) / counts)


def _smallest(values: Floats, present: Bools, starts: Indices, counts: Floats) -> Floats:
    # NaN is ignored unless there is nothing else, so absent values can be NaN here.
    smallest: Floats = np.fmin.reduceat(np.where(present, values, math.nan), starts, axis=0)
    return smallest


def _largest(values: Floats, present: Bools, starts: Indices, counts: Floats) -> Floats:
    largest: Floats = np.fmax.reduceat(np.where(present, values, math.nan), starts, axis=0)
    return largest


def _quantiles(
    values: Floats, present: Bools, starts: Indices, counts: Floats, level: Floats
) -> Floats:
    sizes = np.diff(np.append(starts, len(values)))
    steps = values.shape[1]
    result = np.empty((len(starts), steps))
    for number, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        rows = slice(start, start + size)
        part, part_present = values[rows], present[rows]
        # NaN counts as smaller than everything; absent values go to the end.
        order = np.lexsort((part, ~np.isnan(part), ~part_present), axis=0)
        ordered = np.take_along_axis(part, order, axis=0).T.ravel()
        of_step = np.maximum(counts[number], 1).astype(np.intp)
        result[number] = interpolate(ordered, np.arange(steps) * size, of_step, level)
    return result


def _ranked(vector: Vector, of_row: Indices, param: Floats | None, *, largest: bool) -> Vector:
    """NaN ranks last either way; among equals the earlier series wins."""
    present = np.zeros_like(vector.present)
    limit = np.zeros(vector.values.shape[1]) if param is None else np.nan_to_num(param, nan=0.0)
    for number in range(int(of_row.max()) + 1):
        rows = np.flatnonzero(of_row == number)
        part, part_present = vector.values[rows], vector.present[rows]
        order = np.lexsort((-part if largest else part, np.isnan(part), ~part_present), axis=0)
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(len(rows))[:, None], axis=0)
        present[rows] = part_present & (rank < np.trunc(limit))
    return Vector(vector.labels, vector.values, present)


_REDUCTIONS: dict[str, Callable[[Floats, Bools, Indices, Floats], Floats]] = {
    "sum": _sum,
    "avg": _mean,
    "min": _smallest,
    "max": _largest,
    "count": lambda values, present, starts, counts: counts,
    "stddev": _deviation,
}
