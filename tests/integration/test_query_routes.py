"""Queries over HTTP, on real tiers."""

import time
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from pulseboard.core.settings import settings
from pulseboard.db import cache, database

pytestmark = pytest.mark.integration

MINUTE, HOUR = 60_000, 3_600_000


@pytest.fixture
def now() -> int:
    """The start of this minute in milliseconds."""
    return int(time.time()) // 60 * MINUTE


def send(client: TestClient, *points: tuple[str, dict[str, str], int, float]) -> None:
    body = [
        {"name": name, "tags": tags, "timestamp": at, "value": value}
        for name, tags, at, value in points
    ]
    response = client.post("/api/v1/metrics", json=body)
    assert response.status_code == 200, response.text
    assert response.json()["data"]["rejected"] == 0, response.text


def query(client: TestClient, text: str, start: int, end: int, **more: Any) -> dict[str, Any]:
    body = {"query": text, "start": start, "end": end, **more}
    response = client.post("/api/v1/query", json=body)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def test_all_aggregations_and_gaps(admin: TestClient, now: int) -> None:
    start = now - 10 * MINUTE
    send(
        admin,
        ("cpu", {}, start, 1.0),
        ("cpu", {}, start + 10_000, 2.0),
        ("cpu", {}, start + 50_000, 6.0),
        ("cpu", {}, start + 3 * MINUTE, 7.0),
    )
    expected = {"avg": 3.0, "min": 1.0, "max": 6.0, "sum": 9.0, "count": 3.0, "last": 6.0}
    for aggregation, first in expected.items():
        result = query(admin, "cpu", start, start + 4 * MINUTE, aggregation=aggregation, step="1m")
        assert result["data"]["timestamps"] == [start + n * MINUTE for n in range(4)]
        values = result["data"]["series"][0]["values"]
        assert values == [first, None, None, 1.0 if aggregation == "count" else 7.0]
    assert result["meta"]["table"] == "metrics_raw"
    assert result["meta"]["resolution"] == "1m"


def test_filters_groups_and_strange_tag_values(admin: TestClient, now: int) -> None:
    start = now - 5 * MINUTE
    evil = "'; drop table metric_series; --"
    send(
        admin,
        ("cpu", {"host": "a", "env": "prod"}, start, 1.0),
        ("cpu", {"host": "a", "env": "prod"}, start + 10_000, 3.0),
        ("cpu", {"host": "b", "env": "prod"}, start, 8.0),
        ("cpu", {"host": evil, "env": "dev"}, start, 100.0),
    )
    end = start + MINUTE

    def lines(text: str, **more: Any) -> dict[str, float]:
        data = query(admin, text, start, end, step="1m", **more)["data"]
        return {str(sorted(s["tags"].values())): s["values"][0] for s in data["series"]}

    assert len(lines("cpu")) == 3
    assert lines('cpu{env="prod"}', groupBy=[]) == {"[]": 4.0}
    assert lines("cpu", groupBy=["env"]) == {"['prod']": 4.0, "['dev']": 100.0}
    assert lines("cpu", groupBy=["env"], aggregation="sum") == {"['prod']": 12.0, "['dev']": 100.0}
    assert lines("cpu", groupBy=["env"], aggregation="last")["['prod']"] == 3.0
    assert lines("cpu", tags={"host": evil}) == {str(sorted(["dev", evil])): 100.0}
    assert lines('cpu{host=~"a|b",env!="dev"}', groupBy=["nothing"]) == {"[]": 4.0}


def test_the_tiers_agree_on_aligned_steps(admin: TestClient, database_url: str, now: int) -> None:
    hour = now // (60 * MINUTE) * 60 * MINUTE - 3 * 60 * MINUTE
    send(
        admin,
        *(("cpu", {"host": "a"}, hour + n * 10_000, float(n % 37) + 0.1) for n in range(700)),
    )
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        for view in ("metrics_1min", "metrics_1hour"):
            connection.execute(f"call refresh_continuous_aggregate('{view}', null, null)".encode())
    for aggregation in ("avg", "min", "max", "sum", "count", "last"):
        results = [
            query(
                admin, "cpu", hour, hour + 120 * MINUTE,
                aggregation=aggregation, step="1h", tier=tier,
            )["data"]["series"][0]["values"]
            for tier in ("raw", "1min", "1hour")
        ]  # fmt: skip
        assert results[1] == pytest.approx(results[0], rel=1e-9)
        assert results[2] == pytest.approx(results[0], rel=1e-9)


def test_fresh_samples_are_in_the_rollups_at_once(admin: TestClient, now: int) -> None:
    send(admin, ("cpu", {}, now - MINUTE, 5.0))
    result = query(admin, "cpu", now - 120 * MINUTE, now)
    assert result["meta"]["table"] == "metrics_1min"
    assert 5.0 in result["data"]["series"][0]["values"]


