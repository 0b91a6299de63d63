"""Evaluates a tree, each node for all steps at once.

Functions are in tables, a module for each family: `range_functions`, `value_functions`,
`label_functions`, `histogram`, `aggregation`, `vector_matching`. Here is what they need: times,
selectors, subqueries, and the order of a result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pulseboard.promql import functions, histogram, label_functions, vector_matching
from pulseboard.promql.aggregation import aggregate, count_values
from pulseboard.promql.annotations import Annotations
from pulseboard.promql.array_types import Bools, Floats
from pulseboard.promql.ast import (
    LOOKBACK_DELTA,
    NAME,
    Aggregate,
    At,
    Binary,
    Call,
    Expr,
    Negate,
    Number,
    Read,
    Select,
    Subquery,
    Text,
    Within,
)
from pulseboard.promql.budget import Budget, unlimited
from pulseboard.promql.columns import MICRO, micros
from pulseboard.promql.range_functions import over_range
from pulseboard.promql.reads import read_of
from pulseboard.promql.series import SeriesSamples, SeriesValues, StoredSeries
from pulseboard.promql.times import Times, inside, time_of
from pulseboard.promql.value_functions import ELEMENTWISE, date_part
from pulseboard.promql.vector import (
    Value,
    Vector,
    distinct,
    empty,
    evaluation_error,
    nameless,
)
from pulseboard.promql.windows import instant

_KEEP_NAME = ("last_over_time", "first_over_time")
_OF_COUNTERS = ("rate", "irate", "increase")
_SMOOTHING = ("double_exponential_smoothing", "holt_winters")
_SORTED = {"sort": 1.0, "sort_desc": -1.0, "bottomk": 1.0, "topk": -1.0}
"""Operators whose result is in the order of the values: 1 for the smallest first."""


def evaluate(
    expr: Expr,
    *,
    times: Floats,
    data: Mapping[Read, Sequence[StoredSeries]],
    lookback_delta: float = LOOKBACK_DELTA,
    budget: Budget | None = None,
    annotations: Annotations | None = None,
) -> list[SeriesValues]:
    """See `pulseboard.promql.evaluate`."""
    steps = np.asarray(times, dtype=np.float64)
    evaluator = _Evaluator(
        steps,
        data,
        lookback_delta,
        budget,
        annotations,
    )
    with np.errstate(all="ignore"), evaluator.budget:
        value = evaluator.value(expr)
    if not isinstance(value, Vector):
        everywhere = np.ones(len(steps), dtype=np.bool_)
        return [SeriesValues({}, np.broadcast_to(_number(value), steps.shape).copy(), everywhere)]
    values = np.where(value.present, value.values, math.nan)
    has_samples: Bools = np.any(value.present, axis=1)
    rows = [row for row in _order(expr, value) if has_samples[row]]
    return [SeriesValues(value.labels[row], values[row], value.present[row]) for row in rows]


def evaluate_range(
    expr: Select | Subquery,
    *,
    time: float,
    data: Mapping[Read, Sequence[StoredSeries]],
    lookback_delta: float = LOOKBACK_DELTA,
    budget: Budget | None = None,
    annotations: Annotations | None = None,
) -> list[SeriesSamples]:
    """The samples of a range at one time, of each series that has any."""
    evaluator = _Evaluator(
        np.array([time]),
        data,
        lookback_delta,
        budget,
        annotations,
    )
    with np.errstate(all="ignore"), evaluator.budget:
        return evaluator.samples(expr)


def sign_of_order(expr: Expr) -> float:
    """1 when a result is listed from the smallest last value, -1 from the largest, else 0."""
    if isinstance(expr, Aggregate):
        return _SORTED.get(expr.operator, 0.0)
    return _SORTED.get(expr.function, 0.0) if isinstance(expr, Call) else 0.0


def _order(expr: Expr, vector: Vector) -> list[int]:
    """The rows in order: by labels; of topk, sort and the like by value at the last step."""
    # Labels of one origin have their keys in the same order: no need to sort inside them.
    rows = sorted(range(len(vector.labels)), key=lambda row: tuple(vector.labels[row].items()))
    sign = sign_of_order(expr)
    if sign and rows:
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
    """Evaluates at `times`, which are those of the query or, in a subquery, of its points."""

    def __init__(
        self,
        times: Floats,
        data: Mapping[Read, Sequence[StoredSeries]],
        lookback_delta: float,
        budget: Budget | None,
        annotations: Annotations | None,
    ) -> None:
        self.times = times
        self.data = data
        self.lookback_delta = lookback_delta
        self.budget = budget or unlimited()
        self.annotations = Annotations() if annotations is None else annotations
        self.within: tuple[Within, ...] = ()
        self.edges = (float(times[0]), float(times[-1])) if len(times) else (0.0, 0.0)

    def inside(self, node: Subquery) -> _Evaluator:
        """The evaluator of a subquery's expression."""
        first, last = float(self.times[0]), float(self.times[-1])
        outer = Times(first, last - first, 1 if last == first else 2)
        times = inside(outer, node.within, start=self.edges[0], end=self.edges[1])
        # Before it is allocated.
        self.budget.hold(self.budget.held + times.count)
        found = _Evaluator(
            times.array(),
            self.data,
            self.lookback_delta,
            self.budget,
            self.annotations,
        )
        found.within, found.edges = (*self.within, node.within), self.edges
        return found

    def value(self, expr: Expr) -> Value:
        before = self.budget.held
        # Whatever it is, it has a value at each of the times.
        self.budget.check_more(len(self.times))
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
                return self._select(expr)
            case Subquery():
                raise TypeError("the parser allows subqueries as arguments only")
            case Negate():
                inner = self.value(expr.expr)
                if not isinstance(inner, Vector):
                    return -_number(inner)
                labels = [nameless(each) for each in inner.labels]
                return distinct(Vector(labels, -inner.values, inner.present), expr.position)
            case Aggregate():
                return self._aggregate(expr)
            case Binary():
                return self._binary(expr)
            case Call():
                return self._call(expr)

    def _fixed(self, at: At) -> float | None:
        return time_of(at, start=self.edges[0], end=self.edges[1])

    def _select(self, node: Select, *, dated: bool = False) -> Vector:
        stored = self.data[read_of(node, "", self.within)]
        at = self._fixed(node.at)
        times = self.times if at is None else np.full(min(1, len(self.times)), at)
        self.budget.check_more(len(stored) * len(times))
        found = instant(stored, times - node.offset, self.lookback_delta, dated=dated)
        return self._spread(found)

    def _spread(self, vector: Vector) -> Vector:
        """The same values at every step, of what was evaluated at one."""
        steps = len(self.times)
        if vector.values.shape[1] == steps:
            return vector
        shape = (len(vector.labels), steps)
        return Vector(
            vector.labels,
            np.broadcast_to(vector.values, shape),
            np.broadcast_to(vector.present, shape),
        )

    def _aggregate(self, node: Aggregate) -> Vector:
        param = None if node.param is None else self.value(node.param)
        vector = _vector(self.value(node.expr))
        if node.operator == "count_values":
            label = _text(param) if param is not None else ""
            label_functions.check_label(label, node.position)
            return count_values(node, vector, label, self.budget)
        if node.operator == "quantile" and node.param is not None:
            self._check_levels(node.param, param)
        return aggregate(node, vector, None if param is None else _number(param))

    def _check_levels(self, argument: Expr, level: Value | None) -> None:
        if isinstance(level, np.ndarray):
            for each in np.unique(level[~((level >= 0) & (level <= 1))]):
                self.annotations.check_quantile(argument, float(each))

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
        name = call.function
        if name in functions.WINDOW_NEEDS:
            return self._over_range(call)
        if name in ELEMENTWISE:
            return self._elementwise(call)
        if name in functions.DATES:
            return self._date(call)
        if name == "timestamp" and isinstance(call.args[0], Select):
            return self._nameless(self._select(call.args[0], dated=True), call.position)
        args = [self.value(arg) for arg in call.args]
        match name:
            case "time":
                return self.times
            case "pi":
                return np.full(len(self.times), math.pi)
            case "scalar":
                return _scalar(_vector(args[0]))
            case "vector":
                everywhere = np.ones((1, len(self.times)), dtype=np.bool_)
                return Vector([{}], _number(args[0])[None, :], everywhere)
            case "absent":
                return self._absent(call.args[0], _vector(args[0]))
            case "sort" | "sort_desc":
                if self.edges[0] != self.edges[1]:
                    self.annotations.warn(
                        call,
                        "sort is ineffective for range queries since results are always ordered "
                        "by labels",
                    )
                return args[0]
            case "timestamp":
                vector = _vector(args[0])
                times = np.broadcast_to(self.times, vector.values.shape)
                return self._nameless(Vector(vector.labels, times, vector.present), call.position)
            case "label_replace" | "label_join":
                texts = [_text(arg) for arg in args[1:]]
                change = getattr(label_functions, name)
                changed: Vector = change(_vector(args[0]), texts, call.position, self.budget)
                return changed
        if name in functions.NATIVE_HISTOGRAMS:
            self.annotations.inform(call, f"{name} has no result: there are no native histograms")
            return empty(len(self.times))
        return self._histogram(call, args)

    def _histogram(self, call: Call, args: list[Value]) -> Vector:
        vector, argument = _vector(args[-1]), call.args[-1]
        for metric, bound in dict.fromkeys(histogram.malformed(vector)):
            self.annotations.warn(
                argument,
                f'bucket label "le" is missing or has a malformed value of "{bound}"'
                f"{_of_metric(metric)}",
            )
        if call.function == "histogram_fraction":
            return histogram.histogram_fraction(
                _number(args[0]), _number(args[1]), vector, call.position
            )
        self._check_levels(call.args[0], args[0])
        found, forced = histogram.histogram_quantile(_number(args[0]), vector, call.position)
        for metric in sorted(forced):
            self.annotations.inform(
                argument,
                "input to histogram_quantile needed to be fixed for monotonicity (see "
                "https://prometheus.io/docs/prometheus/latest/querying/functions/"
                f"#histogram_quantile){_of_metric(metric)}",
            )
        return found

    def _over_range(self, call: Call) -> Vector:
        name = call.function
        types = functions.FUNCTIONS[name].args
        ranged = call.args[types.index(functions.Type.MATRIX)]
        numbers = [_number(self.value(arg)) for arg in call.args if arg is not ranged]
        if name == "quantile_over_time":
            self._check_levels(call.args[0], numbers[0])
        if name in _SMOOTHING:
            _check_factors(numbers, call.position)
        if not isinstance(ranged, Select | Subquery):
            raise TypeError("the parser allows only ranges here")
        at = self._fixed(ranged.at)
        times = self.times if at is None else np.full(len(self.times), at)
        if name == "predict_linear":
            numbers.insert(0, self.times)
        elif at is not None and all(_constant(each) for each in numbers):
            # The same at every step.
            times, numbers = times[:1], [each[:1] for each in numbers]
        stored = self._stored(ranged, name)
        self.budget.check_more(len(stored) * len(times))
        result = over_range(
            name, stored, times - ranged.offset, ranged.window or 0.0, numbers, self.budget
        )
        result = self._spread(result)
        if name in _OF_COUNTERS:
            for row in np.flatnonzero(result.present.any(axis=1)):
                self.annotations.check_counter(ranged, result.labels[row].get(NAME, ""))
        if name == "absent_over_time":
            return self._absent(ranged, result)
        return result if name in _KEEP_NAME else self._nameless(result, call.position)

    def samples(self, ranged: Select | Subquery) -> list[SeriesSamples]:
        """What a range holds at the first of the times."""
        at = self._fixed(ranged.at)
        end = micros(np.array([(self.times[0] if at is None else at) - ranged.offset]))[0]
        start = end - round((ranged.window or 0.0) * MICRO)
        found = []
        for each in self._stored(ranged, ""):
            if not isinstance(each, SeriesSamples):
                raise TypeError("a range is read as samples")
            times = micros(each.times)
            inside = (times > start) & (times <= end)
            if inside.any():
                found.append(SeriesSamples(each.labels, each.times[inside], each.values[inside]))
        return sorted(found, key=lambda each: tuple(each.labels.items()))

    def _stored(self, ranged: Select | Subquery, function: str) -> Sequence[StoredSeries]:
        if isinstance(ranged, Select):
            return self.data[read_of(ranged, function, self.within)]
        if not len(self.times):
            return []
        evaluator = self.inside(ranged)
        if not len(evaluator.times):
            return []
        vector = _vector(evaluator.value(ranged.expr))
        return [
            SeriesSamples(labels, evaluator.times[present], values[present])
            for labels, values, present in zip(
                vector.labels, vector.values, vector.present, strict=True
            )
        ]

    def _nameless(self, vector: Vector, position: int) -> Vector:
        labels = [nameless(each) for each in vector.labels]
        return distinct(Vector(labels, vector.values, vector.present), position)

    def _elementwise(self, call: Call) -> Vector:
        vector = _vector(self.value(call.args[0]))
        extra = [_number(self.value(arg)) for arg in call.args[1:]]
        present = vector.present
        if call.function == "clamp":
            present = present & ~(extra[1] < extra[0])
        values = ELEMENTWISE[call.function](vector.values, *extra)
        return self._nameless(Vector(vector.labels, values, present), call.position)

    def _date(self, call: Call) -> Vector:
        if not call.args:
            everywhere = np.ones((1, len(self.times)), dtype=np.bool_)
            return Vector([{}], date_part(call.function, self.times)[None, :], everywhere)
        vector = _vector(self.value(call.args[0]))
        values = date_part(call.function, vector.values)
        return self._nameless(replace(vector, values=values), call.position)

    def _absent(self, argument: Expr, vector: Vector) -> Vector:
        missing = np.logical_not(vector.present.any(axis=0, keepdims=True))
        if not missing.any():
            return empty(len(self.times))
        labels = label_functions.labels_of_absent(argument)
        return Vector([labels], np.ones(missing.shape), missing)


def _of_metric(name: str) -> str:
    return f' for metric name "{name}"' if name else ""


def _constant(values: Floats) -> bool:
    return bool((values == values[:1]).all())


def _check_factors(numbers: Sequence[Floats], position: int) -> None:
    for kind, values in zip(("smoothing", "trend"), numbers, strict=True):
        wrong = values[~((values > 0) & (values < 1))]
        if len(wrong):
            raise evaluation_error(
                position,
                f"invalid {kind} factor. Expected: 0 < {kind[0]}f < 1, got: {wrong[0]:f}",
                "such as double_exponential_smoothing(x[1h], 0.5, 0.5)",
            )


def _scalar(vector: Vector) -> Floats:
    """The value of the series where there is exactly one at a step, else NaN."""
    single = vector.present.sum(axis=0) == 1
    if not vector.labels:
        return np.full(len(single), math.nan)
    values = vector.values[vector.present.argmax(axis=0), np.arange(len(single))]
    return np.where(single, values, math.nan)
