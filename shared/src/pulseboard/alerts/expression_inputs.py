"""Expressions as queries of alert rules, evaluated by the query engine over raw samples.

Evaluated at the window's end for the reducer `last`, and every ten seconds of the window for the
others. A series that the expression filters away, or that has ended, has no data there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pulseboard import promql
from pulseboard.alerts import backtest
from pulseboard.alerts.state_machine import TICK
from pulseboard.catalogue.series_key import NAME, Series, canonical_tags
from pulseboard.contracts.alerts import Reducer
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core.exceptions import InvalidRequest, LimitExceeded
from pulseboard.core.lookback import lookback_of
from pulseboard.promql.budget import Budget
from pulseboard.promql.times import Times
from pulseboard.query import expression_reader
from pulseboard.query.reader import PlanReader

UNNAMED = "Name the metric: a rule can't watch several by a pattern."


@dataclass(frozen=True, slots=True)
class ResolvedExpression:
    """An expression and the series of each of its selectors, or why they can't be found; None: it
    names no metric."""

    tree: promql.Expr
    series: Mapping[promql.Read, Sequence[Series] | InvalidRequest | None]


@dataclass(frozen=True, slots=True)
class ExpressionSeries:
    """The values of one series of an expression, where `present`: NaN is a value, too."""

    tags: dict[str, str]
    values: backtest.Floats
    present: NDArray[np.bool_]

    @property
    def key(self) -> str:
        """Its canonical tags as text."""
        return canonical_tags(self.tags).decode()


def times_of(end: float, window: float, reducer: Reducer, *, ends: int = 1) -> Times:
    """When an expression is evaluated for the last `ends` windows, of which the last ends at `end`
    and the others `TICK` seconds before each other. A window is open on the left, as for samples.
    """
    count = ends if reducer is Reducer.LAST else max(1, ceil(window / TICK)) + ends - 1
    return Times(end - (count - 1) * TICK, TICK, count)


def reduce(series: ExpressionSeries, reducer: Reducer) -> float | None:
    """The values of a window as one; None when there are none. Only the last can be a NaN."""
    if reducer is Reducer.LAST:
        return float(series.values[-1]) if series.present[-1] else None
    present = series.values[series.present & ~np.isnan(series.values)]
    if not len(present):
        return None
    functions: dict[Reducer, Callable[[backtest.Floats], Any]] = {
        Reducer.AVG: np.mean,
        Reducer.MIN: np.min,
        Reducer.MAX: np.max,
        Reducer.SUM: np.sum,
    }
    with np.errstate(all="ignore"):
        return float(functions[reducer](present))


def read(
    reader: PlanReader,
    expression: ResolvedExpression,
    times: Times,
    *,
    budget: Budget,
    most: int,
    interval: float = 0.0,
) -> Callable[[], list[ExpressionSeries]]:
    """Read what an expression needs; gives what computes each of its series, of metrics that are
    sent every `interval` seconds at least, at each of `times`; at most `most` of them. Computing
    needs no connection.

    Both raise InvalidRequest for what can't be matched, LimitExceeded for what is too much.
    """
    series: dict[promql.Read, Sequence[Series]] = {}
    for selector, found in expression.series.items():
        if found is None:
            raise InvalidRequest(UNNAMED)
        if isinstance(found, InvalidRequest):
            raise found.with_traceback(None)
        if len(found) > most * 10:
            raise LimitExceeded(
                f"{selector.name} selects more than {most * 10} series. Add a tag filter."
            )
        series[selector] = found
    evaluate = expression_reader.read_at(
        reader,
        expression.tree,
        series=series,
        times=times,
        tier=Tier.RAW,
        budget=budget,
        lookback_delta=lookback_of(interval),
    )

    def compute() -> list[ExpressionSeries]:
        lines, _ = evaluate()
        check_series(len(lines), most)
        return [
            ExpressionSeries(
                {key: value for key, value in line.labels.items() if key != NAME},
                np.where(line.present, line.values, np.nan),
                line.present,
            )
            for line in lines
        ]

    return compute


def evaluate(
    reader: PlanReader,
    expression: ResolvedExpression,
    times: Times,
    *,
    budget: Budget,
    most: int,
    interval: float = 0.0,
) -> list[ExpressionSeries]:
    """`read` and compute at once."""
    return read(reader, expression, times, budget=budget, most=most, interval=interval)()


def check_series(count: int, most: int) -> None:
    """Raise LimitExceeded for an expression with more series than a rule may have."""
    if count > most:
        raise LimitExceeded(
            f"The expression has {count} series; a rule may watch {most}. Aggregate them."
        )