def test_the_same_query_is_served_from_the_cache(admin: TestClient, now: int) -> None:
    send(admin, ("cpu", {"host": "A"}, now - MINUTE, 5.0))
    first = query(admin, 'cpu{host="A"}', now - 5 * MINUTE, now)
    again = query(admin, ' cpu { host = "A" } ', now - 5 * MINUTE, now)
    other = query(admin, 'cpu{host="a"}', now - 5 * MINUTE, now)
    assert [first["meta"]["cached"], again["meta"]["cached"]] == [False, True]
    assert again["data"] == first["data"]
    assert other["data"]["series"] == []
    assert other["meta"]["cached"] is False


def test_an_unknown_metric_gives_an_empty_result_with_a_note(admin: TestClient, now: int) -> None:
    # Not only at first: an empty result must not come from the cache without its note.
    for end in (now, now, now + MINUTE):
        for text in ("nothing.here", "sum(nothing.here)", "rate(nothing.here[5m])"):
            result = query(admin, text, end - HOUR, end)
            assert result["data"]["series"] == []
            assert result["meta"]["notes"] == ["there is no metric named nothing.here"], text


def test_a_metric_whose_name_comes_back_is_found_under_its_new_id(
    admin: TestClient, database_url: str, now: int
) -> None:
    send(admin, ("cpu", {"host": "old"}, now - 3 * MINUTE, 1.0))
    assert query(admin, "cpu", now - 5 * MINUTE, now)["data"]["series"][0]["tags"] == {
        "host": "old"
    }
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("delete from metric_series")
        connection.execute("delete from metric_definitions")
    gone = query(admin, "cpu", now - 5 * MINUTE, now, aggregation="min")
    assert gone["meta"]["notes"] == ["there is no metric named cpu"]
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("insert into metric_definitions (name) values ('cpu')")
    send(admin, ("cpu", {"host": "new"}, now - 2 * MINUTE, 2.0))
    (series,) = query(admin, "cpu", now - 5 * MINUTE, now, aggregation="max")["data"]["series"]
    assert series["tags"] == {"host": "new"}


