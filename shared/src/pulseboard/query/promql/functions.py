"""The supported subset of PromQL: its functions, aggregations and operators."""

from pulseboard.query.promql.ast import Need

AGGREGATIONS = (
    *("sum", "avg", "min", "max", "count", "stddev", "quantile"),
    *("topk", "bottomk"),
)
WINDOW_NEEDS = {
    "rate": Need.COUNTER,
    "increase": Need.COUNTER,
    "delta": Need.COUNTER,
    "irate": Need.SAMPLES,
    "deriv": Need.SAMPLES,
    "avg_over_time": Need.AVG,
    "min_over_time": Need.MIN,
    "max_over_time": Need.MAX,
    "sum_over_time": Need.SUM,
    "count_over_time": Need.COUNT,
    "last_over_time": Need.LAST,
    "quantile_over_time": Need.SAMPLES,
    "stddev_over_time": Need.SAMPLES,
    "present_over_time": Need.COUNT,
    "absent_over_time": Need.COUNT,
}
"""Range functions, and the statistics of a bucket that are enough for each."""
ELEMENTWISE = (
    *("abs", "ceil", "floor", "round", "clamp", "clamp_min", "clamp_max"),
    *("ln", "log2", "log10", "exp", "sqrt"),
)
OTHER = ("histogram_quantile", "label_replace", "absent", "time", "scalar", "vector")
FUNCTIONS = (*WINDOW_NEEDS, *ELEMENTWISE, *OTHER)

ARITHMETIC = ("+", "-", "*", "/", "%", "^")
COMPARISONS = ("==", "!=", ">", "<", ">=", "<=")
SETS = ("and", "or", "unless")
OPERATORS = (*ARITHMETIC, *COMPARISONS, *SETS)

MAX_DEPTH = 50
"""Levels of brackets: deeper ones would exhaust the stack."""
MAX_DURATION = 100 * 365 * 86_400
"""Seconds in a window or an offset: as far as the calendar reaches from any sample."""
MAX_OPERATORS = 200
"""Operators in one expression, for the same reason."""
