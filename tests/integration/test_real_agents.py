"""Agents as people run them, pushing what they measure; our responses are the agents' own.

Debian's Prometheus scrapes itself, a node exporter where one is installed, and a target that goes
away, and sends all of it by remote write. OpenTelemetry's SDK exports by OTLP over HTTP. Both
reach the application as a server of its own, for half a minute and five seconds, or for
`CLIENT_SECONDS`.
"""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from infra.local import services
from infra.local.services import Child
from tests.support.server import client_seconds

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
SETTLE = 60.0


@pytest.fixture
def server(ingest_key: str, tmp_path: Path) -> Iterator[httpx.Client]:
    """The application under uvicorn, with a key for it."""
    port = services.free_port()
    command = [sys.executable, "-m", "uvicorn", "functions.dev:api", "--factory"]
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log"]
    child = Child("application", [*command, *options], tmp_path / "application.log")
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {ingest_key}"},
        trust_env=False,
        timeout=60,
    )
    child.start()
    with client:
        try:
            child.wait_until(lambda: _is_up(client, "/api/v1/health"), 60)
            yield client
        finally:
            child.stop()


def _is_up(client: httpx.Client, path: str) -> bool:
    try:
        return client.get(path).status_code == 200
    except httpx.TransportError:
        return False


def _wait(until: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SETTLE
    while not until():
        assert time.monotonic() < deadline, f"{what} did not happen in {SETTLE:.0f} s"
        time.sleep(0.2)


Lines = dict[tuple[tuple[str, str], ...], dict[int, float]]


def ours(client: httpx.Client, query: str, start: int, end: int, step: int) -> Lines:
    """Values by tags and second."""
    response = client.post(
        "/api/v1/query",
        json={"query": query, "start": start * 1000, "end": end * 1000, "step": f"{step}s"},
    )
    assert response.status_code == 200, f"{query}: {response.text}"
    data = response.json()["data"]
    found = {
        tuple(sorted(line["tags"].items())): {
            at // 1000: value
            for at, value in zip(data["timestamps"], line["values"], strict=True)
            if value is not None
        }
        for line in data["series"]
    }
    return {tags: values for tags, values in found.items() if values}


# Prometheus ------------------------------------------------------------------------------------


class Target:
    """Something to scrape that counts its scrapes, and then is gone."""

    def __init__(self) -> None:
        counted = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                nonlocal counted
                counted += 1
                text = (
                    "# HELP shop_orders_total Orders taken.\n# TYPE shop_orders_total counter\n"
                    f'shop_orders_total{{shop="north"}} {7 * counted}\n'
                    "# TYPE shop_open gauge\n"
                    f"shop_open {counted % 2}\nshop_odd NaN\n"
                )
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _configuration(home: Path, pulseboard: httpx.Client, targets: dict[str, int]) -> Path:
    key = home / "key"
    key.write_text(pulseboard.headers["Authorization"].removeprefix("Bearer "))
    jobs = "".join(
        f"  - job_name: {name}\n    static_configs: [{{targets: ['127.0.0.1:{port}']}}]\n"
        for name, port in targets.items()
    )
    file = home / "prometheus.yml"
    file.write_text(
        "global: {scrape_interval: 2s, scrape_timeout: 2s}\n"
        f"scrape_configs:\n{jobs}"
        "remote_write:\n"
        f"  - url: {pulseboard.base_url}/api/v1/write\n"
        f"    authorization: {{credentials_file: {key}}}\n"
        "    queue_config: {batch_send_deadline: 1s, max_shards: 2}\n"
        "    metadata_config: {send_interval: 5s}\n"
    )
    return file


@pytest.fixture
def prometheus(server: httpx.Client, tmp_path: Path) -> Iterator[tuple[httpx.Client, Target]]:
    """A Prometheus that scrapes and sends, and the target that can go away."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed (Debian: apt install prometheus)")
    port = services.free_port()
    with ExitStack() as stack:
        target = Target()
        stack.callback(target.close)
        targets = {"prometheus": port, "shop": target.port}
        if exporter := shutil.which("prometheus-node-exporter"):
            targets["node"] = services.free_port()
            _run(
                stack,
                [exporter, f"--web.listen-address=127.0.0.1:{targets['node']}"],
                tmp_path / "node-exporter.log",
            )
        file = _configuration(tmp_path, server, targets)
        command = [
            *(binary, f"--config.file={file}", f"--storage.tsdb.path={tmp_path}/data"),
            *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
        ]
        client = stack.enter_context(
            httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20)
        )
        _run(stack, command, tmp_path / "prometheus.log")
        _wait(lambda: _is_up(client, "/-/ready"), "a Prometheus that is ready")
        yield client, target


def _run(stack: ExitStack, command: list[str], log: Path) -> None:
    child = Child(Path(command[0]).name, command, log)
    child.start()
    stack.callback(child.stop)


def theirs(client: httpx.Client, query: str, start: int, end: int, step: int) -> Lines:
    """What Prometheus responses; a NaN is a gap with us."""
    response = client.get(
        "/api/v1/query_range", params={"query": query, "start": start, "end": end, "step": step}
    ).json()
    assert response["status"] == "success", response
    found = {
        tuple(sorted((k, v) for k, v in line["metric"].items() if k != "__name__")): {
            int(at): float(value) for at, value in line["values"] if value != "NaN"
        }
        for line in response["data"]["result"]
    }
    return {tags: values for tags, values in found.items() if values}


def _figure(client: httpx.Client, name: str) -> float:
    """The sum of one of Prometheus' own metrics, of now."""
    lines = client.get("/metrics").text.splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith((name + "{", name + " "))
    )


