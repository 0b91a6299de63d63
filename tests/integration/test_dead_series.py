"""200,000 dead series beside 100 live ones in the catalogue: they neither count nor cost."""

import time
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from functions.evaluate import tick
from pulseboard.catalogue import series_cache, series_queries
from pulseboard.catalogue.last_seen import SampleTimes
from pulseboard.catalogue.selector import Matcher
from pulseboard.core.settings import settings
from pulseboard.db import database

pytestmark = pytest.mark.integration

DEAD, LIVE = 200_000, 100


def add_dead(url: str, *, name: str, count: int, days: float = 30) -> None:
    """Pods that sent for an hour, so many days ago."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(
            """
            insert into metric_series (metric_id, tags, tags_hash, created_at, last_seen,
              last_seen_day)
            select d.id, jsonb_build_object('pod', 'dead-' || n, 'app', 'web'),
              decode(md5(n || d.name), 'hex'), t.seen - interval '1 hour', t.seen, t.seen
            from metric_definitions d, generate_series(1, %(count)s) as n,
              (select now() - make_interval(hours => %(hours)s) as seen) as t
            where d.name = %(name)s
            """,
            {"name": name, "count": count, "hours": round(days * 24)},
        )
        connection.execute("analyze metric_series")


def send(client: TestClient, name: str, pods: range, *, ago: float = 90.0) -> None:
    at = round((time.time() - ago) * 1000)
    body = [
        {"name": name, "tags": {"pod": f"p{n}", "app": "web"}, "timestamp": at, "value": 1.0}
        for n in pods
    ]
    response = client.post("/api/v1/metrics", json=body)
    assert response.json()["data"]["rejected"] == 0, response.text


def query(client: TestClient, text: str, **more: Any) -> Any:
    now = round(time.time() * 1000)
    body = {"query": text, "start": now - 900_000, "end": now, "step": "1m", **more}
    return client.post("/api/v1/query", json=body)


def latest(response: Any) -> float:
    assert response.status_code == 200, response.text
    lines = response.json()["data"]["series"]
    return max(float(value) for line in lines for value in line["values"] if value is not None)


def test_two_hundred_thousand_dead_series_beside_a_hundred_live_ones(
    admin: TestClient, database_url: str
) -> None:
    send(admin, "requests", range(LIVE))
    add_dead(database_url, name="requests", count=DEAD)
    series_cache.reset()
    shown = query(admin, "requests")
    assert shown.status_code == 200, shown.text
    assert len(shown.json()["data"]["series"]) == LIVE
    for text in (
        *("count(requests)", 'count(requests{app="web"})', 'count(requests{pod=~".+"})'),
        *('count(requests{pod!="p0"}) + 1', 'count({__name__=~"req.+"})'),
        *("count(count_over_time(requests[5m]))", "sum(count_over_time(requests[1m]))"),
    ):
        assert latest(query(admin, text)) == LIVE, text
    body = {
        "name": "up", "query": "requests", "condition": "gt", "threshold": 0,
        "duration": "0s", "window": "5m",
    }  # fmt: skip
    for changed in ({}, {"query": "sum by (app) (requests)"}, {"query": 'requests{pod=~"p.*"}'}):
        made = admin.post("/api/v1/alerts/rules", json={**body, **changed})
        assert made.status_code == 201, made.text
    tick.run(now=time.time())
    rules = admin.get("/api/v1/alerts/rules").json()["data"]
    assert [rule.get("lastError") for rule in rules] == [None] * 3
    firing = admin.get("/api/v1/alerts/events", params={"pageSize": 500}).json()["data"]
    assert len(firing) == 2 * LIVE + 1


def test_a_range_of_the_past_has_the_series_of_then(admin: TestClient, database_url: str) -> None:
    send(admin, "load", range(3))
    add_dead(database_url, name="load", count=50, days=100)

    def count(first: float, last: float, **matchers: str) -> int:
        now = time.time()
        times = SampleTimes.around(now - first * 86_400, now - last * 86_400)
        with database.connection() as connection:
            found = series_queries.find(
                connection,
                name="load",
                matchers=[Matcher(key, "=", value) for key, value in matchers.items()],
                limit=1000,
                times=times,
            )
        return len(found or [])

    assert count(1, 0) == 3
    assert count(101, 0) == 53
    assert count(101, 99.9) == 50
    assert count(90, 50) == 0
    assert count(101, 0, pod="dead-7") == 1
    # Late samples may be older than their series.
    assert count(5, 4) == 3


def test_more_series_than_may_be_matched_are_refused_by_name(
    admin: TestClient, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(admin, "requests", range(LIVE))
    add_dead(database_url, name="requests", count=11_000, days=0)
    assert latest(query(admin, 'count(requests{pod=~"p.*"})')) == LIVE
    monkeypatch.setenv("PULSEBOARD_QUERY_MAX_MATCHED", "10000")
    settings.cache_clear()
    series_cache.reset()
    refused = query(admin, 'count(requests{pod=~"p.*"}) + 0')
    assert refused.status_code == 400
    assert "10000" in refused.json()["error"]
    assert "pod=~" in refused.json()["error"]
