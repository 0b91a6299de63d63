"""Missing data after an outage: what Pulseboard has not written or not read yet is not missing."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.drain import handler as drain
from functions.evaluate import handler as evaluate
from functions.evaluate import tick
from pulseboard.alerts.state_machine import TICK
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.settings import settings
from pulseboard.ingest import spill
from pulseboard.ingest.batch import Batch

pytestmark = pytest.mark.integration
API = "/api/v1/alerts"


@pytest.fixture(autouse=True)
def _spills(stack: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PULSEBOARD_SPILL_DIR", str(tmp_path / "spill"))
    monkeypatch.setenv("POWERTOOLS_METRICS_DISABLED", "true")
    settings.cache_clear()
    spill.reset()
    yield
    spill.reset()
    settings.cache_clear()


class Past:
    """Ticks of an hour ago, with samples or without."""

    def __init__(self, http: TestClient) -> None:
        self.http = http
        self.now = time.time() // TICK * TICK - 3600

    def rule(self, **fields: Any) -> None:
        body = {"name": "r", "query": "cpu", "condition": "gt", "threshold": 90, **fields}
        response = self.http.post(f"{API}/rules", json=body)
        assert response.status_code == 201, response.text

    def ticks(self, *values: float | None) -> list[str]:
        """A tick for each value; the states of the alerts then, by their events."""
        for value in values:
            self.now += TICK
            if value is not None:
                point = {"name": "cpu", "value": value, "timestamp": int((self.now - 1) * 1000)}
                assert self.http.post("/api/v1/metrics", json=point).status_code == 200
            assert tick.run(now=self.now).error is None
        return [event["status"] for event in self.http.get(f"{API}/events").json()["data"]]

    def spill(self, value: float, *, arrived: float) -> None:
        key = SeriesKey("cpu", b"{}")
        batch = Batch(series=[key], times=[int((arrived - 1) * 1000)], values=[value])
        spill.put(batch, key_id=None, arrived=int(arrived * 1000))


@pytest.fixture
def past(admin: TestClient) -> Past:
    return Past(admin)


@pytest.mark.parametrize(("policy", "value"), [("alert", 5.0), ("ok", 95.0)])
def test_samples_that_wait_in_the_spill_are_not_missing(
    past: Past, policy: str, value: float
) -> None:
    """Only writes fail, so that no tick is missed: the samples of the window wait in the spill."""
    past.rule(window="30s", noData=policy)
    before = past.ticks(value, value, value, value, value)
    assert before == (["firing"] if value > 90 else [])
    for _ in range(6):
        past.spill(value, arrived=past.now + TICK)
        assert past.ticks(None) == before
    drain.handler({}, None)
    assert past.ticks(value) == before
    # Nothing waits any more, and nothing comes: that is missing data.
    after = past.ticks(*[None] * 5)
    assert after == (["resolved"] if value > 90 else ["firing"])


@pytest.mark.parametrize(
    ("query", "condition", "ticks"),
    [
        ("absent(cpu)", "gt", 31),
        ("absent_over_time(cpu[20s])", "gt", 4),
        ("avg(absent_over_time(cpu[20s])) + 0", "gt", 4),
        ("sum(count_over_time(cpu[20s])) or vector(0)", "lte", 4),
    ],
)
def test_samples_that_wait_in_the_spill_are_not_absent(
    past: Past, query: str, condition: str, ticks: int
) -> None:
    """What says that samples are missing has a value: it is no news either while they wait."""
    past.rule(query=query, condition=condition, threshold=0, window="30s")
    assert past.ticks(5, 5, 5, 5, 5, 5) == []
    for _ in range(ticks):
        past.spill(5, arrived=past.now + TICK)
        assert past.ticks(None) == []
    drain.handler({}, None)
    assert past.ticks(5) == []
    # Nothing waits any more, and nothing comes: that is absent.
    assert past.ticks(*[None] * (ticks + 4)) == ["firing"]
    # So it is after an outage of ticks, whose samples may still come; what fires goes on.
    past.now += 600.0
    assert past.ticks(None) == ["firing"]


def test_a_batch_that_is_older_than_the_window_delays_nothing(past: Past) -> None:
    """One that can't be written for long would hold back "no data" for ever."""
    past.rule(window="30s", noData="alert")
    past.ticks(5, 5, 5, 5, 5)
    past.spill(5.0, arrived=past.now - 600)
    assert past.ticks(*[None] * 5) == ["firing"]


def test_missing_data_says_nothing_until_the_look_back_of_the_query_is_whole_again(
    past: Past,
) -> None:
    """`rate` over two minutes has no value for two minutes after an outage of ticks and samples."""
    past.rule(query="rate(cpu[2m])", threshold=1, noData="ok", window="10s")
    total = 0.0
    for _ in range(20):
        total += 100.0
        states = past.ticks(total)
    assert states == ["firing"]
    past.now += 600.0
    # One sample gives no rate: no data, and not an all-clear.
    assert past.ticks(None, None, None, None, None, None) == ["firing"]
    # The wait has an end.
    assert past.ticks(*[None] * 10) == ["resolved"]


def test_the_lag_that_is_emitted_is_that_of_the_oldest_tick(
    past: Past, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the alarm `tick-late` reads."""
    past.rule()
    now = time.time()
    tick.run(now=now - 280)
    monkeypatch.setenv("PULSEBOARD_METRICS", "all")
    settings.cache_clear()
    capsys.readouterr()
    evaluate.handler({}, None)
    emitted = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    (lag,) = (one["TickLagSeconds"] for one in emitted if "TickLagSeconds" in one)
    assert 260 <= lag <= 280 + time.time() - now
