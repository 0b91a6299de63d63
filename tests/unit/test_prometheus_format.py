"""Prometheus' parameters and numbers."""

import math

import pytest

from pulseboard.core.exceptions import InvalidRequest
from pulseboard.promql.budget import Budget
from pulseboard.query.prometheus_format import (
    CannotExecute,
    duration_of,
    format_value,
    time_of,
)
from pulseboard.web.prometheus import GivenParameters
from pulseboard.web.prometheus_errors import prometheus_error


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1700000000", 1_700_000_000.0),
        ("1700000000.1234", 1_700_000_000.123),
        ("-1.5", -1.5),
        ("2023-11-14T22:13:20Z", 1_700_000_000.0),
        ("2023-11-14T23:13:20.250+01:00", 1_700_000_000.25),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert time_of(text, "time") == seconds


@pytest.mark.parametrize("text", ["", "now", "NaN", "1e300", "2023-13-14T22:13:20Z", "Inf"])
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest, match='invalid parameter "start"'):
        time_of(text, "start")


@pytest.mark.parametrize(("text", "seconds"), [("15", 15.0), ("0.5", 0.5), ("1h30m", 5_400.0)])
def test_durations(text: str, seconds: float) -> None:
    assert duration_of(text, "step") == seconds


@pytest.mark.parametrize("text", ["", "5x", "5m 5m", "-", "x", "1m["])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        duration_of(text, "step")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.0, "0"), (-0.0, "-0"), (3.0, "3"), (0.1, "0.1"), (1e-5, "0.00001")),
        *((1e-7, "1e-07"), (1e20, "100000000000000000000"), (1e21, "1e+21")),
        *((1.5e16, "15000000000000000"), (-2.5e-6, "-0.0000025")),
        *((math.inf, "+Inf"), (-math.inf, "-Inf"), (math.nan, "NaN")),
    ],
)
def test_values_are_written_as_prometheus_writes_them(value: float, text: str) -> None:
    assert format_value(value) == text


def test_parameters_have_all_their_values() -> None:
    given = GivenParameters({"match[]": ["a", "b"]})
    assert (given["match[]"], given.all("match[]"), given["other"]) == ("a", ["a", "b"], "")


def test_a_query_without_time_left_is_unavailable_and_another_that_fails_is_not() -> None:
    late = CannotExecute.of(Budget(samples=1, values=1, label_bytes=1, seconds=0.5).timed_out())
    other = CannotExecute.of(InvalidRequest("many-to-many matching not allowed"))
    assert [
        (one.status, prometheus_error(one.status, one.message)["errorType"])
        for one in (late, other)
    ] == [(503, "timeout"), (422, "execution")]
