"""What is stored and who sends it, over HTTP from a real database."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from functions.dev import api
from functions.maintain.handler import handler as maintain
from pulseboard.core.settings import settings
from pulseboard.db import cache, database
from pulseboard.ingest import received_store
from pulseboard.ingest.batch import Refused
from pulseboard.usage import received_queries
from pulseboard.usage import store as usage_store
from tests.support.stored_samples import rows

pytestmark = pytest.mark.integration


@pytest.fixture
def key(admin: TestClient) -> dict[str, Any]:
    created: dict[str, Any] = admin.post(
        "/api/v1/api-keys", json={"name": "web servers", "scopes": ["ingest"]}
    ).json()["data"]
    return created


@pytest.fixture
def agent(key: dict[str, Any]) -> Iterator[TestClient]:
    headers = {"Authorization": f"Bearer {key['key']}"}
    with TestClient(api(), base_url="http://testserver", headers=headers) as caller:
        yield caller


def received(caller: TestClient, key: dict[str, Any]) -> dict[str, Any]:
    response = caller.get(f"/api/v1/usage/keys/{key['id']}/received")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()["data"]
    return found


def test_what_a_key_has_sent(admin: TestClient, agent: TestClient, key: dict[str, Any]) -> None:
    nothing = received(admin, key)
    assert (nothing["seriesCount"], nothing["metrics"], nothing["lastUsedAt"]) == (0, [], None)
    # Shown, and nothing stored.
    assert agent.post("/api/v1/metrics", json={"name": "1 bad", "value": 1}).status_code == 400
    assert received(admin, key)["lastUsedAt"] is not None
    assert received(admin, key)["seriesCount"] == 0
    timestamp = int(time.time() * 1000)
    points = [
        {"name": name, "value": 1, "timestamp": timestamp - age}
        for name in ("cpu", "memory")
        for age in (0, 1000, 3_600_000)
    ]
    assert agent.post("/api/v1/metrics", json=points).status_code == 200
    found = counted(admin, key)
    assert (found["seriesCount"], found["metrics"]) == (2, ["cpu", "memory"])
    assert found["recentSamples"] == 6, "of late samples too: they were received now"
    assert found["newestSampleAt"] is not None


def counted(caller: TestClient, key: dict[str, Any]) -> dict[str, Any]:
    """What was received, with all that this process has counted."""
    received_store.flush()
    return received(caller, key)


def test_what_a_key_sends_is_counted_though_another_sends_the_same_series(
    admin: TestClient, agent: TestClient, ingest_key: str, key: dict[str, Any]
) -> None:
    other = {"Authorization": f"Bearer {ingest_key}"}
    for value in range(3):
        point = {"name": "shared", "value": value}
        assert agent.post("/api/v1/metrics", json=point).status_code == 200
        assert admin.post("/api/v1/metrics", json=point, headers=other).status_code == 200
    found = counted(admin, key)
    assert found["seriesCount"] == 0, "all belong to the other key"
    assert (found["recentSamples"], found["daySamples"], found["dayRefused"]) == (3, 3, 0)
    assert (found["metrics"], found["counted"]) == (["shared"], True)
    assert found["newestSampleAt"] is not None


def test_refusals_of_a_key_are_counted_by_reason(
    admin: TestClient, agent: TestClient, key: dict[str, Any]
) -> None:
    old = {"timestamp": 1_500_000_000_000, "value": 1}
    for number in range(3):
        points = [{"name": "ok", "value": 1}, *({**old, "name": f"old{n}"} for n in range(2))]
        assert agent.post("/api/v1/metrics", json=points).status_code == 200
        assert agent.post("/api/v1/metrics", json={"name": f"{number}", "value": 1}).is_error
    lines = "\n".join(f"disk,host=h{number} used=1 {number + 1}" for number in range(4))
    assert agent.post("/api/v2/write", content=lines).status_code == 400
    assert agent.post("/api/v1/write", content=b"no snappy").status_code == 400
    sent = {"content-type": "text/plain"}
    assert agent.post("/v1/metrics", content=b"x", headers=sent).status_code == 415
    found = counted(admin, key)
    assert (found["daySamples"], found["dayRefused"]) == (3, 15)
    reasons = {one["reason"]: one for one in found["refused"]}
    assert sorted(one["count"] for one in reasons.values()) == [1, 1, 3, 4, 6]
    [lines_old] = [one for one in reasons.values() if one["count"] == 4]
    assert lines_old["reason"].startswith("line has a timestamp, …")
    assert '"4" in' in lines_old["example"]
    assert any(reason.startswith("a request: The body is not a snappy") for reason in reasons)
    assert any(reason.startswith("a request: OpenTelemetry metrics are") for reason in reasons)
    assert all(one["lastAt"] for one in reasons.values())


def test_a_series_beyond_a_limit_is_counted_as_refused(
    admin: TestClient,
    agent: TestClient,
    key: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_PER_METRIC", "2")
    settings.cache_clear()
    points = [{"name": "many", "value": 1, "tags": {"n": str(number)}} for number in range(5)]
    response = agent.post("/api/v1/metrics", json=points).json()["data"]
    found = counted(admin, key)
    assert (found["daySamples"], found["dayRefused"]) == (
        response["accepted"],
        response["rejected"],
    )
    [reason] = found["refused"]
    assert reason["count"] == response["rejected"] > 0
    assert reason["example"].startswith('many{"n":')


def test_without_the_cache_nothing_is_said_of_refusals(
    admin: TestClient, agent: TestClient, key: dict[str, Any]
) -> None:
    point = {"name": "cpu", "value": 1}
    assert agent.post("/api/v1/metrics", json=point).status_code == 200
    cache.back_off(OSError("away"))
    with database.connection() as connection:
        stored = received_queries.by_key(connection, key_id=UUID(key["id"]), owner_id=None)
    assert received_store.read(UUID(key["id"])) is None
    assert (stored.recent_samples, stored.day_samples) == (1, None)


def test_reasons_that_a_sender_invents_stay_bounded(key: dict[str, Any]) -> None:
    key_id = UUID(key["id"])
    for number in range(120):
        letters = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        received_store.note_refused({f"a request: {letters}": Refused(1, "no")}, key_id=key_id)
        if number % 7 == 0:
            received_store.flush()
    received_store.flush()
    found = received_store.read(key_id)
    assert found is not None
    assert len(found.reasons) <= 51
    assert sum(one.count for one in found.reasons) == found.refused == 120


def test_a_series_belongs_to_the_key_that_sent_it_last(
    admin: TestClient, agent: TestClient, ingest_key: str, key: dict[str, Any]
) -> None:
    point = {"name": "cpu", "value": 1}
    other = {"Authorization": f"Bearer {ingest_key}"}
    assert admin.post("/api/v1/metrics", json=point, headers=other).status_code == 200
    assert received(admin, key)["seriesCount"] == 0
    assert agent.post("/api/v1/metrics", json=point).status_code == 200
    assert received(admin, key)["seriesCount"] == 1


def test_users_see_only_their_own_keys(admin: TestClient, key: dict[str, Any]) -> None:
    person = {"email": "editor@example.com", "password": "correct horse battery"}
    assert admin.post("/api/v1/users", json={**person, "role": "editor"}).status_code == 201
    with TestClient(api(), base_url="http://testserver") as editor:
        assert editor.post("/api/v1/auth/login", json=person).status_code == 200
        response = editor.get(f"/api/v1/usage/keys/{key['id']}/received")
    assert response.status_code == 404


def send(agent: TestClient, count: int = 3, *, name: str = "http", age: int = 0) -> None:
    """`count` series with samples every ten seconds of three whole minutes, `age` minutes ago."""
    minute = int(time.time() // 60) * 60_000
    points = [
        {
            "name": name,
            "value": 1,
            "tags": {"host": f"h{number}", "path": "/" if number % 2 else "/buy"},
            "timestamp": minute - (age + 4) * 60_000 + step * 10_000,
        }
        for number in range(count)
        for step in range(18)
    ]
    assert agent.post("/api/v1/metrics", json=points).status_code == 200


def roll_up() -> None:
    with database.connection() as connection:
        for view, back in (("metrics_1min", "1 minute"), ("metrics_1hour", "1 hour")):
            text = f"call refresh_continuous_aggregate('{view}', null, now() - interval '{back}')"
            connection.execute(text.encode())


def get(caller: TestClient, path: str, **query: Any) -> Any:
    response = caller.get(f"/api/v1/usage{path}", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def test_amounts_by_metric_and_key(
    admin: TestClient, agent: TestClient, key: dict[str, Any]
) -> None:
    send(agent)
    send(agent, 1, name="queue.length")
    # Nothing is rolled up yet: no rate, rather than a rate of nothing.
    assert get(admin, "")["data"]["total"]["samplesPerSecond"] is None
    roll_up()
    usage_store.invalidate_cache()
    data = get(admin, "")["data"]
    assert data["metricsCount"] == 2
    assert data["total"]["seriesCount"] == data["total"]["newLastHour"] == 4
    assert data["total"]["samplesPerSecond"] == pytest.approx(0.4)
    prices = data["prices"]
    assert data["total"]["monthlyDollars"] == pytest.approx(
        0.4 * 2.628 * prices["millionSamples"] + 0.004 * prices["thousandSeries"]
    )
    (by_key,) = data["keys"]
    assert (by_key["id"], by_key["name"]) == (key["id"], "web servers")
    assert (by_key["seriesCount"], by_key["newLastMinute"]) == (4, 4)
    found = get(admin, "/metrics")
    assert [(each["name"], each["seriesCount"]) for each in found["data"]] == [
        ("http", 3),
        ("queue.length", 1),
    ]
    assert found["meta"] == {"total": 2, "page": 1, "pageSize": 50}
    only = get(admin, "/metrics", search="QUEUE", order="samples")["data"]
    assert [each["samplesPerSecond"] for each in only] == [pytest.approx(0.1)]


def test_tags_and_series_of_a_metric(admin: TestClient, agent: TestClient) -> None:
    send(agent)
    detail = get(admin, "/metrics/http")["data"]
    assert detail["usage"]["seriesCount"] == 3
    host, path = detail["tags"]
    assert (host["key"], host["valueCount"], host["seriesCount"]) == ("host", 3, 3)
    assert path["values"] == [
        {"value": "/buy", "seriesCount": 2},
        {"value": "/", "seriesCount": 1},
    ]
    assert get(admin, "/tags")["data"][0]["key"] == "host"
    listed = get(admin, "/series", selector='http{path="/buy"}', pageSize=1)
    assert listed["meta"]["total"] == 2
    assert listed["data"][0]["tags"]["path"] == "/buy"
    pattern = get(admin, "/series", selector='http{host=~"h[12]"}', order="stalest", page=2)
    assert (pattern["meta"]["total"], pattern["data"]) == (2, [])
    assert admin.get("/api/v1/usage/metrics/none").status_code == 404
    assert admin.get("/api/v1/usage/series", params={"selector": "x{"}).status_code == 400


def test_deleted_series_are_gone_and_stay_gone(admin: TestClient, agent: TestClient) -> None:
    send(agent)
    send(agent, 1, name="other")
    roll_up()
    selector = 'http{path="/buy"}'
    dry = admin.delete("/api/v1/usage/series", params={"selector": selector, "dryRun": True})
    result = dry.json()["data"]
    assert (result["seriesCount"], result["metricDeleted"], result["dryRun"]) == (2, False, True)
    assert [each["path"] for each in result["examples"]] == ["/buy", "/buy"]
    params: dict[str, Any] = {"selector": selector, "expect": 1}
    assert admin.delete("/api/v1/usage/series", params=params).status_code == 409
    assert len(rows("select from metric_series")) == 4
    params["expect"] = 2
    gone = [
        row[0]
        for row in rows(
            "select s.id from metric_series s join metric_definitions d on d.id = s.metric_id"
            " where d.name = 'http' and tags->>'path' = '/buy'"
        )
    ]
    assert admin.delete("/api/v1/usage/series", params=params).status_code == 200
    assert get(admin, "")["data"]["deleting"] == 2
    assert get(admin, "/metrics/http")["data"]["usage"]["seriesCount"] == 1
    assert maintain({}, None)["purged"] == 2
    for _ in range(2):
        # A refresh of what was marked brings nothing back.
        for table in ("metrics_raw", "metrics_1min", "metrics_1hour"):
            query = f"select count(*) from {table} where series_id = any(%s)"
            assert rows(query, gone) == [(0,)], table
        roll_up()
    # Telemetry may be written in between.
    assert rows(
        "select count(*) from metrics_raw r join metric_series s on s.id = r.series_id"
        " join metric_definitions d on d.id = s.metric_id where d.name not like 'pulseboard%%'"
    ) == [(36,)]
    # The sender goes on: its series are new ones, under new ids, with new samples alone.
    send(agent, age=-3)
    usage_store.invalidate_cache()
    assert rows("select count(*) from metric_series where id = any(%s)", gone) == [(0,)]
    assert get(admin, "/metrics/http")["data"]["tags"][0]["valueCount"] == 3


def test_a_whole_metric_goes_by_its_name(admin: TestClient, agent: TestClient) -> None:
    send(agent)
    response = admin.delete("/api/v1/usage/series", params={"selector": "http", "expect": 3})
    assert response.json()["data"]["metricDeleted"] is True
    assert admin.get("/api/v1/usage/metrics/http").status_code == 404
    assert get(admin, "/metrics")["data"] == []
    send(agent)
    usage_store.invalidate_cache()
    assert get(admin, "/metrics/http")["data"]["usage"]["seriesCount"] == 3


def test_who_may_delete_and_whose_keys_are_named(admin: TestClient, agent: TestClient) -> None:
    send(agent, 1)
    for role, may in (("viewer", 403), ("editor", 200)):
        person = {"email": f"{role}@example.com", "password": "correct horse battery"}
        admin.post("/api/v1/users", json={**person, "role": role})
        with TestClient(api(), base_url="http://testserver") as caller:
            caller.post("/api/v1/auth/login", json=person)
            assert [each["name"] for each in get(caller, "")["data"]["keys"]] == ["Keys of others"]
            params: dict[str, Any] = {"selector": "http", "dryRun": True}
            assert caller.delete("/api/v1/usage/series", params=params).status_code == may
    assert agent.delete("/api/v1/usage/series", params={"selector": "http"}).status_code == 403


def test_too_many_to_go_at_once(
    admin: TestClient, agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(agent)
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_DELETED", "2")
    settings.cache_clear()
    response = admin.delete("/api/v1/usage/series", params={"selector": "http"})
    assert response.status_code == 400
    assert "by their tags" in response.json()["error"]
