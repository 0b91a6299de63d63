"""What the execution of a plan did, and how long each part took: the source of `explain`.

It is kept for every query, since it costs some microseconds; only a query that asks for it has it
in its result.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pulseboard.contracts.base import format_interval
from pulseboard.contracts.queries import ExplainedRead, ExplainedTime, QueryExplain
from pulseboard.contracts.vocabulary import QueryPhase
from pulseboard.query import tiers
from pulseboard.query.plan import Bucketed, Plan


@dataclass(slots=True)
class ReadTrace:
    """One read: of which series and times in seconds since 1970, and what SQL computed of it."""

    selector: str
    start: float
    end: float
    series: int = 0
    rows: int = 0
    pushed_down: str = ""
    shared: bool = False
    seconds: float = 0.0


@dataclass(slots=True)
class Trace:
    """The reads of a plan and the seconds of its phases; `points_read` of those in the result."""

    reads: list[ReadTrace] = field(default_factory=list)
    seconds: dict[QueryPhase, float] = field(default_factory=dict)
    points_read: int = 0

    @classmethod
    def of(cls, traces: Iterable["Trace"]) -> "Trace":
        """Several traces as one."""
        joined = cls()
        for each in traces:
            joined.reads += each.reads
            joined.points_read += each.points_read
            for phase, seconds in each.seconds.items():
                joined.add(phase, seconds)
        return joined

    def add(self, phase: QueryPhase, seconds: float) -> None:
        """Add to the time of a phase."""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds

    @contextmanager
    def timed(self, phase: QueryPhase) -> Iterator[None]:
        """Add what is done inside to the time of a phase."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.add(phase, time.perf_counter() - began)

    @contextmanager
    def reading(self, selector: str, *, start: float, end: float) -> Iterator[ReadTrace]:
        """Trace a read; what is known of it afterwards is to be written into the given object."""
        read = ReadTrace(selector, start, end)
        began = time.perf_counter()
        try:
            yield read
        finally:
            read.seconds = time.perf_counter() - began
            self.add(QueryPhase.READ, read.seconds)
            self.reads.append(read)

    def explain(self, plan: Plan, *further: Plan) -> QueryExplain:
        """The trace of a plan, and of those that follow it, as the contract has it."""
        points = sum(len(each.span) for each in (plan, *further))
        return QueryExplain(
            tier=plan.tier,
            step=format_interval(plan.step),
            evaluated=_evaluated(plan),
            points=points,
            points_cached=points - self.points_read,
            reads=[
                ExplainedRead(
                    selector=read.selector,
                    table=tiers.TABLES[plan.tier],
                    start=round(read.start * 1000),
                    end=round(read.end * 1000),
                    series=read.series,
                    rows=read.rows,
                    pushed_down=read.pushed_down,
                    shared=read.shared,
                    duration_ms=_milliseconds(read.seconds),
                )
                for read in self.reads
            ],
            times=[
                ExplainedTime(phase=phase, duration_ms=_milliseconds(self.seconds[phase]))
                for phase in QueryPhase
                if phase in self.seconds
            ],
        )


def _evaluated(plan: Plan) -> str:
    """What is computed: an expression as it was fitted to the tier, or buckets."""
    if isinstance(plan.shape, Bucketed):
        return f"{plan.shape.described()} in buckets of {format_interval(plan.step)}"
    # An expression is parsed with more than plain panels need.
    from pulseboard.promql.printer import printed

    return printed(plan.shape.tree)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
