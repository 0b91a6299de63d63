"""Prometheus' HTTP API: its shapes, its times, and who may call it."""

import math
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from pulseboard.core.settings import settings
from pulseboard.query import exact_queries
from tests.support.prometheus_messages import write_request
from tests.support.server import serving

pytestmark = pytest.mark.integration

Labels = dict[str, str]


@pytest.fixture
def now() -> int:
    """A whole minute in seconds since 1970, five minutes ago."""
    return int(time.time()) // 60 * 60 - 300


@pytest.fixture
def stored(agent: TestClient, now: int) -> TestClient:
    """Samples of each 15 seconds for ten minutes; infinities among them."""
    every = range((now - 600) * 1000, now * 1000 + 1, 15_000)
    odd = [math.inf, -math.inf, 1e-7, 1e21, 0.5]
    names: list[tuple[Labels, list[tuple[int, float]]]] = [
        (
            {"__name__": "requests_total", "host": host, "job": "web"},
            [(at, float(n * step)) for n, at in enumerate(every)],
        )
        for host, step in (("a", 15), ("b", 30))
    ]
    names.append(({"__name__": "odd"}, [(at, odd[n % len(odd)]) for n, at in enumerate(every)]))
    names.append(({"__name__": "gr.web", "my_key": "x"}, [(now * 1000, 3.0)]))
    response = agent.post(
        "/api/v1/write",
        content=write_request(*names),
        headers={"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"},
    )
    assert response.status_code == 204, response.text
    return agent


def get(client: TestClient, path: str, **params: Any) -> dict[str, Any]:
    response = client.get(f"/prometheus/api/v1/{path}", params=params)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    assert body["status"] == "success"
    return body


def test_an_instant_query_has_the_time_that_was_asked_for(stored: TestClient, now: int) -> None:
    found = get(stored, "query", query="sum(requests_total)", time=now + 0.123)["data"]
    assert found == {
        "resultType": "vector",
        "result": [{"metric": {}, "value": [now + 0.123, "1800"]}],
    }
    at = time.strftime("%Y-%m-%dT%H:%M:%S.25Z", time.gmtime(now))
    posted = stored.post(
        "/prometheus/api/v1/query", data={"query": 'requests_total{host="a"}', "time": at}
    ).json()["data"]["result"]
    assert posted == [
        {
            "metric": {"__name__": "requests_total", "host": "a", "job": "web"},
            "value": [now + 0.25, "600"],
        }
    ]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("1 + 1", "scalar", "2"),
        ("'text'", "string", "text"),
        ("-1 / 0", "scalar", "-Inf"),
        ("0 / 0", "scalar", "NaN"),
        ("1e-7", "scalar", "1e-07"),
        ("0.00001", "scalar", "0.00001"),
        ("1e20", "scalar", "100000000000000000000"),
        ("1e21", "scalar", "1e+21"),
        ("0.1", "scalar", "0.1"),
    ],
)
def test_numbers_and_texts_are_results(agent: TestClient, text: str, kind: str, value: str) -> None:
    found = get(agent, "query", query=text, time=5)["data"]
    assert found == {"resultType": kind, "result": [5, value]}


def test_a_range_is_a_result_with_its_samples(stored: TestClient, now: int) -> None:
    (line,) = get(stored, "query", query="odd[1m]", time=now)["data"]["result"]
    assert [at for at, _ in line["values"]] == [now - 45, now - 30, now - 15, now]
    assert {value for _, value in line["values"]} <= {
        "NaN",
        "+Inf",
        "-Inf",
        "1e-07",
        "1e+21",
        "0.5",
    }
    (line,) = get(stored, "query", query="(odd * 0)[45s:15s]", time=now)["data"]["result"]
    assert len(line["values"]) == 3


