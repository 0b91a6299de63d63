"""Telemetry: stored like any samples, and written in CloudWatch's format."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.dev import api
from pulseboard.core import telemetry
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest.telemetry_store import write_values
from tests.support import otlp_messages as make
from tests.support.datadog_messages import payload, series
from tests.support.prometheus_messages import write_request
from tests.support.proxy import Proxy

pytestmark = pytest.mark.integration


@pytest.fixture
def collecting(admin: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Telemetry is collected, with an interval longer than a test."""
    monkeypatch.setenv("PULSEBOARD_OWN_METRICS_INTERVAL", "3600")
    settings.cache_clear()
    telemetry.reset()
    yield
    telemetry.reset()


def stored() -> dict[str, float]:
    with database.connection() as connection:
        rows = connection.execute(
            """
            select d.name || s.tags::text, r.value
            from metrics_raw r join metric_series s on s.id = r.series_id
            join metric_definitions d on d.id = s.metric_id
            where d.name like 'pulseboard%'
            """
        ).fetchall()
    return dict(rows)


def work(caller: TestClient, key: str) -> None:
    now = int(time.time() * 1000)
    points = [{"name": "cpu", "value": 1, "timestamp": now - 60_000 * age} for age in (1, 2, 3)]
    response = caller.post(
        "/api/v1/metrics",
        json=[*points, {"name": "1", "value": 1}],
        headers={"Authorization": f"Bearer {key}"},
    )
    assert response.status_code == 200, response.text
    query = {"query": "cpu", "start": now - 7_200_000, "end": now - 3_600_000}
    for _ in range(2):
        assert caller.post("/api/v1/query", json=query).status_code == 200


def test_counts_are_stored_as_metrics(
    admin: TestClient, ingest_key: str, collecting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(admin, ingest_key)
    assert stored() == {}
    write_values({})
    found = stored()
    assert found['pulseboard_samples_accepted{"protocol": "json"}'] == 3
    assert found['pulseboard_samples_refused{"protocol": "json"}'] == 1
    assert 60 <= found["pulseboard_ingest_lag_seconds{}"] < 120
    assert found['pulseboard_query_answers{"source": "database"}'] == 1
    assert found['pulseboard_query_answers{"source": "cache"}'] == 1
    assert found['pulseboard_query_seconds_bucket{"le": "+Inf"}'] == 2
    assert found['pulseboard_requests{"status": "2xx", "function": "ingest"}'] == 1
    assert found['pulseboard_requests{"status": "2xx", "function": "query"}'] == 2
    # Nothing has happened since: nothing is stored again.
    assert telemetry.drain(force=True) is None


def test_each_protocol_is_counted_as_itself(
    admin: TestClient, ingest_key: str, collecting: None
) -> None:
    now = int(time.time())
    value_list = {"host": "h", "plugin": "load", "type": "load", "time": now, "values": [1],
                  "dsnames": ["shortterm"], "dstypes": ["gauge"]}  # fmt: skip
    one = make.gauge("o", [make.number(now * 1000, 1.0)])
    pushes: dict[str, tuple[str, bytes]] = {
        "remote_write": ("/api/v1/write", write_request(({"__name__": "r"}, [(now * 1000, 1.0)]))),
        "otlp": ("/v1/metrics", make.as_protobuf(make.request(one))),
        "influx": ("/api/v2/write", b"i v=1"),
        "datadog": ("/api/v2/series", payload([series("s", [(now, 1)])])),
        "collectd": ("/api/v1/collectd", json.dumps([value_list]).encode()),
    }
    headers = {"Authorization": f"Bearer {ingest_key}", "Content-Type": "application/x-protobuf"}
    for path, body in pushes.values():
        assert admin.post(path, content=body, headers=headers).is_success, path
    write_values({})
    accepted = {name: value for name, value in stored().items() if "samples_accepted" in name}
    assert accepted == {
        f'pulseboard_samples_accepted{{"protocol": "{name}"}}': 1 for name in pushes
    }


def test_the_request_that_finds_them_due_writes_them(
    admin: TestClient, ingest_key: str, collecting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    work(admin, ingest_key)
    monkeypatch.setattr(telemetry, "_drained_at", float("-inf"))
    assert admin.get("/api/v1/health").status_code == 200
    assert stored()['pulseboard_requests{"status": "2xx", "function": "query"}'] == 2


def test_cloudwatch_gets_totals_and_single_times(
    admin: TestClient,
    ingest_key: str,
    collecting: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PULSEBOARD_METRICS", "all")
    settings.cache_clear()
    work(admin, ingest_key)
    capsys.readouterr()
    write_values({})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (line,) = [line for line in lines if "_aws" in line]
    assert line["SamplesAccepted"] == 3
    assert line["CacheHitPercent"] == 50
    assert len(line["QuerySeconds"]) == 2
    assert line["stage"] == "local"


def test_a_database_that_is_away_fails_no_request(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_OWN_METRICS_INTERVAL", "3600")
    settings.cache_clear()
    telemetry.reset()
    proxy.down()
    with TestClient(api(), base_url="http://testserver") as anyone:
        telemetry.count("pulseboard_requests", function="x", status="2xx")
        monkeypatch.setattr(telemetry, "_drained_at", float("-inf"))
        response: Any = anyone.get("/api/v1/health")
    assert response.status_code == 200
    telemetry.reset()
