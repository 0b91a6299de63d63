"""Telemetry while it is in the process."""

from collections.abc import Iterator

import pytest

from pulseboard.core import telemetry
from pulseboard.core.settings import settings


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    settings.cache_clear()
    telemetry.reset()
    yield
    telemetry.reset()
    settings.cache_clear()


def test_counts_add_up_and_are_drained_once() -> None:
    telemetry.count("samples", 2, protocol="json")
    telemetry.count("samples", 3, protocol="json")
    telemetry.count("samples", 1, protocol="influx")
    telemetry.count("samples", 0, protocol="never")
    telemetry.observe_max("lag", 5)
    telemetry.observe_max("lag", 4)
    drained = telemetry.drain(force=True)
    assert drained is not None
    assert drained.samples == {
        ("samples", (("protocol", "json"),)): 5,
        ("samples", (("protocol", "influx"),)): 1,
        ("lag", ()): 5,
    }
    assert drained.total("samples") == 6
    assert drained.total("samples", protocol="influx") == 1
    assert telemetry.drain(force=True) is None


def test_times_are_sorted_into_classes_that_hold_the_smaller_ones() -> None:
    for seconds in (0.02, 0.2, 20):
        telemetry.observe_seconds("query", seconds)
    drained = telemetry.drain(force=True)
    assert drained is not None
    classes = {dict(tags)["le"]: value for (_, tags), value in drained.samples.items()}
    assert classes == {
        "0.025": 1, "0.05": 1, "0.1": 1, "0.25": 2, "0.5": 2, "1": 2, "2.5": 2, "10": 2, "+Inf": 3,
    }  # fmt: skip
    assert drained.times == {"query": [0.02, 0.2, 20]}


def test_nothing_is_drained_before_it_is_time_or_when_turned_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    telemetry.drain(force=True)
    telemetry.count("samples")
    assert telemetry.drain() is None
    monkeypatch.setenv("PULSEBOARD_OWN_METRICS_INTERVAL", "0")
    settings.cache_clear()
    assert telemetry.drain(force=True) is None
