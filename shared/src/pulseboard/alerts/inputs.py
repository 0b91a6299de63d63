"""The inputs of alert rules: of one tick, for all rules at once; of the past, for one rule.

Rules that read the same series share one read. All selectors are resolved by one statement, and by
none while no series is created; samples are read once for each window length. Where there is no
time for all, `read_turns` says whose turn it is.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import islice
from math import ceil, inf
from typing import Any, TypeVar

import numpy as np
import psycopg

from pulseboard import promql
from pulseboard.alerts import backtest, expression_inputs, input_queries
from pulseboard.alerts.changes import series_key
from pulseboard.alerts.expression_inputs import UNNAMED, ResolvedExpression
from pulseboard.alerts.read_turns import LeftOver, ReadTurns, TurnLimits
from pulseboard.alerts.state_machine import ReadKey, RuleSnapshot
from pulseboard.catalogue import selector as selectors
from pulseboard.catalogue import series_queries
from pulseboard.catalogue.intervals import get_measured
from pulseboard.catalogue.selector import Matcher
from pulseboard.catalogue.series_key import Series
from pulseboard.contracts.alerts import Reducer
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core import lookback as lookbacks_of_queries
from pulseboard.core.exceptions import (
    InvalidRequest,
    LimitExceeded,
    PulseboardError,
    Unavailable,
)
from pulseboard.core.lookback import LOOKBACK_INTERVALS
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.db.statement_timeout import set_statement_timeout
from pulseboard.promql.ast import Binary, Call
from pulseboard.promql.budget import Budget
from pulseboard.promql.reads import parts
from pulseboard.promql.series import entry_count
from pulseboard.promql.times import Times
from pulseboard.query import expression_reader, limits, sql_samples
from pulseboard.query.reader import PlanReader
from pulseboard.query.sql_samples import SampleRange, StaleMarkers

_ABSENCE = ("absent", "absent_over_time")

_PARSED = 20_000
"""Query texts whose meaning is cached."""

T = TypeVar("T")
Parsed = selectors.Selector | promql.Expr | InvalidRequest
EvaluationKey = tuple[str, float, bool, float, Reducer]
"""What rules share whose query is read once, whatever they do with its values."""
_Observed = list[tuple[str, dict[str, str], float | None]]
"""Each series of a rule: key, tags, value or None."""


def _most_series(rule: RuleSnapshot) -> int:
    """How many series a rule may have."""
    configured = settings()
    return configured.recording_max_series if rule.recording else configured.alert_max_series


def _evaluation_key(rule: RuleSnapshot) -> EvaluationKey:
    return rule.read_key[:-1]


def _is_instant(rule: RuleSnapshot) -> bool:
    """Whether the rule reads the newest sample within the look-back, as PromQL does."""
    return rule.default_window and rule.reducer is Reducer.LAST


@dataclass
class TickInputs:
    """What rules read at one tick: by query text the series of a selector, by (window, delay) the
    reduced samples of each series id, by (look-back, delay) the newest sample of each, by what is
    read the values of an expression; by query text, how often its metrics are sent.
    """

    series: dict[str, list[Series] | PulseboardError] = field(default_factory=dict)
    windows: dict[tuple[float, float], dict[int, input_queries.Window] | PulseboardError] = field(
        default_factory=dict
    )
    newest: dict[tuple[float, float], dict[int, float] | PulseboardError] = field(
        default_factory=dict
    )
    expressions: dict[EvaluationKey, _Observed] = field(default_factory=dict)
    intervals: dict[str, float] = field(default_factory=dict)
    failed: dict[EvaluationKey, PulseboardError] = field(default_factory=dict)
    """What reading for one rule by itself came to, where that failed, or there was no time."""

    def window_of(self, rule: RuleSnapshot) -> tuple[float, float]:
        """Window and delay of a rule in seconds: a default window holds two samples."""
        window = rule.condition.window
        if rule.default_window:
            window = max(window, LOOKBACK_INTERVALS * self.intervals.get(rule.query, 0.0))
        return window, rule.delay

    def of(self, rule: RuleSnapshot) -> _Observed:
        """Each series of a rule: key, tags, value or None. Raises what its read raised."""
        if (error := self.failed.get(_evaluation_key(rule))) is not None:
            raise error.with_traceback(None)
        evaluated = self.expressions.get(_evaluation_key(rule))
        if evaluated is not None:
            # It may be shared with a recording rule, which may have more.
            expression_inputs.check_series(len(evaluated), _most_series(rule))
            return evaluated
        series = _unless_error(self.series[rule.query])
        values: Mapping[int, float]
        if _is_instant(rule):
            values = _unless_error(self.newest.get(self.window_of(rule), {}))
        else:
            windows = _unless_error(self.windows.get(self.window_of(rule), {}))
            column = input_queries.COLUMNS[rule.reducer]
            values = {id_: row[column] for id_, row in windows.items()}
        observed = [(series_key(each.tags_key), each.tags, values.get(each.id)) for each in series]
        _check_watched(sum(value is not None for *_, value in observed), _most_series(rule))
        return observed

    def lookback(self, rule: RuleSnapshot) -> float:
        """Seconds of samples that a value of a rule's query needs before its time."""
        return lookback_of(rule.query)

    def says_absence(self, rule: RuleSnapshot) -> bool:
        """Whether a value of a rule's query can mean that samples are missing."""
        return says_absence(rule.query)

    def values_of(self, rule: RuleSnapshot) -> list[float] | None:
        """The numbers that a rule reads, NaN only with `returned`; None: its read has failed."""
        try:
            found = self.of(rule)
        except Exception:  # noqa: BLE001 - the rule is evaluated, which meets the error again
            return None
        returned = rule.condition.returned
        return [value for *_, value in found if value is not None and (returned or value == value)]


