"""Evaluates a tree, each node for all steps at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pulseboard.core.patterns import compiled
from pulseboard.query.promql import vector_matching
from pulseboard.query.promql.aggregation import aggregate
from pulseboard.query.promql.array_types import Bools, Floats
from pulseboard.query.promql.ast import (
    LOOKBACK_DELTA,
    NAME,
    Aggregate,
    Binary,
    Call,
    Expr,
    Negate,
    Number,
    Read,
    Select,
    Text,
)
from pulseboard.query.promql.budget import Budget, unlimited
from pulseboard.query.promql.histogram import histogram_quantile
from pulseboard.query.promql.parser import read_of
from pulseboard.query.promql.range_functions import instant, over_range
from pulseboard.query.promql.series import Labels, SeriesValues, StoredSeries
from pulseboard.query.promql.vector import (
    Value,
    Vector,
    distinct,
    empty,
    evaluation_error,
    nameless,
)

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")
_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)
_KEEP_NAME = ("last_over_time",)

_ELEMENTWISE: dict[str, Callable[..., Floats]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "clamp_min": np.maximum,
    "clamp_max": np.minimum,
    "clamp": lambda values, low, high: np.maximum(low, np.minimum(high, values)),
    # Halves are rounded up; dividing by the inverse is exact for 0.1 and the like.
    "round": lambda values, to=1.0: np.floor(values * (1 / to) + 0.5) / (1 / to),
}


def evaluate(
    expr: Expr,
    *,
    times: Floats,
    data: Mapping[Read, Sequence[StoredSeries]],
    lookback_delta: float = LOOKBACK_DELTA,
    budget: Budget | None = None,
) -> list[SeriesValues]:
    """See `pulseboard.query.promql.evaluate`."""
    steps = np.asarray(times, dtype=np.float64)
    with np.errstate(all="ignore"):
        value = _Evaluator(steps, data, lookback_delta, budget or unlimited()).value(expr)
    if not isinstance(value, Vector):
        everywhere = np.ones(len(steps), dtype=np.bool_)
        return [SeriesValues({}, np.broadcast_to(_number(value), steps.shape).copy(), everywhere)]
    values = np.where(value.present, value.values, math.nan)
    has_samples: Bools = np.any(value.present, axis=1)
    rows = [row for row in _order(expr, value) if has_samples[row]]
    return [SeriesValues(value.labels[row], values[row], value.present[row]) for row in rows]


def _order(expr: Expr, vector: Vector) -> list[int]:
    """The rows in order: by labels; of topk and bottomk by rank at the last step."""
    # Labels of one origin have their keys in the same order: no need to sort inside them.
    rows = sorted(range(len(vector.labels)), key=lambda row: tuple(vector.labels[row].items()))
    if isinstance(expr, Aggregate) and expr.operator in ("topk", "bottomk") and rows:
        sign = -1.0 if expr.operator == "topk" else 1.0
        last = np.where(vector.present[:, -1], sign * vector.values[:, -1], math.nan)
        rows.sort(key=lambda row: (math.isnan(last[row]), last[row]))
    return rows


def _size(value: Value) -> int:
    if isinstance(value, Vector):
        return value.values.size
    return value.size if isinstance(value, np.ndarray) else 0


def _number(value: Value) -> Floats:
    if isinstance(value, np.ndarray):
        return value
    raise TypeError("the parser allows only scalars here")


def _vector(value: Value) -> Vector:
    if isinstance(value, Vector):
        return value
    raise TypeError("the parser allows only vectors here")


def _text(value: Value) -> str:
    if isinstance(value, str):
        return value
    raise TypeError("the parser allows only texts here")


class _Evaluator:
    def __init__(
        self,
        times: Floats,
        data: Mapping[Read, Sequence[StoredSeries]],
        lookback_delta: float,
        budget: Budget,
    ) -> None:
        self.times = times
        self.data = data
        self.lookback_delta = lookback_delta
        self.budget = budget

    def value(self, expr: Expr) -> Value:
        before = self.budget.held
        value = self._value(expr)
        # The values of its operands are free again.
        self.budget.hold(before + _size(value))
        return value

    def _value(self, expr: Expr) -> Value:
        match expr:
            case Number():
                return np.full(len(self.times), expr.value)
            case Text():
                return expr.value
            case Select():
                read = read_of(expr, "")
                return instant(self.data[read], self.times - expr.offset, self.lookback_delta)
            case Negate():
                inner = self.value(expr.expr)
                if not isinstance(inner, Vector):
                    return -_number(inner)
                labels = [nameless(each) for each in inner.labels]
                return distinct(Vector(labels, -inner.values, inner.present), expr.position)
            case Aggregate():
                param = None if expr.param is None else _number(self.value(expr.param))
                return aggregate(expr, _vector(self.value(expr.expr)), param)
            case Binary():
                return self._binary(expr)
            case Call():
                return self._call(expr)

    def _binary(self, node: Binary) -> Value:
        left, right = self.value(node.left), self.value(node.right)
        if isinstance(left, Vector):
            if isinstance(right, Vector):
                return vector_matching.vectors(node, left, right)
            return vector_matching.with_scalar(node, left, _number(right), scalar_first=False)
        if isinstance(right, Vector):
            return vector_matching.with_scalar(node, right, _number(left), scalar_first=True)
        return vector_matching.scalars(node, _number(left), _number(right))

    def _call(self, call: Call) -> Value:
        selects = [arg for arg in call.args if isinstance(arg, Select) and arg.window is not None]
        if selects:
            return self._over_range(call, selects[0])
        if call.function in _ELEMENTWISE:
            return self._elementwise(call)
        args = [self.value(arg) for arg in call.args]
        match call.function:
            case "time":
                return self.times
            case "scalar":
                return _scalar(_vector(args[0]))
            case "vector":
                everywhere = np.ones((1, len(self.times)), dtype=np.bool_)
                return Vector([{}], _number(args[0])[None, :], everywhere)
            case "absent":
                return self._absent(call.args[0], _vector(args[0]))
            case "histogram_quantile":
                return histogram_quantile(_number(args[0]), _vector(args[1]))
            case "label_replace":
                return _label_replace(
                    _vector(args[0]), [_text(arg) for arg in args[1:]], call.position, self.budget
                )
        raise TypeError(f"the parser allows no function {call.function}")

    def _over_range(self, call: Call, select: Select) -> Vector:
        level = None
        if call.function == "quantile_over_time":
            level = _number(self.value(call.args[0]))
        stored = self.data[read_of(select, call.function)]
        times = self.times - select.offset
        result = over_range(call.function, stored, times, select.window or 0.0, level, self.budget)
        if call.function == "absent_over_time":
            return self._absent(select, result)
        if call.function in _KEEP_NAME:
            return result
        labels = [nameless(each) for each in result.labels]
        return distinct(Vector(labels, result.values, result.present), call.position)

    def _elementwise(self, call: Call) -> Vector:
        vector = _vector(self.value(call.args[0]))
        extra = [_number(self.value(arg)) for arg in call.args[1:]]
        present = vector.present
        if call.function == "clamp":
            present = present & ~(extra[1] < extra[0])
        values = _ELEMENTWISE[call.function](vector.values, *extra)
        labels = [nameless(each) for each in vector.labels]
        return distinct(Vector(labels, values, present), call.position)

    def _absent(self, argument: Expr, vector: Vector) -> Vector:
        missing = np.logical_not(vector.present.any(axis=0, keepdims=True))
        if not missing.any():
            return empty(len(self.times))
        return Vector([_labels_of_absent(argument)], np.ones(missing.shape), missing)


def _scalar(vector: Vector) -> Floats:
    """The value of the series where there is exactly one at a step, else NaN."""
    single = vector.present.sum(axis=0) == 1
    if not vector.labels:
        return np.full(len(single), math.nan)
    values = vector.values[vector.present.argmax(axis=0), np.arange(len(single))]
    return np.where(single, values, math.nan)


def _labels_of_absent(argument: Expr) -> Labels:
    """The labels of a series that is absent: those that exactly one matcher `=` gives."""
    labels: Labels = {}
    if not isinstance(argument, Select):
        return labels
    keys = [matcher.key for matcher in argument.matchers]
    for matcher in argument.matchers:
        unique = keys.count(matcher.key) == 1
        if matcher.operator == "=" and unique and matcher.value and matcher.key != NAME:
            labels[matcher.key] = matcher.value
    return labels


def _label_replace(vector: Vector, texts: list[str], position: int, budget: Budget) -> Vector:
    target, replacement, source, pattern = texts
    if not _LABEL.fullmatch(target):
        raise evaluation_error(
            position, f"{target!r} is not a tag key", "use letters, digits and _"
        )
    replacing = compiled(pattern)
    labels = []
    for each in vector.labels:
        matched = replacing.fullmatch(each.get(source, ""))
        replaced = dict(each)
        if matched:
            replaced.pop(target, None)
            if value := _expanded(replacement, matched, budget):
                replaced[target] = value
        labels.append(replaced)
    return distinct(Vector(labels, vector.values, vector.present), position)


def _expanded(template: str, matched: Any, budget: Budget) -> str:
    """Replace `$1`, `${1}` and `${name}` by what the group matched; an unknown group is empty."""

    def group(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if name is None:
            return "$"
        text = referenced(name)
        # Before the parts are joined: a long template of a long label is longer than memory.
        budget.add_label_bytes(len(text))
        return text

    def referenced(name: str) -> str:
        known = int(name) <= matched.re.groups if name.isdigit() else name in matched.re.groupindex
        return (matched[int(name) if name.isdigit() else name] or "") if known else ""

    budget.add_label_bytes(len(template))
    return _REFERENCE.sub(group, template)
