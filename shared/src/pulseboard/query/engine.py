"""Executes queries: plan, get from the result cache, read the gaps, merge, cache.

A single query is a batch of one. Queries with the same plan are executed once. Whatever goes wrong
with a query is that query's own error; the others have their results.
"""

import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import psycopg

from pulseboard.catalogue.intervals import get_intervals
from pulseboard.catalogue.series_key import labels_of, line_key, order_of
from pulseboard.contracts.base import format_interval
from pulseboard.contracts.queries import QueryMeta, QueryParams
from pulseboard.contracts.vocabulary import QueryPhase, Tier
from pulseboard.core import telemetry
from pulseboard.core.exceptions import InvalidRequest, PulseboardError, Unavailable
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.query import limits, tiers
from pulseboard.query.expression import Expression
from pulseboard.query.parts import PlanPart
from pulseboard.query.plan import Plan, metrics_of, plans
from pulseboard.query.reader import PlanReader
from pulseboard.query.result_cache import extents, invalidation
from pulseboard.query.result_cache import store as result_cache
from pulseboard.query.result_cache.extents import Extent
from pulseboard.query.result_cache.invalidation import DependencyRange
from pulseboard.query.result_cache.key import SpanKey, plan_key
from pulseboard.query.result_cache.store import Cached, CacheEntry
from pulseboard.query.trace import Trace

BATCHES_HELD = 4
"""Times `query_max_result_bytes` that the results of a batch may hold before the largest of them
are left out."""
MAX_GAPS = 3
"""Gaps that are read one by one; more are read as one, from the first to the last."""
_NOT_A_TEXT = (None, "22021", "22P05")
"""SQLSTATEs of texts that PostgreSQL can't hold, such as one with a NUL; None: psycopg says so."""


class ResultLine(NamedTuple):
    """A line of a result; NaN where there is no value.

    There may be 1,000 of them: a dataclass would take longer to create.
    """

    name: str
    tags: dict[str, str]
    values: "array[float]"


INFINITE = "some values are infinite: JSON has none, so they are null, and gaps in charts"
CATCHING_UP = (
    "late samples have just come in: rollups are catching up, and some of these values are "
    "computed without them until the next refresh"
)


@dataclass(frozen=True, slots=True, eq=False)
class PlanResult:
    """The lines of a plan's points, and where they came from.

    `further` are the plans whose points follow those of `plan`, in order.
    """

    plan: Plan
    lines: list[ResultLine]
    meta: QueryMeta
    trace: Trace = field(default_factory=Trace)
    further: tuple[Plan, ...] = ()

    def timestamps(self) -> list[int]:
        """The time of each point in milliseconds since 1970."""
        return [time for each in (self.plan, *self.further) for time in each.timestamps()]

    def explained(self) -> "PlanResult":
        """The result with how it came about."""
        explain = self.trace.explain(self.plan, *self.further)
        return replace(self, meta=self.meta.model_copy(update={"explain": explain}))


@dataclass
class _Task:
    """A plan to execute, which several queries may share, and what is known of its points."""

    plan: Plan
    key: SpanKey
    first_mutable: int
    cached: Cached = field(default_factory=Cached)
    outcome: PlanResult | PulseboardError | None = None
    size: int = 0
    """About how many bytes its result has."""
    unexpected: bool = False
    """Whether its outcome is an error that nothing expects."""
    notes: tuple[str, ...] = ()
    """Notes beside those of the plan and of what is read."""
    trace: Trace = field(default_factory=Trace)

    def known(self) -> list[Extent]:
        """The cached extents that may be used.

        The mutable tail is used only when nothing has to be read: it was read earlier, and would
        not fit together with points that are read now.
        """
        whole = self.cached.extents
        if not extents.find_gaps(self.plan.span, whole):
            return whole
        return list(self.cached.chunks.values())

    def gaps(self) -> list[range]:
        """The spans to be read."""
        gaps = extents.find_gaps(self.plan.span, self.known())
        return gaps if len(gaps) <= MAX_GAPS else [range(gaps[0].start, gaps[-1].stop)]


def execute(params: QueryParams, *, now: datetime) -> PlanResult:
    """Execute one query at the time `now`.

    Raises InvalidRequest for a text that can't be parsed or a limit that is exceeded, Unavailable
    when the database does not respond.
    """
    (outcome,) = execute_batch([params], now=now)
    if isinstance(outcome, PulseboardError):
        raise outcome
    return outcome


