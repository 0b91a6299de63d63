"""Metrics that are sent at every usual interval, in every range and form of query: no false gap, no
dip, no wrong total."""

import time
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from pulseboard.catalogue import intervals, intervals_store
from pulseboard.db import database

pytestmark = pytest.mark.integration

INTERVALS = (1, 5, 10, 15, 20, 30, 60, 300)
RANGES = (900, 3_600, 6 * 3_600, 24 * 3_600)
HOSTS = ("a", "b")
MARGIN = 1_800
"""Seconds of samples before the longest range."""


@pytest.fixture
def end() -> int:
    """A whole five minutes, in the past by less."""
    return int(time.time()) // 300 * 300


def fill(client: TestClient, url: str, end: int, *, hours: int = 24) -> None:
    """Counters that rise by one a second, for each interval and host; sent 0.4 intervals late."""
    first = end - hours * 3_600 - MARGIN
    for interval in INTERVALS:
        body = [
            {
                "name": f"every_{interval}",
                "tags": {"host": host},
                "timestamp": int((first + 0.4 * interval) * 1000),
                "value": 0.4 * interval,
            }
            for host in HOSTS
        ]
        response = client.post("/api/v1/metrics", json=body)
        assert response.json()["data"]["rejected"] == 0, response.text
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        for interval in INTERVALS:
            connection.execute(
                """
                insert into metrics_raw (time, series_id, value)
                select to_timestamp(%(first)s + n), s.id, n
                from metric_series s join metric_definitions d on d.id = s.metric_id,
                  lateral (
                    select i * %(interval)s + 0.4 * %(interval)s as n
                    from generate_series(1, (%(end)s - %(first)s) / %(interval)s - 1) as i
                  ) sampled
                where d.name = %(name)s
                """,
                {
                    "first": first,
                    "end": end,
                    "interval": interval,
                    "name": f"every_{interval}",
                },
            )
        for view in ("metrics_1min", "metrics_1hour"):
            connection.execute(f"call refresh_continuous_aggregate('{view}', null, null)".encode())


def query(client: TestClient, text: str, start: int, end: int, **more: Any) -> dict[str, Any]:
    body = {"query": text, "start": start * 1000, "end": end * 1000, **more}
    response = client.post("/api/v1/query", json=body)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def test_every_interval_in_every_range_and_form(
    admin: TestClient, database_url: str, end: int
) -> None:
    fill(admin, database_url, end)
    first = end - 24 * 3_600 - MARGIN
    for interval in INTERVALS:
        for length in RANGES:
            name, start = f"every_{interval}", end - length
            case = f"{name} over {length} s"
            for text in (name, f"{name} + 0", f"sum by (host) ({name})"):
                document = query(admin, text, start, end)
                tier = 0 if document["meta"]["table"] == "metrics_raw" else 60
                times = document["data"]["timestamps"]
                assert len(document["data"]["series"]) == 2, case
                for series in document["data"]["series"]:
                    lags = [
                        at / 1000 - first - value
                        for at, value in zip(times, series["values"], strict=True)
                        if value is not None
                    ]
                    assert len(lags) == len(times), (case, text, "a false gap")
                    assert min(lags) >= 0, (case, text)
                    assert max(lags) <= interval + tier + 0.01, (case, text)
            for aggregation in ("avg", "sum", "count", "max", "last"):
                document = query(admin, name, start, end, aggregation=aggregation, groupBy=[])
                times = document["data"]["timestamps"]
                step = (times[1] - times[0]) / 1000
                assert step >= interval, case
                (series,) = document["data"]["series"]
                assert None not in series["values"], (case, aggregation, "a false gap")
                if aggregation == "count":
                    assert set(series["values"]) == {2 * step / interval}, case
                if aggregation in ("avg", "max", "last"):
                    for at, value in zip(times, series["values"], strict=True):
                        assert 0 <= value - (at / 1000 - first) <= step, (case, aggregation)
            rates = query(admin, f"sum(rate({name}[$__rate_interval]))", start, end)
            (series,) = rates["data"]["series"]
            assert series["values"] == pytest.approx([2.0] * len(series["values"]), rel=0.01), case


def test_stale_markers_end_a_plain_selector(admin: TestClient, end: int) -> None:
    start = end - 900
    body = [
        {"name": "cpu", "timestamp": (start + n) * 1000, "value": 1.0} for n in range(0, 300, 60)
    ]
    assert admin.post("/api/v1/metrics", json=body).json()["data"]["rejected"] == 0
    with database.connection() as connection:
        connection.execute(
            "insert into series_end (series_id, time) select id, to_timestamp(%s) "
            "from metric_series",
            (start + 270,),
        )
    values = query(admin, "cpu", start, end, step="30s")["data"]["series"][0]["values"]
    assert values[:9] == [1.0] * 9
    assert set(values[9:]) == {None}


def test_a_gap_is_what_exceeds_the_look_back(admin: TestClient, end: int) -> None:
    start = end - 3_600
    sent = [*range(0, 600, 60), *range(1_800, 2_400, 60)]
    body = [{"name": "cpu", "timestamp": (start + n) * 1000, "value": 1.0} for n in sent]
    assert admin.post("/api/v1/metrics", json=body).json()["data"]["rejected"] == 0
    values = query(admin, "cpu", start, end, step="1m")["data"]["series"][0]["values"]
    present = {n for n, value in enumerate(values) if value is not None}
    assert present == {*range(14), *range(30, 44)}


def test_intervals_are_measured_and_kept(admin: TestClient, end: int) -> None:
    for name, interval in (("often", 9.9), ("seldom", 299.0), ("once", 0)):
        body = [
            {"name": name, "timestamp": int((end - n * interval) * 1000), "value": 1.0}
            for n in range(12 if interval else 1)
        ]
        assert admin.post("/api/v1/metrics", json=body).json()["data"]["rejected"] == 0
    wanted = {"often": 10.0, "seldom": 300.0}
    names = ["often", "seldom", "once", "nothing", "a\0b"]
    assert intervals.get_intervals(names, now=time.time()) == wanted
    with database.connection() as connection:
        assert intervals_store.measure_due(connection, seconds=30) >= 3
        assert intervals_store.measure_due(connection, seconds=30) == 0
        connection.execute("truncate metrics_raw")
        # What is sent no more keeps its interval.
        connection.execute("update metric_definitions set interval_measured_at = null")
        assert intervals_store.measure_due(connection, seconds=30) >= 3
        assert intervals_store.get(connection, names=names, now=time.time()) == wanted


def test_live_sums_have_no_dip(admin: TestClient) -> None:
    now = int(time.time())
    body = [
        {"name": "jobs", "tags": {"host": host}, "timestamp": at * 1000, "value": 50.0}
        for host in HOSTS
        for at in range(now - 600, now + 1, 10)
    ]
    assert admin.post("/api/v1/metrics", json=body).json()["data"]["rejected"] == 0
    for form in ({"aggregation": "sum", "groupBy": []}, {"step": "1m"}):
        text = "jobs" if "groupBy" in form else "sum(sum_over_time(jobs[1m])) / 6"
        document = query(admin, text, now - 400, now, **form)
        (series,) = document["data"]["series"]
        assert set(series["values"]) == {100.0}, text
