"""Pulseboard's own figures while they are in the process."""

from collections.abc import Iterator

import pytest

from pulseboard import own_metrics
from pulseboard.settings import settings


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    settings.cache_clear()
    own_metrics.forget()
    yield
    own_metrics.forget()
    settings.cache_clear()


def test_counts_add_up_and_are_told_once() -> None:
    own_metrics.count("samples", 2, protocol="json")
    own_metrics.count("samples", 3, protocol="json")
    own_metrics.count("samples", 1, protocol="influx")
    own_metrics.count("samples", 0, protocol="never")
    own_metrics.highest("lag", 5)
    own_metrics.highest("lag", 4)
    told = own_metrics.take(at_once=True)
    assert told is not None
    assert told.samples == {
        ("samples", (("protocol", "json"),)): 5,
        ("samples", (("protocol", "influx"),)): 1,
        ("lag", ()): 5,
    }
    assert told.total("samples") == 6
    assert told.total("samples", protocol="influx") == 1
    assert own_metrics.take(at_once=True) is None


def test_times_are_sorted_into_classes_that_hold_the_smaller_ones() -> None:
    for seconds in (0.02, 0.2, 20):
        own_metrics.timed("query", seconds)
    told = own_metrics.take(at_once=True)
    assert told is not None
    classes = {dict(tags)["le"]: value for (_, tags), value in told.samples.items()}
    assert classes == {
        "0.025": 1, "0.05": 1, "0.1": 1, "0.25": 2, "0.5": 2, "1": 2, "2.5": 2, "10": 2, "+Inf": 3,
    }  # fmt: skip
    assert told.times == {"query": [0.02, 0.2, 20]}


def test_nothing_is_told_before_it_is_time_or_when_turned_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_metrics.take(at_once=True)
    own_metrics.count("samples")
    assert own_metrics.take() is None
    monkeypatch.setenv("PULSEBOARD_OWN_METRICS_INTERVAL", "0")
    settings.cache_clear()
    assert own_metrics.take(at_once=True) is None
