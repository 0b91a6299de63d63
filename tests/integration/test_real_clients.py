"""InfluxDB's and Datadog's own clients push for a while; queries return what they sent.

They push for three seconds, or for `CLIENT_SECONDS`.
"""

import random
import time
from collections.abc import Iterator
from typing import Any

import datadog
import httpx
import pytest
from influxdb_client import InfluxDBClient, Point
from influxdb_client.client.write_api import SYNCHRONOUS, WriteOptions

from tests.support.server import client_seconds, serving

pytestmark = pytest.mark.integration
SECONDS = client_seconds(3)
HOSTS = ("web-1", "web-2", "wéb 3,=")
Sent = dict[tuple[str, str], dict[int, float]]
"""By metric and host: values by second."""


@pytest.fixture
def server(ingest_key: str) -> Iterator[str]:
    with serving() as url:
        yield url


def rounds() -> Iterator[int]:
    """Seconds since 1970, one a round, until the time is over; all are in the last hour."""
    until = time.monotonic() + SECONDS
    second = int(time.time()) - 3000
    while time.monotonic() < until:
        yield second
        second += 1
        time.sleep(0.02)


def queried(url: str, key: str, sent: Sent) -> Sent:
    """The same from Pulseboard, a bucket of a second for each value."""
    found: Sent = {}
    for name in {name for name, _ in sent}:
        seconds = sorted(second for (of, _), values in sent.items() if of == name
                         for second in values)  # fmt: skip
        body: dict[str, Any] = {"query": name, "aggregation": "last", "step": "1s",
                                "start": seconds[0] * 1000,
                                "end": (seconds[-1] + 1) * 1000}  # fmt: skip
        response = httpx.post(
            f"{url}/api/v1/query", json=body, headers={"Authorization": f"Bearer {key}"}
        )
        assert response.status_code == 200, response.text
        data = response.json()["data"]
        for series in data["series"]:
            assert set(series["tags"]) == {"host"}
            found[name, series["tags"]["host"]] = {
                timestamp // 1000: value
                for timestamp, value in zip(data["timestamps"], series["values"], strict=True)
                if value is not None
            }
    return found


@pytest.mark.parametrize("way", ["batching and gzip", "one by one"])
def test_influxdb_client(server: str, ingest_key: str, way: str) -> None:
    sent: Sent = {}
    batching = way != "one by one"
    options = WriteOptions(batch_size=100, flush_interval=200) if batching else SYNCHRONOUS
    with InfluxDBClient(server, token=ingest_key, org="any", enable_gzip=batching) as client:
        assert client.ping()
        with client.write_api(write_options=options) as writer:
            for second in rounds():
                for host in HOSTS:
                    busy, up = random.uniform(0, 100), random.randrange(2**40)
                    point = Point("cpu").tag("host", host).time(second, write_precision="s")
                    point.field("busy", busy).field("up", up).field("model", 'x "1"')
                    writer.write(bucket="any", record=point, write_precision="s")
                    sent.setdefault(("cpu_busy", host), {})[second] = busy
                    sent.setdefault(("cpu_up", host), {})[second] = up
    assert queried(server, ingest_key, sent) == sent


def test_datadog_client(server: str, ingest_key: str) -> None:
    sent: Sent = {}
    datadog.initialize(api_key=ingest_key, api_host=server, mute=False)
    for second in rounds():
        metrics = []
        for host in HOSTS[:2]:
            for name, kind in (("shop.orders", "count"), ("shop.stock", "gauge")):
                value = random.uniform(0, 100)
                metrics.append({"metric": name, "type": kind, "host": host,
                                "points": [(second, value)], "interval": 1})  # fmt: skip
                sent.setdefault((name, host), {})[second] = value
        response = datadog.api.Metric.send(metrics=metrics, compress_payload=bool(second % 2))
        assert response == {"status": "ok"}
    second = int(time.time())
    datadog.api.Distribution.send(
        distributions=[
            {"metric": "shop.wait", "points": [(second, [1.0, 2.0, 6.0])], "host": "web-1"}
        ]
    )
    for statistic, value in (("count", 3.0), ("sum", 9.0), ("max", 6.0), ("avg", 3.0)):
        sent[f"shop.wait.{statistic}", "web-1"] = {second: value}
    assert queried(server, ingest_key, sent) == sent
