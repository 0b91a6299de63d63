"""Expressions as queries of alert rules, evaluated by the query engine over raw samples.

Evaluated at the window's end for the reducer `last`, and every ten seconds of the window for the
others. A series that the expression filters away, or that has ended, has no data there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pulseboard.alerts import backtest
from pulseboard.alerts.state_machine import TICK
from pulseboard.catalogue.series_key import NAME, Series, canonical_tags
from pulseboard.contracts.alerts import Reducer
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.lookback import lookback_of
from pulseboard.core.settings import settings
from pulseboard.query import expression_reader, limits, promql
from pulseboard.query.expression_reader import Times
from pulseboard.query.reader import PlanReader


@dataclass(frozen=True, slots=True)
class ResolvedExpression:
    """An expression and the series of each of its selectors, or why they can't be found; None: it
    names no metric."""

    tree: promql.Expr
    series: Mapping[promql.Read, Sequence[Series] | InvalidRequest | None]


@dataclass(frozen=True, slots=True)
class ExpressionSeries:
    """The values of one series of an expression; NaN where it has none."""

    tags: dict[str, str]
    values: backtest.Floats

    @property
    def key(self) -> str:
        """Its canonical tags as text."""
        return canonical_tags(self.tags).decode()


def times_of(end: float, window: float, reducer: Reducer, *, ends: int = 1) -> Times:
    """When an expression is evaluated for the last `ends` windows, of which the last ends at `end`
    and the others `TICK` seconds before each other.
    """
    count = ends if reducer is Reducer.LAST else max(1, int(window // TICK)) + ends - 1
    return Times(end - (count - 1) * TICK, TICK, count)


def reduce(values: backtest.Floats, reducer: Reducer) -> float | None:
    """The values of a window as one; None when there are none."""
    if reducer is Reducer.LAST:
        last = float(values[-1])
        return None if last != last else last
    present = values[~np.isnan(values)]
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


def evaluate(
    reader: PlanReader, expression: ResolvedExpression, times: Times, *, interval: float = 0.0
) -> list[ExpressionSeries]:
    """Each series of the expression, of metrics that are sent every `interval` seconds at least,
    at each of `times`.

    Raises InvalidRequest for what can't be matched or is too much.
    """
    most = settings().alert_max_series
    series: dict[promql.Read, Sequence[Series]] = {}
    for read, found in expression.series.items():
        if found is None:
            raise InvalidRequest("Name the metric: a rule can't watch several by a pattern.")
        if isinstance(found, InvalidRequest):
            raise found.with_traceback(None)
        if len(found) > most * 10:
            raise InvalidRequest(
                f"{read.name} selects more than {most * 10} series. Add a tag filter."
            )
        series[read] = found
    lines, _ = expression_reader.evaluate_at(
        reader,
        expression.tree,
        series=series,
        times=times,
        tier=Tier.RAW,
        budget=limits.new_budget(),
        lookback_delta=lookback_of(interval),
    )
    if len(lines) > most:
        raise InvalidRequest(
            f"The expression has {len(lines)} series; a rule may watch {most}. Aggregate them."
        )
    return [
        ExpressionSeries(
            {key: value for key, value in line.labels.items() if key != NAME},
            np.where(line.present, line.values, np.nan),
        )
        for line in lines
    ]
