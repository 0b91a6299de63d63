"""Remote write over HTTP into a real database."""

import math

import cramjam
import pytest
from fastapi.testclient import TestClient

from pulseboard.core.settings import settings
from tests.support.prometheus_messages import message, packed, series, write_request
from tests.support.remote_write2_messages import native_request
from tests.support.stored_samples import lose_database, now, rows, values

pytestmark = pytest.mark.integration
URL = "/api/v1/write"
SHOWN = {
    "Authorization": "Bearer {key}",
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
UP = {"__name__": "up", "instance": "a:9090", "job": "x"}


def test_samples_stale_markers_and_metadata_are_stored_and_a_replay_changes_nothing(
    agent: TestClient,
) -> None:
    timestamp = now()
    body = write_request(
        (UP, [(timestamp - 10, 1.0), (timestamp, math.nan)]),
        ({"__name__": "m_total"}, [(timestamp, 7)]),
    )
    said = message("MetricMetadata", type=1, metric_family_name="m_total", help="All m.", unit="m")
    for _ in range(2):
        response = agent.post(URL, content=body)
        assert (response.status_code, response.content) == (204, b"")
        response = agent.post(URL, content=packed(message("WriteRequest", metadata=[said])))
        assert response.status_code == 204
    assert values() == [("m_total", {}, 7.0), ("up", {"instance": "a:9090", "job": "x"}, 1.0)]
    assert rows("select (extract(epoch from time) * 1000)::bigint from series_end") == [
        (timestamp,)
    ]
    assert rows(
        "select type, unit, description from metric_definitions where name = 'm_total'"
    ) == [("counter", "m", "All m.")]


def test_a_series_without_a_value_is_marked_once_an_hour(agent: TestClient) -> None:
    begin = now() - 7_200_000
    minutes = [
        *((n, math.nan) for n in (0, 1, 2, 59, 61)),
        (70, 5.0),
        (71, math.nan),
        (72, math.nan),
    ]
    for minute, value in minutes:
        body = write_request((UP, [(begin + minute * 60_000, value)]))
        assert agent.post(URL, content=body).status_code == 204
    marks = rows(
        "select round((extract(epoch from time) * 1000 - %s) / 60000)::int from series_end"
        " order by time",
        begin,
    )
    assert marks == [(0,), (61,), (71,)]


def test_metadata_that_comes_before_its_metric_is_stored_when_it_comes_again(
    agent: TestClient,
) -> None:
    said = message("MetricMetadata", type=2, metric_family_name="up", help="It is up.")
    body = packed(message("WriteRequest", metadata=[said]))
    assert agent.post(URL, content=body).status_code == 204
    assert agent.post(URL, content=write_request((UP, [(now(), 1)]))).status_code == 204
    assert agent.post(URL, content=body).status_code == 204
    assert rows("select type, description from metric_definitions") == [("gauge", "It is up.")]


def test_valid_samples_are_stored_and_400_says_why(agent: TestClient) -> None:
    timestamp = now()
    body = packed(
        message(
            "WriteRequest",
            timeseries=[
                series(UP, [(timestamp, 1.0), (timestamp - 7 * 86_400_000, 1.0)]),
                series({"__name__": "lat"}, [], histograms=[message("Histogram", sum=1.0)]),
            ],
        )
    )
    response = agent.post(URL, content=body)
    assert response.status_code == 400
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text.startswith("2 of 3 samples were not stored")
    assert "lat{} at 0 is older" in response.text
    assert rows("select count(*) from metrics_raw") == [(1,)]


def test_series_beyond_a_limit_are_named(
    agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_SERIES_MAX_PER_METRIC", "2")
    settings.cache_clear()
    lines = [({"__name__": "m", "user": str(n)}, [(now(), 1.0)]) for n in range(5)]
    response = agent.post(URL, content=write_request(*lines))
    assert response.status_code == 400
    assert response.text.startswith("3 of 5 samples were not stored")
    assert 'the tag "user" has the most values' in response.text


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (
            {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v3.Request"},
            "prometheus.WriteRequest",
        ),
        ({"Content-Type": "application/json"}, "application/x-protobuf"),
        ({"Content-Encoding": "gzip"}, "snappy"),
    ],
)
def test_other_types_are_415(agent: TestClient, headers: dict[str, str], says: str) -> None:
    response = agent.post(URL, content=write_request((UP, [(now(), 1)])), headers=headers)
    assert response.status_code == 415
    assert says in response.json()["error"]


def test_too_much_is_413(agent: TestClient) -> None:
    body = write_request((UP, [(now() - n, 1.0) for n in range(10_001)]))
    response = agent.post(URL, content=body)
    assert response.status_code == 413
    assert "max_samples_per_send" in response.json()["error"]
    assert agent.post(URL, content=b"x" * 5_000_000).status_code == 413


def test_vmagent_falls_back_to_prometheus_protocol(agent: TestClient) -> None:
    """It tries its own protocol first, and sends snappy after 415 for zstd."""
    assert agent.get(f"{URL}?get_vm_proto_version=1").status_code == 405
    response = agent.post(URL, content=b"", headers={"Content-Encoding": "zstd"})
    assert response.status_code == 415


def test_the_type_may_be_named_in_full(agent: TestClient) -> None:
    kind = {"Content-Type": "application/x-protobuf; proto=prometheus.WriteRequest"}
    body = write_request((UP, [(now(), 1)]))
    assert agent.post(URL, content=body, headers=kind).status_code == 204


def test_without_a_key_401_and_as_basic_password_accepted(
    agent: TestClient, ingest_key: str
) -> None:
    body = write_request((UP, [(now(), 1)]))
    assert agent.post(URL, content=body, headers={"Authorization": ""}).status_code == 401
    del agent.headers["authorization"]
    assert agent.post(URL, content=body, auth=("any", ingest_key)).status_code == 204


def test_database_down_is_503_with_retry_after(
    agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_database(monkeypatch)
    response = agent.post(URL, content=write_request((UP, [(now(), 1)])))
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0


def test_version_2_stores_native_histograms_so_that_percentiles_work(
    agent: TestClient, admin: TestClient
) -> None:
    body = bytes(cramjam.snappy.compress_raw(native_request(now() - 1_000)))
    sent = {"Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}
    response = agent.post(URL, content=body, headers=sent)
    assert response.status_code == 204, response.text
    written = {
        name: response.headers[f"X-Prometheus-Remote-Write-{name}-Written"]
        for name in ("Samples", "Histograms", "Exemplars")
    }
    assert written == {"Samples": "1", "Histograms": "1", "Exemplars": "0"}
    query = {"query": "histogram_quantile(0.5, latency_bucket)"}
    found = admin.get("/prometheus/api/v1/query", params=query).json()
    [series] = found["data"]["result"]
    # Of 12 values 2 are zero, 4 in (1, √2], 6 in (2, 2√2].
    assert 1 < float(series["value"][1]) <= 2**0.5
