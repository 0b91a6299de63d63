"""Expressions, tiers, refreshes and batches over the real database and cache."""

import random
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path
from statistics import fmean
from threading import Event
from typing import Any, cast
from zoneinfo import ZoneInfo, reset_tzpath

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from pulseboard import promql
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.contracts.queries import QueryParams
from pulseboard.db import cache, database
from pulseboard.ingest import late_marks_store
from pulseboard.ingest.batch import Batch
from pulseboard.query import engine as query_engine
from pulseboard.query.reader import PlanReader
from pulseboard.web import clock

pytestmark = pytest.mark.integration

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
Clock = Callable[[int], None]


@pytest.fixture
def now() -> int:
    """The start of this minute in milliseconds."""
    return int(time.time()) // 60 * MINUTE


@pytest.fixture
def at(admin: TestClient) -> Clock:
    """Sets the clock of the API, in milliseconds."""

    def set_clock(timestamp: int) -> None:
        when = datetime.fromtimestamp(timestamp / 1000, UTC)
        cast(FastAPI, admin.app).dependency_overrides[clock.now] = lambda: when

    return set_clock


def send(client: TestClient, *points: tuple[str, dict[str, str], int, float]) -> None:
    body = [
        {"name": name, "tags": tags, "timestamp": timestamp, "value": value}
        for name, tags, timestamp, value in points
    ]
    response = client.post("/api/v1/metrics", json=body)
    assert response.json()["data"]["rejected"] == 0, response.text


def settle() -> None:
    """Drop all late marks, as if the samples had been written in time."""
    for key in list(cache.client().scan_iter("late:*")):
        cache.client().delete(key)


def query_points(
    client: TestClient, query: str, start: int, end: int, **more: Any
) -> dict[str, Any]:
    response = client.post(
        "/api/v1/query", json={"query": query, "start": start, "end": end, **more}
    )
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def lines(document: dict[str, Any]) -> dict[str, list[float | None]]:
    return {str(sorted(s["tags"].items())): s["values"] for s in document["data"]["series"]}


def close(values: list[float | None], wanted: list[float | None]) -> bool:
    pairs = zip(values, wanted, strict=True)
    return all(
        one is None and other is None
        if one is None or other is None
        else abs(one - other) <= 1e-9 * max(1.0, abs(other))
        for one, other in pairs
    )


def refresh(url: str) -> None:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        for view, end in (("metrics_1min", "1 minute"), ("metrics_1hour", "1 hour")):
            connection.execute(
                "call refresh_continuous_aggregate(%s::regclass, null, now() - %s::interval)",
                (view, end),
            )


def test_expressions_are_read_from_the_database(admin: TestClient, now: int) -> None:
    start = now - 10 * MINUTE
    send(
        admin,
        *(("hits", {"host": "a"}, start + n * 10 * SECOND, 5.0 * n) for n in range(61)),
        *(("hits", {"host": "b"}, start + n * 10 * SECOND, 10.0 * n) for n in range(61)),
    )
    window = (start + 5 * MINUTE, now)
    rates = query_points(admin, "rate(hits[1m])", *window, step="1m")
    assert rates["meta"]["rowsRead"] > 0
    assert lines(rates)["[('host', 'a')]"] == pytest.approx([0.5] * 6)
    total = query_points(admin, "sum(rate(hits[1m])) * 2", *window, step="1m", tags={"host": "b"})
    assert total["data"]["series"][0]["values"] == pytest.approx([2.0] * 6)
    assert total["data"]["series"][0]["name"] == "sum(rate(hits[1m])) * 2"
    named = query_points(admin, '{__name__=~"hi.+",host="a"}', *window, step="1m")
    assert named["data"]["series"][0]["name"] == "hits"
    assert named["data"]["series"][0]["values"][-1] == 300.0


