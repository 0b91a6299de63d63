"""Answers as bytes."""

import gzip
import json
from array import array
from datetime import UTC, datetime

from starlette.requests import Request

from pulseboard.contracts.queries import QueryMeta, QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.query import response
from pulseboard.query.engine import Answer, Line
from pulseboard.query.plan import plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _answer(lines: list[Line]) -> Answer:
    params = QueryParams.model_validate(
        {"query": "cpu", "start": "2025-12-31T23:00:00Z", "end": "2026-01-01T00:00:00Z"}
    )
    made = plan(params, now=NOW, retention=dict.fromkeys(Tier, 10**9), longest=10**9)
    meta = QueryMeta(
        table="metrics_raw", resolution="1m", cached=False, rows_read=1, duration_ms=1.0, notes=[]
    )
    return Answer(made, lines, meta)


def _asked(encoding: str) -> Request:
    return Request({"type": "http", "headers": [(b"accept-encoding", encoding.encode())]})


def test_gaps_and_numbers_that_json_has_not_are_null() -> None:
    values = array("d", [1.5, float("nan"), float("inf"), -0.1, 1e300])
    (series,) = json.loads(response.result(_answer([Line("cpu", {"host": "ü"}, values)])))["data"][
        "series"
    ]
    assert series == {
        "name": "cpu",
        "tags": {"host": "ü"},
        "values": [1.5, None, None, -0.1, 1e300],
    }


def test_a_long_answer_is_gzipped_for_who_takes_it_and_the_same_inside() -> None:
    answer = _answer(
        [Line("cpu", {"host": str(n)}, array("d", range(n, n + 360))) for n in range(20)]
    )
    plain = response.single(_asked("identity"), answer)
    packed = response.single(_asked("gzip, deflate, br"), answer)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 2
    assert gzip.decompress(packed.body) == plain.body
