"""Aggregations across series, for all steps at once."""

import math
from collections.abc import Callable
from decimal import Decimal

import numpy as np

from pulseboard.promql.array_types import Bools, Floats, Indices
from pulseboard.promql.ast import NAME, Aggregate
from pulseboard.promql.budget import Budget
from pulseboard.promql.distribution_functions import interpolate
from pulseboard.promql.series import Labels
from pulseboard.promql.sums import MEAN_SCALE, cancelled, exact, unscaled_mean
from pulseboard.promql.vector import Vector, empty, evaluation_error, group, key_of

_MOST_SERIES = 2.0**63


def aggregate(node: Aggregate, vector: Vector, param: Floats | None) -> Vector:
    """One series for each group; topk and bottomk select series of the group instead.

    Raises InvalidRequest for a number of series that is none.
    """
    steps = vector.values.shape[1]
    if node.operator in ("topk", "bottomk") and param is not None:
        _check_count(node, param)
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


def _check_count(node: Aggregate, param: Floats) -> None:
    for wrong, message in (
        (np.isnan(param), "Parameter value is NaN"),
        (np.abs(param) >= _MOST_SERIES, "Scalar value {} overflows int64"),
    ):
        if wrong.any():
            raise evaluation_error(
                node.position,
                message.format(param[wrong][0]),
                f"say how many series, such as {node.operator}(5, x)",
            )


def count_values(node: Aggregate, vector: Vector, label: str, budget: Budget) -> Vector:
    """For each group and value one series, with how many series of the group have the value."""
    steps = vector.values.shape[1]
    rows, columns = np.nonzero(vector.present)
    if not len(rows):
        return empty(steps)
    grouped = [_group_labels(node, labels) for labels in vector.labels]
    firsts, of_row = group([key_of(labels) for labels in grouped])
    found = vector.values[rows, columns]
    # All NaN are one value; -0 is another one than 0.
    bits = np.where(np.isnan(found), math.nan, found).view(np.int64)
    distinct, of_sample = np.unique(bits, return_inverse=True)
    series = of_row[rows] * len(distinct) + of_sample.ravel()
    numbers, of_sample = np.unique(series, return_inverse=True)
    # As many series as values, each with all steps.
    budget.check_more(len(numbers) * steps)
    counts = np.zeros((len(numbers), steps))
    np.add.at(counts, (of_sample.ravel(), columns), 1.0)
    texts = [format_float(number) for number in distinct.view(np.float64).tolist()]
    budget.add_label_bytes(
        sum(len(label) + len(texts[number % len(distinct)]) for number in numbers.tolist())
    )
    labels = [
        {**grouped[firsts[number // len(distinct)]], label: texts[number % len(distinct)]}
        for number in numbers.tolist()
    ]
    # The label may be one that tells the groups apart.
    ends, of_series = group([key_of(each) for each in labels])
    merged = np.zeros((len(ends), steps))
    np.add.at(merged, of_series, counts)
    return Vector([labels[row] for row in ends], merged, merged > 0)


def format_float(number: float) -> str:
    """A number in decimal without an exponent, as Prometheus writes it in labels."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    text = repr(number)
    if "e" in text:
        text = f"{Decimal(text):f}"
    return text.removesuffix(".0")


def _sum(values: Floats, present: Bools, starts: Indices, counts: Floats) -> Floats:
    masked = np.where(present, values, 0.0)
    total: Floats = np.add.reduceat(masked, starts, axis=0)
    again = cancelled(total, np.add.reduceat(np.abs(masked), starts, axis=0))
    ends = [*starts[1:], len(masked)]
    for number in np.flatnonzero(again.any(axis=1)):
        steps = np.flatnonzero(again[number])
        total[number, steps] = exact(masked[starts[number] : ends[number], steps])
    return total


def _mean(values: Floats, present: Bools, starts: Indices, counts: Floats) -> Floats:
    mean = _sum(values, present, starts, counts) / counts
    overflowed = ~np.isfinite(mean)
    if overflowed.any():
        scaled = _sum(values / MEAN_SCALE, present, starts, counts) / counts
        mean = np.where(overflowed, unscaled_mean(scaled), mean)
    return mean


def _variance(values: Floats, present: Bools, starts: Indices, counts: Floats) -> Floats:
    sizes = np.diff(np.append(starts, len(values)))
    centred = values - np.repeat(_mean(values, present, starts, counts), sizes, axis=0)
    # Once more for the error of the mean: the deviation of equal values is 0.
    centred = centred - np.repeat(_mean(centred, present, starts, counts), sizes, axis=0)
    return _sum(centred * centred, present, starts, counts) / counts


def _deviation(values: Floats, present: Bools, starts: Indices, counts: Floats) -> Floats:
    return np.sqrt(_variance(values, present, starts, counts))


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
    limit = np.zeros(vector.values.shape[1]) if param is None else param
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
    "stdvar": _variance,
    "group": lambda values, present, starts, counts: np.ones_like(counts),
}
