"""An alert rule of ours as one expression of Prometheus, with brackets where they are needed."""

from pulseboard.contracts.alerts import AlertCondition, AlertRuleFields, Reducer
from pulseboard.core.exceptions import InvalidRequest

SIGNS = {
    AlertCondition.GT: ">",
    AlertCondition.GTE: ">=",
    AlertCondition.LT: "<",
    AlertCondition.LTE: "<=",
    AlertCondition.EQ: "==",
    AlertCondition.NE: "!=",
}
_OVER_TIME = {
    Reducer.LAST: "last_over_time",
    Reducer.AVG: "avg_over_time",
    Reducer.MIN: "min_over_time",
    Reducer.MAX: "max_over_time",
    Reducer.SUM: "sum_over_time",
}
_RESOLUTION = "10s"
"""How far apart an expression is evaluated in a window."""


def expression_of(rule: AlertRuleFields) -> str:
    """The expression whose series are the alerts of a rule: query, window, comparison."""
    if rule.condition is AlertCondition.RETURNED or rule.threshold is None:
        return rule.query
    comparison = f"{SIGNS[rule.condition]} {_number(rule.threshold)}"
    return _compared(_over_window(rule), comparison)


def _compared(query: str, comparison: str) -> str:
    """A query with a comparison behind it: the first form that means that."""
    from pulseboard.promql import parse
    from pulseboard.promql.ast import Binary

    # The last one is for a query that ends in a comment.
    for text in (f"{query} {comparison}", f"({query}) {comparison}"):
        try:
            tree = parse(text)
            if isinstance(tree, Binary) and tree.left == parse(query):
                return text
        except InvalidRequest:
            pass
    return f"(\n{query}\n) {comparison}"


def _over_window(rule: AlertRuleFields) -> str:
    """The query, reduced over its window."""
    from pulseboard.promql import parse
    from pulseboard.promql.ast import Select

    try:
        tree = parse(rule.query)
    except InvalidRequest:
        # A stored query that no parser takes any more is shown as it is.
        return rule.query
    if rule.window is None and rule.reducer is Reducer.LAST:
        return rule.query
    window = rule.window or rule.duration
    if window == "0s":
        window = "1m"
    function = _OVER_TIME[rule.reducer]
    if isinstance(tree, Select) and tree.window is None and not tree.offset and tree.at is None:
        return f"{function}({rule.query}[{window}])"
    return f"{function}(({rule.query})[{window}:{_RESOLUTION}])"


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")