def test_expressions_computed_in_sql_equal_those_computed_in_python(
    admin: TestClient, now: int
) -> None:
    start, noise = now - 8 * MINUTE, random.Random(3)
    send(
        admin,
        *(
            ("cpu", {"host": f"h{n % 5}", "env": "ab"[n % 2]}, start + n * 7 * SECOND, value)
            for n, value in enumerate(noise.uniform(-9, 9) for _ in range(60))
        ),
    )
    for function in ("avg", "min", "max", "sum", "count"):
        for operator in ("avg by (env)", "sum without (host)", "max", "count by (env)"):
            text = f"{operator} ({function}_over_time(cpu[1m]))"
            pushed = lines(query_points(admin, text, start, now, step="1m"))
            evaluated = lines(query_points(admin, f"{text} + 0", start, now, step="1m"))
            assert pushed.keys() == evaluated.keys()
            for key, values in pushed.items():
                assert close(values, evaluated[key]), text


@pytest.mark.parametrize("query", ["flock", '{__name__=~"flo.+"}', "sum(flock)"])
def test_series_created_or_deleted_since_the_last_query_are_seen(
    admin: TestClient, now: int, query: str
) -> None:
    def total(minute: int) -> float:
        # Another minute each time, of which nothing is in the cache.
        start = now - minute * MINUTE
        response = query_points(admin, query, start, start + MINUTE, step="1m")
        lines: list[list[float | None]] = [each["values"] for each in response["data"]["series"]]
        return sum(value for line in lines for value in line if value is not None)

    timestamps = [now - minute * MINUTE for minute in range(13)]
    send(admin, *(("flock", {"host": "a"}, timestamp, 1) for timestamp in timestamps))
    first = total(2)
    assert first > 0
    assert total(5) == first
    send(admin, *(("flock", {"host": "b"}, timestamp, 1) for timestamp in timestamps))
    settle()
    assert total(8) == 2 * first
    gone = admin.delete("/api/v1/usage/series", params={"selector": 'flock{host="a"}', "expect": 1})
    assert gone.status_code == 200
    assert total(11) == first


def test_errors_of_expressions_give_the_position(admin: TestClient, now: int) -> None:
    body = {"query": "sum(rat(cpu[1m]))", "start": now - HOUR, "end": now}
    response = admin.post("/api/v1/query", json=body)
    assert response.status_code == 400
    assert response.json()["details"][0]["position"] == 4
    assert "rate" in response.json()["details"][0]["hint"]


@pytest.mark.parametrize("seed", [1, 2])
def test_all_tiers_give_the_same_values(
    admin: TestClient, database_url: str, now: int, seed: int
) -> None:
    """Late, out of order and duplicate samples, across the real-time edge of the rollups."""
    chance = random.Random(seed)
    hour = now // HOUR * HOUR
    start = hour - 3 * HOUR

    def points(count: int, first: int, last: int) -> list[tuple[str, dict[str, str], int, float]]:
        return [
            (
                "cpu",
                {"host": chance.choice("ab")},
                chance.randrange(first, last, SECOND),
                chance.uniform(-1e3, 1e3),
            )
            for _ in range(count)
        ]

    written = points(300, start, now)
    send(admin, *written)
    refresh(database_url)
    late = points(60, start, hour - HOUR)
    again = [(name, tags, timestamp, value + 1) for name, tags, timestamp, value in written[:20]]
    send(admin, *late)
    send(admin, *again)
    refresh(database_url)
    # After the refresh: on the real-time side of the edge, which moves on while this runs.
    edge = int(time.time()) * SECOND
    send(admin, *points(20, edge - 10 * SECOND, edge))
    for aggregation in ("avg", "min", "max", "sum", "count", "last"):
        results = [
            lines(
                query_points(
                    admin, "cpu", start, hour + HOUR,
                    aggregation=aggregation, step="1h", tier=tier,
                )
            )
            for tier in ("raw", "1min", "1hour")
        ]  # fmt: skip
        exact = aggregation in ("min", "max", "count", "last")
        for other in results[1:]:
            assert other.keys() == results[0].keys()
            for key, values in results[0].items():
                same = other[key] == values if exact else close(other[key], values)
                assert same, aggregation


