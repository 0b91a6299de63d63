"""Ingest end to end (JSON bytes in, committed rows out) beside a bare sorted insert.

Both write the same number of new rows for the same series into the same database.
"""

import asyncio
import json
import random
import time
from statistics import median
from uuid import uuid4

import httpx
import psycopg

from functions.dev import api
from pulseboard.auth.access import Principal, require
from pulseboard.contracts.vocabulary import Role, Scope

POINTS = 10_000
SERIES = 1_000
ROUNDS = 7


def run(database_url: str, redis_url: str, *, quick: bool = False) -> None:
    """Print rows per second of both and their ratio."""
    start = int(time.time() * 1000) - 3_600_000
    whole = asyncio.run(_end_to_end(start))
    bare = _bare(database_url, start)
    print(f"ingest end to end  {POINTS / whole:9,.0f} rows/s  ({whole * 1000:.0f} ms a batch)")
    print(f"bare insert        {POINTS / bare:9,.0f} rows/s  ({bare * 1000:.0f} ms a batch)")
    print(f"ratio              {bare / whole:9.2f}  (goal: at least 0.5)")


def _moment(start: int, batch: int, row: int) -> int:
    return start + (batch * POINTS // SERIES + row // SERIES) * 1000


async def _end_to_end(start: int) -> float:
    app = api()
    app.dependency_overrides[require] = lambda: Principal(
        user_id=uuid4(), role=Role.EDITOR, email="", key_id=uuid4(), scopes=frozenset(Scope)
    )
    durations = []
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:
        for batch in range(ROUNDS):
            body = json.dumps(
                [
                    {
                        "name": f"bench_{row % 5}",
                        "value": random.random(),
                        "tags": {"host": f"host-{row % SERIES}", "region": "eu-west-1"},
                        "timestamp": _moment(start, batch, row),
                    }
                    for row in range(POINTS)
                ]
            ).encode()
            began = time.perf_counter()
            response = await client.post("/api/v1/metrics", content=body)
            durations.append(time.perf_counter() - began)
            response.raise_for_status()
    # The first makes the series.
    return median(durations[1:])


def _bare(database_url: str, start: int) -> float:
    durations = []
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        ids = [
            row[0]
            for row in connection.execute(
                "select s.id from metric_series s join metric_definitions d on d.id = s.metric_id "
                "where d.name like 'bench%%' order by s.id limit %s",
                (SERIES,),
            ).fetchall()
        ]
        for batch in range(ROUNDS):
            # Half a second off the first half's samples, so that each row is new.
            rows = sorted(
                (ids[row % SERIES], _moment(start, batch, row) + 500) for row in range(POINTS)
            )
            values = [random.random() for _ in rows]
            began = time.perf_counter()
            connection.execute(
                """
                insert into metrics_raw (series_id, time, value)
                select s, to_timestamp(m / 1000.0::float8), v
                from unnest(%s::integer[], %s::bigint[], %s::float8[]) as w (s, m, v)
                on conflict (series_id, time) do update set value = excluded.value
                """,
                ([row[0] for row in rows], [row[1] for row in rows], values),
            )
            durations.append(time.perf_counter() - began)
    return median(durations[1:])