def test_limits_name_what_to_narrow(
    admin: TestClient, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(admin, *(("cpu", {"host": str(n)}, now - MINUTE, 1.0) for n in range(5)))
    monkeypatch.setenv("PULSEBOARD_QUERY_MAX_SERIES", "3")
    monkeypatch.setenv("PULSEBOARD_QUERY_MAX_POINTS", "100")
    settings.cache_clear()
    body = {"query": "cpu", "start": now - 60 * MINUTE, "end": now}
    response = admin.post("/api/v1/query", json={**body, "step": "1m"})
    assert response.status_code == 400
    assert "5 series" in response.json()["error"]
    assert response.json()["details"][0]["hint"]
    assert admin.post("/api/v1/query", json={**body, "groupBy": []}).status_code == 400
    wide = {**body, "groupBy": [], "step": "5m"}
    assert admin.post("/api/v1/query", json=wide).status_code == 200
    long = {**body, "start": 1}
    assert "range is longer" in admin.post("/api/v1/query", json=long).json()["error"]


def test_a_response_is_bounded_in_bytes_alone_and_in_a_batch(
    admin: TestClient, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(
        admin,
        *(
            ("cpu", {"host": str(host)}, now - n * 10_000, n / 7)
            for host in range(20)
            for n in range(1, 60)
        ),
    )
    monkeypatch.setenv("PULSEBOARD_QUERY_MAX_RESPONSE_BYTES", "10000")
    settings.cache_clear()
    plain = {"Accept-Encoding": "identity"}
    range_ = {"start": now - 10 * MINUTE, "end": now}
    large = {"query": "cpu", "step": "10s"}
    refused = admin.post("/api/v1/query", json={**large, **range_}, headers=plain)
    assert refused.status_code == 400
    assert "10000 can be sent" in refused.json()["error"]
    assert "step" in refused.json()["details"][0]["hint"]
    panels = [{"id": "large", **large}, {"id": "small", **large, "groupBy": []}]
    batch = admin.post("/api/v1/query/batch", json={"queries": panels, **range_}, headers=plain)
    assert batch.status_code == 200
    assert len(batch.content) <= 10_000
    first, second = batch.json()["data"]
    assert "10000 can be sent" in first["error"]["error"]
    assert len(second["result"]["data"]["series"]) == 1


@pytest.mark.parametrize(
    ("setting", "value", "query", "narrow"),
    [
        ("MAX_POINTS", "100", "cpu", "wider step"),
        ("MAX_SAMPLES", "1000", "stddev_over_time(cpu[30m])", "shorter range"),
        ("MAX_RANGE", "600", "cpu", "narrow the range"),
    ],
)
def test_each_limit_names_what_to_narrow(
    admin: TestClient,
    now: int,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    value: str,
    query: str,
    narrow: str,
) -> None:
    send(admin, *(("cpu", {"host": str(host)}, now - MINUTE, 1.0) for host in range(5)))
    monkeypatch.setenv(f"PULSEBOARD_QUERY_{setting}", value)
    settings.cache_clear()
    body = {"query": query, "start": now - 60 * MINUTE, "end": now, "step": "10s"}
    refused = admin.post("/api/v1/query", json=body)
    assert refused.status_code == 400, refused.text
    assert narrow in refused.json()["details"][0]["hint"]


def test_a_batch_keeps_errors_apart(admin: TestClient, now: int) -> None:
    send(admin, ("cpu", {}, now - MINUTE, 5.0))
    response = admin.post(
        "/api/v1/query/batch",
        json={
            "start": now - 5 * MINUTE,
            "end": now,
            "queries": [
                {"id": "good", "query": "cpu", "aggregation": "avg"},
                {"id": "bad", "query": "cpu{"},
                {"id": "empty", "query": "nothing"},
            ],
        },
    )
    assert response.status_code == 200
    assert response.json()["meta"] is None
    good, bad, empty = response.json()["data"]
    # What is not there is null, as the contract says.
    assert (good["error"], bad["result"]) == (None, None)
    assert set(bad["error"]["details"][0]) == {"field", "message", "hint", "position"}
    assert good["result"]["data"]["series"][0]["values"].count(5.0) == 1
    assert bad["error"]["code"] == "VALIDATION_ERROR"
    assert bad["error"]["details"][0]["position"] == 4
    assert empty["result"]["data"]["series"] == []


def test_large_responses_are_compressed_on_request(admin: TestClient, now: int) -> None:
    send(admin, ("cpu", {}, now - MINUTE, 5.0))
    body = {"query": "cpu", "start": now - 60 * MINUTE, "end": now}
    packed = admin.post("/api/v1/query", json=body, headers={"Accept-Encoding": "gzip"})
    plain = admin.post("/api/v1/query", json=body, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json()["data"] == plain.json()["data"]


def test_without_the_cache_a_key_still_gets_its_result(
    admin: TestClient, ingest_key: str, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(admin, ("cpu", {}, now - MINUTE, 5.0))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    settings.cache_clear()
    cache.close()
    admin.headers["Authorization"] = f"Bearer {ingest_key}"
    result = query(admin, "cpu", now - 5 * MINUTE, now)
    assert result["meta"]["cached"] is False
    assert len(result["data"]["series"]) == 1


def test_without_the_database_the_response_is_503_and_later_it_recovers(
    admin: TestClient, database_url: str, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def use(url: str) -> None:
        monkeypatch.setenv("DATABASE_URL", url)
        settings.cache_clear()

    monkeypatch.setenv("PULSEBOARD_DATABASE_CONNECT_TIMEOUT", "0.3")
    monkeypatch.setenv("PULSEBOARD_BREAKER_FAILURES", "2")
    use("postgresql://postgres@127.0.0.1:1/postgres")
    database.close()
    body = {"query": "cpu", "start": now - MINUTE, "end": now}
    for _ in range(3):
        response = admin.post("/api/v1/query", json=body)
        assert response.status_code == 503
        assert int(response.headers["retry-after"]) > 0
    use(database_url)
    # Another process would know only what the cache holds.
    database.close()
    refused = admin.post("/api/v1/query", json=body)
    assert refused.status_code == 503
    assert admin.get("/api/v1/status").json()["data"]["circuitBreaker"] == "open"
    # The time is over: one call goes through, and the breaker is closed for everybody.
    cache.client().hset("breaker:database", "opened_at", "1")
    database.close()
    assert admin.post("/api/v1/query", json=body).status_code == 200
    assert cache.client().hget("breaker:database", "state") == b"closed"
    assert admin.get("/api/v1/status").json()["data"]["circuitBreaker"] == "closed"


def test_without_the_cache_the_breaker_uses_the_state_of_its_process(
    admin: TestClient, ingest_key: str, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_DATABASE_CONNECT_TIMEOUT", "0.3")
    monkeypatch.setenv("PULSEBOARD_BREAKER_FAILURES", "2")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("DATABASE_URL", "postgresql://postgres@127.0.0.1:1/postgres")
    settings.cache_clear()
    cache.close()
    database.close()
    admin.headers["Authorization"] = f"Bearer {ingest_key}"
    body = {"query": "cpu", "start": now - MINUTE, "end": now}
    for _ in range(3):
        assert admin.post("/api/v1/query", json=body).status_code == 503
    assert database.breaker().current_state == "open"
