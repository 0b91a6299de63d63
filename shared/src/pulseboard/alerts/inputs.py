"""The inputs of alert rules: of one tick, for all rules at once; of the past, for one rule.

Rules that read the same series share one read. All selectors are resolved by one statement, and by
none while no series is created; samples are read once for each window length.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, inf
from typing import Any, TypeVar

import numpy as np
import psycopg

from pulseboard.alerts import backtest, expression_inputs, input_queries
from pulseboard.alerts.changes import series_key
from pulseboard.alerts.expression_inputs import ExpressionSeries, ResolvedExpression
from pulseboard.alerts.state_machine import RuleSnapshot
from pulseboard.catalogue import selector as selectors
from pulseboard.catalogue import series_queries
from pulseboard.catalogue.intervals import get_measured
from pulseboard.catalogue.selector import Matcher
from pulseboard.catalogue.series_key import Series
from pulseboard.contracts.alerts import Reducer
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core import lookback as lookbacks_of_queries
from pulseboard.core.exceptions import InvalidRequest, PulseboardError, Unavailable
from pulseboard.core.lookback import LOOKBACK_INTERVALS
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.db.statement_timeout import set_statement_timeout
from pulseboard.query import expression_reader, limits, promql, sql_samples
from pulseboard.query.expression_reader import Times
from pulseboard.query.reader import PlanReader
from pulseboard.query.sql_samples import SampleRange, StaleMarkers

_PARSED = 20_000
"""Query texts whose meaning is cached."""

T = TypeVar("T")
Parsed = selectors.Selector | promql.Expr | InvalidRequest
_ExpressionKey = tuple[str, float, bool, float, bool]


def _key(rule: RuleSnapshot) -> _ExpressionKey:
    """What rules with one expression share: its text, its window, and whether only the window's
    end is evaluated."""
    last = rule.reducer is Reducer.LAST
    return rule.query, rule.condition.window, rule.default_window, rule.delay, last


def _is_instant(rule: RuleSnapshot) -> bool:
    """Whether the rule reads the newest sample within the look-back, as PromQL does."""
    return rule.default_window and rule.reducer is Reducer.LAST


@dataclass
class TickInputs:
    """What rules read at one tick: by query text the series of a selector, by (window, delay) the
    reduced samples of each series id, by (look-back, delay) the newest sample of each, by key the
    values of an expression; by query text, how often its metrics are sent.
    """

    series: dict[str, list[Series] | PulseboardError] = field(default_factory=dict)
    windows: dict[tuple[float, float], dict[int, input_queries.Window] | PulseboardError] = field(
        default_factory=dict
    )
    newest: dict[tuple[float, float], dict[int, float] | PulseboardError] = field(
        default_factory=dict
    )
    expressions: dict[_ExpressionKey, list[ExpressionSeries] | PulseboardError] = field(
        default_factory=dict
    )
    intervals: dict[str, float] = field(default_factory=dict)

    def window_of(self, rule: RuleSnapshot) -> tuple[float, float]:
        """Window and delay of a rule in seconds: a default window holds two samples."""
        window = rule.condition.window
        if rule.default_window:
            window = max(window, LOOKBACK_INTERVALS * self.intervals.get(rule.query, 0.0))
        return window, rule.delay

    def of(self, rule: RuleSnapshot) -> list[tuple[str, dict[str, str], float | None]]:
        """Each series of a rule: key, tags, value or None. Raises what its read raised."""
        evaluated = self.expressions.get(_key(rule))
        if evaluated is not None:
            return [
                (series_key(one.key), one.tags, expression_inputs.reduce(one.values, rule.reducer))
                for one in _unless_error(evaluated)
            ]
        series = _unless_error(self.series[rule.query])
        values: Mapping[int, float]
        if _is_instant(rule):
            values = _unless_error(self.newest.get(self.window_of(rule), {}))
        else:
            windows = _unless_error(self.windows.get(self.window_of(rule), {}))
            column = input_queries.COLUMNS[rule.reducer]
            values = {id_: row[column] for id_, row in windows.items()}
        observed = [(series_key(each.tags_key), each.tags, values.get(each.id)) for each in series]
        _check_watched(sum(value is not None for *_, value in observed))
        return observed

    def lookback(self, rule: RuleSnapshot) -> float:
        """Seconds of samples that a value of a rule's query needs before its time."""
        return lookback_of(rule.query)

    def values_of(self, rule: RuleSnapshot) -> list[float] | None:
        """The numbers that a rule reads; None where its read has failed."""
        try:
            found = self.of(rule)
        except Exception:  # noqa: BLE001 - the rule is evaluated, which meets the error again
            return None
        return [value for _, _, value in found if value is not None and value == value]


