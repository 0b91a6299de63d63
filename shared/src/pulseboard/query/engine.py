"""Answers questions: plan, look into the cache, read what is missing, splice, keep.

One question is a batch of one. Questions with the same plan are answered once; identical ones of
other processes are waited for, a Redis lock says that somebody is at it.
"""

import math
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from pulseboard.catalogue.series_key import labels_of, order_of
from pulseboard.contracts.base import format_interval
from pulseboard.contracts.queries import QueryMeta, QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core import telemetry
from pulseboard.core.exceptions import PulseboardError, Unavailable
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.query.expression import Expression
from pulseboard.query.parts import Part
from pulseboard.query.plan import Plan, plan
from pulseboard.query.reader import Reading
from pulseboard.query.result_cache import extents, invalidation
from pulseboard.query.result_cache import store as result_cache
from pulseboard.query.result_cache.extents import Segment
from pulseboard.query.result_cache.invalidation import Bearing
from pulseboard.query.result_cache.store import Keeping, Kept

POLL = 0.02
"""Seconds between two looks for an answer that somebody else is reading."""
MOST_HOLES = 3
"""Missing parts that are read one by one; more are read as one part from first to last."""


class Line(NamedTuple):
    """A line of an answer; NaN is a gap. There may be 1,000: a dataclass takes longer to make."""

    name: str
    tags: dict[str, str]
    values: "array[float]"


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The lines of a plan's points, and where they came from."""

    plan: Plan
    lines: list[Line]
    meta: QueryMeta


@dataclass
class _Task:
    """A plan on its way: which questions have it, and what is known of it."""

    plan: Plan
    name: str
    closed: int
    questions: list[int] = field(default_factory=list)
    kept: Kept = field(default_factory=Kept)
    outcome: Answer | PulseboardError | None = None

    @property
    def place(self) -> tuple[str, range]:
        return self.name, self.plan.span

    def known(self) -> list[Segment]:
        """What of the cache may be used. The part that samples can still change is used when it
        ends the question, and never beside newer points: those would not fit together."""
        whole = self.kept.segments
        if not extents.missing(self.plan.span, whole):
            return whole
        return list(self.kept.chunks.values())


def answer(params: QueryParams, *, now: datetime) -> Answer:
    """Answer one question at the moment `now`.

    Raises InvalidRequest for a text that can't be read or a limit that is passed, Unavailable
    when the database does not answer.
    """
    (outcome,) = answer_all([params], now=now)
    if isinstance(outcome, PulseboardError):
        raise outcome
    return outcome


def answer_all(
    questions: Sequence[QueryParams], *, now: datetime
) -> list[Answer | PulseboardError]:
    """Answer questions together; each has its own answer or error."""
    began = time.perf_counter()
    outcomes: dict[int, Answer | PulseboardError] = {}
    tasks: dict[tuple[str, range], _Task] = {}
    for number, params in enumerate(questions):
        try:
            task = _task(params, now)
        except PulseboardError as error:
            outcomes[number] = error
        else:
            tasks.setdefault(task.place, task).questions.append(number)
    _work(list(tasks.values()), now, began)
    for task in tasks.values():
        for number in task.questions:
            if task.outcome is None:
                raise RuntimeError("a query was neither answered nor refused")
            outcomes[number] = task.outcome
    return [outcomes[number] for number in range(len(questions))]


def _task(params: QueryParams, now: datetime) -> _Task:
    configured = settings()
    made = plan(
        params,
        now=now,
        retention={
            Tier.RAW: configured.retention_raw,
            Tier.MINUTE: configured.retention_minute,
            Tier.HOUR: configured.retention_hour,
        },
        longest=configured.query_max_range,
    )
    raw = made.tier is Tier.RAW
    grace = configured.query_grace_raw if raw else configured.query_grace_rollup
    return _Task(made, result_cache.key(made.key), made.closed(now=now, grace=grace))


def _work(tasks: list[_Task], now: datetime, began: float) -> None:
    deadline = time.monotonic() + settings().query_batch_timeout
    open_ = tasks
    while open_:
        ours = _from_cache(open_, now, began)
        result_cache.release([task.place for task in ours if task.outcome is not None])
        _read([task for task in ours if task.outcome is None], now, began, deadline)
        open_ = [task for task in open_ if task.outcome is None]
        while open_ and time.monotonic() < deadline:
            if not result_cache.locked([task.place for task in open_]):
                break
            time.sleep(POLL)
        if open_ and time.monotonic() >= deadline:
            _read(open_, now, began, deadline + settings().query_timeout)
            return