def test_a_refresh_reads_the_tail_and_equals_a_cold_read(
    admin: TestClient, at: Clock, now: int
) -> None:
    send(
        admin,
        *(
            ("cpu", {"host": host}, now - n * 10 * SECOND, float(n))
            for n in range(240)
            for host in "abc"
        ),
    )
    settle()
    chance = random.Random(5)
    for query, more, beat in (
        ("cpu", {"groupBy": ["host"], "step": "10s"}, 10 * SECOND),
        ("sum(avg_over_time(cpu[2m]))", {"step": "30s"}, 30 * SECOND),
    ):
        at(now)
        cold = query_points(admin, query, now - 30 * MINUTE, now, **more)
        for tick in range(1, 4):
            timestamp = now + tick * beat
            # One sample in time, and one a minute late, of a series that is new.
            send(
                admin,
                ("cpu", {"host": "a"}, timestamp - SECOND, chance.random()),
                ("cpu", {"host": f"late{tick}"}, timestamp - 60 * SECOND, chance.random()),
            )
            settle()
            at(timestamp)
            warm = query_points(admin, query, timestamp - 30 * MINUTE, timestamp, **more)
            assert 0 < warm["meta"]["rowsRead"] < cold["meta"]["rowsRead"] / 3
            cached: dict[bytes, Any] = {}
            for key in list(cache.client().scan_iter("cache:query:*")):
                cached[key] = cache.client().get(key)
                cache.client().delete(key)
            again = query_points(admin, query, timestamp - 30 * MINUTE, timestamp, **more)
            assert warm["data"] == again["data"]
            # Restore what was merged: the next refresh builds on it.
            for key, value in cached.items():
                cache.client().set(key, value, ex=60)


@pytest.mark.parametrize(
    ("query", "more"),
    [
        ("cpu", {"step": "10s", "groupBy": []}),
        ("sum(max_over_time(cpu[2m]))", {"step": "30s"}),
        ('sum({__name__=~"c.u"})', {"step": "30s"}),
        ("cpu", {"step": "1m", "groupBy": [], "tier": "1min"}),
    ],
)
def test_a_sample_half_an_hour_late_is_seen_by_the_next_refresh(
    admin: TestClient, at: Clock, now: int, query: str, more: dict[str, Any]
) -> None:
    send(admin, *(("cpu", {"host": "a"}, now - n * 10 * SECOND, 1.0) for n in range(1, 500)))
    settle()
    start = now - HOUR
    at(now)
    whole = query_points(admin, query, start, now, **more)["meta"]["rowsRead"]
    # The rest is cached: a refresh reads the tail.
    at(now + 10 * SECOND)
    tail = query_points(admin, query, start, now + 10 * SECOND, **more)["meta"]["rowsRead"]
    assert tail < whole / 3
    send(admin, ("cpu", {"host": "late"}, now - 30 * MINUTE - SECOND, 500.0))
    at(now + 20 * SECOND)
    warm = query_points(admin, query, start, now + 20 * SECOND, **more)
    assert max(v for v in warm["data"]["series"][0]["values"] if v is not None) > 50
    # A rollup may lack it until its next refresh: the result says so.
    is_told = any("rollups are catching up" in note for note in warm["meta"]["notes"])
    assert is_told == (more.get("tier") == "1min")
    for key in list(cache.client().scan_iter("cache:query:*")):
        cache.client().delete(key)
    assert query_points(admin, query, start, now + 20 * SECOND, **more)["data"] == warm["data"]


def _divide_by_zero(connection: psycopg.Connection[Any], **_: Any) -> None:
    connection.execute("select 1 / 0").fetchone()


def _unexpected(*_: Any, **__: Any) -> None:
    raise RuntimeError("nobody expects this")


