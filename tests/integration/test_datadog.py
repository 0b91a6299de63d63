"""Datadog's intake over HTTP into a real database, and its own client against a live server."""

import json
import time
import zlib

import pytest
from cramjam import zstd
from fastapi.testclient import TestClient

from pulseboard.core.settings import settings
from pulseboard.db import database
from tests.support.datadog_columns import INTEGERS, SKETCH, Payload
from tests.support.datadog_messages import payload, series, sketch
from tests.support.stored_samples import lose_database, rows, values

pytestmark = pytest.mark.integration
V1, V2 = "/api/v1/series", "/api/v2/series"
SHOWN = {"DD-API-KEY": "{key}"}


def now() -> int:
    return int(time.time())


def test_the_agents_series_and_sketches_are_stored(agent: TestClient) -> None:
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "zstd"}
    body = payload([series("system.cpu.idle", [(now(), 97.5)], tags=["env:prod"])])
    response = agent.post(V2, content=bytes(zstd.compress(body)), headers=headers)
    assert (response.status_code, response.json()) == (202, {"errors": []})
    body = payload([sketch("took", [(now(), 4, 1, 3, 2, 4)])])
    headers["Content-Encoding"] = "deflate"
    response = agent.post("/api/beta/sketches", content=zlib.compress(body), headers=headers)
    assert (response.status_code, response.json()) == (202, {"status": "ok"})
    host = {"host": "web-1"}
    stored = values()
    assert ("took.bucket", {**host, "le": "+Inf"}, 4) in stored
    assert [value for value in stored if value[0] != "took.bucket"] == [
        ("system.cpu.idle", {**host, "env": "prod"}, 97.5),
        ("took.avg", host, 2),
        ("took.count", host, 4),
        ("took.max", host, 3),
        ("took.min", host, 1),
        ("took.sum", host, 4),
    ]


@pytest.mark.parametrize("path", ["v3/series", "v3/sketches", "v3beta/series", "v3beta/sketches"])
def test_version_3_is_stored_as_version_2_would_be(agent: TestClient, path: str) -> None:
    """As Vector sends it, and as the Agent: each column a frame of its own."""
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "zstd"}
    timestamp, url = now(), f"/api/intake/metrics/{path}"
    tags = ["env:prod"]
    body = (
        Payload()
        .add("system.cpu.idle", [(timestamp, 97.5)], tags=tags)
        .add("hits", [(timestamp, 7)], kind=1, held=INTEGERS, interval=10, unit="request")
        .add("took", [(timestamp, (2, 4, 1, 3))], kind=SKETCH, held=INTEGERS, tags=tags)
    ).encoded()
    older = payload([series("system.cpu.idle", [(timestamp, 97.5)], tags=tags)])
    frames = b"".join(bytes(zstd.compress(body[n : n + 20])) for n in range(0, len(body), 20))
    for packed in (bytes(zstd.compress(body)), frames):
        response = agent.post(url, content=packed, headers=headers)
        assert (response.status_code, response.json()) == (202, {"errors": []})
    assert agent.post(V2, content=older, headers={"Content-Encoding": ""}).status_code == 202
    host = {"host": "web-1"}
    assert values() == [
        ("hits", host, 7),
        ("system.cpu.idle", {**host, "env": "prod"}, 97.5),
        *((f"took.{name}", {**host, "env": "prod"}, value)
          for name, value in [("avg", 2), ("count", 2), ("max", 3), ("min", 1), ("sum", 4)]),
    ]  # fmt: skip


def test_version_3_names_what_is_refused(agent: TestClient) -> None:
    url = "/api/intake/metrics/v3/series"
    good, old = Payload().add("a", [(now(), 1)]), [(1, 2.0)]
    response = agent.post(url, content=good.add("b", old).encoded())
    assert response.status_code == 202
    assert "older" in response.json()["errors"][0]
    assert agent.post(url, content=Payload().add("b", old).encoded()).status_code == 400
    response = agent.post(url, content=payload([series("a", [(now(), 1)])]))
    assert response.status_code == 400
    assert "version 2" in response.json()["error"]
    assert agent.post(url, content=b"", headers={"DD-API-KEY": "pb_wrong"}).status_code == 403
    many = Payload().add("a", [(now() - n, 1) for n in range(10_001)])
    assert agent.post(url, content=many.encoded()).status_code == 413


@pytest.mark.parametrize("headers", [{"Content-Type": "application/json"}, {"Content-Type": ""}])
def test_json_whatever_the_headers(agent: TestClient, headers: dict[str, str]) -> None:
    one = {"metric": "a.b", "points": [[now(), 1]], "type": "count", "interval": 10}
    body = zlib.compress(json.dumps({"series": [one]}).encode())
    response = agent.post(V1, content=body, headers=headers)
    assert (response.status_code, response.json()) == (202, {"status": "ok"})
    listed = agent.get("/api/v1/metrics", headers={"Authorization": agent.headers["DD-API-KEY"]})
    assert listed.status_code == 401
    with database.connection() as connection:
        [(kind, text)] = connection.execute(
            "select type, description from metric_definitions"
        ).fetchall()
    assert kind == "gauge"
    assert "do not use rate()" in text


def test_a_partly_bad_body_stores_the_valid_points(agent: TestClient) -> None:
    good = {"metric": "good", "points": [[now(), 1]]}
    bad = {"metric": "bad", "points": [[now() + 10_000, 1]]}
    response = agent.post(V1, json={"series": [good, bad]})
    assert response.status_code == 202
    assert response.json()["errors"][0].startswith('series 1 "bad" has a point at')
    response = agent.post(V2, json={"series": [bad]})
    assert response.status_code == 400
    assert len(response.json()["errors"]) == 1
    assert values() == [("good", {}, 1)]


