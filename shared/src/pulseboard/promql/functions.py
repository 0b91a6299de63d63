"""The functions, aggregations and operators of PromQL, with the types that they take and give."""

from dataclasses import dataclass
from enum import StrEnum

from pulseboard.promql.ast import Need


class Type(StrEnum):
    """What an expression gives, by Prometheus' names."""

    SCALAR = "scalar"
    VECTOR = "instant vector"
    MATRIX = "range vector"
    STRING = "string"


@dataclass(frozen=True, slots=True)
class Signature:
    """The types of a function's arguments and of its result.

    The last `optional` arguments may be left out; the last one may be repeated if `repeated`.
    """

    args: tuple[Type, ...]
    result: Type = Type.VECTOR
    optional: int = 0
    repeated: bool = False

    @property
    def least(self) -> int:
        """How many arguments there must be."""
        return len(self.args) - self.optional

    def type_of(self, position: int) -> Type | None:
        """The type of an argument; None: there are too many."""
        if position < len(self.args):
            return self.args[position]
        return self.args[-1] if self.repeated else None


_S, _V, _M, _T = Type.SCALAR, Type.VECTOR, Type.MATRIX, Type.STRING

AGGREGATIONS: dict[str, Type | None] = {
    **dict.fromkeys(("sum", "avg", "min", "max", "count", "stddev", "stdvar", "group")),
    **{"quantile": _S, "topk": _S, "bottomk": _S, "count_values": _T},
}
"""Aggregations, and the type of their parameter."""

WINDOW_NEEDS = {
    "rate": Need.COUNTER,
    "increase": Need.COUNTER,
    "delta": Need.COUNTER,
    "irate": Need.SAMPLES,
    "idelta": Need.SAMPLES,
    "deriv": Need.SAMPLES,
    "predict_linear": Need.SAMPLES,
    "changes": Need.CHANGES,
    "resets": Need.CHANGES,
    "avg_over_time": Need.AVG,
    "min_over_time": Need.MIN,
    "max_over_time": Need.MAX,
    "sum_over_time": Need.SUM,
    "count_over_time": Need.COUNT,
    "first_over_time": Need.FIRST,
    "last_over_time": Need.LAST,
    "quantile_over_time": Need.SAMPLES,
    "stddev_over_time": Need.DEVIATION,
    "stdvar_over_time": Need.DEVIATION,
    "mad_over_time": Need.SAMPLES,
    "present_over_time": Need.COUNT,
    "absent_over_time": Need.COUNT,
    "double_exponential_smoothing": Need.SAMPLES,
    "holt_winters": Need.SAMPLES,
    "ts_of_first_over_time": Need.FIRST,
    "ts_of_last_over_time": Need.FIRST,
    "ts_of_min_over_time": Need.SAMPLES,
    "ts_of_max_over_time": Need.SAMPLES,
}
"""Range functions, and the statistics of a bucket that are enough for each."""

ELEMENTWISE = (
    *("abs", "ceil", "floor", "round", "clamp", "clamp_min", "clamp_max", "sgn"),
    *("ln", "log2", "log10", "exp", "sqrt", "deg", "rad"),
    *("sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
)
"""Functions of each value by itself."""
DATES = (
    *("minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month"),
    *("month", "year"),
)
"""Functions of a time in seconds since 1970, by default of the evaluation's."""
NATIVE_HISTOGRAMS = (
    *("histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar"),
)
"""Functions that have a result for native histograms only."""

_WITH_NUMBERS = {
    "round": Signature((_V, _S), optional=1),
    "clamp": Signature((_V, _S, _S)),
    "clamp_min": Signature((_V, _S)),
    "clamp_max": Signature((_V, _S)),
    "quantile_over_time": Signature((_S, _M)),
    "predict_linear": Signature((_M, _S)),
    "double_exponential_smoothing": Signature((_M, _S, _S)),
    "holt_winters": Signature((_M, _S, _S)),
}
FUNCTIONS: dict[str, Signature] = {
    **dict.fromkeys(WINDOW_NEEDS, Signature((_M,))),
    **dict.fromkeys((*ELEMENTWISE, *NATIVE_HISTOGRAMS), Signature((_V,))),
    **dict.fromkeys(DATES, Signature((_V,), optional=1)),
    **_WITH_NUMBERS,
    "histogram_quantile": Signature((_S, _V)),
    "histogram_fraction": Signature((_S, _S, _V)),
    "label_replace": Signature((_V, _T, _T, _T, _T)),
    "label_join": Signature((_V, _T, _T, _T), optional=1, repeated=True),
    "absent": Signature((_V,)),
    "sort": Signature((_V,)),
    "sort_desc": Signature((_V,)),
    "timestamp": Signature((_V,)),
    "scalar": Signature((_V,), _S),
    "vector": Signature((_S,)),
    "time": Signature((), _S),
    "pi": Signature((), _S),
}

_EXPERIMENTAL = "experimental in Prometheus, and not supported"
_METRICSQL = "MetricsQL's, and not supported"
REFUSED: dict[str, str] = {
    **dict.fromkeys(("limitk", "limit_ratio", "info", "sort_by_label"), _EXPERIMENTAL),
    **dict.fromkeys(("sort_by_label_desc", "histogram_quantiles"), _EXPERIMENTAL),
    **dict.fromkeys(("start_timestamp", "max_of", "min_of"), _EXPERIMENTAL),
    **dict.fromkeys(("default_rollup", "rollup_rate", "rollup", "increase_pure"), _METRICSQL),
    **dict.fromkeys(("sum_over_time_pure", "range_avg", "range_max", "range_min"), _METRICSQL),
    **dict.fromkeys(("range_last", "range_median", "range_sum", "running_sum"), _METRICSQL),
    **dict.fromkeys(("topk_max", "topk_min", "topk_avg", "topk_last", "bottomk_avg"), _METRICSQL),
    **dict.fromkeys(("bottomk_max", "bottomk_min", "median", "any", "distinct"), _METRICSQL),
    **dict.fromkeys(("keep_last_value", "interpolate", "label_set", "label_del"), _METRICSQL),
    **dict.fromkeys(("label_value", "alias", "union", "sum2", "outliersk", "limit"), _METRICSQL),
}
"""Names that people may know from elsewhere, and why they are refused."""

ARITHMETIC = ("+", "-", "*", "/", "%", "^", "atan2")
COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
SETS = ("and", "or", "unless")
OPERATORS = (*ARITHMETIC, *COMPARISONS, *SETS)
PRECEDENCE = {
    **{"or": 1, "and": 2, "unless": 2},
    **dict.fromkeys(COMPARISONS, 3),
    **{"+": 4, "-": 4, "*": 5, "/": 5, "%": 5, "atan2": 5, "^": 6},
}
"""How strongly operators bind; the unary minus binds like `*`."""

MAX_DEPTH = 50
"""Levels of brackets: deeper ones would exhaust the stack."""
MAX_DURATION = 100 * 365 * 86_400
"""Seconds in a window or an offset: as far as the calendar reaches from any sample."""
MAX_OPERATORS = 200
"""Operators in one expression, for the same reason."""
