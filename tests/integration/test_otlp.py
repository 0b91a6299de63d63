"""OpenTelemetry metrics over HTTP into a real database: by hand, and by OpenTelemetry's SDK."""

import gzip
import zlib
from typing import Any

import pytest
from cramjam import zstd
from fastapi.testclient import TestClient
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from pulseboard.core.settings import settings
from tests.support import otlp_messages as make
from tests.support.stored_samples import lose_database, now, rows

pytestmark = pytest.mark.integration
URL = "/v1/metrics"
PROTOBUF, JSON = {"Content-Type": "application/x-protobuf"}, {"Content-Type": "application/json"}
SHOWN = {"Authorization": "Bearer {key}", **PROTOBUF}


def good(name: str = "m", value: float = 1.5) -> Any:
    return make.gauge(name, [make.number(now(), value, {"a": "x"})], unit="s", description="M.")


def test_both_encodings_plain_and_gzip(agent: TestClient) -> None:
    for number, (headers, encode) in enumerate(
        [(PROTOBUF, make.as_protobuf), (JSON, make.as_json)] * 2
    ):
        body = encode(make.request(good(f"m{number}"), resource={"service.name": "shop"}))
        packed = gzip.compress(body) if number > 1 else body
        more = {"Content-Encoding": "gzip"} if number > 1 else {}
        response = agent.post(URL, content=packed, headers={**headers, **more})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == headers["Content-Type"]
        assert response.content == (b"" if headers is PROTOBUF else b"{}")
    assert rows(
        "select d.name, d.unit, d.description, d.type, s.tags, r.value from metrics_raw r"
        " join metric_series s on s.id = r.series_id"
        " join metric_definitions d on d.id = s.metric_id order by d.name"
    ) == [(f"m{n}", "s", "M.", "gauge", {"a": "x", "service.name": "shop"}, 1.5) for n in range(4)]


def test_what_is_refused_is_a_partial_success(
    agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_PER_METRIC", "2")
    settings.cache_clear()
    message = make.request(
        make.exponential("e", now()),
        make.gauge("many", [make.number(now(), 1, {"user": str(n)}) for n in range(5)]),
    )
    response = agent.post(URL, content=make.as_protobuf(message))
    assert response.status_code == 200
    partial = ExportMetricsServiceResponse.FromString(response.content).partial_success
    assert partial.rejected_data_points == 4
    assert "exponential histogram" in partial.error_message
    assert 'the tag "user"' in partial.error_message
    response = agent.post(URL, content=make.as_json(message), headers=JSON)
    assert response.json()["partialSuccess"]["rejectedDataPoints"] == "4"


def _status(content: bytes) -> tuple[int, str]:
    found: Any = Status.FromString(content)
    return found.code, found.message


def test_errors_are_a_status_in_the_encoding_of_the_request(agent: TestClient) -> None:
    response = agent.post(URL, content=b"\x0a\x05")
    assert (response.status_code, _status(response.content)[0]) == (400, 3)
    assert "ExportMetricsServiceRequest" in _status(response.content)[1]
    response = agent.post(URL, content=b"[]", headers=JSON)
    assert (response.status_code, response.json()["code"]) == (400, 3)
    response = agent.post(URL, content=b"", headers={"Authorization": "Bearer pb_wrong"})
    assert (response.status_code, _status(response.content)[0]) == (401, 16)
    response = agent.post(URL, content=b"", headers={"Content-Type": "text/plain"})
    assert (response.status_code, _status(response.content)[0]) == (415, 3)
    assert "application/x-protobuf or application/json" in _status(response.content)[1]
    response = agent.post(URL, content=b"", headers={"Content-Encoding": "snappy"})
    assert (response.status_code, _status(response.content)[0]) == (415, 3)
    assert "gzip or zstd or deflate" in _status(response.content)[1]
    many = make.gauge("m", [make.number(now() - n, 1.0) for n in range(10_001)])
    response = agent.post(URL, content=make.as_protobuf(make.request(many)))
    assert (response.status_code, _status(response.content)[0]) == (413, 3)
    assert "smaller batches" in _status(response.content)[1]


def test_a_key_that_may_not_send_is_permission_denied(admin: TestClient, agent: TestClient) -> None:
    created = admin.post("/api/v1/api-keys", json={"name": "reads", "scopes": ["read"]}).json()
    headers = {"Authorization": f"Bearer {created['data']['key']}"}
    response = agent.post(URL, content=b"", headers=headers)
    assert (response.status_code, _status(response.content)[0]) == (403, 7)


@pytest.mark.parametrize("pack", [zlib.compress, lambda body: bytes(zstd.compress(body))])
def test_a_collector_may_compress_otherwise(agent: TestClient, pack: Any) -> None:
    encoding = "deflate" if pack is zlib.compress else "zstd"
    for encode, headers in ((make.as_protobuf, PROTOBUF), (make.as_json, JSON)):
        response = agent.post(
            URL,
            content=pack(encode(make.request(good()))),
            headers={**headers, "Content-Encoding": encoding},
        )
        assert response.status_code == 200, response.text
    assert len(rows("select from metrics_raw")) == 2


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_traces_and_logs_are_404_with_a_reason(agent: TestClient, signal: str) -> None:
    response = agent.post(f"/v1/{signal}", content=b"anything")
    assert (response.status_code, _status(response.content)[0]) == (404, 5)
    assert f"accepts metrics (at /v1/metrics), not {signal}" in _status(response.content)[1]
    response = agent.post(f"/v1/{signal}", content=b"{}", headers=JSON)
    assert (response.status_code, response.json()["code"]) == (404, 5)


def test_deltas_are_stored_as_they_come(agent: TestClient) -> None:
    metric = make.total("d", [make.number(now() - n, 5) for n in (2, 1)], temporality=1)
    assert agent.post(URL, content=make.as_protobuf(make.request(metric))).status_code == 200
    assert rows("select value from metrics_raw") == [(5.0,), (5.0,)]
    assert rows("select type from metric_definitions") == [("gauge",)]


def test_database_down_is_503_with_retry_after(
    agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_database(monkeypatch)
    response = agent.post(URL, content=make.as_protobuf(make.request(good())))
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert _status(response.content)[0] == 14