def execute_batch(
    queries: Sequence[QueryParams], *, now: datetime
) -> list[PlanResult | PulseboardError]:
    """Execute queries together; each has its own result or error."""
    began = time.perf_counter()
    outcomes: dict[int, PlanResult | PulseboardError] = {}
    tasks: dict[SpanKey, _Task] = {}
    of_query: dict[int, list[_Task]] = {}
    intervals = _intervals(queries, now)
    for position, params in enumerate(queries):
        try:
            planned = _tasks(params, now, intervals)
        except Exception as error:  # noqa: BLE001 - one query must never harm the others
            outcomes[position] = own_error(error)
        else:
            of_query[position] = [tasks.setdefault(each.key, each) for each in planned]
    _work(list(tasks.values()), now, began)
    joined: dict[tuple[SpanKey, ...], PlanResult | PulseboardError] = {}
    for position, own in of_query.items():
        # Equal queries have the same result object: it is encoded once.
        keys = tuple(task.key for task in own)
        if keys not in joined:
            joined[keys] = _outcome(own)
        outcome = joined[keys]
        if queries[position].explain and isinstance(outcome, PlanResult):
            outcome = outcome.explained()
        outcomes[position] = outcome
    return [outcomes[position] for position in range(len(queries))]


def _outcome(tasks: Sequence[_Task]) -> PlanResult | PulseboardError:
    """The outcome of a query whose plans these are of, one after the other in time."""
    results: list[PlanResult] = []
    for task in tasks:
        if task.outcome is None:
            raise RuntimeError("a query has neither a result nor an error")
        if isinstance(task.outcome, PulseboardError):
            return task.outcome
        results.append(task.outcome)
    if len(results) == 1:
        return results[0]
    try:
        return _joined(results)
    except PulseboardError as error:
        return error


def _joined(results: Sequence[PlanResult]) -> PlanResult:
    """Results whose points follow each other, as one. Raises InvalidRequest for too many values."""
    lines: dict[str, ResultLine] = {}
    points = 0
    # The last one's lines come first: those of topk are sorted by their last values.
    for line in (line for result in reversed(results) for line in result.lines):
        lines.setdefault(line_key(line.name, line.tags), line._replace(values=array("d")))
    if not _rank(results[0].plan):
        lines = {key: lines[key] for key in sorted(lines, key=order_of)}
    for result in results:
        more = len(result.plan.span)
        here = {line_key(line.name, line.tags): line.values for line in result.lines}
        for key, line in lines.items():
            line.values.extend(here.get(key) or extents.empty_values(more))
        points += more
    limits.check_lines(len(lines), len(lines), points)
    metas = [result.meta for result in results]
    meta = metas[0].model_copy(
        update={
            "resolution": format_interval(min(result.plan.step for result in results)),
            "cached": all(each.cached for each in metas),
            "rows_read": sum(each.rows_read for each in metas),
            "duration_ms": max(each.duration_ms for each in metas),
            "notes": list(dict.fromkeys(note for each in metas for note in each.notes)),
        }
    )
    trace = Trace.of(result.trace for result in results)
    further = tuple(result.plan for result in results[1:])
    return PlanResult(results[0].plan, list(lines.values()), meta, trace, further)


def _intervals(queries: Sequence[QueryParams], now: datetime) -> dict[str, float]:
    """How often the metrics of all queries are sent, in seconds."""
    names: dict[str, None] = {}
    for params in queries:
        # A text that can't be parsed gets its error when it is planned.
        with suppress(Exception):
            names.update(dict.fromkeys(metrics_of(params)))
    return get_intervals(names, now=now.timestamp())


def _tasks(params: QueryParams, now: datetime, intervals: Mapping[str, float]) -> list[_Task]:
    configured = settings()
    began = time.perf_counter()
    planned = plans(
        params,
        now=now,
        retention=tiers.configured_retention(),
        longest=configured.query_max_range,
        intervals=intervals,
    )
    limits.check_points(sum(len(each.span) for each in planned))
    raw = planned[0].tier is Tier.RAW
    lateness = configured.query_grace_raw if raw else configured.query_grace_rollup
    tasks = [
        _Task(
            each,
            SpanKey(plan_key(each.key), each.span),
            each.first_mutable(now=now, allowed_lateness=lateness),
        )
        for each in planned
    ]
    tasks[0].trace.add(QueryPhase.PLAN, time.perf_counter() - began)
    return tasks


def _work(tasks: list[_Task], now: datetime, began: float) -> None:
    deadline = time.monotonic() + settings().query_batch_timeout
    _from_cache(tasks, now, began)
    entries: list[CacheEntry] = []
    try:
        _read([task for task in tasks if task.outcome is None], now, began, deadline, entries)
    finally:
        _put(entries, now)


