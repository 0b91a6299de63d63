"""Plans: shapes, points, cache keys, and how an expression is fitted to a tier."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Aggregation, Tier
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.query.expression import Expression, parse_expression
from pulseboard.query.plan import Bucketed, Plan, plans

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
RETENTION = {Tier.RAW: 7 * 86_400, Tier.MINUTE: 30 * 86_400, Tier.HOUR: 365 * 86_400}


def planned_for(
    query: str,
    *,
    hours: float = 1,
    ago: float = 0,
    now: datetime = NOW,
    intervals: dict[str, float] | None = None,
    **more: Any,
) -> Plan:
    end = NOW - timedelta(hours=ago)
    params = QueryParams(query=query, start=end - timedelta(hours=hours), end=end, **more)
    (only,) = plans(params, now=now, retention=RETENTION, longest=400 * 86_400, intervals=intervals)
    return only


def test_a_name_is_an_instant_selector_and_bucketed_when_aggregated() -> None:
    for text in ("system.cpu", 'cpu{host="a"}', "rate(cpu[1m])", '{__name__=~"c.*"}'):
        assert isinstance(planned_for(text).shape, Expression)
    assert isinstance(planned_for("system.cpu", aggregation="avg").shape, Bucketed)
    grouped = planned_for('cpu{host="a"}', group_by=["host"]).shape
    assert isinstance(grouped, Bucketed)
    assert grouped.aggregation is Aggregation.AVG
    assert isinstance(planned_for("rate(cpu[1m])", aggregation="max").shape, Expression)


@pytest.mark.parametrize(
    ("interval", "step", "expected"),
    [
        (15, None, 15),
        (20, None, 20),
        (30, None, 30),
        (60, None, 60),
        (300, None, 300),
        (1, None, 10),
        (7, None, 14),
        (7.5, "5s", 8),
        (60, "10s", 60),
        (60, "2m", 120),
    ],
)
def test_buckets_are_never_narrower_than_the_interval(
    interval: float, step: str | None, expected: int
) -> None:
    planned = planned_for("cpu", aggregation="sum", step=step, intervals={"cpu": interval})
    assert planned.step == expected
    widened = step in ("5s", "10s")
    assert any("samples are that far apart" in note for note in planned.notes) is widened
    assert planned_for("cpu", step=step or "10s", intervals={"cpu": interval}).step == (
        {"2m": 120, "5s": 5}.get(step or "", 10)
    )


def test_the_look_back_reaches_two_intervals() -> None:
    for interval, lookback in ((15, 300), (60, 300), (300, 600), (3_600, 7_200)):
        shape = planned_for("cpu + 0", intervals={"cpu": interval}).shape
        assert isinstance(shape, Expression)
        assert shape.lookback == lookback


@pytest.mark.parametrize(
    ("interval", "hours", "more", "step", "window"),
    [
        (10, 1, {}, 10, 40),
        (60, 1, {}, 60, 240),
        (300, 1, {}, 300, 1_200),
        (15, 1, {}, 15, 60),
        (60, 24, {}, 300, 360),
        (60, 1, {"min_step": "5m"}, 300, 360),
        (60, 1, {"step": "30s"}, 30, 240),
    ],
)
def test_interval_variables_come_from_the_interval_of_the_metric(
    interval: float, hours: float, more: dict[str, Any], step: int, window: int
) -> None:
    intervals = {"hits": interval}
    for text in ("rate(hits[$__rate_interval])", "rate(hits[${__rate_interval}])"):
        planned = planned_for(text, hours=hours, intervals=intervals, **more)
        assert isinstance(planned.shape, Expression)
        assert planned.step == step
        assert planned.shape.reads[0].window == window
    planned = planned_for(
        "sum_over_time(hits[$__interval])", hours=hours, intervals=intervals, **more
    )
    assert isinstance(planned.shape, Expression)
    assert planned.shape.reads[0].window == step


def test_interval_variables_keep_the_positions_of_errors() -> None:
    with pytest.raises(InvalidRequest) as caught:
        planned_for("sum(rate(hits[$__rate_interval])) + nofunc(hits)")
    (detail, *_) = caught.value.details or []
    assert detail.position == 36


def test_a_window_without_two_samples_is_named() -> None:
    (note,) = planned_for("rate(hits[1m])", intervals={"hits": 60}).notes
    assert "sent every 1m" in note
    assert not planned_for("rate(hits[4m])", intervals={"hits": 60}).notes


def test_sums_leave_out_the_bucket_in_progress() -> None:
    at = NOW + timedelta(seconds=42)
    for aggregation, last in (("sum", 30), ("count", 30), ("avg", 40), ("max", 40)):
        planned = planned_for("cpu", now=at, aggregation=aggregation, step="10s", ago=-42 / 3600)
        assert planned.timestamps()[-1] / 1000 - NOW.timestamp() == pytest.approx(last, abs=10)
        assert planned.span.stop * 10 <= at.timestamp() - 5 or aggregation in ("avg", "max")
    windowed = planned_for("sum_over_time(cpu[10s])", now=at, step="10s", ago=-42 / 3600)
    assert windowed.timestamps()[-1] / 1000 == NOW.timestamp() + 40


def test_the_same_meaning_has_the_same_key() -> None:
    assert planned_for(" cpu ").key == planned_for("cpu{}").key
    assert planned_for("cpu", tags={"a": "b"}).key == planned_for('cpu{a="b"}').key
    assert planned_for("rate( cpu[60s] )").key == planned_for("rate(cpu[1m])").key
    assert (
        planned_for("rate(cpu[1m])", tags={"a": "b"}).key == planned_for('rate(cpu{a="b"}[1m])').key
    )
    assert planned_for("cpu").key != planned_for("CPU").key


def test_an_expression_is_evaluated_at_both_ends() -> None:
    times = planned_for("rate(cpu[1m])", step="1m").timestamps()
    assert len(times) == 61
    assert times[-1] == int(NOW.timestamp() * 1000)


def test_the_lookback_counts_when_a_tier_is_chosen() -> None:
    assert planned_for("avg_over_time(cpu[1h])", ago=6 * 24, step="1h").tier is Tier.RAW
    assert planned_for("avg_over_time(cpu[2d])", ago=6 * 24, step="1h").tier is Tier.MINUTE


def test_rollups_widen_windows_and_add_a_note() -> None:
    planned = planned_for("rate(cpu[30s])", hours=12)
    assert isinstance(planned.shape, Expression)
    assert planned.tier is Tier.MINUTE
    assert [read.window for read in planned.shape.reads] == [60]
    assert any("widened" in note for note in planned.notes)
    assert not any("last_value" in note for note in planned.notes)


@pytest.mark.parametrize("function", ["irate", "idelta", "deriv"])
def test_what_a_rollup_cannot_compute_is_said(function: str) -> None:
    planned = planned_for(f"sum({function}(cpu[1m])) + max(stddev_over_time(cpu[1m]))", hours=12)
    assert isinstance(planned.shape, Expression)
    assert [read.window for read in planned.shape.reads] == [120, 60]
    notes = [note for note in planned.notes if "last_value" in note]
    assert len(notes) == 1
    assert notes[0].startswith(f"{function} can't be exact")


def test_points_are_settled_after_their_last_sample_and_the_allowed_lateness() -> None:
    planned = planned_for("cpu", step="10s", aggregation="avg")
    last = planned.first_mutable(now=NOW, allowed_lateness=70)
    assert last * 10 == NOW.timestamp() - 70
    later = planned_for("cpu offset -5m", step="10s").first_mutable(now=NOW, allowed_lateness=70)
    assert last - later == 28 + 1


@pytest.mark.parametrize(
    ("text", "step", "one_statement"),
    [
        ("avg by (host) (avg_over_time(cpu[1m]))", 60, True),
        ("avg by (host) (avg_over_time(cpu[5m]))", 60, False),
        ("avg by (host) (avg_over_time(cpu[1m] offset 1m))", 60, False),
        ("sum(rate(cpu[1m]))", 60, False),
        ("topk(1, avg_over_time(cpu[1m]))", 60, False),
    ],
)
def test_which_expressions_are_one_statement(text: str, step: int, one_statement: bool) -> None:
    assert (parse_expression(text).pushdown(step) is not None) is one_statement


def test_errors_give_the_position() -> None:
    with pytest.raises(InvalidRequest, match="there is no function rat"):
        planned_for("rat(cpu[1m])")
    with pytest.raises(InvalidRequest, match="range is longer"):
        planned_for("cpu", hours=24 * 500)


def test_aggregation_and_group_by_do_nothing_to_an_expression() -> None:
    assert any("groupBy" in note for note in planned_for("abs(cpu)", group_by=["host"]).notes)
