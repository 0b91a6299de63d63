"""More series than a selector finds: lists are whole, counts right or refused by name. Lists are
cached for many labels, and never stale after a new series or a deletion.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.evaluate import tick
from pulseboard.alerts.state_machine import TICK
from pulseboard.catalogue import metrics_store
from pulseboard.core.settings import settings
from pulseboard.db import cache, database

pytestmark = pytest.mark.integration

MANY = 10_005
"""More series than a selector of a query finds."""
Tags = dict[str, str]


def insert(name: str, tags: Sequence[Tags]) -> None:
    """Series that were seen now, past the ingest path: it would take long."""
    rows = [(json.dumps(each), hashlib.sha256(json.dumps(each).encode()).digest()) for each in tags]
    with database.connection() as connection, connection.transaction():
        connection.execute(
            "insert into metric_definitions (name) values (%s) on conflict do nothing", (name,)
        )
        connection.execute(
            """
            insert into metric_series (metric_id, tags, tags_hash)
            select d.id, w.tags::jsonb, w.hash
            from metric_definitions d, unnest(%s::text[], %s::bytea[]) as w (tags, hash)
            where d.name = %s
            """,
            ([each for each, _ in rows], [each for _, each in rows], name),
        )


def change_unseen(name: str, tags: Tags) -> None:
    """Change the tags of all series of a metric: who has them from the cache doesn't see it."""
    with database.connection() as connection:
        connection.execute(
            """
            update metric_series set tags = %s
            where metric_id = (select id from metric_definitions where name = %s)
            """,
            (json.dumps(tags), name),
        )


def prometheus(client: TestClient, path: str, **params: Any) -> dict[str, Any]:
    response = client.get(f"/prometheus/api/v1/{path}", params=params)
    assert response.status_code == 200, response.text
    return dict(response.json())


def send(client: TestClient, name: str, tags: Tags) -> None:
    point = {"name": name, "value": 1, "timestamp": int(time.time() * 1000), "tags": tags}
    assert client.post("/api/v1/metrics", json=point).status_code == 200


def tags_of(client: TestClient, name: str) -> dict[str, dict[str, int]]:
    found = client.get(f"/api/v1/metrics/{name}/tags").json()["data"]
    return {
        each["key"]: {value["value"]: value["seriesCount"] for value in each["values"]}
        for each in found
    }


