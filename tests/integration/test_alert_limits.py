"""Limits of what rules read: named when a rule is saved, backtested or evaluated, and in time."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from functions.evaluate import tick
from pulseboard.alerts import expression_inputs
from pulseboard.alerts.state_machine import TICK
from pulseboard.core import process_state
from pulseboard.core.settings import settings
from pulseboard.promql.series import entry_count
from pulseboard.query import sql_samples

pytestmark = pytest.mark.integration
API = "/api/v1/alerts"


@pytest.fixture
def now() -> float:
    return time.time() // TICK * TICK


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    yield
    settings.cache_clear()


def limit(monkeypatch: pytest.MonkeyPatch, **limits: int) -> None:
    """Settings by their name, without its prefix."""
    for name, value in limits.items():
        monkeypatch.setenv(f"PULSEBOARD_{name.upper()}", str(value))
    settings.cache_clear()


def send(
    http: TestClient, now: float, name: str = "cpu", *, series: int, samples: int, every: float
) -> None:
    """So many samples of so many series, until just before `now`."""
    points = [
        {
            "name": name,
            "tags": {"host": f"h{host}"},
            "value": 9,
            "timestamp": int((now - 0.5 - number * every) * 1000),
        }
        for host in range(series)
        for number in range(samples)
    ]
    for start in range(0, len(points), 1_000):
        sent = http.post("/api/v1/metrics", json=points[start : start + 1_000])
        assert sent.json()["data"]["rejected"] == 0, sent.text


def post(http: TestClient, query: str, **fields: Any) -> httpx2.Response:
    body = {"name": query, "query": query, "condition": "gt", "threshold": 5, **fields}
    return http.post(f"{API}/rules", json=body)


def make(http: TestClient, query: str, **fields: Any) -> str:
    response = post(http, query, **fields)
    assert response.status_code == 201, response.text
    return str(response.json()["data"]["id"])


def rule(http: TestClient, rule_id: str) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"{API}/rules/{rule_id}").json()["data"]
    return found


def test_a_tick_holds_so_many_samples_and_names_the_rules_that_need_more(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(admin, now, series=10, samples=120, every=10)
    # Ranges of their own, which nothing shares; and the heavy one between them.
    fine = [make(admin, f"sum(sum_over_time(cpu[{600 + 10 * n}s:10s]))") for n in range(8)]
    heavy = make(admin, "sum(rate(cpu[20m]))", condition="gte", threshold=0)
    alike = [
        make(admin, f'sum(rate(cpu{{host="h{n}"}}[5m])) >= bool 0', threshold=0) for n in range(9)
    ]
    window = make(admin, "cpu + 0", window="19m", reducer="avg")
    limit(monkeypatch, alert_max_samples=1_000)
    held: list[int] = []
    original = expression_inputs.evaluate

    def counted(reader: Any, *given: Any, **named: Any) -> Any:
        before = {id(one): entry_count(one) for x in reader.memo.values() for one in x.stored}
        held.append(sum(before.values()))
        return original(reader, *given, **named)

    monkeypatch.setattr(expression_inputs, "evaluate", counted)
    report = tick.run(now=now)
    assert report.error is None
    for one in (heavy, window):
        found = rule(admin, one)
        assert "1000 are allowed" in found["lastError"], found["lastError"]
        assert found["status"] == "inactive"
    assert [(rule(admin, one)["lastError"], rule(admin, one)["status"]) for one in fine] == [
        (None, "firing")
    ] * len(fine)
    assert [rule(admin, one)["lastError"] for one in alike] == [None] * len(alike)
    # What is shared, and what single rules have read since then.
    assert len(held) >= len(fine) + 2
    assert max(held) <= 2_000
    limit(monkeypatch, alert_max_samples=5_000)
    tick.run(now=now + TICK)
    assert (rule(admin, heavy)["lastError"], rule(admin, heavy)["status"]) == (None, "firing")


@pytest.mark.parametrize("query", ["cpu", "cpu + 0"])
def test_a_backtest_stops_reading_at_its_limit(
    admin: TestClient, now: float, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    """Ticks and series are few, samples are many: one each second."""
    send(admin, now, series=2, samples=900, every=1)
    limit(monkeypatch, alert_preview_max_values=1_000)
    counts: list[int] = []
    original = sql_samples.read_samples

    def counted(*given: Any, **named: Any) -> Any:
        result = original(*given, **named)
        counts.append(sum(map(entry_count, result.stored)))
        return result

    monkeypatch.setattr(sql_samples, "read_samples", counted)
    body = {
        "rule": {"name": "x", "query": query, "condition": "gt", "threshold": 5},
        "start": datetime.fromtimestamp(now - 900, UTC).isoformat(),
        "end": datetime.fromtimestamp(now, UTC).isoformat(),
    }
    refused = admin.post(f"{API}/preview", json=body)
    assert refused.status_code == 400, refused.text
    assert "samples" in refused.json()["error"]
    assert "1,000" in refused.json()["error"].replace("1000", "1,000")
    assert counts
    assert max(counts) <= 1_001
    limit(monkeypatch, alert_preview_max_values=2_000)
    assert admin.post(f"{API}/preview", json=body).json()["data"]["series"] == 2


@pytest.mark.parametrize(
    "query", ['{__name__=~".+"}', 'sum({__name__=~"a|b"})', 'cpu / ignoring(x) {host="a"}']
)
def test_a_rule_names_its_metrics(admin: TestClient, query: str) -> None:
    response = post(admin, query)
    assert response.status_code == 400, response.text
    assert response.json()["error"].startswith("Name the metric")
    assert response.json()["details"][0]["field"] == "query"


@pytest.mark.parametrize(
    ("query", "limits", "fields"),
    [
        ("cpu", {"alert_max_series": 10}, {}),
        ("cpu + 0", {"alert_max_series": 10}, {}),
        ('cpu{host=~"h1.*"}', {"query_max_matched": 1_000}, {}),
        ("sum(rate(cpu[9m]))", {"alert_max_samples": 1_000}, {}),
        ("sum(cpu)", {"alert_max_samples": 1_000}, {"window": "9m", "reducer": "avg"}),
    ],
)
def test_a_rule_over_the_limits_of_a_tick_is_refused_when_it_is_saved(
    admin: TestClient,
    now: float,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    limits: dict[str, int],
    fields: dict[str, Any],
) -> None:
    many = "query_max_matched" in limits
    send(admin, now, series=1_001 if many else 30, samples=1 if many else 50, every=10)
    early = make(admin, query, **fields)
    limit(monkeypatch, **limits)
    # What was found is cached, and within the limit of then.
    process_state.reset()
    refused = post(admin, query, **fields)
    assert refused.status_code == 400, refused.text
    assert refused.json()["details"][0]["field"] == "query"
    (most,) = limits.values()
    assert str(most) in refused.json()["error"]
    # One that nobody evaluates may be prepared; it is refused when it is to be evaluated.
    later = make(admin, query, **fields, enabled=False)
    assert admin.put(f"{API}/rules/{later}", json={"enabled": True}).status_code == 400
    other = make(admin, "sum(nothing)")
    assert admin.put(f"{API}/rules/{other}", json={"query": query, **fields}).status_code == 400
    assert rule(admin, other)["query"] == "sum(nothing)"
    # A stored one stays what it is, with its error, and what is read stays as it was.
    tick.run(now=now)
    assert str(most) in rule(admin, early)["lastError"]
    assert admin.put(f"{API}/rules/{early}", json={"name": "renamed"}).status_code == 200
