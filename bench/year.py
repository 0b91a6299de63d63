"""A year of pods: what queries, rules, ingest and refreshes cost after it, beside before it.

Two databases are measured in turns, each by a process of its own with a Redis of its own. Both
begin the same: the same 50 pods are alive, with the same samples. Then the clock and the catalogue
of one are moved, not waited for: 200 deploys replace 50 pods each, a sender is late each hour,
series are deleted, and the catalogue gets a new generation as after a restore. The goal is a cost
within 1.2 × that of the database that stays young.

The load of the machine differs between runs and within them, but hardly between two turns that
follow each other: each pair has its own ratio, and the median of them counts. On a server whose
processes are here the time that processors spend on a turn is measured as well, which waiting for
a processor does not change, and it is what the goal is held against. Both databases are measured
before one of them ages, too: how far that is from 1 says how far to trust the rest.
"""

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from statistics import median
from typing import NamedTuple
from unittest import mock

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from bench import alerts
from functions.evaluate import tick
from infra.local import services
from pulseboard.alerts import inputs
from pulseboard.alerts.state_store import load_rules
from pulseboard.catalogue import selector, series_cache
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core import process_state
from pulseboard.db import cache
from pulseboard.db.migrate import migrate
from pulseboard.ingest import late_marks_store, samples_store
from pulseboard.ingest.batch import Batch
from pulseboard.query import engine
from pulseboard.usage import deletion_store

DAY = 86_400
PODS, DEPLOYS, TURNS = 50, 200, 30
GOAL = 1.2
METRIC = "year_requests"
QUERIES = {
    "a panel": (METRIC, Tier.RAW),
    "count": (f"count({METRIC})", Tier.RAW),
    "matched by a pattern": (f'sum by (app) ({METRIC}{{pod=~"live.*"}})', Tier.RAW),
    "rate from minutes": (f"sum(rate({METRIC}[5m]))", Tier.MINUTE),
}
_Connection = psycopg.Connection[tuple[object, ...]]


class Cost(NamedTuple):
    """Seconds of an operation, and what processors spent on it; None: it can't be known."""

    seconds: float
    processor: float | None