@pytest.mark.parametrize("shift", [0, 7.5], ids=["by the engine", "between its points"])
def test_a_range_query_has_the_points_from_its_start_on(
    stored: TestClient, now: int, shift: float
) -> None:
    start = now - 300 + shift
    params = {"query": "sum by (job) (rate(requests_total[1m]))", "start": start, "end": start + 95}
    found = get(stored, "query_range", **params, step="30s")["data"]
    assert found["resultType"] == "matrix"
    (line,) = found["result"]
    assert line["metric"] == {"job": "web"}
    assert [at for at, _ in line["values"]] == [start + n * 30 for n in range(4)]
    assert [float(value) for _, value in line["values"]] == pytest.approx([3.0] * 4)


def test_what_is_nan_is_a_point_also_from_the_cache(stored: TestClient, now: int) -> None:
    params = {"query": "odd - odd", "start": now - 300, "end": now - 15, "step": 15}
    fresh = get(stored, "query_range", **params)["data"]
    assert get(stored, "query_range", **params)["data"] == fresh
    (line,) = fresh["result"]
    assert len(line["values"]) == 20
    assert {"NaN", "0"} == {value for _, value in line["values"]}
    nothing = {**params, "query": "odd * NaN"}
    for _ in range(2):
        assert len(get(stored, "query_range", **nothing)["data"]["result"][0]["values"]) == 20


def test_names_that_are_quoted_are_found(stored: TestClient, now: int) -> None:
    (line,) = get(stored, "query", query='{"gr.web"}', time=now)["data"]["result"]
    assert line["metric"] == {"__name__": "gr.web", "my_key": "x"}


def test_the_catalogue(stored: TestClient, now: int) -> None:
    assert get(stored, "labels")["data"] == ["__name__", "host", "job", "my_key"]
    assert get(stored, "labels", **{"match[]": "odd"})["data"] == ["__name__"]
    assert get(stored, "label/host/values")["data"] == ["a", "b"]
    assert get(stored, "label/U__my__key/values")["data"] == ["x"]
    names = get(stored, "label/__name__/values")["data"]
    assert names == ["gr.web", "odd", "requests_total"]
    assert get(stored, "label/host/values", **{"match[]": '{host=~"b|c"}'})["data"] == ["b"]
    series = get(stored, "series", **{"match[]": ["requests_total", "odd"]})["data"]
    assert {"__name__": "odd"} in series
    assert len(series) == 3
    cut = get(stored, "series", limit=1, **{"match[]": "requests_total"})
    assert len(cut["data"]) == 1
    assert cut["warnings"]
    long_ago = {"start": now - 90_000_000, "end": now - 80_000_000}
    assert get(stored, "series", **long_ago, **{"match[]": "odd"})["data"] == []
    assert get(stored, "metadata", metric="odd")["data"].keys() == {"odd"}
    assert get(stored, "query_exemplars", query="odd")["data"] == []
    assert get(stored, "status/buildinfo")["data"]["version"] >= "3"
    text = "sum by(a)(rate(x[5m]offset 1h))>bool 2"
    assert get(stored, "format_query", query=text)["data"] == (
        "sum by (a) (rate(x[5m] offset 1h)) > bool 2"
    )


def test_federation_has_each_sample_with_its_own_time(agent: TestClient) -> None:
    at = int(time.time() * 1000) - 20_000
    points = [
        {"name": "fresh", "tags": {"host": host}, "timestamp": at, "value": 2.5}
        for host in ("a", 'b"')
    ]
    assert agent.post("/api/v1/metrics", json=points).status_code == 200
    response = agent.get("/prometheus/federate", params={"match[]": ["fresh", "absent"]})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert response.text.splitlines() == [
        "# TYPE fresh untyped",
        f'fresh{{host="a"}} 2.5 {at}',
        f'fresh{{host="b\\""}} 2.5 {at}',
    ]
    # Of a metric that is sent seldom a sample counts for longer.
    seldom = [at - minutes * 60_000 for minutes in range(37, 6, -10)]
    for time_sent in seldom:
        point = {"name": "seldom", "timestamp": time_sent, "value": 1}
        assert agent.post("/api/v1/metrics", json=point).status_code == 200
    response = agent.get("/prometheus/federate", params={"match[]": "seldom"})
    assert response.text.splitlines()[1:] == [f"seldom 1 {seldom[-1]}"]


