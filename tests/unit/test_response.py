"""Responses as bytes."""

import gzip
import json
from array import array
from datetime import UTC, datetime

from starlette.requests import Request

from pulseboard.contracts.queries import QueryMeta, QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.query import response
from pulseboard.query.engine import PlanResult, ResultLine
from pulseboard.query.plan import plans

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _result(lines: list[ResultLine]) -> PlanResult:
    params = QueryParams.model_validate(
        {"query": "cpu", "start": "2025-12-31T23:00:00Z", "end": "2026-01-01T00:00:00Z"}
    )
    (planned,) = plans(params, now=NOW, retention=dict.fromkeys(Tier, 10**9), longest=10**9)
    meta = QueryMeta(
        table="metrics_raw", resolution="1m", cached=False, rows_read=1, duration_ms=1.0, notes=[]
    )
    return PlanResult(planned, lines, meta)


def _request(encoding: str) -> Request:
    return Request({"type": "http", "headers": [(b"accept-encoding", encoding.encode())]})


def test_values_that_json_can_not_hold_are_null() -> None:
    values = array("d", [1.5, float("nan"), float("inf"), -0.1, 1e300])
    result = _result([ResultLine("cpu", {"host": "ü"}, values)])
    (series,) = json.loads(response.encode(result))["data"]["series"]
    assert series == {
        "name": "cpu",
        "tags": {"host": "ü"},
        "values": [1.5, None, None, -0.1, 1e300],
    }


def test_a_long_response_is_gzipped_for_clients_that_accept_it() -> None:
    result = _result(
        [ResultLine("cpu", {"host": str(n)}, array("d", range(n, n + 360))) for n in range(20)]
    )
    plain = response.single(_request("identity"), result)
    packed = response.single(_request("gzip, deflate, br"), result)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert len(packed.body) < len(plain.body) / 2
    assert gzip.decompress(packed.body) == plain.body
