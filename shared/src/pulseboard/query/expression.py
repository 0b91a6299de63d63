"""Prepares expressions for reading: adds filters, fits windows to a tier, and recognises those
that the database can compute whole.
"""

import math
from dataclasses import dataclass, replace

from pulseboard.catalogue.selector import Matcher
from pulseboard.contracts.base import format_interval
from pulseboard.contracts.vocabulary import Tier
from pulseboard.promql import functions
from pulseboard.promql.ast import (
    LOOKBACK_DELTA,
    NAME,
    Aggregate,
    At,
    Call,
    Edge,
    Expr,
    Need,
    Read,
    Select,
    Subquery,
)
from pulseboard.promql.parser import parse
from pulseboard.promql.reads import mapped, selectors
from pulseboard.promql.times import Times, evaluated, reach, time_of
from pulseboard.query.tiers import RESOLUTIONS, TABLES

_PUSHDOWN_FUNCTIONS = {
    "avg_over_time": "avg",
    "min_over_time": "min",
    "max_over_time": "max",
    "sum_over_time": "sum",
    "count_over_time": "count",
}
_PUSHDOWN_OPERATORS = ("sum", "avg", "min", "max", "count")
_TWO_SAMPLES = ("irate", "idelta", "deriv", "predict_linear")
"""Functions that need more than one sample, where a bucket counts as one."""
_SORTED = {"topk": 1, "sort_desc": 1, "bottomk": -1, "sort": -1}


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
        return max(0.0, *(back for back, _ in self._reaches), 0.0)

    @property
    def lookahead(self) -> float:
        """How many seconds after a point the newest sample may be that it depends on."""
        return max(0.0, *(ahead for _, ahead in self._reaches), 0.0)

    @property
    def _reaches(self) -> list[tuple[float, float]]:
        found = (reach(read, self.lookback_delta) for read in self.reads)
        return [each for each in found if each is not None]

    @property
    def fixed(self) -> tuple[float, float] | None:
        """The time of the samples that all points depend on, because of `@`; None without one."""
        ranges = [
            self.samples_of(read, Times(0.0, 0.0, 1))
            for read in self.reads
            if reach(read, self.lookback_delta) is None
        ]
        if not ranges:
            return None
        return min(first for first, _ in ranges), max(last for _, last in ranges)

    def samples_of(self, read: Read, times: Times) -> tuple[float, float]:
        """The time (first, last] of the samples that a selector needs at `times`."""
        of = evaluated(read, times)
        window = self.lookback_delta if read.window is None else read.window
        return of.first - read.offset - window, of.last - read.offset

    @property
    def depends_on_range(self) -> bool:
        """Whether `@ start()` or `@ end()` is used."""
        return any(
            isinstance(at, Edge)
            for read in self.reads
            for at in (read.at, *(within.at for within in read.within))
        )

    def resolved(self, *, start: float, end: float) -> "Expression":
        """The expression with `@ start()` and `@ end()` as times."""

        def resolve(node: Select | Subquery, function: str) -> Select | Subquery:
            return replace(node, at=time_of(node.at, start=start, end=end))

        return replace(self, tree=mapped(self.tree, resolve))

    @property
    def rank(self) -> int:
        """1 when lines are listed from the largest last value, -1 from the smallest, else 0."""
        if isinstance(self.tree, Aggregate):
            return _SORTED.get(self.tree.operator, 0)
        return _SORTED.get(self.tree.function, 0) if isinstance(self.tree, Call) else 0

    def fitted_to(self, tier: Tier) -> tuple["Expression", list[str]]:
        """The expression as it can be computed from a tier, and notes on what was changed.

        A rollup stores no times inside its buckets: windows and offsets become whole buckets.
        """
        if tier is Tier.RAW:
            return self, []
        width, table = RESOLUTIONS[tier], TABLES[tier]
        notes: list[str] = []
        inexact: dict[str, None] = {}

        def whole(seconds: float) -> float:
            return float(math.ceil(seconds / width) * width)

        def fit(node: Select | Subquery, function: str) -> Select | Subquery:
            window, offset = node.window, whole(node.offset)
            if window is not None:
                window = max(whole(window), 2.0 * width if function in _TWO_SAMPLES else width)
                if window != node.window:
                    notes.append(
                        f"the window of {format_interval(node.window or 0)} was widened to "
                        f"{format_interval(window)}, since {table} stores a value each "
                        f"{format_interval(width)}"
                    )
            if offset != node.offset:
                notes.append(f"the offset was widened to {format_interval(offset)}")
            if function and isinstance(node, Select):
                needs = functions.WINDOW_NEEDS.get(function)
                inexact.update({function: None} if needs is Need.SAMPLES else {})
            at: At = whole(node.at) if isinstance(node.at, float) else node.at
            if isinstance(node, Select):
                return replace(node, window=window, offset=offset, at=at)
            step = whole(node.step)
            if step != node.step:
                notes.append(f"the step of the subquery was widened to {format_interval(step)}")
            return replace(node, window=window or 0.0, step=step, offset=offset, at=at)

        tree = mapped(self.tree, fit)
        fitted = replace(self, tree=tree, lookback_delta=max(self.lookback_delta, float(width)))
        if inexact:
            notes.append(
                f"{', '.join(inexact)} can't be exact, for want of every sample: read were "
                f"last_value of {table}, one a bucket"
            )
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
        if read.window != step or read.offset or read.at is not None:
            return None
        statistic = _PUSHDOWN_FUNCTIONS[tree.expr.function]
        return Pushdown(read, statistic, tree.operator, tree.labels, tree.without)


def parse_expression(text: str, filters: tuple[Matcher, ...] = ()) -> Expression:
    """Parse an expression and add `filters` to each of its selectors.

    Raises InvalidRequest with the position of the error.
    """
    tree = parse(text)
    if filters:

        def filtered(node: Select | Subquery, function: str) -> Select | Subquery:
            if isinstance(node, Subquery):
                return node
            return replace(node, matchers=node.matchers + filters)

        tree = mapped(tree, filtered)
    return Expression(tree, " ".join(text.split()))
