"""What one query may use: the same in a batch and alone, in a rule, warm and cold."""

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.evaluate import tick
from pulseboard.core.settings import settings
from pulseboard.db import cache
from pulseboard.query import response

pytestmark = pytest.mark.integration
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.fixture
def now() -> int:
    """The start of this minute in milliseconds."""
    return int(time.time()) // 60 * MINUTE


def send(client: TestClient, now: int, *, hosts: int = 2, minutes: int = 100) -> None:
    points = [
        {"name": "cpu", "tags": {"host": f"h{n}"}, "timestamp": now - at * MINUTE, "value": 1.0}
        for at in range(minutes)
        for n in range(hosts)
    ]
    for first in range(0, len(points), 5_000):
        http_response = client.post("/api/v1/metrics", json=points[first : first + 5_000])
        assert http_response.json()["data"]["rejected"] == 0, http_response.text
    for key in list(cache.client().scan_iter("late:*")):
        cache.client().delete(key)


def limit(monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
    for name, value in limits.items():
        monkeypatch.setenv(f"PULSEBOARD_{name.upper()}", str(value))
    settings.cache_clear()


def query(client: TestClient, text: str, now: int, *, length: int = HOUR, **more: Any) -> Any:
    body = {"query": text, "start": now - length, "end": now, "step": "1m", **more}
    return client.post("/api/v1/query", json=body)


def refused(http_response: Any) -> str:
    assert http_response.status_code == 400, http_response.text
    error: str = http_response.json()["error"]
    return error


def doubled(times: int, text: str = "cpu") -> str:
    for _ in range(times):
        text = f'label_replace({text}, "host", "$1$1", "host", "(.*)")'
    return text


def test_labels_that_double_at_each_step_are_refused(admin: TestClient, now: int) -> None:
    send(admin, now)
    assert query(admin, doubled(4), now).status_code == 200
    assert "bytes of labels" in refused(query(admin, doubled(40), now))
    # In one step, too.
    wide = 'label_replace(%s, "host", "' + "$1" * 4_000 + '", "host", "(.*)")'
    assert "bytes of labels" in refused(query(admin, wide % doubled(12), now))


def test_a_rule_has_the_same_budget(admin: TestClient, now: int) -> None:
    # Saved before there are samples: what is too much is refused when it is saved.
    rules = {"doubles": doubled(40), "fine": "cpu"}
    for name, text in rules.items():
        body = {
            "name": name, "query": text, "condition": "gt", "threshold": 0,
            "duration": "0s", "window": "5m",
        }  # fmt: skip
        assert admin.post("/api/v1/alerts/rules", json=body).status_code == 201
    send(admin, now)
    tick.run(now=float(now // 1000))
    rows = admin.get("/api/v1/alerts/rules").json()["data"]
    errors = {row["name"]: row.get("lastError") for row in rows}
    assert "bytes of labels" in errors["doubles"]
    assert errors["fine"] is None


def test_points_without_lines_count(
    admin: TestClient, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not free: each result has its timestamps."""
    # A busy machine is slow, not wrong.
    limit(monkeypatch, query_batch_timeout=300)
    error = refused(query(admin, "nothing", now, length=400 * DAY, step="1s", tier="raw"))
    assert "34560001 points" in error
    queries = [{"id": str(n), "query": f"nothing{n}", "step": "1s"} for n in range(60)]
    body = {"start": now - 5 * DAY, "end": now, "queries": queries}
    http_response = admin.post("/api/v1/query/batch", json=body)
    assert http_response.status_code == 200
    assert len(http_response.content) < settings().query_max_result_bytes
    results = http_response.json()["data"]
    kinds = [each.get("result") is not None for each in results]
    assert 0 < sum(kinds) < len(kinds)
    assert all("bytes" in each["error"]["error"] for each in results if each.get("error"))


def test_cutting_a_batch_compresses_each_result_a_few_times(
    admin: TestClient, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(monkeypatch, query_max_response_bytes=60_000)
    compressed = []
    original = response.compressed

    def counted(request: Any, body: bytes) -> Any:
        compressed.append(len(body))
        return original(request, body)

    monkeypatch.setattr(response, "compressed", counted)
    queries = [{"id": str(n), "query": f"nothing{n}", "step": "1s"} for n in range(100)]
    body = {"start": now - HOUR, "end": now, "queries": queries}
    http_response = admin.post("/api/v1/query/batch", json=body)
    assert http_response.status_code == 200
    assert sum(each.get("result") is not None for each in http_response.json()["data"]) > 0
    assert sum(compressed) < 6 * compressed[0]


def test_time_is_bounded_for_a_query_and_not_for_each_statement(
    admin: TestClient, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(admin, now, hosts=50, minutes=120)
    limit(monkeypatch, query_timeout=0.05)
    text = " + ".join(f"quantile_over_time(0.{n}, cpu[1h])" for n in range(1, 10))
    assert "took longer than 0.05 s" in refused(query(admin, text, now, step="10s"))


@pytest.mark.parametrize("length", [HOUR, 90 * MINUTE])
@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"query_max_samples": 1_000}, "rate(cpu[2m])"),
        ({"query_max_samples": 1_000}, "quantile_over_time(0.5, cpu[5m])"),
        ({"query_max_points": 110}, "cpu"),
        ({"query_max_series": 1}, "cpu"),
    ],
)
def test_a_limit_does_not_depend_on_what_is_cached(
    admin: TestClient,
    now: int,
    monkeypatch: pytest.MonkeyPatch,
    limits: dict[str, int],
    text: str,
    length: int,
) -> None:
    """Two thirds are cached, or all but the newest point."""
    send(admin, now, hosts=4)
    before = now - MINUTE
    assert query(admin, text, before, length=HOUR - MINUTE, tier="raw").status_code == 200
    limit(monkeypatch, **limits)
    warm = query(admin, text, now, length=length, tier="raw")
    for key in list(cache.client().scan_iter("cache:query:*")):
        cache.client().delete(key)
    cold = query(admin, text, now, length=length, tier="raw")
    assert refused(warm) == refused(cold)


def test_samples_count_when_all_points_are_cached(
    admin: TestClient, now: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two halves within the limit are in the cache; the whole is beyond it."""
    points = [
        {"name": "cpu", "tags": {}, "timestamp": now - second * 1000, "value": 1.0}
        for second in range(3_600)
    ]
    assert admin.post("/api/v1/metrics", json=points).json()["data"]["rejected"] == 0
    limit(monkeypatch, query_max_samples=2_000)
    text, settled, third = "deriv(cpu[1m])", now - 5 * MINUTE, 20 * MINUTE
    for end in (settled - third, settled):
        http_response = query(admin, text, end, length=third, tier="raw", step="10s")
        assert http_response.status_code == 200, http_response.text
    warm = query(admin, text, settled, length=2 * third + MINUTE, tier="raw", step="10s")
    whole = query(admin, text, settled, length=2 * third, tier="raw", step="10s")
    assert "samples" in refused(warm)
    assert "samples" in refused(whole)
    limit(monkeypatch, query_max_samples=10_000)
    whole = query(admin, text, settled, length=2 * third, tier="raw", step="10s")
    assert whole.json()["meta"]["cached"]