class ReadOnce:
    """The inputs of a tick, each read once: rules that change meanwhile cost their own reads."""

    def __init__(
        self,
        at: float,
        turns: ReadTurns[EvaluationKey] | None = None,
        *,
        seconds: float = inf,
        hurried: bool = False,
    ) -> None:
        """`seconds` there are, if fewer than `alert_read_budget`; `hurried`: other ticks follow."""
        self._read = partial(read, at=at, turns=turns, seconds=seconds, hurried=hurried)
        self._of: dict[ReadKey, TickInputs] = {}

    def read(self, connection: psycopg.Connection[Any], rules: Iterable[RuleSnapshot]) -> None:
        """Read for these rules what is not read yet."""
        missing = [rule for rule in rules if rule.read_key not in self._of]
        if missing:
            inputs = self._read(connection, missing)
            self._of |= {rule.read_key: inputs for rule in missing}

    def of(self, rule: RuleSnapshot) -> _Observed:
        """Each series of a rule: key, tags, value or None. Raises what its read raised."""
        return self._of[rule.read_key].of(rule)

    def lookback(self, rule: RuleSnapshot) -> float:
        """Seconds of samples that a value of a rule's query needs before its time."""
        return lookback_of(rule.query)

    def says_absence(self, rule: RuleSnapshot) -> bool:
        """Whether a value of a rule's query can mean that samples are missing."""
        return says_absence(rule.query)

    def values_of(self, rule: RuleSnapshot) -> list[float] | None:
        """The numbers that a rule reads; None where its read has failed."""
        return self._of[rule.read_key].values_of(rule)


def _check_watched(count: int, most: int) -> None:
    """Raise InvalidRequest for more series with data than a rule may watch."""
    if count > most:
        raise LimitExceeded(
            f"The query selects {count} series; a rule may watch {most}. Add a tag filter."
        )


def _unless_error(result: T | PulseboardError) -> T:
    if isinstance(result, PulseboardError):
        # The same error is raised tick after tick: its traceback would grow.
        raise result.with_traceback(None)
    return result


