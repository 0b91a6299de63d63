"""Line protocol over HTTP into a real database."""

import gzip
import time

import pytest
from fastapi.testclient import TestClient

from pulseboard.settings import settings
from tests.pushing import lose_database, stored

pytestmark = pytest.mark.integration
V1, V2 = "/write", "/api/v2/write"
SHOWN = {"Authorization": "Token {key}"}


@pytest.mark.parametrize("path", [V1, V2])
@pytest.mark.parametrize("packed", [False, True])
def test_lines_are_stored(agent: TestClient, path: str, packed: bool) -> None:
    moment = int(time.time())
    body = f'cpu,host=a usage=1.5,idle=2i,model="x" {moment}'.encode()
    answer = agent.post(
        path,
        params={"org": "o", "bucket": "b", "db": "d", "precision": "s"},
        content=gzip.compress(body) if packed else body,
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["X-Pulseboard-Skipped"] == "1"
    assert stored() == [
        ("cpu_idle", {"host": "a"}, 2, moment * 1000),
        ("cpu_usage", {"host": "a"}, 1.5, moment * 1000),
    ]


def test_a_partial_write_names_lines_and_keeps_the_others(agent: TestClient) -> None:
    answer = agent.post(V2, content=b"good v=1\nbad\nbad v=x\nfine v=2")
    assert answer.status_code == 400
    said = answer.json()
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
    answer = agent.post(V2, content="\n".join(f"m,n={n} v=1" for n in range(3)))
    assert (answer.status_code, answer.json()["line"]) == (400, 3)
    assert "2 samples stored" in answer.json()["message"]


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
    answer = agent.post(V1 + query, content=content, headers=headers)
    assert answer.status_code == status
    assert says in answer.json()["message"]
    assert says in answer.json()["error"]
    assert "secret" not in answer.json()["message"].replace("a secret", "")
    assert stored() == []


def test_version_1_clients_sign_in_by_basic(client: TestClient, ingest_key: str) -> None:
    answer = client.post(V1, content=b"m v=1", auth=("telegraf", ingest_key))
    assert answer.status_code == 204
    assert len(stored()) == 1


def test_database_down_is_503_with_retry_after(
    agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_database(monkeypatch)
    answer = agent.post(V2, content=b"m v=1")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0


def test_clients_may_ask_whether_somebody_is_here(client: TestClient) -> None:
    assert client.get("/ping").status_code == 204
    assert client.get("/health").json()["status"] == "pass"
