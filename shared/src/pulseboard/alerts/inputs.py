"""What alert rules read: at a tick, for all rules at once; and over the past, for one.

Rules that read the same series share one read. The catalogue is asked once for all selectors and
remembered until a series is made; samples are read once for each window length.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psycopg

from pulseboard.alerts import backtest, expression_inputs, input_queries
from pulseboard.alerts.expression_inputs import Evaluated
from pulseboard.alerts.state_machine import RuleSnapshot
from pulseboard.catalogue import selector as selectors
from pulseboard.catalogue.series_key import canonical_tags
from pulseboard.contracts.alerts import Reducer
from pulseboard.core.exceptions import InvalidRequest, PulseboardError
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.db.statement_timeout import set_statement_timeout
from pulseboard.query import promql

CATALOGUE_LIFE = 60.0
"""Seconds: a series whose transaction ended after a later one's is found within this."""


@dataclass(frozen=True, slots=True)
class Line:
    """A series that a rule watches."""

    id: int
    key: str
    tags: dict[str, str]


_Key = tuple[str, float, float, bool]


def _key(rule: RuleSnapshot) -> _Key:
    """What expressions share: the same text over the same window, at its end or throughout."""
    return rule.query, rule.condition.window, rule.delay, rule.reducer is Reducer.LAST


@dataclass
class Readings:
    """What rules read at one tick."""

    lines: dict[str, list[Line] | PulseboardError] = field(default_factory=dict)
    windows: dict[tuple[float, float], dict[int, input_queries.Window] | PulseboardError] = field(
        default_factory=dict
    )
    expressions: dict[_Key, list[Evaluated] | PulseboardError] = field(default_factory=dict)

    def of(self, rule: RuleSnapshot) -> list[tuple[str, dict[str, str], float | None]]:
        """Each series of a rule: key, tags, value or None. Raises what its read raised."""
        evaluated = self.expressions.get(_key(rule))
        if evaluated is not None:
            if isinstance(evaluated, PulseboardError):
                raise evaluated
            return [
                (
                    canonical_tags(one.tags).decode(),
                    one.tags,
                    expression_inputs.reduce(one.values, rule.reducer),
                )
                for one in evaluated
            ]
        lines = self.lines[rule.query]
        if isinstance(lines, PulseboardError):
            raise lines
        rows = self.windows.get((rule.condition.window, rule.delay), {})
        if isinstance(rows, PulseboardError):
            raise rows
        column = input_queries.COLUMNS[rule.reducer]
        return [
            (line.key, line.tags, row[column] if (row := rows.get(line.id)) else None)
            for line in lines
        ]

    def values_of(self, rule: RuleSnapshot) -> list[float] | None:
        """The numbers that a rule reads; None where its read has failed."""
        try:
            found = self.of(rule)
        except PulseboardError:
            return None
        return [value for _, _, value in found if value is not None and value == value]


@dataclass
class _Catalogue:
    """Which series each query text means, as long as no series is made."""

    newest: int = -1
    until: float = 0.0
    lines: dict[str, list[Line] | PulseboardError] = field(default_factory=dict)
    expressions: dict[str, promql.Expr] = field(default_factory=dict)


_catalogue = _Catalogue()


@on_reset
def reset() -> None:
    """Ask the catalogue again, between tests."""
    global _catalogue
    _catalogue = _Catalogue()


def read(
    connection: psycopg.Connection[Any], rules: Iterable[RuleSnapshot], *, at: float
) -> Readings:
    """Read for all rules at the tick `at` (seconds since 1970).

    What is wrong with one rule's query is kept for `Readings.of`.
    """
    rules = list(rules)
    readings = Readings(lines=_resolve(connection, {rule.query for rule in rules}))
    wanted: dict[tuple[float, float], set[int]] = {}
    for rule in rules:
        expr = _catalogue.expressions.get(rule.query)
        if expr is not None:
            if _key(rule) not in readings.expressions:
                readings.expressions[_key(rule)] = _evaluate(connection, rule, expr, at)
            continue
        lines = readings.lines[rule.query]
        if not isinstance(lines, PulseboardError):
            ids = wanted.setdefault((rule.condition.window, rule.delay), set())
            ids.update([line.id for line in lines])
    for (window, delay), ids in wanted.items():
        end = at - delay
        readings.windows[window, delay] = _window(connection, sorted(ids), end - window, end)
    return readings


def _evaluate(
    connection: psycopg.Connection[Any], rule: RuleSnapshot, expr: promql.Expr, at: float
) -> list[Evaluated] | PulseboardError:
    times = expression_inputs.moments(at - rule.delay, rule.condition.window, rule.reducer)
    try:
        with connection.transaction():
            set_statement_timeout(connection, seconds=settings().query_timeout)
            return expression_inputs.evaluate(connection, expr, times)
    except psycopg.errors.QueryCanceled:
        return InvalidRequest("Reading the expression's samples took too long: narrow it.")
    except InvalidRequest as error:
        return error


def _window(
    connection: psycopg.Connection[Any], ids: list[int], start: float, end: float
) -> dict[int, input_queries.Window] | PulseboardError:
    if not ids:
        return {}
    try:
        with connection.transaction():
            set_statement_timeout(connection, seconds=settings().query_timeout)
            return input_queries.read_windows(connection, series_ids=ids, start=start, end=end)
    except psycopg.errors.QueryCanceled:
        return InvalidRequest("Reading the window took too long: shorten it or narrow the query.")


