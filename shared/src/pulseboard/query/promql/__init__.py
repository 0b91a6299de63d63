"""The expression language: a subset of PromQL, parsed, planned and evaluated without I/O.

expr = parse('sum by (host) (rate(requests[5m]))')
data = {read: fetch(read) for read in selectors(expr)}
lines = evaluate(expr, times=times, data=data)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pulseboard.query.promql.ast import Expr, Need, Read
from pulseboard.query.promql.parser import parse, selectors
from pulseboard.query.promql.series import Buckets, Line, SeriesSamples, Stored

if TYPE_CHECKING:
    from pulseboard.query.promql.array_types import Floats

__all__ = [
    "Buckets",
    "Expr",
    "Line",
    "Need",
    "Read",
    "SeriesSamples",
    "evaluate",
    "parse",
    "selectors",
]


def evaluate(
    expr: Expr,
    *,
    times: Floats,
    data: Mapping[Read, Sequence[Stored]],
    lookback: float = 300.0,
) -> list[Line]:
    """The answer at each of `times` (ascending); a scalar is one line without labels.

    Raises InvalidRequest where series can't be matched, at the operator's position.
    """
    # Importing numpy takes about 0.2 s: only expressions pay it.
    from pulseboard.query.promql.evaluator import evaluate as run

    return run(expr, times=times, data=data, lookback=lookback)