def read(
    connection: psycopg.Connection[Any],
    rules: Iterable[RuleSnapshot],
    *,
    at: float,
    turns: ReadTurns[EvaluationKey] | None = None,
    seconds: float = inf,
    hurried: bool = False,
) -> TickInputs:
    """Read for all rules at the tick `at` (seconds since 1970), in `alert_read_budget`, or in
    `seconds` if these are fewer; `turns` is what former ticks have learned of them. `hurried`: only
    what will fit.

    `TickInputs.of` raises the error of a rule whose query can't be read, and LeftOver for one that
    there was no time for.
    """
    rules = list(rules)
    began = time.monotonic()
    budget = _Budget(at, began, _limits(seconds, hurried=hurried), turns or ReadTurns())
    budget.turns.ask({_evaluation_key(rule) for rule in rules}, at)
    most = max(map(_most_series, rules), default=0) * 10
    series, expressions = _resolve(connection, _lookbacks(rules), at, most)
    inputs = TickInputs(series, intervals=_intervals(connection, {rule.query for rule in rules}))
    reads = _read_selectors(
        connection, [r for r in rules if r.query not in expressions], inputs, budget
    )
    by_key: dict[EvaluationKey, RuleSnapshot] = {}
    for rule in rules:
        if rule.query in expressions:
            known = by_key.setdefault(_evaluation_key(rule), rule)
            if rule.recording and not known.recording:
                by_key[_evaluation_key(rule)] = rule
    reads |= _expression_reads(connection, by_key.values(), expressions, inputs, budget)
    _take_turns(reads, inputs, budget)
    return inputs


_Read = Callable[[float], PulseboardError | None]
"""Reads for one rule by itself, within so many seconds; returns the error that it has."""


def _limits(seconds: float, *, hurried: bool) -> TurnLimits:
    configured = settings()
    return TurnLimits(
        budget=min(seconds, configured.alert_read_budget),
        longest=configured.alert_rule_timeout,
        heavy=configured.alert_heavy_from,
        longest_wait=configured.alert_heavy_longest_retry,
        hurried=hurried,
    )


@dataclass(frozen=True, slots=True)
class _Budget:
    """What the reads of the tick at `at` may take, since `began` (monotonic seconds)."""

    at: float
    began: float
    limits: TurnLimits
    turns: ReadTurns[EvaluationKey]

    def left(self, share: float = 1.0) -> float:
        """The seconds that are left of this part of the time."""
        return self.began + share * self.limits.budget - time.monotonic()

    def together(self, rule: RuleSnapshot) -> bool:
        """Whether others may wait for what is read for this rule."""
        heavy = self.turns.is_heavy(_evaluation_key(rule), self.limits)
        return rule.last_error is None and not heavy


def _take_turns(
    reads: Mapping[EvaluationKey, _Read],
    inputs: TickInputs,
    budget: _Budget,
) -> None:
    """Read what there is time for. What is left over has not failed."""
    at, turns, limits = budget.at, budget.turns, budget.limits
    waiting: dict[EvaluationKey, _Read] = {}
    for key, read_one in reads.items():
        refused = turns.refused(key, at, limits)
        if refused is None:
            waiting[key] = read_one
        else:
            inputs.failed[key] = refused
    left = budget.left()
    for key, seconds in turns.take(list(waiting), limits, budget=left, clock=time.monotonic):
        started = time.monotonic()
        error = waiting[key](seconds)
        took = time.monotonic() - started
        if error is not None and took >= seconds and seconds < limits.longest:
            turns.put_cut(key, limits)
            continue
        turns.put(key, at, took, limits, error)
        del waiting[key]
        if error is not None:
            inputs.failed[key] = error
    for key in waiting:
        overdue = turns.leave(key, at) >= settings().alert_left_over_after
        inputs.failed[key] = _left_over(overdue=overdue)
    if waiting:
        logger().warning("rules are left over", extra={"tick": at, "reads": len(waiting)})


def _left_over(*, overdue: bool) -> LeftOver:
    configured = settings()
    return LeftOver(
        f"There has been no time to read it for {configured.alert_left_over_after:g} s: a tick has"
        f" {configured.alert_read_budget:g} s for all rules. Narrow the heavy ones.",
        overdue=overdue,
    )


