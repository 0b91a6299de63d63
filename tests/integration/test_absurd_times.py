"""Queries of absurd times have a result or an error of the contract, each by itself."""

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

pytestmark = pytest.mark.integration

FIRST, LAST = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z"


def query(text: str, start: Any, end: Any, **fields: Any) -> dict[str, Any]:
    return {"query": text, "start": start, "end": end, **fields}


@pytest.fixture
def now(admin: TestClient) -> int:
    now = int(time.time()) // 10 * 10 - 600
    points = [{"name": "cpu", "value": n, "timestamp": (now - 10 * n) * 1000} for n in range(30)]
    assert admin.post("/api/v1/metrics", json=points).json()["data"]["rejected"] == 0
    return now * 1000


EDGES = ("0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:59", FIRST, LAST)
"""The first two are in the calendar only until they are taken to UTC."""


@pytest.mark.parametrize("edge", EDGES)
def test_a_time_at_the_edge_of_the_calendar_is_no_fault_of_ours(
    admin: TestClient, now: int, edge: str
) -> None:
    rule = {"name": "x", "query": "cpu", "condition": "gt", "threshold": 1}
    for start, end in ((edge, edge), (edge, now), (now, edge)):
        span = {"start": start, "end": end}
        queries = [{"id": "a", "query": "cpu"}]
        for path, body in (
            ("query", {"query": "cpu", **span}),
            ("query/batch", {"queries": queries, **span}),
            ("query/batch", {"queries": [{**queries[0], **span}], "start": now - 1, "end": now}),
            ("variables/resolve", {"variables": [], **span}),
            ("alerts/preview", {"rule": rule, **span}),
            ("alerts/silences", {"matchers": [], "startsAt": start, "endsAt": end, "comment": "x"}),
        ):
            response = admin.post(f"/api/v1/{path}", json=body)
            assert response.status_code in (200, 201, 400), (path, response.text)
        assert admin.get("/api/v1/alerts/events", params=span).status_code in (200, 400)
        for path in ("query", "query_range", "series", "labels", "label/host/values"):
            params = {"query": "cpu", "match[]": "cpu", "time": start, "step": "1d", **span}
            response = admin.get(f"/prometheus/api/v1/{path}", params=params)
            assert response.status_code in (200, 400), (path, response.text)


OFFSETS = ("999999999w", "-999999999w", "300y", "-300y", "99999w", "-99999w", "500ms", "61500ms")
WINDOWS = ("61500ms", "500ms", "1ms", "999999999w", "300y", "99999w", "2000w")


@pytest.mark.parametrize(
    "text",
    [
        *(f"cpu offset {offset}" for offset in OFFSETS),
        *(f"rate(cpu[5m] offset {offset})" for offset in OFFSETS),
        *(f"{name}(cpu[{window}])" for window in WINDOWS for name in ("rate", "avg_over_time")),
        *(f"sum(sum_over_time(cpu[{window}]))" for window in WINDOWS),
    ],
)
def test_windows_and_offsets_of_any_length(admin: TestClient, now: int, text: str) -> None:
    spans = [(now - 3_600_000, now), (now - 10_000, now), (now - 500, now), (now - 86_400_000, now)]
    for start, end in spans:
        for fields in ({}, {"step": "10s"}, {"step": "500ms"}):
            response = admin.post("/api/v1/query", json=query(text, start, end, **fields))
            assert response.status_code in (200, 400), (response.text, start, fields)
    queries = [{"id": "a", "query": text}, {"id": "b", "query": "cpu"}]
    batch = {"start": spans[0][0], "end": spans[0][1], "queries": queries}
    response = admin.post("/api/v1/query/batch", json=batch)
    assert response.status_code == 200
    (absurd, fine) = response.json()["data"]
    assert fine["result"]["data"]["series"]
    assert absurd["error"] is None or absurd["error"]["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    "text", ["cpu", "cpu + 0", "rate(cpu[5m])", "cpu offset 1w", "cpu offset -1w"]
)
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (FIRST, "0001-01-01T01:00:00Z"),
        ("9999-12-31T23:00:00Z", LAST),
        ("9999-12-31T23:59:59.500Z", LAST),
        (-(10**15), 10**15),
        (0, 3_600_000),
    ],
)
def test_ranges_at_the_ends_of_the_calendar(
    admin: TestClient, now: int, text: str, start: Any, end: Any
) -> None:
    for fields in (
        {},
        {"step": "10s"},
        {"step": "52w"},
        {"step": "999999999w"},
        {"tier": "metrics_1hour"},
    ):
        response = admin.post("/api/v1/query", json=query(text, start, end, **fields))
        assert response.status_code in (200, 400), (response.text, fields)