def run(database_url: str, redis_url: str, *, quick: bool = False) -> None:
    """Print how the cost of each operation has changed with the year."""
    deploys, turns = (DEPLOYS // 10, TURNS // 6) if quick else (DEPLOYS, TURNS)
    now = time.time() // 60 * 60
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pulseboard-year-")))
        urls = stack.enter_context(_databases(database_url, home))
        caches = [
            redis_url,
            stack.enter_context(services.valkey(data=home / "valkey", log=home / "valkey.log")),
        ]
        pair = [
            stack.enter_context(_worker(url, redis, now, deploys))
            for url, redis in zip(urls, caches, strict=True)
        ]
        young, old = pair
        before = _compare(young, old, turns=turns // 3)
        began = time.perf_counter()
        old.send("age")
        old.recv()
        seconds = time.perf_counter() - began
        print(f"\na year: {deploys * PODS:,} dead series and their hours in {seconds:.0f} s")
        after = _compare(young, old, turns=turns)
    missed = []
    print(f"{'':24} {'young':>9} {'old':>9}   time    CPU   (both young: time, CPU)")
    for name, found in after.items():
        met = found.ratio <= GOAL
        missed += [] if met else [name]
        print(
            f"{name:24} {found.young * 1000:6.2f} ms {found.old * 1000:6.2f} ms {found}"
            f"   ({before[name]})  {'met' if met else 'MISSED'}"
        )
    print(f"goal: {GOAL} ×; {len(missed)} missed{': ' if missed else ''}{', '.join(missed)}")


@dataclass(frozen=True)
class Comparison:
    """An operation on both databases: median seconds, and medians of the ratios of each pair."""

    young: float
    old: float
    time: float
    processor: float | None

    @property
    def ratio(self) -> float:
        """What the goal is held against."""
        return self.time if self.processor is None else self.processor

    def __str__(self) -> str:
        processor = "  n/a" if self.processor is None else f"{self.processor:5.2f}"
        return f"{self.time:5.2f}  {processor}"


def _compare(young: Pipe, old: Pipe, *, turns: int) -> dict[str, Comparison]:
    """Each operation in `turns` pairs of turns; which of a pair comes first is left to chance."""
    chance = random.Random(0)
    young.send("names")
    found = {}
    for name in young.recv():
        pairs: list[tuple[Cost, Cost]] = []
        for turn in range(turns + 2):
            costs: dict[Pipe, Cost] = {}
            for each in chance.sample((young, old), 2):
                each.send(name)
                costs[each] = each.recv()
            # The first ones fill caches.
            if turn > 1:
                pairs.append((costs[young], costs[old]))
        spent = [
            (one.processor, other.processor)
            for one, other in pairs
            if one.processor is not None and other.processor is not None
        ]
        found[name] = Comparison(
            young=median(one.seconds for one, _ in pairs),
            old=median(other.seconds for _, other in pairs),
            time=median(other.seconds / one.seconds for one, other in pairs),
            processor=median(other / one for one, other in spent) if spent else None,
        )
    return found


@contextmanager
def _databases(server: str, home: Path) -> Iterator[list[str]]:
    """Two migrated databases of this server; where it has but one, the second of another."""
    names = [f"pulseboard_year_{each}_{os.getpid()}" for each in ("young", "old")]
    urls = [make_conninfo(server, dbname=name) for name in names]
    with psycopg.connect(server, autocommit=True, prepare_threshold=None) as connection:
        for name in names:
            database = sql.Identifier(name)
            connection.execute(sql.SQL("create database {}").format(database))
            # Such workers end before their processor time could be read.
            connection.execute(
                sql.SQL("alter database {} set max_parallel_workers_per_gather = 0").format(
                    database
                )
            )
    try:
        with psycopg.connect(urls[0], prepare_threshold=None) as connection:
            embedded = connection.execute("select current_database()").fetchone() != (names[0],)
        if embedded:
            with services.timescaledb(data=home / "timescaledb", log=home / "log") as second:
                migrate(second)
                yield [server, second]
            return
        for url in urls:
            migrate(url)
        yield urls
    finally:
        with psycopg.connect(server, autocommit=True, prepare_threshold=None) as connection:
            for name in names:
                connection.execute(
                    sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
                )


@contextmanager
def _worker(database_url: str, redis_url: str, now: float, deploys: int) -> Iterator[Pipe]:
    """A process that works on one database: it is sent an operation's name, and responds with its
    `Cost`.
    """
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(
        target=_serve, args=(there, database_url, redis_url, now, deploys), daemon=True
    )
    process.start()
    there.close()
    try:
        # Until it is ready.
        here.recv()
        yield here
    finally:
        here.close()
        process.join(30)


def _serve(pipe: Pipe, database_url: str, redis_url: str, now: float, deploys: int) -> None:
    os.environ["DATABASE_URL"], os.environ["REDIS_URL"] = database_url, redis_url
    process_state.reset()
    with (
        psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection,
        psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as watching,
    ):
        # Refreshes and other jobs of the server's own would run into those that are measured.
        connection.execute(
            "select alter_job(job_id, scheduled => false) from timescaledb_information.jobs"
            " where job_id >= 1000"
        )
        _live(connection, now)
        # Yesterday's pods count as seen lately, at both ends.
        _replaced(connection, now, deploys, range(1, 2))
        connection.execute("analyze")
        operations = _Operations(connection, now).table()
        meter = _Meter(watching)
        pipe.send("ready")
        while True:
            try:
                name = pipe.recv()
            except EOFError:
                return
            if name == "names":
                pipe.send(list(operations))
            elif name == "age":
                _age(connection, now, deploys)
                pipe.send("aged")
            else:
                pipe.send(meter.cost(operations[name]))


class _Meter:
    """Measures a process, and the server's processes that work for it where they are on this
    machine.
    """

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._own_pid = connection.info.backend_pid

    def cost(self, operation: Callable[[], object]) -> Cost:
        """Run it; backends that it connects are counted whole."""
        before = self._spent()
        process, began = time.process_time(), time.perf_counter()
        operation()
        seconds, own = time.perf_counter() - began, time.process_time() - process
        after = self._spent()
        if not after:
            return Cost(seconds, None)
        return Cost(seconds, own + sum(s - before.get(pid, 0.0) for pid, s in after.items()))

    def _spent(self) -> dict[int, float]:
        """Seconds of processor time by pid of the backends of this database, but for our own."""
        rows = self._connection.execute(
            "select pid from pg_stat_activity where datname = current_database() and pid <> %s"
            " and backend_type = 'client backend'",
            (self._own_pid,),
        ).fetchall()
        pids = [int(str(pid)) for (pid,) in rows]
        try:
            # https://man7.org/linux/man-pages/man3/clock_getcpuclockid.3.html, which Python lacks.
            return {pid: time.clock_gettime(~pid << 3 | 2) for pid in pids if pid > 1}
        except OSError:
            return {}


class _Operations:
    """What is measured. Each turn sends at another second: the same sample again takes another
    path.
    """

    def __init__(self, connection: _Connection, now: float) -> None:
        self._connection = connection
        self._now = now
        self._seconds = 0
        self._rules = load_rules(connection)

    def table(self) -> dict[str, Callable[[], object]]:
        """By name."""
        queries = {
            name: partial(_query, text, tier, self._now) for name, (text, tier) in QUERIES.items()
        }
        return {
            **queries,
            "rules, nothing cached": self._evaluate,
            "ingest": lambda: _send(self._now - self._next()),
            "refresh of the minutes": self._refresh_minutes,
            "refresh after a late one": self._refresh_late,
        }

    def _next(self) -> int:
        self._seconds += 1
        return self._seconds

    def _evaluate(self) -> None:
        tick.reset()
        series_cache.reset()
        read = inputs.read(self._connection, self._rules, at=self._now)
        for rule in self._rules:
            read.of(rule)

    def _refresh_minutes(self) -> None:
        _send(self._now - 120 - self._next())
        self._refresh()

    def _refresh_late(self) -> None:
        """One request with a current sample and one three hours late."""
        ago = self._next()
        times = [round((self._now - each - ago) * 1000) for each in (3 * 3600, 120)]
        samples_store.write(Batch(series=_keys()[:1] * 2, times=times, values=[1.0, 1.0]))
        self._refresh()

    def _refresh(self) -> None:
        self._connection.execute(
            "call refresh_continuous_aggregate("
            "'metrics_1min', now() - interval '6 days 12 hours', now() - interval '1 minute')"
        )


def _keys() -> list[SeriesKey]:
    return [SeriesKey.of(METRIC, {"pod": f"live-{n}", "app": "web"}) for n in range(PODS)]


def _live(connection: _Connection, now: float) -> None:
    """An hour of samples of the live pods, and rules that watch them."""
    for minute in range(60):
        _send(now - minute * 60)
    _refresh(connection)
    owner = alerts._owner(connection)
    connection.execute("truncate alert_rules, alert_state, alert_ticks cascade")
    for text in (METRIC, f"sum by (app) ({METRIC})", f'{METRIC}{{pod=~"live-.*"}}'):
        connection.execute(
            "insert into alert_rules (owner_id, name, query, condition, threshold)"
            " values (%s, %s, %s, 'gt', 1e9)",
            (owner, text, text),
        )


def _send(at: float) -> None:
    samples_store.write(Batch(series=_keys(), times=[round(at * 1000)] * PODS, values=[1.0] * PODS))


def _refresh(connection: _Connection) -> None:
    for view, end in (("metrics_1min", "1 minute"), ("metrics_1hour", "1 hour")):
        connection.execute(
            f"call refresh_continuous_aggregate('{view}', null, now() - interval '{end}')".encode()
        )


def _query(text: str, tier: Tier, now: float) -> None:
    for key in list(cache.client().scan_iter("cache:query:*", count=1000)):
        cache.client().delete(key)
    params = QueryParams.model_validate(
        {"query": text, "start": (now - 3600) * 1000, "end": now * 1000, "tier": tier}
    )
    if not engine.execute(params, now=datetime.fromtimestamp(now, UTC)).lines:
        raise AssertionError(f"{text} has no lines")


def _replaced(connection: _Connection, now: float, deploys: int, which: range) -> None:
    """Pods of some of the deploys, the newest replaced a day ago; each sent until the next one."""
    connection.execute(
        """
        insert into metric_series (metric_id, tags, tags_hash, created_at, last_seen, last_seen_day)
        select d.id, jsonb_build_object('pod', 'old-' || deploy || '-' || pod, 'app', 'web'),
          decode(md5(deploy || '/' || pod || d.name), 'hex'), t.began,
          t.began + %(life)s * interval '1 second', t.began + %(life)s * interval '1 second'
        from metric_definitions d, generate_series(%(first)s::int, %(last)s::int) deploy,
          generate_series(1, %(pods)s) pod,
          lateral (select to_timestamp(%(now)s - deploy * %(life)s::float8) as began) t
        where d.name = %(name)s
        """,
        {
            "name": METRIC,
            "first": which.start,
            "last": which.stop - 1,
            "pods": PODS,
            "life": 365 * DAY / deploys * 0.9,
            "now": now - DAY,
        },
    )


def _year_passes(connection: _Connection, start: float, end: float) -> None:
    """Samples of the pods of that time, their rollups, and what retention then drops.

    A pod has a sample at the end of its life, and in the last month each four hours, so that each
    tier gets all its chunks.
    """
    connection.execute(
        """
        insert into metrics_raw (time, series_id, value)
        select at.time, s.id, 1 from metric_series s join metric_definitions d
          on d.id = s.metric_id
        cross join lateral (
          select s.last_seen as time
          union select generate_series(
            greatest(s.created_at, now() - interval '30 days'), s.last_seen, interval '4 hours'
          )
        ) at
        where d.name = %(name)s and starts_with(s.tags->>'pod', 'old-')
          and at.time >= to_timestamp(%(start)s) and at.time < to_timestamp(%(end)s)
        on conflict do nothing
        """,
        {"name": METRIC, "start": start, "end": end},
    )
    for view in ("metrics_1min", "metrics_1hour"):
        connection.execute(
            f"call refresh_continuous_aggregate('{view}', to_timestamp({start - 7200}),"
            f" to_timestamp({end - 7200}))".encode()
        )
    for table, days in (("metrics_raw", 7), ("metrics_1min", 30), ("metrics_1hour", 365)):
        connection.execute(
            f"select drop_chunks('{table}', to_timestamp({end - days * DAY}))".encode()
        )


def _age(connection: _Connection, now: float, deploys: int) -> None:
    """The rest of the year: each pod is kept in the hours."""
    _replaced(connection, now, deploys, range(2, deploys + 1))
    # Five days at a time, as they came: a refresh looks at all rows after those that it redoes.
    for days in range(365, 0, -5):
        start, end = now - days * DAY, now - (days - 5) * DAY
        _year_passes(connection, start, end)
    # What is old enough goes to the columnstore.
    jobs = connection.execute(
        "select job_id from timescaledb_information.jobs where proc_name = 'policy_compression'"
    ).fetchall()
    for (job,) in jobs:
        connection.execute("call run_job(%s)", (job,))
    # A sender that is three hours late leaves marks each hour of the year.
    late = Batch(series=_keys()[:1], times=[0], values=[1.0])
    for hour in range(365 * 24, 0, -6):
        at = now - hour * 3600
        late.times[0] = round((at - 3 * 3600) * 1000)
        with mock.patch("time.time", return_value=at):
            late_marks_store.record(late, now=at)
    deletion_store.delete(
        connection,
        selector=selector.parse(f'{METRIC}{{pod="old-1-1"}}'),
        dry_run=False,
        expect=1,
    )
    connection.execute("update series_generation set generation = gen_random_uuid()")
    connection.execute("analyze")