def _check_watched(count: int) -> None:
    """Raise InvalidRequest for more series with data than a rule may watch."""
    most = settings().alert_max_series
    if count > most:
        raise InvalidRequest(
            f"The query selects {count} series; a rule may watch {most}. Add a tag filter."
        )


def _unless_error(result: T | PulseboardError) -> T:
    if isinstance(result, PulseboardError):
        # The same error is raised tick after tick: its traceback would grow.
        raise result.with_traceback(None)
    return result


def read(
    connection: psycopg.Connection[Any], rules: Iterable[RuleSnapshot], *, at: float
) -> TickInputs:
    """Read for all rules at the tick `at` (seconds since 1970).

    `TickInputs.of` raises the error of a rule whose query can't be read.
    """
    rules = list(rules)
    series, expressions = _resolve(connection, _lookbacks(rules), at)
    inputs = TickInputs(series, intervals=_intervals(connection, {rule.query for rule in rules}))
    ids: dict[tuple[float, float], set[int]] = {}
    newest_ids: dict[tuple[float, float], set[int]] = {}
    examples: dict[tuple[float, float], RuleSnapshot] = {}
    for rule in rules:
        if rule.query in expressions:
            continue
        found = series[rule.query]
        if not isinstance(found, PulseboardError):
            wanted_ids = newest_ids if _is_instant(rule) else ids
            of_window = wanted_ids.setdefault(inputs.window_of(rule), set())
            of_window.update([each.id for each in found])
            examples.setdefault(inputs.window_of(rule), rule)
    for (window, delay), wanted in ids.items():
        inputs.windows[window, delay] = _read_window(
            input_queries.read_windows,
            *(connection, sorted(wanted), examples[window, delay]),
            *(window, at - delay),
        )
    for (window, delay), wanted in newest_ids.items():
        inputs.newest[window, delay] = _read_window(
            input_queries.read_newest,
            *(connection, sorted(wanted), examples[window, delay]),
            *(window, at - delay),
        )
    by_key = {_key(rule): rule for rule in rules if rule.query in expressions}
    # Rules that failed last time come last: a heavy one takes no time from the others.
    first = sorted(by_key.values(), key=lambda rule: rule.last_error is not None)
    inputs.expressions = _evaluate_all(connection, first, expressions, at, inputs)
    return inputs


def _intervals(connection: psycopg.Connection[Any], texts: Iterable[str]) -> dict[str, float]:
    """By query text, how many seconds apart the samples of its metrics are at most, if known."""
    metrics = {text: _metrics_of(text) for text in texts}
    known = get_measured(connection, {name for names in metrics.values() for name in names})
    return {
        text: max((known.get(name, 0.0) for name in names), default=0.0)
        for text, names in metrics.items()
    }


@lru_cache(maxsize=_PARSED)
def _metrics_of(text: str) -> tuple[str, ...]:
    meaning = _parsed(text)
    if isinstance(meaning, InvalidRequest):
        return ()
    if isinstance(meaning, selectors.Selector):
        return (meaning.name,)
    return tuple(one.name for one in promql.selectors(meaning) if one.name is not None)