def _read_selectors(
    connection: psycopg.Connection[Any],
    rules: Iterable[RuleSnapshot],
    inputs: TickInputs,
    budget: _Budget,
) -> dict[EvaluationKey, _Read]:
    """The samples of selectors: one statement for each window, the shortest first, in half of the
    time that there is.

    Returns the reads of rules that have to be read one by one, those of few series first: a
    statement that took too long is read again rule by rule, and what is heavy, or failed last time,
    is not given to the others to wait for.
    """
    groups: dict[tuple[bool, float, float], list[RuleSnapshot]] = {}
    for rule in rules:
        if not isinstance(inputs.series[rule.query], PulseboardError):
            groups.setdefault((_is_instant(rule), *inputs.window_of(rule)), []).append(rule)
    alone: list[tuple[RuleSnapshot, Callable[..., Any], dict[int, Any]]] = []
    for (instant, window, delay), members in sorted(groups.items(), key=lambda one: one[0][1]):
        read_ids: Callable[..., dict[int, Any] | PulseboardError] = partial(
            _read_window,
            input_queries.read_newest if instant else input_queries.read_windows,
            connection,
            window=window,
            end=budget.at - delay,
        )
        together = [rule for rule in members if budget.together(rule)]
        left = budget.left(0.5) / 2
        found = read_ids(_ids_of(together, inputs), members[0], longest=left) if left > 0 else None
        values = found if isinstance(found, dict) else {}
        of_windows: dict[tuple[float, float], Any] = inputs.newest if instant else inputs.windows
        of_windows[window, delay] = values
        if found is values:
            for rule in together:
                budget.turns.put(_evaluation_key(rule), budget.at, 0.0, budget.limits, None)
        read_already = {rule.id for rule in together} if found is values else set()
        alone += [(rule, read_ids, values) for rule in members if rule.id not in read_already]
    alone.sort(key=lambda one: len(_ids_of([one[0]], inputs)))
    return {
        _evaluation_key(rule): partial(_read_selector, rule, read_ids, values, inputs)
        for rule, read_ids, values in alone
    }


def _read_selector(
    rule: RuleSnapshot,
    read_ids: Callable[..., dict[int, Any] | PulseboardError],
    values: dict[int, Any],
    inputs: TickInputs,
    seconds: float,
) -> PulseboardError | None:
    missing = [one for one in _ids_of([rule], inputs) if one not in values]
    found = read_ids(missing, rule, longest=seconds)
    if isinstance(found, PulseboardError):
        return found
    values |= found
    return None


def _ids_of(rules: Iterable[RuleSnapshot], inputs: TickInputs) -> list[int]:
    return sorted({one.id for rule in rules for one in _unless_error(inputs.series[rule.query])})


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


class _TickReader(PlanReader):
    """Reads in transactions that end with each read: none is open while expressions are computed,
    which takes longer, and would keep others from a database that has one connection.
    """

    def once(self, name: object, read: Callable[[], T]) -> T:
        """The result of `read`, which is called once for each name, in a transaction of its own."""
        if name in self.memo:
            found: T = self.memo[name]
            return found
        with self.connection.transaction():
            return super().once(name, read)


def _expression_reads(
    connection: psycopg.Connection[Any],
    rules: Iterable[RuleSnapshot],
    expressions: Mapping[str, ResolvedExpression],
    inputs: TickInputs,
    budget: _Budget,
) -> dict[EvaluationKey, _Read]:
    """The evaluations of these rules. What many of them read is read together, apart from heavy
    ones and those that failed last time; expressions with equal selectors over equal ranges share
    what is read.
    """
    reader = _TickReader(connection, deadline=inf, bounded=True)
    held = _HeldSamples(reader)
    together = [rule for rule in rules if budget.together(rule)]
    left = budget.left(0.5)
    if len(together) > 1 and left > 0:
        _prefetch(reader, together, expressions, budget.at, inputs, left)
        held.share()
    return {
        _evaluation_key(rule): partial(
            _evaluate, rule, expressions[rule.query], reader, held, budget.at, inputs
        )
        for rule in rules
    }


