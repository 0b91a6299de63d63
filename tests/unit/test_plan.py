"""Plans: shapes, points, cache keys, and how an expression is fitted to a tier."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.query.expression import Expression, parse_expression
from pulseboard.query.plan import Bucketed, Plan, plan

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
RETENTION = {Tier.RAW: 7 * 86_400, Tier.MINUTE: 30 * 86_400, Tier.HOUR: 365 * 86_400}


def planned_for(query: str, *, hours: float = 1, ago: float = 0, **more: Any) -> Plan:
    end = NOW - timedelta(hours=ago)
    params = QueryParams(query=query, start=end - timedelta(hours=hours), end=end, **more)
    return plan(params, now=NOW, retention=RETENTION, longest=400 * 86_400)


def test_names_are_bucketed_and_the_rest_is_evaluated() -> None:
    assert isinstance(planned_for("system.cpu").shape, Bucketed)
    assert isinstance(planned_for('cpu{host="a"}').shape, Bucketed)
    assert isinstance(planned_for("rate(cpu[1m])").shape, Expression)
    assert isinstance(planned_for('{__name__=~"c.*"}').shape, Expression)


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
    assert [read.window for read in planned.shape.reads] == [120]
    assert any("last_value" in note for note in planned.notes)
    assert any("widened" in note for note in planned.notes)


def test_points_are_settled_after_their_last_sample_and_the_allowed_lateness() -> None:
    planned = planned_for("cpu", step="10s")
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