@pytest.mark.parametrize(
    ("place", "failure"),
    [
        ("pulseboard.query.sql_buckets.read_lines", _divide_by_zero),
        ("pulseboard.query.sql_buckets.read_lines", _unexpected),
        ("pulseboard.query.engine._finish", _unexpected),
        ("pulseboard.query.result_cache.extents.settled_chunks", _unexpected),
        ("pulseboard.query.engine.plans", _unexpected),
    ],
)
def test_what_goes_wrong_with_a_query_harms_no_other(
    admin: TestClient,
    now: int,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    failure: Callable[..., Any],
) -> None:
    send(admin, *(("cpu", {"host": host}, now - 5 * MINUTE, 1.0) for host in "abc"))
    settle()
    queries = [
        {"id": host, "query": f'cpu{{host="{host}"}}', "aggregation": "avg"} for host in "abc"
    ]
    body = {"start": now - HOUR, "end": now, "queries": queries}
    module, name = place.rsplit(".", 1)
    original = getattr(import_module(module), name)
    calls = []

    def fail_second(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return (failure if len(calls) == 2 else original)(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(place, fail_second)
        response = admin.post("/api/v1/query/batch", json=body)
    assert response.status_code == 200
    first, second, third = response.json()["data"]
    assert second["error"]["code"] == "INTERNAL_ERROR"
    assert len(first["result"]["data"]["series"]) == len(third["result"]["data"]["series"]) == 1
    again = admin.post("/api/v1/query/batch", json=body)
    assert [each["result"]["meta"]["cached"] for each in again.json()["data"]] == [
        True,
        False,
        True,
    ]


def test_an_unexpected_error_of_a_single_query_is_a_server_error(
    admin: TestClient, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(admin, ("cpu", {}, now - 5 * MINUTE, 1.0))
    monkeypatch.setattr("pulseboard.query.sql_buckets.read_lines", _divide_by_zero)
    bucketed = {"query": "cpu", "aggregation": "avg", "start": now - HOUR, "end": now}
    response = admin.post("/api/v1/query", json=bucketed)
    assert response.status_code == 500
    assert response.json()["code"] == "INTERNAL_ERROR"
    assert "zero" not in response.text
    unknown = {"query": 'cpu{host="\0"}', "start": now - HOUR, "end": now}
    assert admin.post("/api/v1/query", json=unknown).status_code == 400


def test_results_are_the_same_while_a_stranger_reads_the_same_points(
    admin: TestClient, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits: a reader that hangs or died keeps no other from reading."""
    send(admin, *(("cpu", {"host": str(n)}, now - MINUTE, 1.0) for n in range(50)))
    start = {"start": now - HOUR, "end": now}
    params = QueryParams.model_validate({"query": "cpu", **start})
    when = datetime.fromtimestamp(now / 1000, UTC)
    hanging, others = Event(), Event()
    original = PlanReader.read

    def hang_once(*args: Any) -> Any:
        if not hanging.is_set():
            hanging.set()
            assert others.wait(60)
        return original(*args)

    monkeypatch.setattr(PlanReader, "read", hang_once)
    with ThreadPoolExecutor(4) as pool:
        stranger = pool.submit(query_engine.execute, params, now=when)
        assert hanging.wait(60)
        results = list(pool.map(lambda _: query_engine.execute(params, now=when), range(3)))
        others.set()
        results.append(stranger.result())
    assert {len(each.lines) for each in results} == {50}


def test_a_batch_shares_reads_and_bounds_its_queries(
    admin: TestClient, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(admin, ("cpu", {}, now - 5 * MINUTE, 2.0), ("cpu", {}, now - 5 * MINUTE + 1, 4.0))

    def batch(*queries: dict[str, Any]) -> Any:
        named = [{"id": str(number), **each} for number, each in enumerate(queries)]
        body = {"start": now - HOUR, "end": now, "queries": named}
        return admin.post("/api/v1/query/batch", json=body)

    results = batch(
        *({"query": "cpu", "aggregation": each} for each in ("avg", "max", "count")),
        {"query": " cpu ", "groupBy": []},
        {"query": "max(cpu) - min(cpu)"},
    ).json()["data"]
    values = [
        next(v for v in each["result"]["data"]["series"][0]["values"] if v is not None)
        for each in results
    ]
    assert values == [3.0, 4.0, 2.0, 3.0, 0.0]
    many = batch(*({"query": f"cpu + {n}"} for n in range(120)))
    assert many.status_code == 200
    assert all("result" in each for each in many.json()["data"])
    too_many = batch(*({"query": f"cpu + {n}"} for n in range(301)))
    assert too_many.status_code == 400
    assert "300" in too_many.json()["error"]


def test_no_connection_is_held_while_expressions_are_computed(
    admin: TestClient, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a pool are few, and an open transaction would hold up TimescaleDB's jobs."""
    send(admin, *((name, {}, now - MINUTE, 1.0) for name in ("cpu", "disk")))
    texts = ["cpu + disk", "cpu", "sum(rate(cpu[2m]))", "disk * 2"]
    asked = [{"id": text, "query": text, "aggregation": "none"} for text in texts]
    batch = {"start": now - HOUR, "end": now, "queries": asked}
    rule = {"name": "rule", "query": "cpu * 2", "condition": "gt", "threshold": 1}
    preview = {"rule": rule, "start": now - 2 * MINUTE, "end": now}
    held: list[int] = []
    original = promql.evaluate

    def computing(*args: Any, **kwargs: Any) -> Any:
        pool = database.pool().get_stats()
        held.append(pool["pool_size"] - pool["pool_available"])
        return original(*args, **kwargs)

    monkeypatch.setattr(promql, "evaluate", computing)
    results = admin.post("/api/v1/query/batch", json=batch).json()["data"]
    assert [bool(each["result"]["data"]["series"]) for each in results] == [True, True, False, True]
    assert held == [0] * 4
    exact: dict[str, Any] = {"query": "cpu + disk", "time": now / 1000}
    assert admin.get("/prometheus/api/v1/query", params=exact).json()["data"]["result"]
    assert admin.post("/api/v1/alerts/preview", json=preview).json()["data"]["series"] == 1
    assert held == [0] * 6


def test_a_start_past_raw_retention_falls_to_minutes(admin: TestClient, now: int) -> None:
    begin = now - 8 * 24 * HOUR
    document = query_points(admin, "cpu", begin, begin + 30 * MINUTE, step="10s")
    assert document["meta"]["table"] == "metrics_1min"
    assert document["meta"]["notes"]


def test_a_single_time_shows_the_newest_samples_of_series_that_are_not_stale(
    admin: TestClient, database_url: str, now: int
) -> None:
    send(
        admin,
        *(("up", {"host": host}, now - 2 * MINUTE, 1.0) for host in "abc"),
        ("up", {"host": "c"}, now, 2.0),
    )
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(
            "insert into series_end (series_id, time) select id, to_timestamp(%s)"
            " from metric_series where tags->>'host' in ('a', 'c')",
            (now / 1000 - 60,),
        )

    def newest(timestamp: int) -> dict[str, list[float | None]]:
        response = query_points(
            admin, '{__name__="up"}', timestamp - SECOND, timestamp, step="1m", tier="raw"
        )
        assert len(response["data"]["timestamps"]) == 1
        return {s["tags"]["host"]: s["values"] for s in response["data"]["series"]}

    assert newest(now - 2 * MINUTE) == {"a": [1.0], "b": [1.0], "c": [1.0]}
    # One is stale; another one was stale and came back.
    assert newest(now) == {"b": [1.0], "c": [2.0]}


def drop_cached() -> None:
    for key in list(cache.client().scan_iter("cache:query:*")):
        cache.client().delete(key)


@pytest.mark.parametrize("tier", ["raw", "1min", "1hour"])
def test_a_single_point_equals_that_point_among_others(
    admin: TestClient, database_url: str, now: int, tier: str
) -> None:
    """A refresh often reads one point, at a time that is no multiple of the windows."""
    hour = now // HOUR * HOUR
    send(
        admin,
        *(
            ("cpu", {"host": host}, hour - n * 5 * MINUTE - 7 * SECOND, float(n * n % 17))
            for n in range(60)
            for host in "ab"
        ),
    )
    refresh(database_url)
    step = {"raw": 7 * SECOND, "1min": MINUTE, "1hour": HOUR}[tier]
    last = (hour - 13 * MINUTE) // step * step
    options = {"tier": tier, "step": f"{step // SECOND}s"}
    for text in (
        *(f"{each}_over_time(cpu[1h])" for each in ("max", "min", "sum", "avg", "count", "last")),
        *(f"{each}(cpu[61m])" for each in ("rate", "increase", "delta", "stddev_over_time")),
        *(f"max_over_time(cpu[{window}])" for window in ("50m", "61500ms", "1500ms", "91m")),
        *(f"sum_over_time(cpu[1h] offset {offset})" for offset in ("7m", "500ms", "61s")),
        *("rate(cpu[61500ms])", "irate(cpu[700500ms])", "quantile_over_time(0.9, cpu[1h])"),
        *("cpu + 0", "cpu offset 500ms + 0", "cpu offset 7m", "sum(max_over_time(cpu[1h]))"),
    ):
        many = query_points(admin, text, last - 3 * step, last, **options)
        drop_cached()
        one = query_points(admin, text, last - SECOND, last, **options)
        assert one["data"]["timestamps"] == [last], text
        at_last = {key: values[-1:] for key, values in lines(many).items()}
        found = lines(one)
        for key in at_last.keys() | found.keys():
            assert close(found.get(key, [None]), at_last.get(key, [None])), text


@pytest.mark.parametrize(
    ("tier", "width", "step"), [("1min", 60, 60), ("1min", 60, 300), ("1hour", 3600, 3600)]
)
def test_a_series_that_ended_is_gone_from_rollups_as_from_raw(
    admin: TestClient, database_url: str, now: int, tier: str, width: int, step: int
) -> None:
    """A pod is replaced: the sum is that of one at each time. Another one misses a scrape."""
    hour = now // HOUR * HOUR - 2 * HOUR
    buckets = 12 if width == 60 else 4
    start = hour - buckets * width * SECOND
    every = min(width * SECOND // 4, 4 * MINUTE)
    ended = start + (buckets // 2) * width * SECOND + every + SECOND
    times = range(start + SECOND, hour, every)
    send(
        admin,
        *(("load", {"pod": "old"}, at, 1.0) for at in times if at <= ended),
        *(("load", {"pod": "new"}, at, 1.0) for at in times if at > ended),
        *(("load", {"pod": "blinks"}, at, 1.0) for at in times),
    )
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(
            "insert into series_end (series_id, time) select id, to_timestamp(%s)"
            " from metric_series where tags->>'pod' in ('old', 'blinks')",
            (ended / 1000 + 1,),
        )
    refresh(database_url)
    for text in ("sum(load)", 'sum(load{pod!="blinks"})', "count by (pod) (load)"):
        first = start + step * SECOND
        raw, rolled_up = (
            lines(query_points(admin, text, first, hour, step=f"{step}s", tier=each))
            for each in ("raw", tier)
        )
        assert raw == rolled_up, text


def test_late_marks_do_not_grow_with_the_years(
    admin: TestClient, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sender that is always late leaves a mark each ten minutes."""
    began = now / 1000
    for hour in range(48):
        late = Batch(
            series=[SeriesKey.of("cpu", {})], times=[now + hour * HOUR - 2 * HOUR], values=[1.0]
        )
        monkeypatch.setattr(time, "time", lambda hour=hour: began + hour * 3600.0)
        late_marks_store.record(late, now=began + hour * 3600)
    assert cache.client().zcard("late:cpu") <= 2
    assert cache.client().zcard("late:") <= 2
    pipe = cache.client().pipeline(transaction=False)
    late_marks_store.queue_reads(pipe, ["cpu"])
    assert list(late_marks_store.parse(["cpu"], pipe.execute())["cpu"]) == [
        (now // 1000 + 45 * 3600) // 600
    ]


@pytest.fixture
def put_back(tmp_path: Path, now: int) -> Iterator[ZoneInfo]:
    """A zone where clocks were put back from UTC+2 to UTC+1 three days ago."""
    midnight = now // DAY * DAY // SECOND
    header = struct.pack(">4s c15x 6l", b"TZif", b"1", 0, 0, 0, 1, 2, 8)
    types = struct.pack(">lBB", 7_200, 0, 0) + struct.pack(">lBB", 3_600, 0, 4)
    file = tmp_path / "Test" / "PutBack"
    file.parent.mkdir()
    file.write_bytes(
        header + struct.pack(">l", midnight - 3 * 86_400 + 3_600) + b"\1" + types + b"+02\0+01\0"
    )
    reset_tzpath([str(tmp_path)])
    yield ZoneInfo("Test/PutBack")
    reset_tzpath()
    ZoneInfo.clear_cache()


@pytest.mark.parametrize("tier", ["raw", "1min", "1hour"])
def test_days_of_a_zone_are_those_of_its_clock(
    admin: TestClient, database_url: str, put_back: ZoneInfo, at: Clock, now: int, tier: str
) -> None:
    today = datetime.fromtimestamp(now / SECOND, put_back).date()
    start, end = (
        int(datetime.combine(today - timedelta(days), datetime.min.time(), put_back).timestamp())
        * SECOND
        for days in (5, 0)
    )
    at(end + MINUTE)
    samples = [
        (stamp, float(random.Random(stamp).randrange(100)))
        for stamp in range(start, end, 30 * MINUTE)
    ]
    send(admin, *(("daily", {"host": host}, *each) for each in samples for host in "ab"))
    settle()
    refresh(database_url)
    days: dict[date, list[float]] = {}
    for stamp, value in samples:
        days.setdefault(datetime.fromtimestamp(stamp / SECOND, put_back).date(), []).append(value)
    assert sorted(map(len, days.values())) == [48] * 4 + [50]
    common = {"step": "1d", "timezone": put_back.key, "tier": tier}
    begins = [
        int(datetime.combine(day, datetime.min.time(), put_back).timestamp()) * SECOND
        for day in days
    ]
    for aggregation, of in (("sum", sum), ("count", len), ("max", max), ("avg", fmean)):
        for cached in (False, True):
            found = query_points(admin, "daily", start, end, aggregation=aggregation, **common)
            assert found["meta"]["cached"] is cached
            assert found["data"]["timestamps"] == begins
            for values in lines(found).values():
                assert close(values, [float(of(each)) for each in days.values()])
        # The latter part of the range is of the same points.
        part = query_points(admin, "daily", begins[2], end, aggregation=aggregation, **common)
        assert part["data"]["timestamps"] == begins[2:]
        assert part["meta"]["cached"]
    grouped = query_points(admin, "sum by () (sum_over_time(daily[1d]))", start, end, **common)
    assert grouped["data"]["timestamps"] == [*begins, end]
    # A window of a day is 24 hours long, also at the end of a day that has 25. Rollups hold what
    # begins in it, PromQL what is after its start.
    after = 1 if tier == "raw" else 0
    (values,) = lines(grouped).values()
    assert close(
        values[1:],
        [
            2.0
            * sum(
                value for stamp, value in samples if at_end - DAY + after <= stamp < at_end + after
            )
            for at_end in [*begins[1:], end]
        ],
    )


def test_the_last_of_a_group_is_of_the_first_series_of_those_with_the_newest_sample(
    admin: TestClient,
) -> None:
    start = time.time() // 60 * 60 - 600
    hosts = [f"h{number}" for number in range(12)]

    def send(order: list[str], at: float) -> None:
        body = [
            {
                "name": "tied",
                "tags": {"host": host},
                "timestamp": int(at * 1000),
                "value": float(host[1:]),
            }
            for host in order
        ]
        assert admin.post("/api/v1/metrics", json=body).json()["data"]["rejected"] == 0

    # The series' order is that of their creation; later samples come in other orders.
    send([hosts[7]], start)
    send(hosts, start + 30)
    send(hosts[::-1], start + 90)
    body = {
        "query": "tied",
        "start": int(start * 1000),
        "end": int((start + 120) * 1000),
        "aggregation": "last",
        "groupBy": [],
        "step": "1m",
    }
    (line,) = admin.post("/api/v1/query", json=body).json()["data"]["series"]
    assert set(line["values"]) - {None} == {7.0}


def explained(client: TestClient, query: str, start: int, end: int, **more: Any) -> dict[str, Any]:
    document = query_points(client, query, start, end, explain=True, **more)
    found: dict[str, Any] = document["meta"]["explain"]
    assert found is not None, document["meta"]
    return found


def test_explain_says_what_sql_computed_what_was_read_and_what_was_cached(
    admin: TestClient, now: int, at: Clock
) -> None:
    start = now - 20 * MINUTE
    points = [
        ("explained", {"host": host}, start + number * 10 * SECOND, float(number))
        for host in ("a", "b")
        for number in range(60)
    ]
    send(admin, *points)
    settle()
    at(now)
    end = start + 10 * MINUTE

    buckets = explained(admin, "explained", start, end, aggregation="max", step="60s")
    assert (buckets["tier"], buckets["step"], buckets["pointsCached"]) == ("raw", "1m", 0)
    assert buckets["evaluated"] == "max of explained in buckets of 1m"
    (read,) = buckets["reads"]
    assert (read["series"], read["rows"], read["table"]) == (2, 120, "metrics_raw")
    assert (read["start"], read["end"]) == (start, end)
    assert read["pushedDown"]

    whole = explained(admin, "sum(max_over_time(explained[1m]))", start, end, step="60s")
    assert whole["reads"][0]["pushedDown"] == "sum of max_over_time: all of it"
    assert whole["reads"][0]["selector"] == "explained[1m]"

    rate = explained(admin, "rate(explained[1m]) * 2", start, end, step="60s")
    assert rate["evaluated"] == "rate(explained[1m]) * 2"
    assert rate["reads"][0]["pushedDown"] == ""
    assert (rate["reads"][0]["series"], rate["reads"][0]["rows"]) == (2, 120)
    assert [each["phase"] for each in rate["times"]] == [
        *("plan", "cache", "series", "read", "evaluate", "merge")
    ]

    again = explained(admin, "rate(explained[1m]) * 2", start, end, step="60s")
    assert again["pointsCached"] == again["points"] == 11
    assert again["reads"] == []

    minutes = explained(admin, "rate(explained[90s])", start, end, step="60s", tier="1min")
    assert minutes["evaluated"] == "rate(explained[2m])", "the window as the tier allows it"
    assert "increase_by_resets" in minutes["reads"][0]["pushedDown"]

    ahead = query_points(admin, "explained", start, end, step="60s")
    assert ahead["meta"]["explain"] is None, "only on request"


def test_explain_of_a_batch_names_reads_that_queries_share(admin: TestClient, now: int) -> None:
    send(admin, ("batched", {}, now - MINUTE, 1.0))
    body = {
        "start": now - 10 * MINUTE,
        "end": now,
        "queries": [
            {"id": "a", "query": "batched", "aggregation": "min", "explain": True},
            {"id": "b", "query": "batched", "aggregation": "max", "explain": True},
            {"id": "c", "query": "batched", "aggregation": "avg"},
        ],
    }
    found = {
        each["id"]: each["result"]["meta"]["explain"]
        for each in admin.post("/api/v1/query/batch", json=body).json()["data"]
    }
    assert found["c"] is None
    assert [read["shared"] for read in found["a"]["reads"]] == [False]
    assert [read["shared"] for read in found["b"]["reads"]] == [True]