def _put(entries: list[CacheEntry], now: datetime) -> None:
    configured = settings()
    try:
        result_cache.put(
            entries,
            now=now.timestamp(),
            chunk_life=configured.query_cache_historical,
            tail_life=configured.query_cache_live,
        )
    except Exception as error:  # noqa: BLE001 - the results are there all the same
        logger().error("results not cached", exc_info=error)


def _from_cache(tasks: list[_Task], now: datetime, began: float) -> None:
    """Finish the tasks that the cache holds whole."""
    requested_at = time.perf_counter()
    metrics = dict.fromkeys(
        name for task in tasks for name in DependencyRange.of(task.plan).metrics
    )
    found, marks = result_cache.get([task.key for task in tasks], metrics=list(metrics))
    seconds = time.perf_counter() - requested_at
    for task, cached in zip(tasks, found, strict=True):
        task.trace.add(QueryPhase.CACHE, seconds)
        valid = invalidation.still_valid(
            cached.chunks,
            plan=task.plan,
            marks=marks,
            # A rollup has late samples only after its next refresh.
            rollup_delay=0.0 if task.plan.tier is Tier.RAW else settings().query_grace_rollup,
            read_since=now.timestamp() - settings().query_cache_live,
        )
        task.cached = Cached(valid, cached.tail)
        if invalidation.catching_up(
            task.plan, marks=marks, now=now.timestamp(), delay=settings().query_grace_rollup
        ):
            task.notes = (CATCHING_UP,)
        known = task.known()
        if not extents.find_gaps(task.plan.span, known):
            try:
                task.outcome = _finish(task, known, [], began)
                _check_held(tasks)
            except Exception as error:  # noqa: BLE001 - one query must never harm the others
                task.outcome = own_error(error)


def _read(
    tasks: list[_Task], now: datetime, began: float, deadline: float, entries: list[CacheEntry]
) -> None:
    """Finish these tasks with what the database holds; adds to `entries` what is to be cached."""
    waiting = deque(tasks)
    reader: PlanReader | None = None
    try:
        while waiting:
            with database.connection() as connection:
                if reader is None:
                    reader = PlanReader(connection, deadline)
                    _announce(reader, tasks)
                reader.connection = connection
                read = _read_until_computed(reader, waiting, tasks, now, began, entries)
            # While a query is computed, others use the connection.
            if read is not None:
                with _own(read.task):
                    entries.append(_merge(read.task, read.compute(), now, began))
                    _check_held(tasks)
    except Unavailable as error:
        # Waiting once for a database that is away is enough for all.
        for each in tasks:
            if each.outcome is None:
                each.outcome = error


def _announce(reader: PlanReader, tasks: Sequence[_Task]) -> None:
    announced_at = time.perf_counter()
    reader.announce((each.plan, gap) for each in tasks for gap in each.gaps())
    for each in tasks:
        each.trace.add(QueryPhase.SERIES, time.perf_counter() - announced_at)


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read for a task, of which something is left to compute."""

    task: _Task
    parts: list[tuple[range, PlanPart | Callable[[], PlanPart]]]

    def compute(self) -> list[tuple[range, PlanPart]]:
        """The parts themselves."""
        return [(gap, part if isinstance(part, PlanPart) else part()) for gap, part in self.parts]


def _read_until_computed(
    reader: PlanReader,
    waiting: "deque[_Task]",
    tasks: Sequence[_Task],
    now: datetime,
    began: float,
    entries: list[CacheEntry],
) -> _Read | None:
    """Finish waiting tasks up to one that is left to compute. After an unexpected error the
    connection may be in any state: the rest gets another.
    """
    while waiting:
        task = waiting.popleft()
        reader.trace = task.trace
        with _own(task):
            budget = reader.new_budget()
            read = _Read(task, [(gap, reader.read(task.plan, gap, budget)) for gap in task.gaps()])
            if any(not isinstance(part, PlanPart) for _, part in read.parts):
                return read
            entries.append(_merge(task, read.compute(), now, began))
            _check_held(tasks)
        if task.unexpected:
            break
    return None


@contextmanager
def _own(task: _Task) -> Iterator[None]:
    """Whatever goes wrong inside, but for an outage, is the task's own error."""
    try:
        yield
    except Unavailable:
        raise
    except Exception as error:
        if isinstance(error, psycopg.Error) and database.is_outage(error):
            raise
        task.unexpected = not isinstance(error, PulseboardError)
        task.outcome = own_error(error)


