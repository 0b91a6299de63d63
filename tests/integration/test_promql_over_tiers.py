"""Subqueries and `@` by the engine: over stored samples, from each tier, and from the cache."""

import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

pytestmark = pytest.mark.integration

MINUTE = 60_000


@pytest.fixture
def start(admin: TestClient) -> int:
    """When the samples begin (ms): each minute of two hours has its number."""
    begin = int(time.time()) // 3_600 * 3_600_000 - 4 * 60 * MINUTE
    points = [
        {
            "name": "steps",
            "tags": {"host": host},
            "timestamp": begin + n * MINUTE,
            "value": float(n * factor),
        }
        for n in range(121)
        for host, factor in (("a", 1), ("b", 10))
    ]
    response = admin.post("/api/v1/metrics", json=points)
    assert response.status_code == 200, response.text
    return begin


def values(
    client: TestClient, text: str, start: int, minutes: tuple[int, int], **more: Any
) -> dict[str, list[float | None]]:
    body = {
        "query": text,
        "start": start + minutes[0] * MINUTE,
        "end": start + minutes[1] * MINUTE,
        "step": "1m",
        "tier": "raw",
        **more,
    }
    response = client.post("/api/v1/query", json=body)
    assert response.status_code == 200, response.text
    series = response.json()["data"]["series"]
    return {each["tags"].get("host", ""): each["values"] for each in series}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Minutes 60 to 63; the window is open on its left.
        ('max_over_time(steps{host="a"}[10m:1m])', [60, 61, 62, 63]),
        ('min_over_time(steps{host="a"}[10m:1m])', [51, 52, 53, 54]),
        ('count_over_time(steps{host="a"}[10m:5m])', [2, 2, 2, 2]),
        ('max_over_time(steps{host="a"}[10m:5m] offset 2m)', [55, 55, 60, 60]),
        ("max_over_time(sum(steps)[5m:])", [660, 671, 682, 693]),
        ("sum(max_over_time(rate(steps[5m])[10m:1m])) * 60", [11, 11, 11, 11]),
        ('max_over_time(avg_over_time(steps{host="a"}[2m:1m])[3m:1m])', [59.5, 60.5, 61.5, 62.5]),
        ('steps{host="a"} - steps{host="a"} @ start()', [0, 1, 2, 3]),
        ('steps{host="a"} @ end()', [63, 63, 63, 63]),
        ('sum_over_time(steps{host="a"}[2m] @ end())', [125, 125, 125, 125]),
        ('changes(steps{host="a"}[5m])', [4, 4, 4, 4]),
        ('predict_linear(steps{host="a"}[10m], 600)', [70, 71, 72, 73]),
        ("count(count_values('value', steps))", [2, 2, 2, 2]),
    ],
)
@pytest.mark.parametrize("tier", ["raw", "1min"])
def test_results_are_the_same_from_each_tier_and_from_the_cache(
    admin: TestClient, start: int, text: str, expected: list[float], tier: str
) -> None:
    more: dict[str, Any] = {"tier": tier}
    fresh = values(admin, text, start, (60, 63), **more)
    assert values(admin, text, start, (60, 63), **more) == fresh
    # A longer range reads only what is new, unless the points depend on the range.
    longer = values(admin, text, start, (60, 66), **more)
    if "start()" not in text and "end()" not in text:
        assert {key: line[: len(fresh[key])] for key, line in longer.items() if key in fresh} == (
            fresh
        )
    if tier == "raw":
        (line,) = fresh.values()
        assert line == pytest.approx(expected)


def test_a_fixed_time_is_part_of_what_is_cached(admin: TestClient, start: int) -> None:
    at = start // 1000 + 3_600
    text = f'steps{{host="a"}} @ {at}'
    assert values(admin, text, start, (60, 62)) == {"a": [60.0] * 3}
    changed = {"name": "steps", "tags": {"host": "a"}, "timestamp": at * 1000, "value": -5.0}
    assert admin.post("/api/v1/metrics", json=[changed]).status_code == 200
    # Points elsewhere in time depend on that sample: the late mark reaches them.
    assert values(admin, text, start, (100, 102)) == {"a": [-5.0] * 3}


def test_what_is_suspicious_is_noted_with_its_place(admin: TestClient, start: int) -> None:
    body = {
        "query": "rate(steps[5m]) +\n quantile(2, steps)",
        "start": start + 60 * MINUTE,
        "end": start + 62 * MINUTE,
        "step": "1m",
    }
    notes = admin.post("/api/v1/query", json=body).json()["meta"]["notes"]
    assert any("between 0 and 1, got 2 (" in note for note in notes)
    assert any("might not be a counter" in note for note in notes)