def _names(client: httpx.Client) -> list[str]:
    return sorted(client.get("/api/v1/label/__name__/values").json()["data"])


# Prometheus 2.42 stretches a counter to zero before it checks for gaps, 3 and we after: they differ
# while the first window fills.
FILLED = 18
# Until Prometheus has marked the series of a target that went away as stale, and some more.
GONE = 9.0
QUERIES = [
    *(
        "up * 1",
        "shop_orders_total * 1",
        "shop_open * 1",
        "count(up)",
        "scrape_samples_scraped * 1",
    ),
    *("rate(shop_orders_total[10s])", "increase(prometheus_http_requests_total[10s])"),
    "sum by (handler) (rate(prometheus_http_requests_total[10s]))",
    "histogram_quantile(0.9, sum by (le) (prometheus_http_request_duration_seconds_bucket))",
    *("go_gc_duration_seconds * 1", "prometheus_engine_query_duration_seconds * 1"),
    *("sum by (mode) (rate(node_cpu_seconds_total[10s]))", "node_memory_MemFree_bytes / 1024"),
]


def test_query_results_equal_those_of_prometheus(
    server: httpx.Client, prometheus: tuple[httpx.Client, Target]
) -> None:
    client, target = prometheus
    start = int(time.time()) // 2 * 2 + 2
    time.sleep(client_seconds(31) - GONE)
    target.close()
    time.sleep(GONE)
    end = int(time.time()) // 2 * 2 - 2
    sent = "prometheus_remote_storage_queue_highest_sent_timestamp_seconds"
    _wait(lambda: _figure(client, sent) > end, "sending all samples")
    assert _figure(client, "prometheus_remote_storage_samples_failed_total") == 0
    assert _figure(client, "prometheus_remote_storage_samples_dropped_total") == 0
    wrong, compared = {}, 0
    # Every metric there is, as it is, and then what people query.
    for query in [*(f"{name} * 1" for name in _names(client)), *QUERIES]:
        begin = start + FILLED if "[10s]" in query else start
        mine = ours(server, query, begin, end, 2)
        other = theirs(client, query, begin, end, 2)
        if difference := _difference(mine, other):
            wrong[query] = difference
        compared += len(other)
    assert compared > 300
    assert not wrong, f"{len(wrong)} differ: " + "; ".join(
        f"{query}: {what}" for query, what in list(wrong.items())[:5]
    )
    gone = ours(server, "shop_orders_total * 1", start, end, 2)
    assert gone
    assert all(max(values) < end - 2 for values in gone.values()), "the series has not ended"
    found = server.get("/api/v1/metrics", params={"prefix": "shop_orders_total"}).json()["data"]
    assert (found[0]["type"], found[0]["description"]) == ("counter", "Orders taken.")


