"""OpenTelemetry metrics over HTTP into a real database: by hand, and by OpenTelemetry's SDK."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import pytest
from cramjam import zstd
from fastapi.testclient import TestClient
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from pulseboard.core import process_state
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
        make.exponential("e", now(), scale=21),
        make.gauge("many", [make.number(now(), 1, {"user": str(n)}) for n in range(5)]),
    )
    response = agent.post(URL, content=make.as_protobuf(message))
    assert response.status_code == 200
    partial = ExportMetricsServiceResponse.FromString(response.content).partial_success
    assert partial.rejected_data_points == 4
    assert "e has the scale 21" in partial.error_message
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


def _sum_of(version: str, value: float, **more: str) -> bytes:
    resource = {"service.name": "cart", "service.version": version, **more}
    return make.as_protobuf(
        make.request(make.total("m", [make.number(now(), value)]), resource=resource)
    )


def _tags_of(metric: str) -> list[dict[str, str]]:
    found = rows(
        "select s.tags from metric_series s join metric_definitions d on d.id = s.metric_id"
        " where d.name = %s order by s.id",
        metric,
    )
    return [tags for (tags,) in found]


def _message_of(response: Any) -> str:
    partial = ExportMetricsServiceResponse.FromString(response.content).partial_success
    assert (response.status_code, partial.rejected_data_points) == (200, 0)
    return str(partial.error_message)


def test_resources_are_told_apart_across_requests_and_processes(agent: TestClient) -> None:
    assert _message_of(agent.post(URL, content=_sum_of("1", 10.0))) == ""
    message = _message_of(agent.post(URL, content=_sum_of("2", 90_000.0)))
    assert '{service.name="cart"} has the tags of another one' in message
    # Another process knows nothing, and decides the same; so does this one again.
    for version in ("2", "1", "2"):
        process_state.reset()
        agent.post(URL, content=_sum_of(version, 1.0))
    plain, digested = _tags_of("m")
    assert plain == {"service.name": "cart"}
    assert digested.keys() == {"service.name", "otel.resource.id"}
    infos = {tags["service.version"]: tags for tags in _tags_of("target_info")}
    assert infos.keys() == {"1", "2"}
    assert infos["2"]["otel.resource.id"] == digested["otel.resource.id"]
    assert infos["1"]["job"] == "cart"


def test_the_next_release_has_the_plain_tags_once_the_last_one_is_gone(agent: TestClient) -> None:
    agent.post(URL, content=_sum_of("1", 1.0))
    rows("update otlp_resources set seen_at = now() - interval '16 minutes' returning 1")
    assert _message_of(agent.post(URL, content=_sum_of("2", 1.0))) == ""
    assert _tags_of("m") == [{"service.name": "cart"}]
    # It comes back while the other one sends: from now on under a tag of its own.
    process_state.reset()
    assert "the tags of another one" in _message_of(agent.post(URL, content=_sum_of("1", 1.0)))
    assert len(_tags_of("m")) == 2
    assert rows("select count(*) from otlp_resources where plain") == [(1,)]


def test_scopes_are_told_apart_across_requests(agent: TestClient) -> None:
    for name in ("a", "b", "a"):
        message = make.request(good(), good(f"only_{name}"))
        message.resource_metrics[0].scope_metrics[0].scope.name = name
        assert _message_of(agent.post(URL, content=make.as_protobuf(message))) == ""
        process_state.reset()
    assert _tags_of("m") == [
        {"a": "x"},
        {"a": "x", "otel.scope.name": "b", "otel.scope.version": "2"},
    ]
    assert _tags_of("only_b") == [{"a": "x"}]


def test_without_the_database_origins_are_not_compared_and_the_sender_is_told(
    agent: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PULSEBOARD_SPILL_DIR", str(tmp_path))
    process_state.reset()
    agent.post(URL, content=_sum_of("0", 1.0))
    lose_database(monkeypatch)
    message = _message_of(agent.post(URL, content=_sum_of("1", 1.0)))
    assert "the database does not respond" in message
    assert list((tmp_path / "waiting").glob("*.pbspill"))


def test_no_recorded_value_ends_histograms_and_summaries_whole(agent: TestClient) -> None:
    before, at = now() - 10_000, now()
    tags = {"attributes": make.attributes({"a": "x"})}
    other = {"attributes": make.attributes({"a": "y"})}
    bounds = [0.25, 10.0]
    first = make.request(
        make.histogram(
            "h",
            [
                make.histogram_point(before, [1, 2, 3], bounds, sum=1.0, **tags),
                make.histogram_point(before, [1, 2, 3], bounds, sum=1.0, **other),
            ],
        ),
        make.summary("s", before, {0.5: 1.0, 0.9: 2.0}),
    )
    assert _message_of(agent.post(URL, content=make.as_protobuf(first))) == ""
    ended = make.request(
        make.histogram("h", [make.histogram_point(at, [], [], flags=1, **tags)]),
        make.summary("s", at, {}),
    )
    ended.resource_metrics[0].scope_metrics[0].metrics[1].summary.data_points[0].flags = 1
    process_state.reset()
    assert _message_of(agent.post(URL, content=make.as_protobuf(ended))) == ""
    marked = rows(
        "select d.name, s.tags from series_end e join metric_series s on s.id = e.series_id"
        " join metric_definitions d on d.id = s.metric_id order by d.name, s.tags"
    )
    assert sorted((name, *sorted(tags.items())) for name, tags in marked) == sorted(
        [
            *(("h_bucket", ("a", "x"), ("le", le)) for le in ("0.25", "10", "+Inf")),
            ("h_count", ("a", "x")),
            ("h_sum", ("a", "x")),
            ("s", ("quantile", "0.5")),
            ("s", ("quantile", "0.9")),
            ("s_count",),
            ("s_sum",),
        ]
    )


@pytest.mark.parametrize("body", [b'{"hello":"world"}', b'{"resourceLogs":[]}'])
def test_what_is_no_metrics_request_is_400(agent: TestClient, body: bytes) -> None:
    response = agent.post(URL, content=body, headers=JSON)
    assert response.status_code == 400
    assert "resourceMetrics" in response.json()["message"]
    response = agent.post(URL, content=b"\x10\x05")
    assert (response.status_code, _status(response.content)[0]) == (400, 3)
    # A request without metrics is one.
    assert agent.post(URL, content=b"").status_code == 200
    assert agent.post(URL, content=b"{}", headers=JSON).status_code == 200
