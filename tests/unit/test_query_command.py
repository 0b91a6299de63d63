"""`pulseboard query`: what is sent, and how responses and errors are shown."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from pulseboard.agent import query_command
from pulseboard.contracts.errors import ApiError
from pulseboard.contracts.queries import QueryResult

RESPONSE = {
    "data": {
        "timestamps": [1_700_000_000_000, 1_700_000_060_000],
        "series": [{"name": "cpu", "tags": {"host": "[a]"}, "values": [1.5, None]}],
    },
    "meta": {"table": "metrics_raw", "resolution": "10s", "cached": False, "rowsRead": 1234},
}
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def put(status: int, body: object, seen: list[httpx.Request]) -> QueryResult:
    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, json=body)

    transport = httpx.MockTransport(handle)
    with httpx.Client(base_url="http://pulse", transport=transport) as client:
        return query_command.run_query(client, "rate(cpu)", last=3600, step=60, now=NOW, points=120)


def test_a_query_covers_the_requested_time_and_its_result_is_parsed() -> None:
    seen: list[httpx.Request] = []
    response = put(200, RESPONSE, seen)
    assert response.data.series[0].values == [1.5, None]
    assert json.loads(seen[0].content) == {
        "query": "rate(cpu)",
        "start": "2026-01-31T11:00:00+00:00",
        "end": "2026-01-31T12:00:00+00:00",
        "maxPoints": 120,
        "step": "60s",
    }


def test_a_refusal_points_at_the_character() -> None:
    detail = {"field": "query", "message": "no range", "hint": "add [5m]", "position": 5}
    body = {"error": "It can't be read.", "code": "VALIDATION_ERROR", "details": [detail]}
    with pytest.raises(query_command.QueryCommandError) as caught:
        put(400, body, [])
    assert str(caught.value).splitlines() == [
        "It can't be read.",
        "  rate(cpu)",
        "       ^ add [5m]",
    ]


def test_something_else_than_pulseboard_is_named() -> None:
    with pytest.raises(query_command.QueryCommandError, match="does not respond like Pulseboard"):
        put(200, {"hello": "world"}, [])


def test_csv_has_a_column_a_series_and_empty_gaps() -> None:
    assert query_command.as_csv(QueryResult.model_validate(RESPONSE)).splitlines() == [
        'time,"cpu{host=""[a]""}"',
        "2023-11-14T22:13:20Z,1.5",
        "2023-11-14T22:14:20Z,",
    ]


def test_the_table_shows_tags_as_they_are_and_what_it_cost() -> None:
    out = io.StringIO()
    query_command.show(Console(file=out, width=120), QueryResult.model_validate(RESPONSE))
    assert 'cpu{host="[a]"}' in out.getvalue()
    assert "metrics_raw, every 10s, 1,234 rows" in out.getvalue()


def test_a_refusal_of_several_lines_points_into_its_line() -> None:
    error = ApiError.model_validate(
        {
            "error": "It can't be read.",
            "code": "VALIDATION_ERROR",
            "details": [{"field": "query", "message": "what", "position": 8}],
        }
    )
    assert query_command._refusal("sum(\n  cpu[\n)", error).splitlines()[1:] == [
        "    cpu[",
        "     ^ what",
    ]


def test_a_name_that_all_lines_share_stands_once() -> None:
    out = io.StringIO()
    many = json.loads(json.dumps(RESPONSE))
    many["data"]["series"].append({"name": "cpu", "tags": {"host": "b"}, "values": [1, 2]})
    query_command.show(Console(file=out, width=120, height=40), QueryResult.model_validate(many))
    assert out.getvalue().count("cpu") == 1
    assert '● {host="b"}' in out.getvalue()


def test_piped_output_has_no_colours_and_keeps_to_the_width() -> None:
    out = io.StringIO()
    query_command.show(Console(file=out, width=50, height=40), QueryResult.model_validate(RESPONSE))
    assert "\x1b" not in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 50


@pytest.mark.parametrize(("text", "length"), [("90s", 90), ("1h30m", 5400), ("7d", 604_800)])
def test_durations(text: str, length: int) -> None:
    assert query_command.seconds(text) == length


@pytest.mark.parametrize("text", ["", "5", "1x", "0s", "-5m"])
def test_invalid_durations_are_refused(text: str) -> None:
    with pytest.raises(query_command.QueryCommandError):
        query_command.seconds(text)


def test_what_make_up_wrote_is_found(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    assert query_command.local_server(state) == {}
    state.write_text('{"url": "http://x", "api_key": "pb_1", "email": "a"}')
    assert query_command.local_server(state) == {"url": "http://x", "api_key": "pb_1"}


def test_explain_is_sent_and_shown() -> None:
    explain = {
        "tier": "1min",
        "step": "1m",
        "evaluated": "rate(cpu[2m])",
        "points": 60,
        "pointsCached": 50,
        "reads": [
            {
                "selector": "cpu[2m]",
                "table": "metrics_1min",
                "start": 1_700_000_000_000,
                "end": 1_700_000_600_000,
                "series": 1200,
                "rows": 12_000,
                "pushedDown": "first, last of each row",
                "shared": False,
                "durationMs": 12.34,
            }
        ],
        "times": [{"phase": "plan", "durationMs": 0.5}, {"phase": "read", "durationMs": 12.34}],
    }
    seen: list[httpx.Request] = []
    body = {**RESPONSE, "meta": {**RESPONSE["meta"], "explain": explain}}

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=body)

    with httpx.Client(base_url="http://pulse", transport=httpx.MockTransport(handle)) as client:
        result = query_command.run_query(
            client, "rate(cpu[2m])", last=3600, step=None, now=NOW, points=120, explain=True
        )
    assert json.loads(seen[0].content)["explain"] is True
    assert result.meta.explain is not None
    console = Console(file=io.StringIO(), width=200)
    query_command.show_explain(console, result.meta.explain)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for expected in (
        "rate(cpu[2m])",
        "tier      1min, step 1m",
        "50 of 60 points from the cache",
        "1,200 series, 12,000 rows of metrics_1min from 2023-11-14 22:13:20",
        "SQL: first, last of each row, 12.3 ms",
        "plan 0.5 ms, read 12.3 ms",
    ):
        assert expected in shown, shown
