"""Queries end to end (HTTP body in, HTTP body out) beside the best SQL written by hand.

Both read the same data; what they answer is compared before anything is timed.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any
from uuid import UUID

import httpx
import psycopg

from bench.fill import fill
from functions.dev import api
from pulseboard.contracts.auth import Role, Scope
from pulseboard.stores import api_keys, cache, users

SQL = Path(__file__).parent / "sql"
ROUNDS = 7


@dataclass(frozen=True, slots=True)
class Case:
    """A question, the file of its SQL, and the tag or tags that name a line in both."""

    name: str
    ask: dict[str, Any]
    length: timedelta
    line: Callable[[dict[str, Any]], str] = field(
        default=lambda series: str(series["tags"]["host"])
    )


def _by(tag: str) -> Callable[[dict[str, Any]], str]:
    return lambda series: str(series["tags"][tag])


def _by_host_of_metric(series: dict[str, Any]) -> str:
    return f"{series['name']}{series['tags']['host']}"


HOUR = timedelta(hours=1)
CASES = (
    Case(
        "one_series_1h",
        {"query": "bench_m0", "tags": {"host": "host-7"}, "step": "10s", "tier": "raw"},
        HOUR,
    ),
    Case("avg_by_host_1h", {"query": "bench_m1", "groupBy": ["host"], "step": "10s"}, HOUR),
    Case(
        "avg_by_region_6h",
        {"query": "bench_m2", "groupBy": ["region"], "step": "1m"},
        6 * HOUR,
        _by("region"),
    ),
    Case(
        "last_of_1000",
        {"query": "bench_wide", "aggregation": "last", "step": "1h", "tier": "raw"},
        HOUR,
        _by_host_of_metric,
    ),
    Case(
        "hours_of_1000_30d",
        {"query": "bench_wide", "step": "6h", "tier": "1hour"},
        timedelta(days=30),
        _by_host_of_metric,
    ),
)


def run(database_url: str, redis_url: str) -> None:
    """Print each question's time, the SQL's, and how much more the API takes."""
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        began = time.perf_counter()
        end = fill(connection)
        print(f"\nqueries: data filled in {time.perf_counter() - began:.0f} s")
        asyncio.run(_compare(connection, end, _key(connection)))


def _key(connection: psycopg.Connection[Any]) -> str:
    user = users.create_user(
        connection, email="bench@example.com", password_hash="-", role=Role.EDITOR
    )
    owner: UUID = user.id
    return api_keys.create_key(
        connection, owner_id=owner, name="bench", scopes=[Scope.READ, Scope.INGEST]
    ).key


async def _compare(connection: psycopg.Connection[Any], end: datetime, key: str) -> None:
    transport = httpx.ASGITransport(app=api())
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://bench", headers=headers
    ) as client:
        print(f"{'query, cold':20} {'rows':>7} {'API ms':>8} {'SQL ms':>8} {'ratio':>6}  goal")
        for case in CASES:
            start = end - case.length
            body = {**case.ask, "start": _wire(start), "end": _wire(end), "maxPoints": 5000}
            statement = (SQL / f"{case.name}.sql").read_text(encoding="utf-8").encode()
            window = {"start": start, "end": end}

            async def ask(body: dict[str, Any] = body) -> dict[str, Any]:
                answer = await client.post("/api/v1/query", json=body)
                answer.raise_for_status()
                whole: dict[str, Any] = json.loads(answer.content)
                return whole

            async def select(
                statement: bytes = statement, window: dict[str, datetime] = window
            ) -> list[tuple[str, float, float]]:
                with connection.cursor(binary=True) as cursor:
                    return cursor.execute(statement, window).fetchall()

            rows = await select()
            _same(case, await ask(), rows)
            sql = await _time(select)
            whole = await _time(ask, before=_flush)
            verdict = "met" if whole <= 1.3 * sql + 0.005 else "MISSED"
            print(
                f"{case.name:20} {len(rows):7} {whole * 1000:8.1f} {sql * 1000:8.1f} "
                f"{whole / sql:6.2f}  1.3 × SQL + 5 ms: {verdict}"
            )


def _same(case: Case, answer: dict[str, Any], rows: list[tuple[str, float, float]]) -> None:
    times = answer["data"]["timestamps"]
    given = {
        (case.line(series), at // 1000): value
        for series in answer["data"]["series"]
        for at, value in zip(times, series["values"], strict=True)
        if value is not None
    }
    wanted = {(line, int(slot)): value for line, slot, value in rows}
    if given.keys() != wanted.keys():
        raise AssertionError(f"{case.name}: {len(given)} values, SQL has {len(wanted)}")
    for place, value in wanted.items():
        if abs(given[place] - value) > 1e-9 * max(1.0, abs(value)):
            raise AssertionError(f"{case.name} at {place}: {given[place]}, SQL has {value}")


async def _time(
    call: Callable[[], Awaitable[Any]], *, before: Callable[[], None] = lambda: None
) -> float:
    taken = []
    for _ in range(ROUNDS):
        before()
        began = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - began)
    return median(taken)


def _flush() -> None:
    cache.client().flushall()


def _wire(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