def _evaluate_all(
    connection: psycopg.Connection[Any],
    rules: Sequence[RuleSnapshot],
    expressions: Mapping[str, ResolvedExpression],
    at: float,
    inputs: TickInputs,
) -> dict[_ExpressionKey, list[ExpressionSeries] | PulseboardError]:
    """The expressions of these rules, in their order: selectors of one shape are read together.

    All in one transaction; what fails in the database is read again by itself, so that it fails
    alone. Rules for which no time is left in `alert_read_budget` have that as their error.
    """
    deadline = time.monotonic() + settings().alert_read_budget
    # Expressions with equal selectors over equal ranges share what is read.
    reader = PlanReader(connection, deadline=inf)
    found: dict[_ExpressionKey, list[ExpressionSeries] | PulseboardError] = {}

    def evaluate(rule: RuleSnapshot) -> list[ExpressionSeries] | PulseboardError:
        try:
            return expression_inputs.evaluate(
                reader,
                expressions[rule.query],
                _times(rule, at, inputs),
                interval=inputs.intervals.get(rule.query, 0.0),
            )
        except psycopg.Error:
            raise
        except Exception as error:  # noqa: BLE001 - one rule must never stop the others
            return _of_the_rule(error, rule)

    together = [rule for rule in rules if rule.last_error is None]
    if len(together) > 1:
        try:
            with connection.transaction():
                set_statement_timeout(connection, seconds=settings().alert_read_budget / 2)
                _prefetch(reader, together, expressions, at, inputs)
                for rule in together:
                    if time.monotonic() >= deadline:
                        break
                    found[_key(rule)] = evaluate(rule)
        except psycopg.Error as error:
            if database.is_outage(error):
                raise
            reader.memo.clear()
    for rule in rules:
        if _key(rule) in found:
            continue
        left = deadline - time.monotonic()
        if left <= 0:
            found[_key(rule)] = InvalidRequest(
                "There was no time left to read it: the rules before it took"
                f" {settings().alert_read_budget:g} s. Narrow the heavy ones."
            )
            continue
        try:
            with connection.transaction():
                set_statement_timeout(connection, seconds=min(left, settings().alert_rule_timeout))
                found[_key(rule)] = evaluate(rule)
        except psycopg.errors.QueryCanceled:
            found[_key(rule)] = InvalidRequest(
                "Reading the expression's samples took too long: narrow it."
            )
        except psycopg.Error as error:
            found[_key(rule)] = _of_the_rule(error, rule)
    return found


def _prefetch(
    reader: PlanReader,
    rules: Iterable[RuleSnapshot],
    expressions: Mapping[str, ResolvedExpression],
    at: float,
    inputs: TickInputs,
) -> None:
    most = settings().alert_max_series * 10
    groups: dict[tuple[Times, float], dict[promql.Read, Sequence[Series]]] = {}
    for rule in rules:
        try:
            times = _times(rule, at, inputs)
        except (ValueError, OverflowError):
            continue
        delta = lookbacks_of_queries.lookback_of(inputs.intervals.get(rule.query, 0.0))
        wanted = groups.setdefault((times, delta), {})
        for one, series in expressions[rule.query].series.items():
            if not isinstance(series, InvalidRequest) and series and len(series) <= most:
                wanted[one] = series
    for (times, delta), wanted in groups.items():
        try:
            expression_reader.prefetch(
                reader,
                wanted,
                times=times,
                tier=Tier.RAW,
                budget=limits.new_budget(),
                lookback_delta=delta,
            )
        except (PulseboardError, ValueError, OverflowError) as error:
            # Each says for itself what is wrong.
            logger().info("expressions are read one by one", exc_info=error)


def _times(rule: RuleSnapshot, at: float, inputs: TickInputs) -> Times:
    window, delay = inputs.window_of(rule)
    return expression_inputs.times_of(at - delay, window, rule.reducer)


def _of_the_rule(error: Exception, rule: RuleSnapshot) -> PulseboardError:
    """What failed as the error of the rules that read it. Raises an outage: that is nobody's."""
    if database.is_outage(error) or isinstance(error, Unavailable):
        raise error
    if isinstance(error, PulseboardError):
        return error
    logger().warning("an alert rule can't be read", extra={"rule": str(rule.id)}, exc_info=error)
    return InvalidRequest(
        f"The query can't be read ({type(error).__name__}): check its ranges, offsets and window."
    )


