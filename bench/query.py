"""Queries from the bytes of the request to those of the response, beside the best SQL by hand.

Both read the same data, and their results are compared. Goals are ratios within one run, so they
hold on any machine; times are medians in milliseconds.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg
import redis
from fastapi import FastAPI

from bench import asgi, fleet, keys
from functions.http_app import http_app
from functions.query.routes import router
from functions.query.usage import router as usage
from pulseboard.contracts.vocabulary import Scope
from pulseboard.web import clock

SQL = Path(__file__).parent / "sql"
ROUNDS = 7
REFRESHES = 6
DASHBOARDS = 16
HOUR = fleet.HOUR


@dataclass(frozen=True, slots=True)
class Case:
    """A query and the file of its SQL. `line` names a line of the result as the SQL does."""

    name: str
    sql: str
    query: dict[str, Any]
    seconds: int
    step: int
    line: Callable[[dict[str, Any]], str]


def _tag(key: str) -> Callable[[dict[str, Any]], str]:
    return lambda series: str(series["tags"].get(key, ""))


EVERYTHING = '{__name__=~"fleet_.+"}'
BY_HOST = Case(
    "100 series × 1 h by host, 1 m",
    "by_host",
    {"query": "fleet_cpu", "groupBy": ["host"]},
    HOUR,
    60,
    _tag("host"),
)
CASES = (
    Case(
        "1 series × 1 h, 10 s",
        "one_series",
        {"query": 'fleet_cpu{host="host-007"}', "groupBy": []},
        HOUR,
        10,
        _tag("host"),
    ),
    BY_HOST,
    Case(
        "100 series × 1 h by host, 10 s",
        "by_host",
        {"query": "fleet_cpu", "groupBy": ["host"]},
        HOUR,
        10,
        _tag("host"),
    ),
    Case(
        "by region × 6 h, 1 m",
        "by_region",
        {"query": "fleet_cpu", "groupBy": ["region"]},
        6 * HOUR,
        60,
        _tag("region"),
    ),
    Case(
        "p95 by service × 24 h, 5 m",
        "p95_by_service",
        {"query": "quantile by (service) (0.95, fleet_cpu)"},
        24 * HOUR,
        300,
        _tag("service"),
    ),
    Case(
        "rate of 100 counters × 1 h, 1 m",
        "rate",
        {"query": "rate(fleet_requests_total[5m])"},
        HOUR,
        60,
        _tag("host"),
    ),
    Case(
        "last point of 1,000 series",
        "last_points",
        {"query": EVERYTHING},
        1,
        300,
        lambda series: f"{series['name']} {series['tags']['host']}",
    ),
    Case(
        "1,000 series × 30 d by host, 1 h",
        "month",
        {"query": f"avg by (host) (avg_over_time({EVERYTHING}[1h]))"},
        30 * 24 * HOUR,
        HOUR,
        _tag("host"),
    ),
)


def _board(number: int) -> list[dict[str, Any]]:
    """Twelve panels over an hour; each board has a region of its own."""
    tags = {"region": ("eu-west-1", "eu-north-1", "us-east-1", "us-west-2")[number % 4]}
    panels: list[dict[str, Any]] = [
        {"query": name, "groupBy": ["host"], "tags": tags, "step": "10s"}
        for name in fleet.GAUGES[:4]
    ]
    panels += [
        {"query": name, "groupBy": ["service"], "tags": tags, "step": "10s"}
        for name in fleet.GAUGES[4:7]
    ]
    panels += [
        {"query": "fleet_cpu", "groupBy": [], "tags": tags, "aggregation": "max", "step": "10s"},
        {"query": "fleet_cpu", "groupBy": [], "tags": tags, "aggregation": "avg", "step": "10s"},
        {"query": "fleet_latency", "tags": tags, "aggregation": "last", "step": "1m"},
        {"query": f"sum by (service) (rate({fleet.COUNTER}[5m]))", "tags": tags, "step": "1m"},
        {"query": "quantile by (region) (0.95, fleet_latency)", "tags": tags, "step": "1m"},
    ]
    return [{"id": str(index), **panel} for index, panel in enumerate(panels)]


@dataclass
class Bench:
    """The API with a clock that the bench sets, and the database beside it."""

    connection: psycopg.Connection[Any]
    redis_url: str
    app: FastAPI
    key: str
    clock: dict[str, float]
    missed: list[str] = field(default_factory=list)

    def clear_cache(self) -> None:
        """Empty the result cache; nothing else in that Redis is changed."""
        with redis.Redis.from_url(self.redis_url) as cache:
            for key in cache.scan_iter("cache:query:*", count=1000):
                cache.delete(key)

    async def send(self, body: dict[str, Any], *, batch: bool = False) -> tuple[float, Any]:
        """Seconds and the response, decoded after the time was seconds."""
        path = "/api/v1/query/batch" if batch else "/api/v1/query"
        return await asgi.post(self.app, path, body, key=self.key)

    async def cold(self, body: dict[str, Any], *, rounds: int = ROUNDS) -> tuple[float, Any]:
        """The median with an empty cache."""
        times = []
        for _ in range(rounds):
            self.clear_cache()
            seconds, response = await self.send(body)
            times.append(seconds)
        return median(times), response

    def goal(self, name: str, met: bool, text: str) -> None:
        """Print one figure."""
        print(f"{name:34} {text}  {'met' if met else 'MISSED'}")
        if not met:
            self.missed.append(name)

    async def tick(self) -> None:
        """Ten seconds later: every series has one more sample."""
        self.clock["now"] += fleet.INTERVAL
        at = int(self.clock["now"])
        fleet.samples(self.connection, first=at, last=at)


def run(database_url: str, redis_url: str, *, quick: bool = False) -> None:
    """Print the time of each query and of its SQL, and what refreshes and many dashboards cost."""
    size = fleet.QUICK if quick else fleet.FULL
    end = int(time.time()) // 60 * 60
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        began = time.perf_counter()
        fleet.load(connection, size=size, end=end)
        connection.execute("analyze")
        seconds = time.perf_counter() - began
        print(f"\nqueries: {size.hosts * 10} series × {size.hours} h loaded in {seconds:.0f} s")
        asyncio.run(_run(connection, redis_url, size, end))


async def _run(
    connection: psycopg.Connection[Any], redis_url: str, size: fleet.Size, end: int
) -> None:
    simulated = {"now": float(end)}
    # What the Lambda function `query` serves.
    app = http_app([router, usage])

    async def now() -> datetime:
        return datetime.fromtimestamp(simulated["now"], tz=UTC)

    app.dependency_overrides[clock.now] = now
    bench = Bench(connection, redis_url, app, keys.make(connection, Scope.READ), simulated)
    short, _ = await bench.cold(_body(BY_HOST, end))
    began = time.perf_counter()
    fleet.age(connection, size=size, end=end)
    print(f"{size.days} days of history in the tiers in {time.perf_counter() - began:.0f} s\n")
    print(f"{'cold':34} {'values':>7} {'API':>8} {'SQL':>8}  goal: 1.3 × SQL + 5 ms")
    for case in CASES:
        await _compare(bench, case, end)
    print()
    long, _ = await bench.cold(_body(BY_HOST, end))
    bench.goal(
        "1 h panel, long past / short past",
        long <= 1.2 * short,
        f"{long * 1000:.1f} / {short * 1000:.1f} ms = {long / short:.2f} (goal: 1.2)",
    )
    await _refresh(bench)
    await _batch(bench)
    await _dashboards(bench)
    print(f"\n{len(bench.missed)} goals missed{': ' if bench.missed else ''}", end="")
    print(", ".join(bench.missed))


def _body(case: Case, end: int) -> dict[str, Any]:
    last = end // case.step * case.step
    return {
        **case.query,
        "step": f"{case.step}s",
        "start": (last - case.seconds) * 1000,
        "end": last * 1000,
    }


async def _compare(bench: Bench, case: Case, end: int) -> None:
    statement = (SQL / f"{case.sql}.sql").read_text(encoding="utf-8").encode()
    last = end // case.step * case.step
    window = {"start": last - case.seconds, "end": last, "step": case.step}
    body = _body(case, end)
    await bench.send(body)
    # In turns, so that other load on the machine affects both alike.
    sql_times, api_times = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with bench.connection.cursor(binary=True) as cursor:
            rows = cursor.execute(statement, window).fetchall()
        sql_times.append(time.perf_counter() - began)
        seconds, result = await bench.cold(body, rounds=1)
        api_times.append(seconds)
    sql, whole = median(sql_times), median(api_times)
    _check_same(case, result, rows)
    bench.goal(
        case.name,
        whole <= 1.3 * sql + 0.005,
        f"{len(rows):7} {whole * 1000:8.1f} {sql * 1000:8.1f} {whole / sql:5.2f} ×",
    )


def _check_same(case: Case, result: dict[str, Any], rows: list[tuple[str, float, float]]) -> None:
    times = result["data"]["timestamps"]
    values = {
        (case.line(series), at // 1000): value
        for series in result["data"]["series"]
        for at, value in zip(times, series["values"], strict=True)
        if value is not None
    }
    wanted = {(line, int(slot)): value for line, slot, value in rows}
    if values.keys() != wanted.keys():
        odd = sorted(values.keys() ^ wanted.keys())[:3]
        raise AssertionError(f"{case.name}: {len(values)} values, SQL has {len(wanted)}; {odd}")
    for point, value in wanted.items():
        if abs(values[point] - value) > 1e-9 * max(1.0, abs(value)):
            raise AssertionError(f"{case.name} at {point}: {values[point]}, SQL has {value}")


def _live(bench: Bench, panel: dict[str, Any]) -> dict[str, Any]:
    now = int(bench.clock["now"] * 1000)
    return {**panel, "start": now - HOUR * 1000, "end": now}


async def _refresh(bench: Bench) -> None:
    panel = {"query": "fleet_cpu", "groupBy": ["host"], "step": "10s"}
    cold, first = await bench.cold(_live(bench, panel))
    times, rows = [], []
    for _ in range(REFRESHES):
        await bench.tick()
        seconds, result = await bench.send(_live(bench, panel))
        times.append(seconds)
        rows.append(result["meta"]["rowsRead"])
    _, again = await bench.cold(_live(bench, panel), rounds=1)
    if again["data"] != result["data"]:
        raise AssertionError("a refreshed result differs from the cold one")
    warm, read = median(times), median(rows)
    whole = first["meta"]["rowsRead"]
    bench.goal(
        "refresh of 100 series, rows",
        read <= whole / 10,
        f"{read:.0f} / {whole} = 1/{whole / max(read, 1):.0f} (goal: 1/10)",
    )
    bench.goal(
        "refresh of 100 series, time",
        warm <= cold / 3,
        f"{warm * 1000:.1f} / {cold * 1000:.1f} ms = 1/{cold / warm:.1f} (goal: 1/3)",
    )


async def _batch(bench: Bench) -> None:
    panels = _board(0)
    alone = 0.0
    for panel in panels:
        single = {key: value for key, value in panel.items() if key != "id"}
        seconds, _ = await bench.cold(_live(bench, single), rounds=3)
        alone += seconds
    bench.clear_cache()
    together, _ = await bench.send(_live(bench, {"queries": panels}), batch=True)
    times = []
    for _ in range(REFRESHES):
        await bench.tick()
        seconds, result = await bench.send(_live(bench, {"queries": panels}), batch=True)
        times.append(seconds)
        for each in result["data"]:
            if "error" in each:
                raise AssertionError(each["error"])
    warm = median(times)
    print(f"{'12 panels in one batch, cold':34} {together * 1000:.0f} ms")
    bench.goal(
        "12-panel batch refreshed",
        warm <= alone / 5,
        f"{warm * 1000:.1f} / {alone * 1000:.0f} ms alone and cold = 1/{alone / warm:.1f}"
        " (goal: 1/5)",
    )


async def _dashboards(bench: Bench) -> None:
    boards = [_board(number) for number in range(DASHBOARDS)]
    for board in boards[:4]:
        await bench.send(_live(bench, {"queries": board}), batch=True)
    times: list[float] = []
    errors = 0
    for _ in range(REFRESHES):
        await bench.tick()
        responses = await asyncio.gather(
            *(bench.send(_live(bench, {"queries": board}), batch=True) for board in boards),
            return_exceptions=True,
        )
        for response in responses:
            if isinstance(response, BaseException):
                errors += 1
                continue
            times.append(response[0])
            errors += any("error" in each for each in response[1]["data"])
    cuts = quantiles(times, n=100)
    bench.goal(
        f"{DASHBOARDS} dashboards at once",
        errors == 0,
        f"p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, {errors} errors"
        f" ({len(times)} refreshes of 12 panels)",
    )