@pytest.mark.parametrize("path", ["/api/v1/metadata", "/api/v2/host_metadata", "/intake"])
def test_metadata_of_hosts_is_acknowledged(agent: TestClient, path: str) -> None:
    response = agent.post(path, json={"internalHostname": "web-1"}, follow_redirects=False)
    assert response.status_code == 202
    assert agent.post(path, headers={"DD-API-KEY": "pb_wrong"}).status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/api/v1/check_run", "/api/v1/events", "/api/v2/events", "/intake/", "/api/v2/service_checks"],
)
def test_events_and_checks_are_never_acknowledged_and_dropped(agent: TestClient, path: str) -> None:
    response = agent.post(path, content=b"anything")
    assert response.status_code == 400
    assert "JSON" in response.text


@pytest.mark.parametrize("path", ["/api/v1/check_run", "/api/v2/service_checks"])
def test_service_checks_are_samples(agent: TestClient, path: str) -> None:
    check = {"check": "redis.can_connect", "host_name": "web-1", "timestamp": now(),
             "status": 2, "tags": ["env:prod", "canary"], "message": "refused"}  # fmt: skip
    response = agent.post(path, json=[check, {**check, "status": 7}, {**check, "check": ""}])
    assert response.status_code == 202
    assert response.json()["errors"][0] == (
        'series 1 "redis.can_connect" has the status 7; 0, 1, 2 or 3 is meant'
    )
    tags = {"env": "prod", "canary": "true", "host": "web-1"}
    assert values() == [("redis.can_connect.status", tags, 2)]
    assert agent.post(path, json={**check, "status": 0}).status_code == 202


def test_events_of_datadog_are_stored(agent: TestClient) -> None:
    at = now()
    response = agent.post(
        "/api/v1/events",
        json={"title": "deployed", "text": "1.4", "date_happened": at, "tags": ["service:shop"],
              "host": "web-1", "alert_type": "info", "source_type_name": "jenkins"},
    )  # fmt: skip
    assert response.status_code == 202, response.text
    assert response.json()["status"] == "ok"
    assert response.json()["event"]["title"] == "deployed"
    response = agent.post(
        "/intake/",
        content=zlib.compress(
            json.dumps(
                {
                    "internalHostname": "web-2",
                    "events": {
                        "docker": [
                            {"msg_title": "oom", "msg_text": "killed", "timestamp": at,
                             "tags": ["a:b"], "priority": "normal"},
                            {"msg_title": "", "msg_text": ""},
                        ]
                    },
                }
            ).encode()
        ),
    )  # fmt: skip
    assert response.status_code == 202
    [refused] = response.json()["errors"]
    assert refused.startswith("event 1 title")
    response = agent.post(
        "/api/v2/events",
        json={"data": {"type": "event", "attributes": {
            "title": "flag", "message": "on", "category": "change", "tags": ["x:y"]}}},
    )  # fmt: skip
    assert (response.status_code, response.json()["data"]["type"]) == (202, "event")
    found = rows("select title, text, source, tags from events order by title")
    assert found == [
        ("deployed", "1.4", "jenkins",
         {"service": "shop", "host": "web-1", "alert_type": "info"}),
        ("flag", "on", "datadog", {"category": "change", "x": "y"}),
        ("oom", "killed", "docker", {"a": "b", "host": "web-2", "priority": "normal"}),
    ]  # fmt: skip


def test_a_key_is_checked(agent: TestClient) -> None:
    assert agent.get("/api/v1/validate").json() == {"valid": True}
    response = agent.get("/api/v1/validate", headers={"DD-API-KEY": "pb_wrong"})
    assert response.status_code == 403
    assert "unknown" in response.json()["errors"][0]
    response = agent.post(f"{V1}?api_key=secret", json={"series": []})
    assert response.status_code == 400
    assert "in a header" in response.json()["errors"][0]


def test_the_agent_validates_its_key_in_the_address(client: TestClient, ingest_key: str) -> None:
    """It can't do otherwise; in no other route is that taken."""
    response = client.get("/api/v1/validate", params={"api_key": ingest_key})
    assert (response.status_code, response.json()) == (200, {"valid": True})
    assert client.get("/api/v1/validate", params={"api_key": "pb_wrong"}).status_code == 403
    assert client.get("/api/v1/validate").status_code == 403
    for path in (V1, V2, "/api/beta/sketches", "/intake/", "/api/v1/check_run"):
        response = client.post(path, params={"api_key": ingest_key}, json={"series": []})
        # Without a header nobody is there, with one the address is refused.
        assert response.status_code in (400, 403), path
        response = client.post(
            path, params={"api_key": ingest_key}, headers={"DD-API-KEY": ingest_key}, json={}
        )
        assert (response.status_code, "in a header" in response.text) == (400, True), path


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/support/flare", "Datadog's support"),
        ("/support/flare/17", "Datadog's support"),
    ],
)
def test_what_is_not_read_is_404_with_the_reason(agent: TestClient, path: str, says: str) -> None:
    response = agent.post(path, content=b"anything")
    assert response.status_code == 404
    assert says in response.json()["errors"][0]
    assert says in response.json()["error"]


def test_errors_have_datadogs_shape(agent: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    response = agent.post(V2, content=b"not this")
    assert response.status_code == 400
    assert "neither JSON nor" in response.json()["errors"][0]
    many = {"metric": "a", "points": [[now() - n, 1] for n in range(10_001)]}
    assert agent.post(V1, json={"series": [many]}).status_code == 413
    bomb = zlib.compress(b" " * (settings().ingest_max_inflated_bytes + 1))
    assert agent.post(V1, content=bomb).status_code == 413
    lose_database(monkeypatch)
    response = agent.post(V1, json={"series": []})
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert response.json()["errors"]
