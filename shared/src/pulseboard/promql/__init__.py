"""The expression language: PromQL, parsed, planned and evaluated without I/O.

expr = parse('sum by (host) (rate(requests[5m]))')
data = {read: fetch(read) for read in selectors(expr)}
result = evaluate(expr, times=times, data=data)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pulseboard.promql.annotations import Annotations
from pulseboard.promql.ast import LOOKBACK_DELTA, Expr, Need, Read
from pulseboard.promql.budget import Budget
from pulseboard.promql.parser import parse, parse_any
from pulseboard.promql.reads import selectors
from pulseboard.promql.series import Buckets, SeriesSamples, SeriesValues, StoredSeries

if TYPE_CHECKING:
    from pulseboard.promql.array_types import Floats

__all__ = [
    "LOOKBACK_DELTA",
    "Annotations",
    "Buckets",
    "Budget",
    "Expr",
    "Need",
    "Read",
    "SeriesSamples",
    "SeriesValues",
    "evaluate",
    "parse",
    "parse_any",
    "selectors",
]


def evaluate(
    expr: Expr,
    *,
    times: Floats,
    data: Mapping[Read, Sequence[StoredSeries]],
    lookback_delta: float = LOOKBACK_DELTA,
    budget: Budget | None = None,
    annotations: Annotations | None = None,
) -> list[SeriesValues]:
    """The series of the result at each of `times` (seconds since 1970, ascending).

    A scalar is one series without labels. A sample is the current value of its series for
    `lookback_delta` seconds.

    Raises InvalidRequest where series can't be matched, at the operator's position, and for what
    exceeds the budget. What is suspicious is added to `annotations`.
    """
    # Importing numpy takes about 0.2 s: only an evaluation needs it.
    from pulseboard.promql.evaluator import evaluate as run

    return run(
        expr,
        times=times,
        data=data,
        lookback_delta=lookback_delta,
        budget=budget,
        annotations=annotations,
    )
