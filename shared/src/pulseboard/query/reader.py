"""Reads the points of plans from the database; what several plans ask for is read once."""

import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg

from pulseboard.catalogue import series_queries
from pulseboard.catalogue.selector import Matcher
from pulseboard.catalogue.series_key import line_key
from pulseboard.catalogue.series_queries import Series
from pulseboard.contracts.vocabulary import Aggregation
from pulseboard.core.exceptions import PulseboardError
from pulseboard.core.settings import settings
from pulseboard.db.statement_timeout import set_statement_timeout
from pulseboard.query import limits, sql_buckets
from pulseboard.query.expression import Pushed
from pulseboard.query.parts import Part
from pulseboard.query.plan import Bucketed, Plan
from pulseboard.query.result_cache.extents import nothing

Result = TypeVar("Result")


@dataclass
class Reading:
    """One connection and what has been read over it, until `deadline` (monotonic seconds)."""

    connection: psycopg.Connection[Any]
    deadline: float
    memo: dict[object, Any] = field(default_factory=dict)
    _aggregations: dict[object, dict[Aggregation, None]] = field(default_factory=dict)
    _guessed: list[tuple[series_queries.Lookup, list[Series]]] | None = None
    """Questions whose answers were guessed and are still to be looked at; None: guess nothing."""

    def expect(self, plans: Iterable[tuple[Plan, range]]) -> None:
        """Announce what will be read, so that plans that share rows read them together."""
        for plan, span in plans:
            if isinstance(plan.shape, Bucketed):
                place = (plan.shape.source, plan.tier, plan.step, span)
                self._aggregations.setdefault(place, {})[plan.shape.aggregation] = None

    def read(self, plan: Plan, span: range) -> Part:
        """The points `span` of a plan.

        Raises InvalidRequest for a limit that is passed, Unavailable without a database.
        """
        seconds = min(settings().query_timeout, self.deadline - time.monotonic())
        if seconds <= 0:
            raise limits.too_slow(settings().query_batch_timeout)
        try:
            # One implicit transaction up to the pipeline's end; statements without an answer ride
            # along with the next one's round trip.
            with self.connection.pipeline():
                set_statement_timeout(self.connection, seconds=seconds)
                part = self._at_a_guess(plan, span)
                return part if part is not None else self._part(plan, span)
        except psycopg.errors.QueryCanceled as error:
            # It may hold guesses that were not looked at: the next plan must not build on them.
            self.memo.clear()
            raise limits.too_slow(seconds) from error

    def _at_a_guess(self, plan: Plan, span: range) -> Part | None:
        """The points read from the series that were there last; None when there are others now."""
        self._guessed = []
        outcome: Part | PulseboardError
        try:
            outcome = self._part(plan, span)
        except PulseboardError as error:
            outcome = error
        if not self._were_right():
            self._guessed = None
            self.memo.clear()
            return None
        if isinstance(outcome, PulseboardError):
            raise outcome
        return outcome

    def _were_right(self) -> bool:
        guessed, self._guessed = self._guessed or [], []
        # Each must be looked at: an answer that is left in the pipeline is in the next one's way.
        right = [question.series() is guess for question, guess in guessed]
        return all(right)

    def _part(self, plan: Plan, span: range) -> Part:
        if isinstance(plan.shape, Bucketed):
            return self._bucketed(plan, plan.shape, span)
        pushed = plan.shape.pushed(plan.step)
        if pushed is not None:
            return self._pushed(plan, pushed, span)
        # Brings numpy, which takes about 0.2 s to import: plain panels don't pay it.
        from pulseboard.query.expression_reader import evaluate

        return evaluate(self, plan, plan.shape, span)

    def once(self, name: object, read: Callable[[], Result]) -> Result:
        """What `read` gives, remembered under a name."""
        if name not in self.memo:
            self.memo[name] = read()
        found: Result = self.memo[name]
        return found

    def find(
        self, name: str | None, matchers: Sequence[Matcher]
    ) -> tuple[list[Series], tuple[str, ...]]:
        """The series of a selector, and a note when there is no such metric."""
        found = self.once(("series", name, tuple(matchers)), lambda: self._series(name, matchers))
        if found is None:
            return [], (f"there is no metric named {name}",) if name else ()
        return found, ()

    def _series(self, name: str | None, matchers: Sequence[Matcher]) -> list[Series] | None:
        question = series_queries.Lookup(
            self.connection,
            name=name,
            matchers=matchers,
            limit=settings().query_max_series * 10 + 1,
        )
        guess = series_queries.cached_result(name=name, matchers=matchers)
        if guess is None or self._guessed is None:
            return question.series()
        self._guessed.append((question, guess))
        return guess

    def _bucketed(self, plan: Plan, shape: Bucketed, span: range) -> Part:
        place = (shape.source, plan.tier, plan.step, span)
        together = list(self._aggregations.get(place, {shape.aggregation: None}))
        parts = self.once(
            ("lines", place), lambda: self._read_bucketed(plan, shape, span, together)
        )
        return parts[shape.aggregation]

    def _read_bucketed(
        self, plan: Plan, shape: Bucketed, span: range, together: list[Aggregation]
    ) -> dict[Aggregation, Part]:
        series, notes = self.find(shape.name, shape.matchers)
        if shape.group_by is None:
            names = [each.key for each in series]
        else:
            keys = shape.group_by
            names = [
                line_key(shape.name, {key: tags[key] for key in keys if tags.get(key)})
                for tags in (each.tags for each in series)
            ]
        lines, rows = self._lines(
            plan,
            series,
            names,
            span,
            [sql_buckets.BUCKETED[each] for each in together],
        )
        return {
            aggregation: Part(lines[number], rows, notes, seen=bool(series))
            for number, aggregation in enumerate(together)
        }

    def _pushed(self, plan: Plan, pushed: Pushed, span: range) -> Part:
        series, notes = self.find(pushed.read.name, pushed.read.matchers)
        value = sql_buckets.over_groups(Aggregation(pushed.statistic), pushed.operator)
        lines, rows = self._lines(
            plan,
            series,
            [line_key("", pushed.group_of(each.tags)) for each in series],
            span,
            [value],
            closed_right=True,
        )
        return Part(lines[0], rows, notes, seen=bool(series))

    def _lines(
        self,
        plan: Plan,
        series: list[Series],
        keys: list[str],
        span: range,
        values: list[sql_buckets.Value],
        *,
        closed_right: bool = False,
    ) -> tuple[list[dict[str, "array[float]"]], int]:
        numbers: dict[str, int] = {}
        groups = [numbers.setdefault(key, len(numbers)) for key in keys]
        limits.check_lines(len(series), len(numbers), len(plan.span))
        if not series:
            return [{} for _ in values], 0
        alone = len(numbers) == len(series)
        columns = sql_buckets.read_lines(
            self.connection,
            tier=plan.tier,
            values=values,
            series_ids=[each.id for each in series],
            groups=None if alone else groups,
            step=plan.step,
            span=span,
            closed_right=closed_right,
        )
        names = dict(enumerate(numbers))
        if alone:
            names = {each.id: key for each, key in zip(series, keys, strict=True)}
        lines: list[dict[str, array[float]]] = [{} for _ in values]
        for column in columns:
            for kept, given in zip(lines, column.values, strict=True):
                line = kept[names[column.number]] = nothing(len(span))
                for point, value in zip(column.points, given, strict=True):
                    line[point] = value
        return lines, sum(column.rows for column in columns)