def _evaluate(
    rule: RuleSnapshot,
    expression: ResolvedExpression,
    reader: PlanReader,
    held: "_HeldSamples",
    at: float,
    inputs: TickInputs,
    seconds: float,
) -> PulseboardError | None:
    try:
        lines = expression_inputs.evaluate(
            reader,
            expression,
            _times(rule, at, inputs),
            budget=_budget_of_a_rule(seconds),
            interval=inputs.intervals.get(rule.query, 0.0),
            most=_most_series(rule),
        )
    except psycopg.errors.QueryCanceled:
        return InvalidRequest("Reading the expression's samples took too long: narrow it.")
    except Exception as error:  # noqa: BLE001 - one rule must never stop the others
        return _of_the_rule(error, rule)
    finally:
        held.bound()
    # The values of a window are let go: each rule would hold its own until the tick's end.
    inputs.expressions[_evaluation_key(rule)] = [
        (series_key(one.key), one.tags, expression_inputs.reduce(one, rule.reducer))
        for one in lines
    ]
    return None


def _budget_of_a_rule(seconds: float) -> Budget:
    samples = settings().alert_max_samples
    return limits.new_budget(seconds, samples=samples, values=4 * samples)


class _HeldSamples:
    """Bounds the samples that a reader holds for the rules of a tick by `alert_max_samples`, beside
    those that were read for many rules together, which have the same bound of their own."""

    def __init__(self, reader: PlanReader) -> None:
        self._memo = reader.memo
        self._shared = self._counted = self._samples = 0

    def share(self) -> None:
        """What is held now stays."""
        self._shared = self._counted = len(self._memo)

    def clear(self) -> None:
        """Nothing is held any more."""
        self._memo.clear()
        self._shared = self._counted = self._samples = 0

    def bound(self) -> None:
        """Let go of what single rules have read, where that is too much."""
        new = list(islice(reversed(self._memo), len(self._memo) - self._counted))
        self._counted = len(self._memo)
        for name in new:
            self._samples += sum(map(entry_count, self._memo[name].stored))
        if self._samples > settings().alert_max_samples:
            for name in list(islice(reversed(self._memo), len(self._memo) - self._shared)):
                del self._memo[name]
            self._counted, self._samples = self._shared, 0