def _difference(mine: Lines, other: Lines) -> str:
    if mine.keys() != other.keys():
        return f"series {sorted(mine.keys() ^ other.keys())[:2]}"
    for tags, values in other.items():
        if values.keys() != mine[tags].keys():
            return f"{tags}: present at {sorted(values.keys() ^ mine[tags].keys())[:5]}"
        if values != pytest.approx(mine[tags], rel=1e-9):
            return f"{tags}: {mine[tags]}, theirs {values}"
    return ""


# OpenTelemetry ---------------------------------------------------------------------------------


def test_query_results_equal_what_the_sdk_measured(server: httpx.Client) -> None:
    exporter = OTLPMetricExporter(
        endpoint=f"{server.base_url}/v1/metrics",
        headers={"Authorization": server.headers["Authorization"]},
    )
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=1_000)
    provider = MeterProvider(
        resource=Resource({"service.name": "shop", "process.pid": 1}),
        metric_readers=[reader],
    )
    meter = provider.get_meter("shop")
    orders = meter.create_counter("shop.orders", unit="1", description="Orders taken.")
    open_now = meter.create_up_down_counter("shop.open-carts")
    latency = meter.create_histogram(
        "shop.latency", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1.0, 10.0]
    )
    meter.create_observable_gauge(
        "shop.temperature", [lambda _: [Observation(21.5, {"room": "a"})]]
    )
    start = int(time.time())
    turns = range(int(client_seconds(5) / 0.25))
    carts = [1 if turn % 3 else -1 for turn in turns]
    waits = [0.05 * turn for turn in turns]
    for turn in turns:
        orders.add(turn, {"region": "north"})
        open_now.add(carts[turn])
        latency.record(waits[turn], {"route": "/"})
        time.sleep(0.25)
    assert reader.force_flush()
    provider.shutdown()
    end = int(time.time()) + 1

    def last(query: str) -> dict[tuple[tuple[str, str], ...], float]:
        lines = ours(server, query, start, end, 1)
        return {tags: values[max(values)] for tags, values in lines.items()}

    shop = (("process.pid", "1"), ("service.name", "shop"))
    assert last('{"shop.orders"} * 1') == {
        (shop[0], ("region", "north"), shop[1]): float(sum(turns))
    }
    assert last('{"shop.open-carts"} * 1') == {shop: float(sum(carts))}
    assert last('{"shop.temperature"} * 1') == {(shop[0], ("room", "a"), shop[1]): 21.5}
    route = ("route", "/")
    assert last('{"shop.latency_count"} * 1') == {(shop[0], route, shop[1]): len(waits)}
    assert last('{"shop.latency_sum"} * 1') == {
        (shop[0], route, shop[1]): pytest.approx(sum(waits))
    }
    assert last('{"shop.latency_bucket"} * 1') == {
        (("le", bound), shop[0], route, shop[1]): sum(wait <= float(bound) for wait in waits)
        for bound in ("0.1", "1", "10", "+Inf")
    }
    found: list[Any] = server.get("/api/v1/metrics", params={"prefix": "shop.orders"}).json()[
        "data"
    ]
    assert (found[0]["type"], found[0]["unit"]) == ("counter", "1")


def test_the_sdk_gets_an_error_for_a_wrong_key(server: httpx.Client) -> None:
    response = subprocess.run(
        [sys.executable, "-c", _WRONG_KEY, f"{server.base_url}/v1/metrics"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "401" in response.stderr


_WRONG_KEY = """
import sys
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
exporter = OTLPMetricExporter(endpoint=sys.argv[1], headers={"Authorization": "Bearer pb_wrong"})
provider = MeterProvider(metric_readers=[PeriodicExportingMetricReader(exporter)])
provider.get_meter("x").create_counter("x").add(1)
provider.shutdown()
"""