def _check_held(tasks: Sequence[_Task]) -> None:
    """Raise InvalidRequest when the results of a batch fill the memory, for the last of them."""
    held = sum(task.size for task in tasks if isinstance(task.outcome, PlanResult))
    if held > BATCHES_HELD * settings().query_max_result_bytes:
        raise limits.batch_too_large(held)


def own_error(error: Exception) -> PulseboardError:
    """An error that nothing expects, as the error of one query; it is logged."""
    if isinstance(error, PulseboardError):
        return error
    if isinstance(error, psycopg.DataError) and error.sqlstate in _NOT_A_TEXT:
        return InvalidRequest("The query holds a character that no name or tag can have: NUL.")
    if isinstance(error, UnicodeEncodeError):
        return InvalidRequest("The query holds half of a surrogate pair, which is no character.")
    logger().error("a query failed", exc_info=error)
    return PulseboardError("The query failed on our side. The request id names it in the logs.")


def _merge(
    task: _Task, parts: list[tuple[range, PlanPart]], now: datetime, began: float
) -> CacheEntry:
    """Finish a task with what was read for it; gives what is to be cached."""
    fresh = [
        Extent(
            gap,
            part.lines,
            now.timestamp(),
            part.samples * _own_share(task.plan, gap),
            tuple(part.notes),
        )
        for gap, part in parts
    ]
    task.trace.points_read = sum(len(gap) for gap, _ in parts)
    task.outcome = _finish(task, [*task.known(), *fresh], [part for _, part in parts], began)
    chunks: dict[int, Extent] = {}
    tail: Extent | None = None
    for extent, (_, part) in zip(fresh, parts, strict=True):
        # What is not found may be created at any time, and its result has a note.
        if part.found:
            span = range(max(task.first_mutable, task.plan.span.start), task.plan.span.stop)
            tail = extent.cut(span)
            chunks |= extents.settled_chunks(
                extent,
                first_mutable=task.first_mutable,
                cached={**task.cached.chunks, **chunks},
            )
    return CacheEntry(task.key, chunks, tail)


def _own_share(planned: Plan, span: range) -> float:
    """The share of a read's samples that lie within `span`; the rest lie before its first point."""
    lookback = planned.shape.lookback if isinstance(planned.shape, Expression) else 0.0
    return len(span) / (len(span) + lookback / planned.step)


def _finish(
    task: _Task, known: Sequence[Extent], parts: Sequence[PlanPart], began: float
) -> PlanResult:
    planned = task.plan
    finishing_at = time.perf_counter()
    merged = extents.merge(planned.span, known)
    # Of cached points as of those that were read.
    limits.check_samples(
        extents.samples_of(planned.span, known) / _own_share(planned, planned.span)
    )
    limits.check_lines(len(merged), len(merged), len(planned.span))
    task.size = limits.result_bytes(len(planned.span), merged)
    limits.check_result(task.size)
    keys = sorted(merged, key=order_of)
    fields = [(*labels_of(key), merged[key]) for key in keys]
    lines = list(map(ResultLine._make, fields))
    # A line without name and tags comes first.
    if lines and lines[0][:2] == ("", {}) and isinstance(planned.shape, Expression):
        lines[0] = lines[0]._replace(name=planned.shape.text)
    rank = _rank(planned)
    if rank:
        lines.sort(key=lambda line: _ranked(rank * line.values[-1]))
    notes = [*planned.notes, *task.notes, *(note for extent in known for note in extent.notes)]
    if any(math.inf in line.values or -math.inf in line.values for line in lines):
        notes.append(INFINITE)
    task.trace.add(QueryPhase.MERGE, time.perf_counter() - finishing_at)
    telemetry.count("pulseboard_query_answers", source="database" if parts else "cache")
    telemetry.observe_seconds("pulseboard_query_seconds", time.perf_counter() - began)
    meta = QueryMeta(
        table=planned.table,
        resolution=format_interval(planned.step),
        cached=not parts,
        rows_read=sum(part.rows for part in parts),
        duration_ms=round((time.perf_counter() - began) * 1000, 2),
        notes=list(dict.fromkeys(notes)),
    )
    return PlanResult(planned, lines, meta, task.trace)


def _rank(planned: Plan) -> int:
    return planned.shape.rank if isinstance(planned.shape, Expression) else 0


def _ranked(value: float) -> tuple[bool, float]:
    """A sort key: the largest first, no value last."""
    absent = math.isnan(value)
    return absent, 0.0 if absent else -value