@pytest.mark.parametrize(
    ("path", "params", "status", "kind"),
    [
        ("query", {"query": "rate(x)"}, 400, "bad_data"),
        ("query", {"query": "x", "time": "yesterday"}, 400, "bad_data"),
        ("query", {"query": ""}, 400, "bad_data"),
        ("query", {"query": "x", "limit": "-1"}, 400, "bad_data"),
        ("query_range", {"query": "x", "start": 10, "end": 5, "step": 1}, 400, "bad_data"),
        ("query_range", {"query": "x", "start": 0, "end": 5, "step": 0}, 400, "bad_data"),
        ("query_range", {"query": '"a"', "start": 0, "end": 5, "step": 1}, 400, "bad_data"),
        ("query_range", {"query": "x[5m]", "start": 0, "end": 5, "step": 1}, 400, "bad_data"),
        ("query_range", {"query": "x", "start": 0, "end": 9e9, "step": 1}, 422, "execution"),
        ("query", {"query": "topk(NaN, x)"}, 422, "execution"),
        ("series", {}, 400, "bad_data"),
        ("series", {"match[]": "rate(x[5m])"}, 400, "bad_data"),
    ],
)
def test_errors_have_the_shape_of_prometheus(
    agent: TestClient, path: str, params: dict[str, Any], status: int, kind: str
) -> None:
    response = agent.get(f"/prometheus/api/v1/{path}", params=params)
    assert response.status_code == status, response.text
    body = response.json()
    assert (body["status"], body["errorType"]) == ("error", kind)
    assert body["error"]