def _prefetch(
    reader: PlanReader,
    rules: Iterable[RuleSnapshot],
    expressions: Mapping[str, ResolvedExpression],
    at: float,
    inputs: TickInputs,
    seconds: float,
) -> None:
    """Read what the selectors of these rules share, each shape by a statement of its own; what
    can't be read so is read by each rule."""
    budget = _budget_of_a_rule(seconds)
    groups: dict[tuple[Times, float], dict[promql.Read, Sequence[Series]]] = {}
    for rule in rules:
        try:
            times = _times(rule, at, inputs)
        except (ValueError, OverflowError):
            continue
        delta = lookbacks_of_queries.lookback_of(inputs.intervals.get(rule.query, 0.0))
        wanted = groups.setdefault((times, delta), {})
        most = _most_series(rule) * 10
        for one, series in expressions[rule.query].series.items():
            if not isinstance(series, InvalidRequest) and series and len(series) <= most:
                wanted[one] = series
    for (times, delta), wanted in groups.items():
        try:
            with reader.connection.transaction():
                expression_reader.prefetch(
                    reader,
                    wanted,
                    times=times,
                    tier=Tier.RAW,
                    budget=budget,
                    lookback_delta=delta,
                )
        except (PulseboardError, psycopg.Error, ValueError, OverflowError) as error:
            if database.is_outage(error):
                raise
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
    read: Callable[..., dict[int, Any]],
    connection: psycopg.Connection[Any],
    ids: list[int],
    example: RuleSnapshot,
    *,
    window: float,
    end: float,
    longest: float,
) -> dict[int, Any] | PulseboardError:
    if not ids:
        return {}
    seconds = min(settings().query_timeout, longest)
    try:
        with connection.transaction():
            set_statement_timeout(connection, seconds=seconds)
            return read(connection, series_ids=ids, start=end - window, end=end)
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
    connection: psycopg.Connection[Any], lookbacks: Mapping[str, float], at: float, most: int
) -> tuple[dict[str, list[Series] | PulseboardError], dict[str, ResolvedExpression]]:
    """By text, the series of each selector, or why there are none; and the expressions.

    `lookbacks` are the texts, each with the seconds before `at` (seconds since 1970) in which its
    series were seen. A selector may have `most` series.
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
    meaning = _parsed(text)
    if isinstance(meaning, InvalidRequest):
        raise meaning.with_traceback(None)
    if isinstance(meaning, selectors.Selector):
        return
    if any(one.name is None for one in promql.selectors(meaning)):
        raise InvalidRequest(
            UNNAMED,
            details=[ErrorDetail(field="query", message=UNNAMED, hint="write a rule for each")],
        )


def check_limits(connection: psycopg.Connection[Any], rule: RuleSnapshot, *, at: float) -> None:
    """Read once what a rule would read at `at` (seconds since 1970).

    Raises LimitExceeded for what its ticks would mark it for. Whatever else fails is no reason to
    refuse it: series may not match now and match later, and a busy database is no limit.
    """
    try:
        read(connection, [rule], at=at).of(rule)
    except LimitExceeded:
        raise
    except PulseboardError as error:
        if isinstance(error, Unavailable):
            raise


@lru_cache(maxsize=_PARSED)
def says_absence(text: str) -> bool:
    """Whether a value can mean that samples are missing: `absent(x)`, `x or vector(0)`."""
    meaning = _parsed(text)
    if isinstance(meaning, InvalidRequest | selectors.Selector):
        return False
    return any(_says_absence(one) for one in _every_part(meaning))


def _says_absence(expr: promql.Expr) -> bool:
    match expr:
        case Call(function=function):
            return function in _ABSENCE
        case Binary(operator="or", right=right):
            return not promql.selectors(right)
    return False


def _every_part(expr: promql.Expr) -> Iterator[promql.Expr]:
    yield expr
    for part in parts(expr):
        yield from _every_part(part)


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
    """The value that a rule reads of one series at each tick, where it is `present`."""

    tags: dict[str, str]
    values: backtest.Floats
    present: backtest.Present


def read_history(rule: RuleSnapshot, ticks: backtest.Floats) -> list[History]:
    """What a rule would have read at each of these ticks (seconds since 1970, `TICK` apart).

    Raises InvalidRequest for a query that can't be read, Unavailable without a database.
    """
    if not len(ticks):
        return []
    with database.connection() as connection:
        length = float(ticks[-1] - ticks[0])
        lookback = length + rule.delay + rule.condition.window
        most = _most_series(rule) * 10
        found, expressions = _resolve(connection, {rule.query: lookback}, float(ticks[-1]), most)
        inputs = TickInputs(found, intervals=_intervals(connection, [rule.query]))
        try:
            with connection.transaction():
                set_statement_timeout(connection, seconds=settings().query_timeout)
                if rule.query in expressions:
                    expression = expressions[rule.query]
                    compute = _expression_history(connection, rule, expression, ticks, inputs)
                elif series := _unless_error(found[rule.query]):
                    compute = _selector_history(connection, rule, series, ticks, inputs)
                else:
                    return []
        except psycopg.errors.QueryCanceled as error:
            raise InvalidRequest(
                "Reading the samples took too long: choose a shorter range or narrow the query."
            ) from error
    return compute()


def _check_history(ticks: int, series: int) -> None:
    """Raise LimitExceeded for more ticks × series than a backtest may hold."""
    most = settings().alert_preview_max_values
    if ticks * series > most:
        raise LimitExceeded(
            f"The backtest would hold {ticks * series:,} values ({ticks:,} ticks × {series:,}"
            f" series); {most:,} are allowed. Choose a shorter range or fewer series."
        )


def _selector_history(
    connection: psycopg.Connection[Any],
    rule: RuleSnapshot,
    series: list[Series],
    ticks: backtest.Floats,
    inputs: TickInputs,
) -> Callable[[], list[History]]:
    """Read what a history needs; gives what computes it without a connection."""
    window, delay = inputs.window_of(rule)
    ends = ticks - delay
    time_range = SampleRange(float(ends[0]) - window, float(ends[-1]))
    stale_markers = StaleMarkers()
    if _is_instant(rule):
        stale_markers = sql_samples.request_stale_markers(
            connection, series=series, time_range=time_range
        )
    most = settings().alert_preview_max_values
    result = sql_samples.read_samples(
        connection,
        tier=Tier.RAW,
        series=series,
        time_range=time_range,
        stale_markers=stale_markers,
        most=most,
    )
    if result.rows > most:
        raise LimitExceeded(
            f"The backtest would read more than {most:,} samples, which are allowed. Choose a"
            " shorter range or fewer series."
        )
    _check_watched(len(result.stored), _most_series(rule))
    _check_history(len(ticks), len(result.stored))
    stored = {id(one.labels): one for one in result.stored if isinstance(one, promql.SeriesSamples)}

    def compute() -> list[History]:
        histories = []
        for each in series:
            if (samples := stored.get(id(each.labels))) is not None:
                values = backtest.reduce_windows(
                    samples.times,
                    samples.values,
                    ends,
                    window=window,
                    reducer=rule.reducer,
                    stale_markers=samples.stale_markers,
                )
                histories.append(History(each.tags, values, ~np.isnan(values)))
        return histories

    return compute


def _expression_history(
    connection: psycopg.Connection[Any],
    rule: RuleSnapshot,
    expression: ResolvedExpression,
    ticks: backtest.Floats,
    inputs: TickInputs,
) -> Callable[[], list[History]]:
    """Read what a history needs; gives what computes it without a connection."""
    window, delay = inputs.window_of(rule)
    _check_history(len(ticks), 1)
    ends = ticks - delay
    times = expression_inputs.times_of(float(ends[-1]), window, rule.reducer, ends=len(ends))
    most = settings().alert_preview_max_values
    evaluate = expression_inputs.read(
        PlanReader(connection, deadline=inf, bounded=True),
        expression,
        times,
        budget=limits.new_budget(samples=most, values=2 * most),
        interval=inputs.intervals.get(rule.query, 0.0),
        most=_most_series(rule),
    )

    def compute() -> list[History]:
        lines = evaluate()
        _check_history(len(ticks), len(lines))
        if rule.reducer is Reducer.LAST:
            return [History(line.tags, line.values, line.present) for line in lines]
        histories = []
        for line in lines:
            present = line.present & ~np.isnan(line.values)
            values = backtest.reduce_windows(
                times.array()[present],
                line.values[present],
                ends,
                window=window,
                reducer=rule.reducer,
            )
            histories.append(History(line.tags, values, ~np.isnan(values)))
        return histories

    return compute


def read_points(rule: RuleSnapshot, times: Times) -> list[expression_inputs.ExpressionSeries]:
    """The values of a rule's expression at each of these times, at which samples are looked for
    `delay` seconds before.

    Raises InvalidRequest for a query that can't be read, Unavailable without a database.
    """
    tree = promql.parse(rule.query)
    most = _most_series(rule)
    back = times.last - times.first + rule.delay + rule.condition.window
    wanted = {one: _of_expression(one, back) for one in promql.selectors(tree)}
    with database.connection() as connection:
        selected = list(dict.fromkeys(one for one in wanted.values() if one is not None))
        results = series_queries.find_many(
            connection, selectors=selected, limit=most * 10 + 1, now=times.last
        )
        found = dict(zip(selected, results, strict=True))
        series = {one: None if key is None else found[key] for one, key in wanted.items()}
        interval = _intervals(connection, [rule.query])[rule.query]
        _check_history(times.count, 1)
        values = settings().alert_preview_max_values
        try:
            with connection.transaction():
                set_statement_timeout(connection, seconds=settings().query_timeout)
                evaluate = expression_inputs.read(
                    PlanReader(connection, deadline=inf, bounded=True),
                    ResolvedExpression(tree, series),
                    Times(times.first - rule.delay, times.step, times.count),
                    budget=limits.new_budget(samples=values, values=2 * values),
                    interval=interval,
                    most=most,
                )
        except psycopg.errors.QueryCanceled as error:
            raise InvalidRequest(
                "Reading the samples took too long: choose a shorter range or narrow the query."
            ) from error
    lines = evaluate()
    _check_history(times.count, len(lines))
    return lines
