"""Recording rules, and alerts as series: through ticks, the API, and the query engine."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.evaluate import tick
from pulseboard.alerts.state_machine import TICK
from pulseboard.contracts.base import iso_utc
from pulseboard.core.exceptions import Unavailable
from pulseboard.db import database
from pulseboard.ingest import write_path

pytestmark = pytest.mark.integration
API = "/api/v1/alerts"
Samples = dict[str, list[tuple[float, float]]]


def utc(seconds: float) -> str:
    return iso_utc(datetime.fromtimestamp(seconds, UTC))


class World:
    """Rules, and a time of the past that a test moves tick by tick."""

    def __init__(self, http: TestClient) -> None:
        self.http = http
        # A whole minute: groups without an interval are due then.
        self.start = self.now = time.time() // 60 * 60 - 3 * 3600

    def record(self, name: str, query: str, **fields: Any) -> str:
        body = {"name": name, "query": query, "group": "g", **fields}
        response = self.http.post(f"{API}/recordings", json=body)
        assert response.status_code == 201, response.text
        identity: str = response.json()["data"]["id"]
        return identity

    def interval(self, interval: str, **fields: Any) -> None:
        body = {"name": "g", "interval": interval, **fields}
        assert self.http.put(f"{API}/groups", json=body).status_code == 200

    def send(self, *points: tuple[str, float, dict[str, str]]) -> None:
        stamp = int((self.now - 1) * 1000)
        body = [
            {"name": name, "tags": tags, "timestamp": stamp, "value": value}
            for name, value, tags in points
        ]
        assert self.http.post("/api/v1/metrics", json=body).json()["data"]["rejected"] == 0

    def beat(self, *points: tuple[str, float, dict[str, str]]) -> None:
        self.now += TICK
        if points:
            self.send(*points)
        tick.run(now=self.now)

    def samples(self, name: str) -> Samples:
        """By tags, the stored (seconds since the start, value)."""
        with database.connection() as connection:
            rows = connection.execute(
                """
                select s.tags::text, extract(epoch from r.time)::float8 - %s, r.value
                from metrics_raw r join metric_series s on s.id = r.series_id
                join metric_definitions d on d.id = s.metric_id
                where d.name = %s order by 1, 2
                """,
                (self.start, name),
            ).fetchall()
        found: Samples = {}
        for tags, at, value in rows:
            found.setdefault(tags, []).append((at, value))
        return found

    def instant(self, query: str) -> list[tuple[dict[str, str], float]]:
        found = self.http.get(
            "/prometheus/api/v1/query", params={"query": query, "time": str(self.now)}
        ).json()
        assert found["status"] == "success", found
        rows = [(one["metric"], float(one["value"][1])) for one in found["data"]["result"]]
        return sorted(rows, key=lambda row: sorted(row[0].items()))


@pytest.fixture
def world(admin: TestClient) -> World:
    made = World(admin)
    tick.run(now=made.now)
    with database.connection() as connection:
        connection.execute("update alert_ticks set steady_since = steady_since - interval '1 hour'")
    return made


A, B = {"host": "a"}, {"host": "b"}


def test_a_chain_in_a_group_is_written_in_order_and_alerts_see_it(world: World) -> None:
    world.interval("10s")
    world.record("sum:cpu", "sum(cpu)", position=0, labels={"of": "all", "host": ""})
    world.record("twice:cpu", "sum:cpu * 2", position=1)
    world.record(":odd:name", "twice:cpu + 1", position=2)
    world.record("host:cpu", "cpu", position=3, labels={"host": "x"})
    rule = {"name": "Hot", "query": "twice:cpu > 10", "condition": "returned"}
    assert world.http.post(f"{API}/rules", json=rule).status_code == 201
    world.beat(("cpu", 2, A), ("cpu", 4, B))
    assert world.samples("sum:cpu") == {'{"of": "all"}': [(10, 6)]}
    assert world.samples("twice:cpu") == {'{"of": "all"}': [(10, 12)]}
    assert world.samples(":odd:name") == {'{"of": "all"}': [(10, 13)]}
    [event] = world.http.get(f"{API}/events").json()["data"]
    assert (event["tags"], event["value"]) == ({"of": "all"}, 12)
    # Two series that get the same labels are an error, not a mixture.
    rules = world.http.get(f"{API}/recordings").json()["data"]
    assert [rule["lastError"] is None for rule in rules] == [True, True, True, False]
    assert "same labels" in rules[3]["lastError"]
    assert [rule["series"] for rule in rules] == [1, 1, 1, 0]
    assert world.samples("host:cpu") == {}
    world.http.put(f"{API}/recordings/{rules[3]['id']}", json={"query": 'cpu{host="a"}'})
    world.beat(("cpu", 2, A))
    rules = world.http.get(f"{API}/recordings").json()["data"]
    assert rules[3]["lastError"] is None
    assert world.samples("host:cpu") == {'{"host": "x"}': [(20, 2)]}


def test_a_series_that_goes_gets_a_stale_marker_and_so_does_all_of_a_deleted_rule(
    world: World,
) -> None:
    world.interval("10s")
    identity = world.record("hot:cpu", "cpu > 5")
    world.beat(("cpu", 9, A), ("cpu", 8, B))
    assert [tags["host"] for tags, _ in world.instant("hot:cpu")] == ["a", "b"]
    world.beat(("cpu", 1, A), ("cpu", 8, B))
    assert [tags["host"] for tags, _ in world.instant("hot:cpu")] == ["b"]
    # An infinity is a value, a NaN is none.
    world.http.put(f"{API}/recordings/{identity}", json={"query": "cpu / 0"})
    world.beat(("cpu", 1, A), ("cpu", 0, B))
    [(tags, value)] = world.instant("hot:cpu")
    assert (tags["host"], value) == ("a", float("inf"))
    world.http.put(f"{API}/recordings/{identity}", json={"query": "cpu"})
    world.beat(("cpu", 1, A))
    assert len(world.instant("hot:cpu")) == 2
    # By another name the series of the old one end.
    world.http.put(f"{API}/recordings/{identity}", json={"name": "hot:cpu:new"})
    world.beat(("cpu", 1, A))
    assert world.instant("hot:cpu") == []
    assert len(world.instant("hot:cpu:new")) == 2
    assert world.http.delete(f"{API}/recordings/{identity}").status_code == 204
    world.beat(("cpu", 1, A))
    assert world.instant("hot:cpu:new") == []


def test_groups_have_intervals_offsets_and_limits(world: World) -> None:
    world.interval("30s", queryOffset="10s")
    world.record("a:b", "cpu")
    world.record("every:minute", "cpu", group="other")
    for value in range(7):
        world.beat(("cpu", value, A))
    # Evaluated 10 s in the past, and stamped so.
    assert world.samples("a:b") == {'{"host": "a"}': [(20, 1), (50, 4)]}
    assert world.samples("every:minute") == {'{"host": "a"}': [(60, 5)]}
    [one, _] = world.http.get(f"{API}/recordings").json()["data"]
    assert one["interval"] == "30s"
    world.interval("10s", limit=1)
    world.beat(("cpu", 1, A), ("cpu", 1, B))
    [one, _] = world.http.get(f"{API}/recordings").json()["data"]
    assert one["lastError"] == "The expression has 2 series; its group allows 1."
    groups = world.http.get(f"{API}/groups").json()["data"]
    assert [(one["name"], one["interval"], one["limit"], one["recording"]) for one in groups] == [
        ("g", "10s", 1, 1),
        ("other", None, 0, 1),
    ]


def test_a_tick_that_runs_twice_writes_the_same(world: World) -> None:
    world.interval("10s")
    world.record("a:b", "cpu * 2 > 0")
    world.beat(("cpu", 1, A))
    before = world.samples("a:b")
    with database.connection() as connection:
        connection.execute("update alert_ticks set tick = tick - 1, runner = null")
    tick.reset()
    tick.run(now=world.now)
    assert world.samples("a:b") == before == {'{"host": "a"}': [(10, 2)]}
    # A process that has just started knows what was written last.
    tick.reset()
    world.beat(("cpu", 0, A))
    assert world.instant("a:b") == []
    with database.connection() as connection:
        [(count,)] = connection.execute("select count(*) from recorded_series").fetchall()
    assert count == 0


def test_what_cannot_be_written_stops_no_alert(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.interval("10s")
    world.record("a:b", "cpu * 2")
    rule = {"name": "Hot", "query": "cpu", "condition": "gt", "threshold": 0}
    assert world.http.post(f"{API}/rules", json=rule).status_code == 201

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise Unavailable("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(write_path, "store", refuse)
        world.beat(("cpu", 1, A))
    assert [e["status"] for e in world.http.get(f"{API}/events").json()["data"]] == ["firing"]
    world.beat(("cpu", 1, A))
    assert world.samples("a:b") == {'{"host": "a"}': [(20, 2)]}


def test_alerts_are_series_while_they_are_active(world: World) -> None:
    rule = {
        **{"name": "Hot", "query": "cpu > 5", "condition": "returned", "duration": "10s"},
        **{"labels": {"team": "ops"}, "severity": "critical"},
    }
    created = world.http.post(f"{API}/rules", json=rule).json()["data"]
    labels = {"alertname": "Hot", "host": "a", "severity": "critical", "team": "ops"}
    world.beat(("cpu", 9, A), ("cpu", 1, B))
    began = world.now
    pending = {"__name__": "ALERTS", **labels, "alertstate": "pending"}
    assert world.instant("ALERTS") == [(pending, 1)]
    world.beat(("cpu", 9, A))
    assert world.instant("ALERTS") == [({**pending, "alertstate": "firing"}, 1)]
    assert world.instant("ALERTS_FOR_STATE") == [
        ({"__name__": "ALERTS_FOR_STATE", **labels}, began)
    ]
    world.beat(("cpu", 1, A))
    assert world.instant("ALERTS") == []
    assert world.instant("ALERTS_FOR_STATE") == []
    world.beat(("cpu", 9, A))
    assert len(world.instant("ALERTS")) == 1
    world.http.delete(f"{API}/rules/{created['id']}")
    world.beat(("cpu", 9, A))
    assert world.instant("ALERTS") == []


def test_a_preview_and_a_backfill_are_what_ticks_write(world: World) -> None:
    world.interval("20s")
    identity = world.record("hot:cpu", "cpu > 5", labels={"of": "x"})
    for value in (9, 9, 1, 9, 8, 7, 1, 1, 6):
        world.beat(("cpu", value, A))
    live = world.samples("hot:cpu")
    assert [value for _, value in live['{"of": "x", "host": "a"}']] == [9, 9, 7]
    body = {"start": utc(world.start + 1), "end": utc(world.now + 1)}
    fields = {"name": "hot:cpu", "query": "cpu > 5", "labels": {"of": "x"}, "group": "g"}
    preview = world.http.post(f"{API}/recording-preview", json={"rule": fields, **body})
    data = preview.json()["data"]
    assert (data["series"], data["evaluations"], data["samples"]) == (1, 4, 3)
    assert data["lines"] == [{"tags": {"host": "a", "of": "x"}, "samples": 3, "last": 7.0}]
    path = f"{API}/recordings/{identity}/backfill"
    assert world.http.post(path, json=body).json()["data"]["samples"] == 3
    assert world.samples("hot:cpu") == live
    with database.connection() as connection:
        connection.execute(
            """
            delete from metrics_raw r using metric_series s, metric_definitions d
            where s.id = r.series_id and d.id = s.metric_id and d.name = 'hot:cpu'
            """
        )
    assert world.http.post(path, json=body).json()["data"]["series"] == 1
    assert world.samples("hot:cpu") == live
    missing = f"{API}/recordings/{'0' * 8}-0000-4000-8000-{'0' * 12}"
    assert world.http.post(f"{missing}/backfill", json=body).status_code == 404
    assert world.http.get(missing).status_code == 404


def test_what_is_wrong_is_refused(admin: TestClient) -> None:
    fields = {"name": "a:b", "query": "sum(cpu)"}
    for extra in (
        {"name": "a b"},
        {"query": "sum(("},
        {"labels": {"__name__": "c"}},
        {"group": "g" * 300},
    ):
        assert admin.post(f"{API}/recordings", json={**fields, **extra}).status_code == 400
    assert admin.put(f"{API}/groups", json={"name": "g", "interval": "1s"}).status_code == 400
    created = admin.post(f"{API}/recordings", json=fields).json()["data"]
    path = f"{API}/recordings/{created['id']}"
    same = admin.put(path, json={"query": "sum(cpu)", "version": 1}).json()["data"]
    assert same["version"] == 1
    assert admin.put(path, json={"query": "avg(cpu)", "version": 1}).json()["data"]["version"] == 2
    assert admin.put(path, json={"query": "max(cpu)", "version": 1}).status_code == 409
    found = admin.get(f"{API}/recordings", params={"search": "a:b AVG"}).json()
    assert (found["meta"]["total"], found["data"][0]["query"]) == (1, "avg(cpu)")
