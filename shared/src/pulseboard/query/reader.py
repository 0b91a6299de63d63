"""Reads the points of plans from the database; what several plans share is read once."""

import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import psycopg

from pulseboard.catalogue import series_queries
from pulseboard.catalogue.series_key import Series, line_key
from pulseboard.contracts.vocabulary import Aggregation, QueryPhase
from pulseboard.core.settings import settings
from pulseboard.db.statement_timeout import set_statement_timeout
from pulseboard.promql.budget import Budget
from pulseboard.promql.printer import printed_read
from pulseboard.query import limits, series_selectors, sql_buckets
from pulseboard.query.expression import Pushdown
from pulseboard.query.parts import PlanPart
from pulseboard.query.plan import Bucketed, Plan
from pulseboard.query.result_cache.extents import empty_values
from pulseboard.query.series_selectors import SeriesSelector
from pulseboard.query.trace import Trace

T = TypeVar("T")


@dataclass
class PlanReader:
    """Reads over one connection until `deadline` (monotonic seconds), and shares what it reads."""

    connection: psycopg.Connection[Any]
    """May be replaced between two reads."""
    deadline: float
    bounded: bool = False
    """Whether statements stop at what is left of a budget, so that no estimate has to be right."""
    memo: dict[object, Any] = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)
    """Of the plan that is being read."""
    _aggregations: dict[object, dict[Aggregation, None]] = field(default_factory=dict)

    def announce(self, plans: Iterable[tuple[Plan, range]]) -> None:
        """Announce what will be read: plans that share rows read them together, and the
        series of all are looked up in one round trip.
        """
        selectors: dict[SeriesSelector, None] = {}
        for plan, span in plans:
            if isinstance(plan.shape, Bucketed):
                source = (plan.shape.source, plan.tier, plan.step, plan.origin, span)
                self._aggregations.setdefault(source, {})[plan.shape.aggregation] = None
            selectors.update(dict.fromkeys(series_selectors.of_plan(plan)))
        if len(selectors) > 1:
            self._look_up(list(selectors))

    def _look_up(self, selectors: Sequence[SeriesSelector]) -> None:
        try:
            with self.connection.pipeline():
                set_statement_timeout(self.connection, seconds=settings().query_timeout)
                lookups = [self._lookup(each) for each in selectors]
                for each, lookup in zip(selectors, lookups, strict=True):
                    self.memo[each] = lookup.series()
        except (psycopg.DataError, psycopg.errors.QueryCanceled):
            # Each plan looks up its own, and has its own error.
            self.memo.clear()

    def new_budget(self) -> Budget:
        """The budget of the next query. Raises InvalidRequest when no time is left for it."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise limits.timed_out(settings().query_batch_timeout)
        return limits.new_budget(min(settings().query_timeout, left))

    def bound(self, budget: Budget) -> None:
        """Bound the next statement by what is left of a budget's time."""
        set_statement_timeout(self.connection, seconds=budget.left())

    def read(self, plan: Plan, span: range, budget: Budget) -> PlanPart | Callable[[], PlanPart]:
        """The points `span` of a plan, or what computes them from what was read, for which no
        connection is needed.

        Both raise InvalidRequest for a limit that is exceeded; Unavailable without a database.
        """
        try:
            # One implicit transaction up to the pipeline's end. A statement whose result is not
            # fetched shares the round trip of the next one.
            with self.connection.pipeline():
                self.bound(budget)
                return self._read_part(plan, span, budget)
        except psycopg.errors.QueryCanceled as error:
            raise budget.timed_out() from error

    def _read_part(
        self, plan: Plan, span: range, budget: Budget
    ) -> PlanPart | Callable[[], PlanPart]:
        if isinstance(plan.shape, Bucketed):
            return self._read_bucketed(plan, plan.shape, span, budget)
        pushdown = plan.shape.pushdown(plan.step)
        if pushdown is not None:
            return self._read_pushdown(plan, pushdown, span, budget)
        # Imports numpy, which takes about 0.2 s: plain panels do without it.
        from pulseboard.query import expression_reader

        return expression_reader.read(self, plan, plan.shape, span, budget)

    def once(self, name: object, read: Callable[[], T]) -> T:
        """The result of `read`, which is called once for each name."""
        if name not in self.memo:
            self.memo[name] = read()
        found: T = self.memo[name]
        return found

    def find_series(self, selector: SeriesSelector) -> tuple[list[Series], tuple[str, ...]]:
        """The series of a selector, and a note when there is no such metric."""
        with self.trace.timed(QueryPhase.SERIES):
            found = self.once(selector, lambda: self._lookup(selector).series())
        if found is None:
            return [], (f"there is no metric named {selector.name}",) if selector.name else ()
        return found, ()

    def _lookup(self, selector: SeriesSelector) -> series_queries.Lookup:
        return series_queries.Lookup(
            self.connection,
            name=selector.name,
            matchers=selector.matchers,
            limit=settings().query_max_found + 1,
            times=selector.times,
        )

    def _read_bucketed(self, plan: Plan, shape: Bucketed, span: range, budget: Budget) -> PlanPart:
        source = (shape.source, plan.tier, plan.step, plan.origin, span)
        aggregations = list(self._aggregations.get(source, {shape.aggregation: None}))
        name = ("lines", source)
        if name in self.memo:
            start, end = plan.time_of(span.start), plan.time_of(span.stop)
            with self.trace.reading(shape.described(), start=start, end=end) as read:
                read.shared = True
        parts = self.once(
            name,
            lambda: self._read_aggregations(plan, shape, span, aggregations, budget),
        )
        return parts[shape.aggregation]

    def _read_aggregations(
        self,
        plan: Plan,
        shape: Bucketed,
        span: range,
        aggregations: list[Aggregation],
        budget: Budget,
    ) -> dict[Aggregation, PlanPart]:
        series, notes = self.find_series(series_selectors.of_buckets(plan, shape))
        if shape.group_by is None:
            keys = [each.key for each in series]
        else:
            labels = shape.group_by
            keys = [
                line_key(shape.name, {key: tags[key] for key in labels if tags.get(key)})
                for tags in (each.tags for each in series)
            ]
        lines, rows = self._read_lines(
            plan,
            series,
            keys,
            span,
            [sql_buckets.AGGREGATIONS[each] for each in aggregations],
            budget,
            described=", ".join(
                replace(shape, aggregation=each).described() for each in aggregations
            ),
            pushed_down="all of it",
        )
        return {
            aggregation: PlanPart(lines[number], rows, notes, found=bool(series))
            for number, aggregation in enumerate(aggregations)
        }

    def _read_pushdown(
        self, plan: Plan, pushdown: Pushdown, span: range, budget: Budget
    ) -> PlanPart:
        series, notes = self.find_series(series_selectors.of_read(plan, pushdown.read))
        aggregation = sql_buckets.over_groups(Aggregation(pushdown.statistic), pushdown.operator)
        lines, rows = self._read_lines(
            plan,
            series,
            [line_key("", pushdown.group_of(each.tags)) for each in series],
            span,
            [aggregation],
            budget,
            described=printed_read(pushdown.read),
            pushed_down=f"{pushdown.operator} of {pushdown.statistic}_over_time: all of it",
            closed_right=True,
        )
        return PlanPart(lines[0], rows, notes, found=bool(series))

    def _read_lines(
        self,
        plan: Plan,
        series: list[Series],
        keys: list[str],
        span: range,
        aggregations: list[sql_buckets.SqlAggregation],
        budget: Budget,
        *,
        described: str,
        pushed_down: str,
        closed_right: bool = False,
    ) -> tuple[list[dict[str, "array[float]"]], int]:
        """For each aggregation its lines by key, and how many rows were read.

        `keys` names the line that each of `series` belongs to; `described` and `pushed_down` are
        for the trace.
        """
        numbers: dict[str, int] = {}
        groups = [numbers.setdefault(key, len(numbers)) for key in keys]
        limits.check_lines(len(series), len(numbers), len(plan.span))
        if not series:
            return [{} for _ in aggregations], 0
        ungrouped = len(numbers) == len(series)
        self.bound(budget)
        first = span.start - 1 if closed_right else span.start
        last = span.stop - 1 if closed_right else span.stop
        with self.trace.reading(
            described, start=plan.time_of(first), end=plan.time_of(last)
        ) as read:
            columns = sql_buckets.read_lines(
                self.connection,
                tier=plan.tier,
                aggregations=aggregations,
                series_ids=[each.id for each in series],
                groups=None if ungrouped else groups,
                step=plan.step,
                span=span,
                origin=plan.origin,
                closed_right=closed_right,
            )
            read.series, read.pushed_down = len(series), pushed_down
            read.rows = sum(column.rows for column in columns)
        names = dict(enumerate(numbers))
        if ungrouped:
            names = {each.id: key for each, key in zip(series, keys, strict=True)}
        lines: list[dict[str, array[float]]] = [{} for _ in aggregations]
        for column in columns:
            for of_aggregation, values in zip(lines, column.values, strict=True):
                line = of_aggregation[names[column.number]] = empty_values(len(span))
                for point, value in zip(column.points, values, strict=True):
                    line[point] = value
        return lines, read.rows