def _read_window(
    read: Callable[..., dict[int, T]],
    connection: psycopg.Connection[Any],
    ids: list[int],
    example: RuleSnapshot,
    window: float,
    end: float,
) -> dict[int, T] | PulseboardError:
    if not ids:
        return {}
    try:
        start = end - window
        with connection.transaction():
            set_statement_timeout(connection, seconds=settings().query_timeout)
            return read(connection, series_ids=ids, start=start, end=end)
    except psycopg.errors.QueryCanceled:
        return InvalidRequest("Reading the window took too long: shorten it or narrow the query.")
    except Exception as error:  # noqa: BLE001 - the window's rules must never stop the others
        return _of_the_rule(error, example)


def _lookbacks(rules: Iterable[RuleSnapshot]) -> dict[str, float]:
    """By query text, how many seconds before a tick the series count that its rules watch: those
    that have data in the window, or an alert instance that is not forgotten yet.
    """
    lookbacks: dict[str, float] = {}
    for rule in rules:
        back = rule.delay + rule.condition.window + settings().alert_forget_after
        lookbacks[rule.query] = max(back, lookbacks.get(rule.query, 0.0))
    return lookbacks


_Wanted = tuple[str, tuple[Matcher, ...], float]


def _wanted(name: str, matchers: tuple[Matcher, ...], back: float) -> _Wanted:
    """A selector; whole hours, so that rules with other windows share it."""
    return name, matchers, ceil(back / 3600) * 3600.0


def _of_expression(read: promql.Read, back: float) -> _Wanted | None:
    if read.name is None:
        return None
    window = read.window if read.window is not None else promql.LOOKBACK_DELTA
    return _wanted(read.name, read.matchers, back + window + max(0.0, read.offset))


def _resolve(
    connection: psycopg.Connection[Any], lookbacks: Mapping[str, float], at: float
) -> tuple[dict[str, list[Series] | PulseboardError], dict[str, ResolvedExpression]]:
    """By text, the series of each selector, or why there are none; and the expressions.

    `lookbacks` are the texts, each with the seconds before `at` (seconds since 1970) in which its
    series were seen.
    """
    parsed = {text: _parsed(text) for text in lookbacks}
    wanted: dict[_Wanted, None] = {}
    for text, meaning in parsed.items():
        if isinstance(meaning, selectors.Selector):
            wanted[_wanted(meaning.name, meaning.matchers, lookbacks[text])] = None
        elif not isinstance(meaning, InvalidRequest):
            for one in promql.selectors(meaning):
                if (selector := _of_expression(one, lookbacks[text])) is not None:
                    wanted[selector] = None
    most = settings().alert_max_series * 10
    results = series_queries.find_many(connection, selectors=list(wanted), limit=most + 1, now=at)
    found = dict(zip(wanted, results, strict=True))
    series: dict[str, list[Series] | PulseboardError] = {}
    expressions: dict[str, ResolvedExpression] = {}
    for text, meaning in parsed.items():
        if isinstance(meaning, InvalidRequest):
            series[text] = meaning
        elif isinstance(meaning, selectors.Selector):
            mine = found[_wanted(meaning.name, meaning.matchers, lookbacks[text])]
            series[text] = (
                InvalidRequest(
                    f"The query selects more than {most} series of the last hours, most of them "
                    "without data. Add a tag filter."
                )
                if not isinstance(mine, InvalidRequest) and len(mine) > most
                else mine
            )
        else:
            expressions[text] = ResolvedExpression(
                meaning,
                {
                    one: None if selector is None else found[selector]
                    for one in promql.selectors(meaning)
                    for selector in [_of_expression(one, lookbacks[text])]
                },
            )
    return series, expressions


def check_query(text: str) -> None:
    """Raise InvalidRequest, with the position, for a text that no rule could read."""
    _unless_error(_parsed(text))


def same_query(one: str, other: str) -> bool:
    """Whether two texts mean the same; one that can't be read means nothing."""
    meaning = _parsed(one)
    return not isinstance(meaning, InvalidRequest) and meaning == _parsed(other)


def lookback_of(text: str) -> float:
    """Seconds between a tick and the oldest, or the newest, sample that a query reads at it.

    Raises InvalidRequest for a text that can't be read.
    """
    meaning = _parsed(text)
    if isinstance(meaning, InvalidRequest):
        raise meaning.with_traceback(None)
    if isinstance(meaning, selectors.Selector):
        return 0.0
    return max(
        (
            max(abs(one.offset), one.offset + (one.window or 0.0))
            for one in promql.selectors(meaning)
        ),
        default=0.0,
    )


