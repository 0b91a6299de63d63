"""Prepares expressions for reading: adds filters, fits windows to a tier, and recognises those
that the database can compute whole.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from pulseboard.catalogue.selector import Matcher
from pulseboard.contracts.base import format_interval
from pulseboard.contracts.vocabulary import Tier
from pulseboard.query.promql.ast import (
    LOOKBACK_DELTA,
    NAME,
    Aggregate,
    Binary,
    Call,
    Expr,
    Need,
    Negate,
    Read,
    Select,
)
from pulseboard.query.promql.parser import parse, selectors
from pulseboard.query.tiers import RESOLUTIONS, TABLES

_PUSHDOWN_FUNCTIONS = {
    "avg_over_time": "avg",
    "min_over_time": "min",
    "max_over_time": "max",
    "sum_over_time": "sum",
    "count_over_time": "count",
}
_PUSHDOWN_OPERATORS = ("sum", "avg", "min", "max", "count")
_TWO_SAMPLES = ("rate", "irate", "increase", "delta", "deriv")


@dataclass(frozen=True, slots=True)
class Pushdown:
    """An expression that is one statement: `operator` over groups of each series' `statistic`."""

    read: Read
    statistic: str
    operator: str
    labels: tuple[str, ...]
    without: bool

    def group_of(self, tags: dict[str, str]) -> dict[str, str]:
        """The labels of the group that a series is in."""
        if self.without:
            return {key: value for key, value in tags.items() if key not in self.labels}
        return {key: tags[key] for key in self.labels if tags.get(key)}


@dataclass(frozen=True, slots=True)
class Expression:
    """A tree, its text as it was sent, and for how many seconds a sample is the current value."""

    tree: Expr
    text: str
    lookback_delta: float = LOOKBACK_DELTA

    @property
    def reads(self) -> list[Read]:
        """What its selectors read, each once."""
        return selectors(self.tree)

    @property
    def lookback(self) -> float:
        """How many seconds before a point the oldest sample may be that it depends on."""
        lookbacks = [(read.window or self.lookback_delta) + read.offset for read in self.reads]
        return max(0.0, *lookbacks) if lookbacks else 0.0

    @property
    def lookahead(self) -> float:
        """How many seconds after a point the newest sample may be that it depends on."""
        return max(0.0, *(-read.offset for read in self.reads), 0.0)

    @property
    def rank(self) -> int:
        """1 when lines are listed from the largest last value, -1 from the smallest, else 0."""
        if isinstance(self.tree, Aggregate):
            return {"topk": 1, "bottomk": -1}.get(self.tree.operator, 0)
        return 0

    def fitted_to(self, tier: Tier) -> tuple["Expression", list[str]]:
        """The expression as it can be computed from a tier, and notes on what was changed.

        A rollup stores no times inside its buckets: windows and offsets become whole buckets.
        """
        if tier is Tier.RAW:
            return self, []
        width, table = RESOLUTIONS[tier], TABLES[tier]
        notes: list[str] = []

        def fit(select: Select, function: str) -> Select:
            window = select.window
            if window is not None:
                least = 2 * width if function in _TWO_SAMPLES else width
                window = max(math.ceil(window / width) * width, least)
            offset = math.ceil(select.offset / width) * width
            if window != select.window and window is not None and select.window is not None:
                notes.append(
                    f"the window of {format_interval(select.window)} was widened to "
                    f"{format_interval(window)}, since {table} stores a value each "
                    f"{format_interval(width)}"
                )
            if offset != select.offset:
                notes.append(f"the offset was widened to {format_interval(offset)}")
            return replace(select, window=window, offset=float(offset))

        tree = _map(self.tree, fit)
        fitted = replace(self, tree=tree, lookback_delta=max(self.lookback_delta, float(width)))
        needs = {read.needs for read in fitted.reads}
        if Need.COUNTER in needs:
            notes.append(f"rates read last_value of {table}, one counter sample a bucket")
        if Need.SAMPLES in needs:
            notes.append(f"functions of every sample read last_value of {table}, one a bucket")
        return fitted, list(dict.fromkeys(notes))

    def pushdown(self, step: int) -> Pushdown | None:
        """The expression as one statement, if its windows neither overlap nor leave gaps."""
        tree = self.tree
        if not (
            isinstance(tree, Aggregate)
            and tree.operator in _PUSHDOWN_OPERATORS
            and tree.param is None
            and NAME not in tree.labels
            and isinstance(tree.expr, Call)
            and tree.expr.function in _PUSHDOWN_FUNCTIONS
            and isinstance(tree.expr.args[0], Select)
        ):
            return None
        (read,) = self.reads
        if read.window != step or read.offset:
            return None
        statistic = _PUSHDOWN_FUNCTIONS[tree.expr.function]
        return Pushdown(read, statistic, tree.operator, tree.labels, tree.without)


def parse_expression(text: str, filters: tuple[Matcher, ...] = ()) -> Expression:
    """Parse an expression and add `filters` to each of its selectors.

    Raises InvalidRequest with the position of the error.
    """
    tree = parse(text)
    if filters:
        tree = _map(tree, lambda select, _: replace(select, matchers=select.matchers + filters))
    return Expression(tree, " ".join(text.split()))


def _map(expr: Expr, change: Callable[[Select, str], Select], function: str = "") -> Expr:
    match expr:
        case Select():
            return change(expr, function)
        case Call():
            args = tuple(_map(arg, change, expr.function) for arg in expr.args)
            return replace(expr, args=args)
        case Aggregate():
            param = None if expr.param is None else _map(expr.param, change)
            return replace(expr, expr=_map(expr.expr, change), param=param)
        case Binary():
            left, right = _map(expr.left, change), _map(expr.right, change)
            return replace(expr, left=left, right=right)
        case Negate():
            return replace(expr, expr=_map(expr.expr, change))
        case _:
            return expr