def _from_cache(tasks: list[_Task], now: datetime, began: float) -> list[_Task]:
    """Answer what the cache holds whole; of all tasks those whose locks are ours."""
    metrics = dict.fromkeys(name for task in tasks for name in Bearing.of(task.plan).metrics)
    young = now.timestamp() - settings().query_cache_live
    ours, found, marks = result_cache.take(
        [task.place for task in tasks],
        metrics=list(metrics),
        # Nobody reads longer than this; the lock of one who died does not stand for long.
        seconds=settings().query_timeout + 1,
    )
    for task, kept in zip(tasks, found, strict=True):
        # A rollup takes late samples up with its refresh.
        settled = 0.0 if task.plan.tier is Tier.RAW else settings().query_grace_rollup
        good = invalidation.still_good(
            kept.chunks, plan=task.plan, marks=marks, settled=settled, young=young
        )
        task.kept = Kept(good, kept.tail)
        known = task.known()
        if not extents.missing(task.plan.span, known):
            task.outcome = _finish(task, known, [], began)
    return [task for task, got in zip(tasks, ours, strict=True) if got]


def _read(tasks: list[_Task], now: datetime, began: float, deadline: float) -> None:
    if not tasks:
        return
    holes = {id(task): _holes(task) for task in tasks}
    keep: list[Keeping] = []
    try:
        with database.connection() as connection:
            reading = Reading(connection, deadline)
            reading.expect((task.plan, hole) for task in tasks for hole in holes[id(task)])
            for task in tasks:
                try:
                    parts = [(hole, reading.read(task.plan, hole)) for hole in holes[id(task)]]
                except Unavailable:
                    raise
                except PulseboardError as error:
                    task.outcome = error
                    keep.append(Keeping(*task.place, {}, None))
                else:
                    keep.append(_spliced(task, parts, now, began))
    except Unavailable as error:
        # One wait for a database that is away is enough for all.
        for task in tasks:
            if task.outcome is None:
                task.outcome = error
                keep.append(Keeping(*task.place, {}, None))
    configured = settings()
    result_cache.put(
        keep,
        now=now.timestamp(),
        chunk_life=configured.query_cache_historical,
        tail_life=configured.query_cache_live,
    )


def _holes(task: _Task) -> list[range]:
    holes = extents.missing(task.plan.span, task.known())
    return holes if len(holes) <= MOST_HOLES else [range(holes[0].start, holes[-1].stop)]


def _spliced(task: _Task, parts: list[tuple[range, Part]], now: datetime, began: float) -> Keeping:
    fresh = [Segment(hole, part.lines, now.timestamp()) for hole, part in parts]
    task.outcome = _finish(task, [*task.known(), *fresh], [part for _, part in parts], began)
    chunks: dict[int, Segment] = {}
    tail: Segment | None = None
    for segment, (_, part) in zip(fresh, parts, strict=True):
        if part.seen:
            kept = {**task.kept.chunks, **chunks}
            chunks |= extents.to_keep(segment, closed=task.closed, kept=kept)
        tail = segment.cut(range(max(task.closed, task.plan.span.start), task.plan.span.stop))
    return Keeping(*task.place, chunks, tail)


def _finish(task: _Task, known: Sequence[Segment], parts: Sequence[Part], began: float) -> Answer:
    made = task.plan
    points = extents.assemble(made.span, known)
    keys = sorted(points, key=order_of)
    fields = [(*labels_of(key), points[key]) for key in keys]
    lines = list(map(Line._make, fields))
    # Without name and tags it comes first.
    if lines and lines[0][:2] == ("", {}) and isinstance(made.shape, Expression):
        lines[0] = lines[0]._replace(name=made.shape.text)
    rank = made.shape.rank if isinstance(made.shape, Expression) else 0
    if rank:
        lines.sort(key=lambda line: _ranked(rank * line.values[-1]))
    notes = [*made.notes, *(note for part in parts for note in part.notes)]
    telemetry.count("pulseboard_query_answers", source="database" if parts else "cache")
    telemetry.observe_seconds("pulseboard_query_seconds", time.perf_counter() - began)
    meta = QueryMeta(
        table=made.table,
        resolution=format_interval(made.step),
        cached=not parts,
        rows_read=sum(part.rows for part in parts),
        duration_ms=round((time.perf_counter() - began) * 1000, 2),
        notes=list(dict.fromkeys(notes)),
    )
    return Answer(made, lines, meta)


def _ranked(value: float) -> tuple[bool, float]:
    gap = math.isnan(value)
    return gap, 0.0 if gap else -value