@lru_cache(maxsize=_PARSED)
def _parsed(text: str) -> Parsed:
    """A selector where the text is one, else an expression; else the error of the parser that came
    further."""
    try:
        return selectors.parse(text)
    except InvalidRequest as selector_error:
        try:
            return promql.parse(text)
        except InvalidRequest as error:
            return error if _position(error) > _position(selector_error) else selector_error


def _position(error: InvalidRequest) -> int:
    return max((detail.position or 0 for detail in error.details or ()), default=0)


@dataclass(frozen=True, slots=True)
class History:
    """The value that a rule reads of one series at each tick; NaN where the window is empty."""

    tags: dict[str, str]
    values: backtest.Floats


def read_history(rule: RuleSnapshot, ticks: backtest.Floats) -> list[History]:
    """What a rule would have read at each of these ticks (seconds since 1970, `TICK` apart).

    Raises InvalidRequest for a query that can't be read, Unavailable without a database.
    """
    if not len(ticks):
        return []
    with database.connection() as connection:
        length = float(ticks[-1] - ticks[0])
        lookback = length + rule.delay + rule.condition.window
        found, expressions = _resolve(connection, {rule.query: lookback}, float(ticks[-1]))
        inputs = TickInputs(found, intervals=_intervals(connection, [rule.query]))
        try:
            with connection.transaction():
                set_statement_timeout(connection, seconds=settings().query_timeout)
                if rule.query in expressions:
                    expression = expressions[rule.query]
                    return _expression_history(connection, rule, expression, ticks, inputs)
                series = _unless_error(found[rule.query])
                if not series:
                    return []
                return _selector_history(connection, rule, series, ticks, inputs)
        except psycopg.errors.QueryCanceled as error:
            raise InvalidRequest(
                "Reading the samples took too long: choose a shorter range or narrow the query."
            ) from error


def _selector_history(
    connection: psycopg.Connection[Any],
    rule: RuleSnapshot,
    series: list[Series],
    ticks: backtest.Floats,
    inputs: TickInputs,
) -> list[History]:
    window, delay = inputs.window_of(rule)
    ends = ticks - delay
    time_range = SampleRange(float(ends[0]) - window, float(ends[-1]))
    stale_markers = StaleMarkers()
    if _is_instant(rule):
        stale_markers = sql_samples.request_stale_markers(
            connection, series=series, time_range=time_range
        )
    result = sql_samples.read_samples(
        connection,
        tier=Tier.RAW,
        series=series,
        time_range=time_range,
        stale_markers=stale_markers,
    )
    _check_watched(len(result.stored))
    stored = {id(one.labels): one for one in result.stored if isinstance(one, promql.SeriesSamples)}
    return [
        History(
            each.tags,
            backtest.reduce_windows(
                samples.times,
                samples.values,
                ends,
                window=window,
                reducer=rule.reducer,
                stale_markers=samples.stale_markers,
            ),
        )
        for each in series
        if (samples := stored.get(id(each.labels))) is not None
    ]


def _expression_history(
    connection: psycopg.Connection[Any],
    rule: RuleSnapshot,
    expression: ResolvedExpression,
    ticks: backtest.Floats,
    inputs: TickInputs,
) -> list[History]:
    window, delay = inputs.window_of(rule)
    ends = ticks - delay
    times = expression_inputs.times_of(float(ends[-1]), window, rule.reducer, ends=len(ends))
    lines = expression_inputs.evaluate(
        PlanReader(connection, deadline=inf),
        expression,
        times,
        interval=inputs.intervals.get(rule.query, 0.0),
    )
    if rule.reducer is Reducer.LAST:
        return [History(line.tags, line.values) for line in lines]
    histories = []
    for line in lines:
        present = ~np.isnan(line.values)
        values = backtest.reduce_windows(
            times.array()[present],
            line.values[present],
            ends,
            window=window,
            reducer=rule.reducer,
        )
        histories.append(History(line.tags, values))
    return histories
