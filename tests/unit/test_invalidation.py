"""Which cached points a late sample changes."""

from array import array
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.ingest import late_marks
from pulseboard.query.plan import Plan, plans
from pulseboard.query.result_cache import invalidation
from pulseboard.query.result_cache.extents import Extent

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
DAY = 86_400


def plan_for(query: str, step: str = "10s") -> Plan:
    params = QueryParams.model_validate(
        {"query": query, "start": (NOW_S - 3600) * 1000, "end": NOW_S * 1000, "step": step}
    )
    retention = dict.fromkeys(Tier, 30 * DAY)
    (only,) = plans(params, now=NOW, retention=retention, longest=DAY)
    return only


def extent(plan: Plan, first: int, last: int, *, read_at: float) -> Extent:
    """Points from `first` to `last` seconds before now."""
    span = range((NOW_S - first) // plan.step, (NOW_S - last) // plan.step)
    return Extent(span, {"a": array("d", [1.0]) * len(span)}, read_at)


@pytest.mark.parametrize(
    ("query", "marked", "changed"),
    [
        ("cpu", "cpu", True),
        ("cpu", "load", False),
        ("rate(cpu[5m])", "cpu", True),
        ('{__name__=~"c.+"}', late_marks.ANY_METRIC, True),
        ("cpu / load", "load", True),
    ],
)
def test_an_extent_is_changed_by_the_metrics_it_depends_on(
    query: str, marked: str, changed: bool
) -> None:
    planned = plan_for(query)
    cached = {1: extent(planned, 1800, 1200, read_at=NOW_S - 100.0)}
    marks = {marked: {(NOW_S - 1500) // late_marks.BUCKET_SECONDS: NOW_S - 50.0}}
    valid = invalidation.still_valid(
        cached, plan=planned, marks=marks, rollup_delay=0, read_since=NOW_S
    )
    assert (valid == {}) is changed


@pytest.mark.parametrize(
    ("read_at", "rollup_delay", "changed"),
    [(-100, 0, True), (-20, 0, False), (-20, 180, True)],
)
def test_an_extent_read_after_the_sample_was_stored_is_valid(
    read_at: int, rollup_delay: int, changed: bool
) -> None:
    planned = plan_for("cpu")
    cached = {1: extent(planned, 1800, 1200, read_at=NOW_S + read_at)}
    marks = {"cpu": {(NOW_S - 1500) // late_marks.BUCKET_SECONDS: NOW_S - 50.0}}
    valid = invalidation.still_valid(
        cached, plan=planned, marks=marks, rollup_delay=rollup_delay, read_since=NOW_S
    )
    assert (valid == {}) is changed


def test_an_extent_that_was_just_read_for_another_caller_is_valid() -> None:
    planned = plan_for("cpu")
    cached = {1: extent(planned, 1800, 1200, read_at=NOW_S - 1.0)}
    marks = {"cpu": {(NOW_S - 1500) // late_marks.BUCKET_SECONDS: float(NOW_S)}}
    assert (
        invalidation.still_valid(
            cached, plan=planned, marks=marks, rollup_delay=0, read_since=NOW_S - 10
        )
        == cached
    )


def test_a_window_extends_the_lookback_and_marks_outside_it_change_nothing() -> None:
    marks = {"cpu": {(NOW_S - 7200) // late_marks.BUCKET_SECONDS: float(NOW_S)}}
    for query, changed in (("cpu", False), ("max_over_time(cpu[3h])", True)):
        planned = plan_for(query)
        cached = {1: extent(planned, 1800, 1200, read_at=NOW_S - 100.0)}
        assert (
            invalidation.still_valid(
                cached, plan=planned, marks=marks, rollup_delay=0, read_since=NOW_S
            )
            == {}
        ) is changed


@pytest.mark.parametrize(
    ("tier", "stored", "late", "expected"),
    [
        (Tier.MINUTE, 30, 1500, True),
        (Tier.MINUTE, 200, 1500, False),
        # Beyond the range, and not in the rollup yet.
        (Tier.MINUTE, 30, 9 * 3600, False),
        (Tier.HOUR, 3000, 5 * 3600, True),
        (Tier.HOUR, 3000, 600, False),
        (Tier.RAW, 30, 1500, False),
    ],
)
def test_rollups_that_lack_late_samples_are_said_to_catch_up(
    tier: Tier, stored: int, late: int, expected: bool
) -> None:
    planned = replace(plan_for("rate(cpu[5m])", "1m"), tier=tier)
    planned = replace(
        planned, span=range((NOW_S - 6 * 3600) // planned.step, NOW_S // planned.step)
    )
    marks = {"cpu": {(NOW_S - late) // late_marks.BUCKET_SECONDS: NOW_S - float(stored)}}
    found = invalidation.catching_up(planned, marks=marks, now=NOW_S, delay=180)
    assert found is expected
    assert not invalidation.catching_up(planned, marks={}, now=NOW_S, delay=180)
