"""Expressions as queries of alert rules: their samples read raw, evaluated by the domain.

Evaluated at the window's end for the reducer `last`, and every ten seconds of the window for the
others. A series that the expression filters away, or that has ended, has no data there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg

from pulseboard.alerts import backtest, input_queries
from pulseboard.alerts.state_machine import TICK
from pulseboard.contracts.alerts import Reducer
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.settings import settings
from pulseboard.query import promql
from pulseboard.query.promql.series import StoredSeries

_NAME = "__name__"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One series of an expression; NaN where it has no value."""

    tags: dict[str, str]
    values: backtest.Floats


def moments(end: float, window: float, reducer: Reducer) -> backtest.Floats:
    """When an expression is evaluated for the window that ends at `end`."""
    if reducer is Reducer.LAST:
        return np.array([end])
    return end - np.arange(int(window // TICK) - 1, -1, -1, dtype=np.float64) * TICK


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
    return float(functions[reducer](present))


def evaluate(
    connection: psycopg.Connection[Any], expr: promql.Expr, times: backtest.Floats
) -> list[Evaluated]:
    """Each series of the expression at each of `times` (seconds since 1970, ascending).

    Raises InvalidRequest for what can't be matched or is too much.
    """
    data = {read: _samples(connection, read, times) for read in promql.selectors(expr)}
    lines = promql.evaluate(expr, times=times, data=data, lookback_delta=promql.LOOKBACK_DELTA)
    most = settings().alert_max_series
    if len(lines) > most:
        raise InvalidRequest(
            f"The expression has {len(lines)} series; a rule may watch {most}. Aggregate them."
        )
    return [
        Evaluated(
            {key: value for key, value in line.labels.items() if key != _NAME},
            np.where(line.present, line.values, np.nan),
        )
        for line in lines
    ]


def _samples(
    connection: psycopg.Connection[Any], read: promql.Read, times: backtest.Floats
) -> list[StoredSeries]:
    if read.name is None:
        raise InvalidRequest("Name the metric: a rule can't watch several by a pattern.")
    name = read.name
    most = settings().alert_max_series * 10
    equal = {
        m.key: m.value for m in read.matchers if m.operator == "=" and m.value and m.key != _NAME
    }
    (found,) = input_queries.find_many(connection, wanted=[(name, equal)], limit=most + 1)
    labels = {
        series.id: {**series.tags, _NAME: name}
        for series in found
        if all(m.accepts({**series.tags, _NAME: name}) for m in read.matchers)
    }
    if len(labels) > most:
        raise InvalidRequest(f"{name} selects more than {most} series. Add a tag filter.")
    if not labels:
        return []
    start = float(times[0]) - read.offset - (read.window or promql.LOOKBACK_DELTA)
    end = float(times[-1]) - read.offset
    ids = list(labels)
    stale_markers = input_queries.read_ends(connection, series_ids=ids, start=start, end=end)
    rows = input_queries.read_samples(connection, series_ids=ids, start=start, end=end)
    ordered = {series_id: input_queries.in_order(*columns) for series_id, columns in rows.items()}
    return [
        promql.SeriesSamples(
            labels=labels[series_id],
            times=moments,
            values=values,
            stale_markers=tuple(stale_markers.get(series_id, ())),
        )
        for series_id, (moments, values) in ordered.items()
    ]
