"""The contracts accept what users send and say clearly what they refuse."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from pulseboard.contracts.alerts import AlertRule, CreateAlertRule
from pulseboard.contracts.auth import CreateUser
from pulseboard.contracts.base import format_interval, interval_seconds, iso_utc
from pulseboard.contracts.dashboards import CreatePanel, PanelOptions, Position
from pulseboard.contracts.points import MetricPoint
from pulseboard.contracts.queries import QueryBatch, QueryParams


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("1w", 604_800), ("0s", 0)],
)
def test_intervals_are_read_as_users_write_them(text: str, seconds: float) -> None:
    assert interval_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "5y", "1.5h", "５m", "5m\n"])
def test_what_is_no_interval_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="interval"):
        interval_seconds(text)


@given(st.integers(min_value=0, max_value=10**9))
def test_formatting_an_interval_keeps_its_length(milliseconds: int) -> None:
    text = format_interval(timedelta(milliseconds=milliseconds))
    assert interval_seconds(text) == pytest.approx(milliseconds / 1000, abs=1e-9)


def test_a_point_needs_a_name_of_the_alphabet_and_a_finite_value() -> None:
    point = MetricPoint.model_validate({"name": "system.load.1", "value": 1})
    assert point.value == 1.0
    assert point.tags == {}
    for name in ("", "1x", "a b", "a-b", "é", "a;drop table", "x" * 201):
        with pytest.raises(ValidationError) as caught:
            MetricPoint.model_validate({"name": name, "value": 1})
        assert caught.value.errors()[0]["loc"] == ("name",)
    for value in (float("nan"), float("inf"), "1e999", None):
        with pytest.raises(ValidationError) as caught:
            MetricPoint.model_validate({"name": "a", "value": value})
        assert caught.value.errors()[0]["loc"] == ("value",)


@pytest.mark.parametrize(
    "tags",
    [{"1a": "x"}, {"__name__": "x"}, {"a": "x\x00"}, {"a": "x" * 1025}, {"a": 1}, [], "x"],
)
def test_tags_that_cannot_be_stored_are_refused(tags: object) -> None:
    with pytest.raises(ValidationError):
        MetricPoint.model_validate({"name": "a", "value": 1, "tags": tags})


@pytest.mark.parametrize("timestamp", [0, -1, 1.5, "1700000000000", True])
def test_a_timestamp_is_a_positive_whole_number(timestamp: object) -> None:
    with pytest.raises(ValidationError):
        MetricPoint.model_validate({"name": "a", "value": 1, "timestamp": timestamp})


def test_unknown_fields_are_named() -> None:
    with pytest.raises(ValidationError) as caught:
        MetricPoint.model_validate({"name": "a", "value": 1, "colour": "red"})
    assert caught.value.errors()[0]["loc"] == ("colour",)


def test_times_are_utc_and_need_a_zone() -> None:
    params = QueryParams.model_validate(
        {"query": "a", "start": "2026-01-01T02:00:00+02:00", "end": 1_767_229_200_000}
    )
    assert params.start == datetime(2026, 1, 1, tzinfo=UTC)
    assert iso_utc(params.end) == "2026-01-01T01:00:00.000Z"
    assert '"start":"2026-01-01T00:00:00.000Z"' in params.model_dump_json()
    for start in ("2026-01-01T00:00:00", True, 1e30, "yesterday"):
        with pytest.raises(ValidationError):
            QueryParams.model_validate({"query": "a", "start": start, "end": 1_767_229_200_000})


def test_start_must_be_before_end() -> None:
    with pytest.raises(ValidationError, match="start must be before end"):
        QueryParams.model_validate({"query": "a", "start": 2000, "end": 2000})


def test_a_batch_needs_ids_of_their_own() -> None:
    query = {"id": "a", "query": "cpu"}
    with pytest.raises(ValidationError, match="id of its own"):
        QueryBatch.model_validate({"start": 1000, "end": 2000, "queries": [query, query]})


def test_camel_case_and_snake_case_are_both_read_and_camel_case_is_written() -> None:
    for key in ("showLegend", "show_legend"):
        assert PanelOptions.model_validate({key: False}).show_legend is False
    assert "showLegend" in PanelOptions().model_dump(by_alias=True)


def test_a_panel_has_exactly_one_kind_of_query() -> None:
    base = {"title": "CPU", "type": "line", "position": {"x": 0, "y": 0, "w": 6, "h": 4}}
    panel = CreatePanel.model_validate({**base, "query": "cpu"})
    assert [query.query for query in panel.all_queries()] == ["cpu"]
    for extra in ({}, {"query": "cpu", "queries": [{"query": "cpu"}]}):
        with pytest.raises(ValidationError, match="either query or queries"):
            CreatePanel.model_validate({**base, **extra})


def test_a_position_stays_on_the_grid() -> None:
    with pytest.raises(ValidationError, match="12 columns"):
        Position(x=6, y=0, w=7, h=1)


def test_min_is_below_max() -> None:
    with pytest.raises(ValidationError, match="min must be below max"):
        PanelOptions(min=1, max=1)


def test_a_rule_has_safe_defaults_and_an_interval_by_regex() -> None:
    rule = CreateAlertRule.model_validate(
        {
            "name": "CPU",
            "query": "cpu",
            "condition": "gt",
            "threshold": 90,
            "duration": "5m",
            "notification": {"channels": [{"type": "webhook", "url": "http://localhost:1/x"}]},
        }
    )
    assert rule.no_data == "keep_state"
    assert rule.enabled
    with pytest.raises(ValidationError) as caught:
        CreateAlertRule.model_validate({**rule.model_dump(), "duration": "5 minutes"})
    assert ("duration",) in [problem["loc"] for problem in caught.value.errors()]


def test_secrets_are_not_in_reprs() -> None:
    user = CreateUser.model_validate({"email": "A@B.c", "password": "correct horse"})
    assert user.email == "a@b.c"
    assert "horse" not in repr(user)
    with pytest.raises(ValidationError, match="10 characters"):
        CreateUser.model_validate({"email": "a@b.c", "password": "short"})


@pytest.mark.parametrize("shape", [AlertRule, QueryParams, CreatePanel, MetricPoint])
def test_schemas_can_be_published(shape: type[BaseModel]) -> None:
    assert shape.model_json_schema()["properties"]