def limit_matched(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setenv("PULSEBOARD_QUERY_MAX_MATCHED", str(most))
    settings.cache_clear()


@pytest.fixture
def many(admin: TestClient) -> TestClient:
    """A metric whose last series have a value and a key that no other has."""
    common = [{"number": str(number), "job": "a"} for number in range(MANY - 2)]
    insert("many", [*common, {"number": "x", "job": "b", "odd": "1"}, {"number": "y", "job": "b"}])
    return admin


def test_lists_of_many_series_are_whole(many: TestClient) -> None:
    for selector in ("many", '{__name__="many"}', 'many{number!=""}', 'many{number=~".+"}'):
        match = {"match[]": selector}
        assert prometheus(many, "label/job/values", **match) == {
            "status": "success",
            "data": ["a", "b"],
        }
        names = prometheus(many, "labels", **match)
        assert names == {"status": "success", "data": ["__name__", "job", "number", "odd"]}
        series = prometheus(many, "series", **match, limit=MANY)
        assert (len(series["data"]), "warnings" in series) == (MANY, False)
    assert prometheus(many, "label/__name__/values", **{"match[]": "many"})["data"] == ["many"]


def test_lists_that_are_cut_say_so_and_what_is_too_much_is_refused_by_name(
    many: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = ["results truncated due to limit"]
    match = {"match[]": "many"}
    assert prometheus(many, "series", **match)["warnings"] == cut
    assert prometheus(many, "label/number/values", **match)["warnings"] == cut
    assert prometheus(many, "labels", **match, limit=2)["warnings"] == cut
    insert("other", [{}])
    assert prometheus(many, "metadata", limit=1)["warnings"] == cut
    assert "warnings" not in prometheus(many, "metadata", limit=2)
    limit_matched(monkeypatch, 10_000)
    for path in ("labels", "label/job/values", "series"):
        response = many.get(f"/prometheus/api/v1/{path}", params={"match[]": 'many{job!="a"}'})
        assert response.status_code == 400
        assert "many has more than 10000 series to match with job!=" in response.json()["error"]
    # Matched by the database.
    assert prometheus(many, "labels", **{"match[]": 'many{job="b"}'})["data"][-1] == "odd"


def test_a_query_over_more_series_than_are_found_is_right_or_refused_by_name(
    many: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time() // TICK * TICK
    with database.connection() as connection:
        connection.execute(
            "insert into metrics_raw (series_id, time, value)"
            " select id, to_timestamp(%s), 9 from metric_series",
            (now - 5,),
        )
    ones = sum(str(number).startswith("1") for number in range(MANY - 2))
    right = {
        'count(many{job!="a"})': 2,
        'count(many{number=~"x|y|10001"})': 3,
        'count(many{number!~"[02-9].*"})': ones + 2,
        'count(many{job=~"b"})': 2,
    }

    def asked(text: str) -> Any:
        params: dict[str, Any] = {"query": text, "time": now}
        return many.get("/prometheus/api/v1/query", params=params)

    def own(text: str) -> Any:
        body = {"query": text, "start": int(now - TICK) * 1000, "end": int(now) * 1000}
        return many.post("/api/v1/query", json={**body, "step": "10s"})

    for text, count in right.items():
        assert asked(text).json()["data"]["result"][0]["value"][1] == str(count)
        assert own(text).json()["data"]["series"][0]["values"][-1] == count
    refused = "The selector finds more than 10000 series."
    for text in ("count(many)", 'count(many{number=~".+"})', 'count(many{job!="c"})'):
        assert (asked(text).status_code, own(text).status_code) == (422, 400)
        assert refused in asked(text).json()["error"]
        assert refused in own(text).json()["error"]

    def saved(text: str) -> Any:
        body = {"name": text, "query": text, "condition": "gt", "threshold": 1}
        return many.post("/api/v1/alerts/rules", json=body)

    def made(text: str) -> str:
        response = saved(text)
        assert response.status_code == 201, response.text
        return str(response.json()["data"]["id"])

    def state_of(rule_id: str) -> tuple[str, str | None]:
        found = many.get(f"/api/v1/alerts/rules/{rule_id}").json()["data"]
        return found["status"], found["lastError"]

    rules = [*map(made, right)]
    too_many = saved('count(many{number=~".+"})')
    assert (too_many.status_code, "more than 10000 series" in too_many.text) == (400, True)
    tick.run(now=now)
    assert [state_of(each) for each in rules] == [("firing", None)] * len(right)
    limit_matched(monkeypatch, 10_000)
    tick.run(now=now + TICK)
    for text, rule_id in zip(right, rules, strict=True):
        assert "more than 10000 series to match" in asked(text).json()["error"]
        error = state_of(rule_id)[1]
        assert error
        assert "more than 10000 series to match" in error


def test_variables_list_the_values_of_all_series(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert("many", [{"number": str(number), "job": "a"} for number in range(20)])
    insert("many", [{"number": "x", "job": "b", "odd": "1"}])
    monkeypatch.setenv("PULSEBOARD_VARIABLE_MAX_SERIES", "10")
    settings.cache_clear()
    now = int(time.time() * 1000)
    queries = {
        "job": "label_values(many, job)",
        "matched": 'label_values(many{number=~".+"}, job)',
        "keys": "label_names(many)",
        "number": "label_values(many, number)",
    }
    body = {
        "variables": [{"type": "query", "name": name, "query": q} for name, q in queries.items()],
        "start": now - 3_600_000,
        "end": now,
    }
    found = {
        each["name"]: ([option["value"] for option in each["options"]], each["truncated"])
        for each in admin.post("/api/v1/variables/resolve", json=body).json()["data"]
    }
    assert found["job"] == found["matched"] == (["a", "b"], False)
    assert found["keys"] == (["__name__", "job", "number", "odd"], False)
    assert found["number"][1] is True


def test_two_values_of_one_label_are_had_by_no_series(admin: TestClient) -> None:
    insert("many", [{"number": "x", "job": "a"}, {"number": "y", "job": "b"}])
    for path in ("series", "labels", "label/number/values"):
        found = prometheus(admin, path, **{"match[]": 'many{job="a",job="b"}'})
        assert found == {"status": "success", "data": []}
        same = prometheus(admin, path, **{"match[]": 'many{job="b",job="b"}'})
        assert same["data"]
    send(admin, "up", {"job": "b"})
    counted = prometheus(admin, "query", query='count(up{job="a",job="b"}) or vector(0)')
    assert counted["data"]["result"][0]["value"][1] == "0"


def test_large_lists_are_cached_and_right_after_a_new_series_and_a_deletion(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_LABEL_CACHE_FROM", "20")
    settings.cache_clear()
    insert("large", [{"host": f"h{number:02}", "job": "a"} for number in range(30)])
    hosts = [f"h{number:02}" for number in range(30)]

    def lists() -> list[Any]:
        match = {"match[]": "large"}
        return [
            prometheus(admin, "label/host/values", **match)["data"],
            prometheus(admin, "labels", **match)["data"],
            prometheus(admin, "label/host/values")["data"],
            prometheus(admin, "labels")["data"],
            tags_of(admin, "large"),
        ]

    names = ["__name__", "host", "job"]
    counted = {"host": dict.fromkeys(hosts, 1), "job": {"a": 30}}
    first = [hosts, names, hosts, names, counted]
    assert lists() == first
    change_unseen("large", {"host": "changed"})
    assert lists() == first, "they come from the cache"
    # Of a series of another metric the lists of this one have nothing.
    send(admin, "other", {"host": "z", "zone": "1"})
    both = [*hosts, "z"]
    assert lists() == [hosts, names, both, [*names, "zone"], counted]
    send(admin, "large", {"host": "a", "kind": "new"})
    found = lists()
    assert found[0] == ["a", *hosts]
    assert found[1] == ["__name__", "host", "job", "kind"]
    assert found[2] == ["a", *both]
    # Counts are made anew.
    assert found[4] == {"host": {"changed": 30, "a": 1}, "kind": {"new": 1}}
    with database.connection() as connection:
        connection.execute("delete from metric_series where tags ->> 'host' = 'a'")
    found = lists()
    assert found[:2] == [["changed"], ["__name__", "host"]]
    assert found[4] == {"host": {"changed": 30}}


def test_the_list_of_metrics_counts_many_series_once(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_LABEL_CACHE_FROM", "20")
    settings.cache_clear()
    insert("large", [{"host": f"h{number:02}"} for number in range(30)])
    insert("small", [{"host": "a"}])

    def counts(prefix: str) -> dict[str, int]:
        found = admin.get("/api/v1/metrics", params={"prefix": prefix}).json()
        assert found["meta"]["total"] == len(found["data"])
        return {each["name"]: each["seriesCount"] for each in found["data"]}

    assert [counts(""), counts("large"), counts("small")] == [
        {"large": 30, "small": 1},
        {"large": 30},
        {"small": 1},
    ]
    with database.connection() as connection:
        connection.execute("update metric_series set last_seen = now() - interval '60 days'")
    assert [counts(""), counts("large")] == [{"large": 30, "small": 1}, {"large": 30}]
    assert counts("small") == {"small": 0}, "few are counted each time"
    # A new series counts at once, where it belongs.
    send(admin, "other", {"host": "z"})
    assert counts("large") == {"large": 30}
    assert counts("") == {"large": 0, "other": 1, "small": 0}
    send(admin, "large", {"host": "z"})
    assert counts("large") == {"large": 1}


def test_small_lists_are_not_cached(admin: TestClient) -> None:
    insert("small", [{"host": "a"}])
    match = {"match[]": "small"}
    assert prometheus(admin, "label/host/values", **match)["data"] == ["a"]
    change_unseen("small", {"host": "b"})
    assert prometheus(admin, "label/host/values", **match)["data"] == ["b"]


def test_without_the_cache_lists_are_read(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert("large", [{"host": f"h{number}"} for number in range(3)])
    monkeypatch.setenv("PULSEBOARD_LABEL_CACHE_FROM", "1")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9")
    settings.cache_clear()
    cache.close()
    with database.connection() as connection:
        for _ in range(2):
            (host,) = metrics_store.tags(connection, name="large", limit=10)
            assert host.series_count == 3
