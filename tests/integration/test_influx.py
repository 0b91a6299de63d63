"""Line protocol over HTTP into a real database."""

import gzip
import time

import pytest
from fastapi.testclient import TestClient

from pulseboard.core.settings import settings
from tests.support.stored_samples import lose_database, stored

pytestmark = pytest.mark.integration
V1, V2 = "/write", "/api/v2/write"
SHOWN = {"Authorization": "Token {key}"}


@pytest.mark.parametrize("path", [V1, V2])
@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_stored(agent: TestClient, path: str, packed: bool) -> None:
    timestamp = int(time.time())
    body = f'cpu,host=a usage=1.5,idle=2i,model="x" {timestamp}'.encode()
    response = agent.post(
        path,
        params={"org": "o", "bucket": "b", "db": "d", "precision": "s"},
        content=gzip.compress(body) if packed else body,
    )
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["X-Pulseboard-Skipped"] == "1"
    assert stored() == [
        ("cpu_idle", {"host": "a"}, 2, timestamp * 1000),
        ("cpu_usage", {"host": "a"}, 1.5, timestamp * 1000),
    ]


def test_a_partial_write_names_lines_and_stores_the_others(agent: TestClient) -> None:
    response = agent.post(V2, content=b"good v=1\nbad\nbad v=x\nfine v=2")
    assert response.status_code == 400
    said = response.json()
    assert (said["code"], said["line"]) == ("invalid", 2)
    assert said["message"].startswith("partial write: 2 left out, 2 samples stored: line 2 has no")
    assert "line 3 has in" in said["message"]
    assert said["error"] == said["message"]
    assert [row[0] for row in stored()] == ["fine_v", "good_v"]


def test_series_beyond_the_limit_are_named_by_line(
    agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_PER_METRIC", "2")
    settings.cache_clear()
    response = agent.post(V2, content="\n".join(f"m,n={n} v=1" for n in range(3)))
    assert (response.status_code, response.json()["line"]) == (400, 3)
    assert "2 samples stored" in response.json()["message"]


@pytest.mark.parametrize(
    ("query", "content", "headers", "status", "says"),
    [
        ("?u=me&p=secret", b"m v=1", {}, 400, "in a header"),
        ("?precision=fortnight", b"m v=1", {}, 400, "fortnight"),
        ("", b"m v=1", {"Authorization": "Token pb_wrong"}, 401, "unknown"),
        ("", b"m v=1", {"Authorization": ""}, 401, "Send an API key"),
        ("", gzip.compress(b"m v=1")[:-3], {}, 400, "gzip"),
        ("", gzip.compress(b"m v=1").decode(errors="replace").encode(), {}, 400, "octet-stream"),
        ("", b"m v=1\n" * 10_001, {}, 413, "metric_batch_size"),
        ("", b"x" * 5_000_000, {}, 413, "larger"),
    ],
)
def test_errors_have_the_shape_that_clients_read(
    agent: TestClient, query: str, content: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    response = agent.post(V1 + query, content=content, headers=headers)
    assert response.status_code == status
    assert says in response.json()["message"]
    assert says in response.json()["error"]
    assert "secret" not in response.json()["message"].replace("a secret", "")
    assert stored() == []


def test_version_1_clients_sign_in_by_basic(client: TestClient, ingest_key: str) -> None:
    response = client.post(V1, content=b"m v=1", auth=("telegraf", ingest_key))
    assert response.status_code == 204
    assert len(stored()) == 1


def test_database_down_is_503_with_retry_after(
    agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_database(monkeypatch)
    response = agent.post(V2, content=b"m v=1")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0


def test_telegraf_as_its_output_for_influxdb_2_sends(agent: TestClient) -> None:
    timestamp = time.time_ns()
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
    response = agent.post(
        "/api/v2/write?bucket=any&org=any&precision=ns",
        content=gzip.compress(b"cpu,host=a usage=1.5 %d\n" % timestamp),
        headers=headers,
    )
    assert (response.status_code, response.content) == (204, b"")
    assert stored() == [("cpu_usage", {"host": "a"}, 1.5, timestamp // 1_000_000)]


def test_telegraf_as_its_output_for_influxdb_1_sends(client: TestClient, ingest_key: str) -> None:
    """It makes its database first, whatever becomes of that."""
    as_telegraf = ("telegraf", ingest_key)
    form = {"q": 'CREATE DATABASE "telegraf"'}
    response = client.post("/query", data=form, auth=as_telegraf)
    assert (response.status_code, response.json()) == (200, {"results": [{"statement_id": 0}]})
    lines = b"cpu,host=a usage=1.5\n"
    response = client.post("/write?db=telegraf&rp=auto", content=lines, auth=as_telegraf)
    assert response.status_code == 204
    assert [row[0] for row in stored()] == ["cpu_usage"]


@pytest.mark.parametrize(
    ("said", "status", "says"),
    [
        ("create database d", 200, "statement_id"),
        ("CREATE RETENTION POLICY p ON d DURATION 1d REPLICATION 1", 200, "statement_id"),
        ("show databases", 200, '"columns":["name"]'),
        ("SELECT * FROM cpu", 400, "POST /api/v1/query"),
        ("", 400, "InfluxQL"),
    ],
)
def test_only_preparing_influxql_statements_succeed(
    agent: TestClient, said: str, status: int, says: str
) -> None:
    for response in (
        agent.get("/query", params={"q": said}),
        agent.post("/query", data={"q": said}),
        agent.post("/query", params={"q": said, "db": "d"}),
    ):
        assert response.status_code == status
        assert says in response.text
    assert agent.get("/query?q=SHOW+DATABASES&u=me&p=secret").status_code == 400
    assert agent.get("/query", headers={"Authorization": "Token pb_wrong"}).status_code == 401


def test_clients_may_check_liveness(client: TestClient) -> None:
    assert client.get("/ping").status_code == 204
    assert client.get("/health").json()["status"] == "pass"