def _resolve(
    connection: psycopg.Connection[Any], texts: set[str]
) -> dict[str, list[Line] | PulseboardError]:
    newest = input_queries.newest_series(connection)
    if newest != _catalogue.newest or time.monotonic() > _catalogue.until:
        _catalogue.newest = newest
        _catalogue.until = time.monotonic() + CATALOGUE_LIFE
        _catalogue.lines = {}
    unknown = sorted(texts - _catalogue.lines.keys())
    found: dict[str, selectors.Selector] = {}
    for text in unknown:
        try:
            meaning = _parse(text)
        except PulseboardError as error:
            _catalogue.lines[text] = error
            continue
        if isinstance(meaning, selectors.Selector):
            found[text] = meaning
        else:
            _catalogue.expressions[text] = meaning
            _catalogue.lines[text] = []
    most = settings().alert_max_series
    answers = input_queries.find_many(
        connection,
        wanted=[
            (
                selector.name,
                {m.key: m.value for m in selector.matchers if m.operator == "=" and m.value},
            )
            for selector in found.values()
        ],
        limit=most * 10 + 1,
    )
    for (text, selector), series in zip(found.items(), answers, strict=True):
        lines = [
            Line(one.id, canonical_tags(one.tags).decode(), one.tags)
            for one in series
            if all(matcher.accepts(one.tags) for matcher in selector.matchers)
        ]
        _catalogue.lines[text] = (
            InvalidRequest(
                f"The query selects {len(lines)} series; a rule may watch {most}. Add a tag filter."
            )
            if len(lines) > most
            else lines
        )
    return {text: _catalogue.lines[text] for text in texts}


def check_query(text: str) -> None:
    """Raise InvalidRequest, with the position, for a text that no rule could read."""
    _parse(text)


def _parse(text: str) -> selectors.Selector | promql.Expr:
    """A selector where the text is one, else an expression. Raises InvalidRequest of the reader
    that came further."""
    try:
        return selectors.parse(text)
    except InvalidRequest as plain:
        try:
            return promql.parse(text)
        except InvalidRequest as error:
            raise (error if _position(error) > _position(plain) else plain) from None


def _position(error: InvalidRequest) -> int:
    return max((detail.position or 0 for detail in error.details or ()), default=0)


@dataclass(frozen=True, slots=True)
class History:
    """What one series of a rule reads at each tick; NaN where the window is empty."""

    tags: dict[str, str]
    values: backtest.Floats


def read_history(rule: RuleSnapshot, ticks: backtest.Floats) -> list[History]:
    """What a rule would have read at each of these ticks (seconds since 1970, ascending).

    Raises InvalidRequest for a query that can't be read, Unavailable without a database.
    """
    if not len(ticks):
        return []
    window, delay = rule.condition.window, rule.delay
    with database.connection() as connection:
        lines = _resolve(connection, {rule.query})[rule.query]
        if isinstance(lines, PulseboardError):
            raise lines
        expr = _catalogue.expressions.get(rule.query)
        if expr is not None:
            return _expression_history(connection, rule, expr, ticks)
        if not lines:
            return []
        try:
            with connection.transaction():
                set_statement_timeout(connection, seconds=settings().query_timeout)
                found = input_queries.read_samples(
                    connection,
                    series_ids=[line.id for line in lines],
                    start=float(ticks[0]) - delay - window,
                    end=float(ticks[-1]) - delay,
                )
        except psycopg.errors.QueryCanceled as error:
            raise InvalidRequest(
                "Reading the samples took too long: take a shorter range or narrow the query."
            ) from error
    ends = ticks - delay
    histories = []
    for line in lines:
        if line.id not in found:
            continue
        times, samples = input_queries.in_order(*found[line.id])
        histories.append(
            History(
                line.tags,
                backtest.reduce_windows(times, samples, ends, window=window, reducer=rule.reducer),
            )
        )
    return histories


def _expression_history(
    connection: psycopg.Connection[Any],
    rule: RuleSnapshot,
    expr: promql.Expr,
    ticks: backtest.Floats,
) -> list[History]:
    ends = ticks - rule.delay
    times = ends
    if rule.reducer is not Reducer.LAST:
        lead = expression_inputs.moments(float(ends[0]), rule.condition.window, rule.reducer)[:-1]
        times = np.concatenate([lead, ends])
    try:
        with connection.transaction():
            set_statement_timeout(connection, seconds=settings().query_timeout)
            lines = expression_inputs.evaluate(connection, expr, times)
    except psycopg.errors.QueryCanceled as error:
        raise InvalidRequest(
            "Reading the samples took too long: take a shorter range or narrow the query."
        ) from error
    if rule.reducer is Reducer.LAST:
        return [History(line.tags, line.values) for line in lines]
    histories = []
    for line in lines:
        present = ~np.isnan(line.values)
        values = backtest.reduce_windows(
            times[present],
            line.values[present],
            ends,
            window=rule.condition.window,
            reducer=rule.reducer,
        )
        histories.append(History(line.tags, values))
    return histories
