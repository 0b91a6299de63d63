"""Line protocol over HTTP into a real database."""

import gzip
import time

import pytest
from fastapi.testclient import TestClient

from pulseboard.core.settings import settings
from tests.support.stored_samples import lose_database, stored

pytestmark = pytest.mark.integration
V1, V2, V3 = "/write", "/api/v2/write", "/api/v3/write_lp"
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


def test_names_are_stored_as_sent_and_queried_in_quotes(
    agent: TestClient, admin: TestClient
) -> None:
    agent.post(V2, content=b"mem%,k8s-app=x v=1\nmem#,k8s-app=x v=2\ngr.web-01/a load=3")
    for query, name, value in (
        ('{"mem%_v", "k8s-app"="x"}', "mem%_v", 1),
        ('sum by ("k8s-app") ({"mem#_v"})', "", 2),
        ('{"gr.web-01/a_load"}', "gr.web-01/a_load", 3),
    ):
        now = time.time()
        body = {"query": query, "start": int(now - 60) * 1000, "end": int(now + 10) * 1000}
        [series] = admin.post("/api/v1/query", json=body).json()["data"]["series"]
        assert (series["name"], next(v for v in series["values"][::-1] if v)) == (name, value)
    tags = admin.get("/api/v1/metrics/gr.web-01%2Fa_load/tags")
    assert (tags.status_code, tags.json()["data"]) == (200, [])
    tags = admin.get("/api/v1/metrics/mem%25_v/tags").json()["data"]
    assert [tag["key"] for tag in tags] == ["k8s-app"]


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


@pytest.mark.parametrize(
    ("precision", "unit"),
    [
        ("nanosecond", 10**9),
        ("microsecond", 10**6),
        ("millisecond", 1000),
        ("second", 1),
        *((("auto"), unit) for unit in (1, 1000, 10**6, 10**9)),
        (None, 10**9),
    ],
)
def test_version_3_writes_with_each_precision(
    agent: TestClient, precision: str | None, unit: int
) -> None:
    at = int(time.time())
    response = agent.post(
        V3,
        params={"db": "any", "no_sync": "true"} | ({"precision": precision} if precision else {}),
        content=f'cpu,host=a usage=1.5,model="x" {at * unit}',
    )
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["X-Pulseboard-Skipped"] == "1"
    assert stored() == [("cpu_usage", {"host": "a"}, 1.5, at * 1000)]


def test_version_3_partial_writes(agent: TestClient) -> None:
    body = "good v=1\nbad\nworse v=x\nfine v=2"
    response = agent.post(V3, params={"db": "d", "accept_partial": "false"}, content=body)
    assert response.status_code == 400
    found = response.json()
    assert found["error"] == "parsing failed for write_lp endpoint"
    assert (found["data"]["original_line"], found["data"]["line_number"]) == ("bad", 2)
    assert "has no field" in found["data"]["error_message"]
    assert stored() == []
    response = agent.post(V3, params={"db": "d"}, content=body)
    assert response.status_code == 400
    found = response.json()
    assert found["error"] == "partial write of line protocol occurred"
    assert [(each["line_number"], each["original_line"]) for each in found["data"]] == [
        (2, "bad"),
        (3, "worse v=x"),
    ]
    assert [row[0] for row in stored()] == ["fine_v", "good_v"]


@pytest.mark.parametrize(
    ("params", "headers", "status", "says"),
    [
        ({"precision": "fortnight"}, {}, 400, "fortnight"),
        ({"accept_partial": "maybe"}, {}, 400, "true or false"),
        ({}, {"Authorization": "Token pb_wrong"}, 401, "unknown"),
    ],
)
def test_errors_of_version_3(
    agent: TestClient, params: dict[str, str], headers: dict[str, str], status: int, says: str
) -> None:
    response = agent.post(V3, params=params, headers=headers, content=b"m v=1")
    assert response.status_code == status
    assert says in response.json()["error"]
