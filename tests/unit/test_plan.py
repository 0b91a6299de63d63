"""Questions made precise: shapes, grids, keys, and what a tier does to an expression."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.query.expression import Expression, read_expression
from pulseboard.query.plan import Bucketed, Plan, plan

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
RETENTION = {Tier.RAW: 7 * 86_400, Tier.MINUTE: 30 * 86_400, Tier.HOUR: 365 * 86_400}


def made(query: str, *, hours: float = 1, ago: float = 0, **more: Any) -> Plan:
    end = NOW - timedelta(hours=ago)
    params = QueryParams(query=query, start=end - timedelta(hours=hours), end=end, **more)
    return plan(params, now=NOW, retention=RETENTION, longest=400 * 86_400)


def test_names_are_bucketed_and_the_rest_is_evaluated() -> None:
    assert isinstance(made("system.cpu").shape, Bucketed)
    assert isinstance(made('cpu{host="a"}').shape, Bucketed)
    assert isinstance(made("rate(cpu[1m])").shape, Expression)
    assert isinstance(made('{__name__=~"c.*"}').shape, Expression)


def test_the_same_meaning_has_the_same_key() -> None:
    assert made(" cpu ").key == made("cpu{}").key
    assert made("cpu", tags={"a": "b"}).key == made('cpu{a="b"}').key
    assert made("rate( cpu[60s] )").key == made("rate(cpu[1m])").key
    assert made("rate(cpu[1m])", tags={"a": "b"}).key == made('rate(cpu{a="b"}[1m])').key
    assert made("cpu").key != made("CPU").key


def test_an_expression_is_evaluated_at_both_ends() -> None:
    times = made("rate(cpu[1m])", step="1m").timestamps()
    assert len(times) == 61
    assert times[-1] == int(NOW.timestamp() * 1000)


def test_a_window_reaches_past_what_a_tier_holds() -> None:
    assert made("avg_over_time(cpu[1h])", ago=6 * 24, step="1h").tier is Tier.RAW
    assert made("avg_over_time(cpu[2d])", ago=6 * 24, step="1h").tier is Tier.MINUTE


def test_rollups_widen_windows_and_say_so() -> None:
    planned = made("rate(cpu[30s])", hours=12)
    assert isinstance(planned.shape, Expression)
    assert planned.tier is Tier.MINUTE
    assert [read.window for read in planned.shape.reads] == [120]
    assert any("last_value" in note for note in planned.notes)
    assert any("widened" in note for note in planned.notes)


def test_points_close_after_their_last_sample_and_the_grace() -> None:
    planned = made("cpu", step="10s")
    last = planned.closed(now=NOW, grace=70)
    assert last * 10 == NOW.timestamp() - 70
    ahead = made("cpu offset -5m", step="10s")
    assert planned.closed(now=NOW, grace=70) - ahead.closed(now=NOW, grace=70) == 28 + 1


@pytest.mark.parametrize(
    ("text", "step", "pushed"),
    [
        ("avg by (host) (avg_over_time(cpu[1m]))", 60, True),
        ("avg by (host) (avg_over_time(cpu[5m]))", 60, False),
        ("avg by (host) (avg_over_time(cpu[1m] offset 1m))", 60, False),
        ("sum(rate(cpu[1m]))", 60, False),
        ("topk(1, avg_over_time(cpu[1m]))", 60, False),
    ],
)
def test_what_is_one_statement(text: str, step: int, pushed: bool) -> None:
    assert (read_expression(text).pushed(step) is not None) is pushed


def test_errors_say_where() -> None:
    with pytest.raises(InvalidRequest, match="there is no function rat"):
        made("rat(cpu[1m])")
    with pytest.raises(InvalidRequest, match="range is longer"):
        made("cpu", hours=24 * 500)


def test_fields_of_the_structured_form_do_nothing_to_an_expression() -> None:
    assert any("groupBy" in note for note in made("abs(cpu)", group_by=["host"]).notes)