def test_errors_outside_the_routes_have_the_shape_of_prometheus(
    agent: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_INGEST_MAX_BODY_BYTES", "100000")
    settings.cache_clear()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    text = "/prometheus/api/v1/query"
    anonymous = TestClient(agent.app)
    responses = {
        "404 not_found": agent.get("/prometheus/api/v1/nothing"),
        "405 bad_data": agent.delete(text),
        "400 bad_data": agent.post(text, content=b"\xff", headers=form),
        "413 bad_data": agent.post(text, content=b"a" * 100_001, headers=form),
        "413 bad_data ": anonymous.post(text, content=b"a" * 100_001, headers=form),
        "401 unauthorized": anonymous.get(text),
    }

    def broken(*given: object, **named: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(exact_queries, "execute_instant", broken)
    quiet = TestClient(agent.app, headers=dict(agent.headers), raise_server_exceptions=False)
    responses["500 internal"] = quiet.get(text, params={"query": "1"})
    for expected, response in responses.items():
        body = response.json()
        assert body.keys() == {"status", "errorType", "error"}
        assert f"{response.status_code} {body['errorType']}" == expected.strip()
        assert body["status"] == "error"
        assert body["error"]
        assert "secret" not in body["error"]
    assert responses["405 bad_data"].headers["allow"] == "GET, POST"


@pytest.mark.parametrize("name", ["start", "end", "step", "limit", "match[]", "query"])
def test_errors_do_not_echo_what_is_very_long(agent: TestClient, name: str) -> None:
    params = {"query": "x", "start": "0", "end": "9", "step": "1", "match[]": "x"}
    paths = ["labels", "series"] if name in ("limit", "match[]") else ["query_range"]
    for path in paths:
        long = {**params, name: "9" * 15_000 + "x"}
        response = agent.get(f"/prometheus/api/v1/{path}", params=long)
        assert response.status_code == 400, response.text[:300]
        assert len(response.text) < 2_000
    own = {"query": "9" * 15_000 + "x", "start": 0, "end": 60_000}
    assert len(agent.post("/api/v1/query", json=own).text) < 3_000
    assert len(agent.get(f"/api/v1/{'a' * 15_000}").text) < 2_000


def test_warnings_name_their_place(stored: TestClient, now: int) -> None:
    found = get(stored, "query", query="quantile(2, odd)", time=now)
    assert found["warnings"] == [
        "PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"
    ]
    found = get(stored, "query", query="rate(odd[5m])", time=now)
    assert "might not be a counter" in found["infos"][0]


def test_callers_have_a_key_or_a_session(client: TestClient, ingest_key: str) -> None:
    path = "/prometheus/api/v1/query?query=1"
    refused = client.get(path)
    assert (refused.status_code, refused.json()["errorType"]) == (401, "unauthorized")
    pair = b64encode(f"anyone:{ingest_key}".encode()).decode()
    for header in (f"Bearer {ingest_key}", f"Basic {pair}"):
        assert client.get(path, headers={"Authorization": header}).status_code == 200
    wrong = b64encode(b"anyone:pb_wrong").decode()
    assert client.get(path, headers={"Authorization": f"Basic {wrong}"}).status_code == 401
    assert client.get("/prometheus/-/healthy").text == "Pulseboard is Healthy.\n"
    assert client.get("/prometheus/-/ready").status_code == 200


def test_rules_and_alerts(admin: TestClient) -> None:
    rule = {"name": "Busy", "query": "cpu", "condition": "gt", "threshold": 90, "duration": "5m"}
    assert admin.post("/api/v1/alerts/rules", json=rule).status_code == 201
    (group,) = get(admin, "rules")["data"]["groups"]
    (listed,) = group["rules"]
    assert (listed["name"], listed["query"], listed["duration"]) == ("Busy", "cpu > 90", 300)
    assert (listed["type"], listed["state"], listed["health"]) == (
        "alerting",
        "inactive",
        "unknown",
    )
    assert get(admin, "rules", type="record")["data"]["groups"] == []
    assert get(admin, "alerts")["data"] == {"alerts": []}


@pytest.fixture
def address(stack: None, ingest_key: str) -> Iterator[str]:
    """The address of a server, for clients of their own."""
    with serving() as url:
        yield url


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's prometheus")
def test_promtool_queries(stored: TestClient, address: str, ingest_key: str, now: int) -> None:
    host = address.removeprefix("http://")
    server = f"http://any:{ingest_key}@{host}/prometheus"

    def promtool(*args: str) -> str:
        done = subprocess.run(
            ["promtool", "query", *args], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    at = f"--time={now}"
    assert "=> 1800 @" in promtool("instant", server, "sum(requests_total)", at)
    ranged = promtool(
        *("range", f"--start={now - 60}", f"--end={now}", "--step=15s", server, "odd"),
    )
    assert ranged.count("@[") == 5
    assert promtool("labels", server, "host").split() == ["a", "b"]
    found = promtool("series", "--match=requests_total{host='a'}", server)
    assert '"host": "a"' in found or 'host="a"' in found


def test_the_client_of_pypi_queries(
    stored: TestClient, address: str, ingest_key: str, now: int
) -> None:
    from datetime import UTC, datetime

    import prometheus_api_client as prometheus

    client = prometheus.PrometheusConnect(
        url=f"{address}/prometheus", headers={"Authorization": f"Bearer {ingest_key}"}
    )
    assert client.check_prometheus_connection()
    assert client.all_metrics() == ["gr.web", "odd", "requests_total"]
    values = client.custom_query("sum(requests_total)", params={"time": now})
    assert values == [{"metric": {}, "value": [now, "1800"]}]
    ranged = client.custom_query_range(
        "requests_total",
        start_time=datetime.fromtimestamp(now - 60, UTC),
        end_time=datetime.fromtimestamp(now, UTC),
        step="15",
    )
    assert [len(line["values"]) for line in ranged] == [5, 5]


def test_no_path_below_the_prefix_is_the_app_of_the_browser(address: str, ingest_key: str) -> None:
    with httpx.Client(base_url=address, trust_env=False) as caller:
        for path in ("/prometheus/api/v1/nothing", "/prometheus/graph", "/prometheus/api"):
            response = caller.get(path)
            assert response.status_code == 404
            assert "html" not in response.headers["content-type"]
