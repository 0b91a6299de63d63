"""Our results compared with those of Prometheus, on the same samples.

Samples with resets, gaps, stale markers, NaN and infinities go to a Prometheus by remote write (a
block created by promtool can't hold stale markers) and into our evaluator; every function and
operator of the subset is evaluated by both. Debian 12 has Prometheus 2.42, whose windows are closed
on both sides where ours are open on the left as in Prometheus 3, so no sample lies on an edge.
"""

import json
import math
import random
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from infra.local import services
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.promql import SeriesSamples, evaluate, functions, parse, selectors

pytestmark = pytest.mark.integration

T0 = 1_700_000_000
LENGTH, STEP = 2_880, 30
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
NAN, INF = math.nan, math.inf
Sample = tuple[int, float]


def _series() -> list[tuple[dict[str, str], list[Sample], list[int]]]:
    """Labels, samples (ms, value) and stale markers (ms) of each series."""
    chance = random.Random(3)
    found = []

    def add(name: str, values: Iterator[float], *, gaps: float = 0.05, **labels: str) -> None:
        points: list[Sample] = []
        stale_markers: list[int] = []
        away = 0.0
        for second in range(0, LENGTH, 15):
            value = next(values)
            if second < away:
                continue
            # Never a whole second: steps and windows have their edges there.
            at = (T0 + second) * 1000 + chance.randint(1, 999) + 1000 * chance.randint(0, 11)
            if chance.random() < gaps:
                away = second + chance.choice([30, 90, 400])
                if points and chance.random() < 0.5:
                    stale_markers.append(at)
                continue
            points.append((at, value))
        found.append(({"__name__": name, **labels}, points, stale_markers))

    def counter(step: float, *, restart: float = 0.0) -> Iterator[float]:
        value = chance.uniform(5_000, 9_000)
        while True:
            value += chance.uniform(0.5, 1.5) * step
            if chance.random() < 0.02:
                value = restart + 0.2 * step
            yield value

    def gauge(centre: float, *, odd: float = 0.0) -> Iterator[float]:
        while True:
            special = chance.choice([NAN, INF, -INF, 0.0, -0.0])
            yield special if chance.random() < odd else chance.gauss(centre, 20)

    def constant(value: float) -> Iterator[float]:
        while True:
            yield value

    for host, zone in (("a", "east"), ("b", "east"), ("c", "west")):
        for code in ("200", "404", "500"):
            add("requests", counter(7.0), host=host, zone=zone, code=code)
        add("cpu", gauge(30), host=host, zone=zone)
        add("odd", gauge(0, odd=0.2), host=host, zone=zone)
        add("capacity", constant(100.0), gaps=0.02, host=host, zone=zone, kind="big" + host)
        counts = [chance.uniform(0, 9) for _ in range(5)]
        for bound, share in zip(("0.1", "0.5", "1", "2.5", "+Inf"), counts, strict=True):
            add("lat_bucket", counter(share + 1, restart=3_000), gaps=0.02, host=host, le=bound)
    add("lonely", gauge(5), gaps=0.2, host="z")
    return found


def _varint(number: int) -> bytes:
    number &= 0xFFFF_FFFF_FFFF_FFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _remote_write(
    stored: list[tuple[dict[str, str], list[Sample], list[int]]],
) -> bytes:
    """A WriteRequest, as snappy that compresses nothing."""
    body = b""
    for labels, points, stale_markers in stored:
        series = b"".join(
            _field(1, _field(1, key.encode()) + _field(2, value.encode()))
            for key, value in sorted(labels.items())
        )
        for at, value in sorted([*points, *((marker, STALE) for marker in stale_markers)]):
            bits = struct.pack("<d", value)
            if math.isnan(value) and at in stale_markers:
                bits = struct.pack("<Q", 0x7FF0000000000002)
            series += _field(2, b"\x09" + bits + b"\x10" + _varint(at))
        body += _field(1, series)
    literals = b"".join(
        b"\xf4" + struct.pack("<H", len(part) - 1) + part
        for part in (body[at : at + 60_000] for at in range(0, len(body), 60_000))
    )
    return _varint(len(body)) + literals


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A Prometheus that holds the samples."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("prometheus is not installed (Debian: apt install prometheus)")
    home = tmp_path_factory.mktemp("prometheus")
    (home / "prometheus.yml").write_text("scrape_configs: []\n")
    address = f"127.0.0.1:{services.free_port()}"
    command = [
        *(binary, f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data"),
        *(f"--web.listen-address={address}", "--web.enable-remote-write-receiver"),
        *("--log.level=error", "--storage.tsdb.retention.time=100y"),
    ]
    with (
        Path(home / "log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as process,
        httpx.Client(base_url=f"http://{address}/api/v1", trust_env=False, timeout=20) as client,
    ):
        try:
            _wait(client, process)
            response = client.post(
                "/write",
                content=_remote_write(_series()),
                headers={
                    "Content-Encoding": "snappy",
                    "Content-Type": "application/x-protobuf",
                    "X-Prometheus-Remote-Write-Version": "0.1.0",
                },
            )
            assert response.status_code == 204, response.text
            yield client
        finally:
            process.kill()


def _wait(client: httpx.Client, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(200):
        assert process.poll() is None, "prometheus ended"
        try:
            if client.get("/query", params={"query": "1"}).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("prometheus did not start")


STORED = [
    SeriesSamples(
        labels,
        np.array([at for at, _ in points]) / 1000,
        np.array([value for _, value in points]),
        tuple(at / 1000 for at in stale_markers),
    )
    for labels, points, stale_markers in _series()
]
TIMES = float(T0) + STEP * np.arange(1 + LENGTH // STEP, dtype=np.float64)


def ours(text: str) -> dict[str, dict[int, float]]:
    expr = parse(text)
    data = {
        read: [
            each
            for each in STORED
            if (read.name is None or each.labels["__name__"] == read.name)
            and all(matcher.accepts(each.labels) for matcher in read.matchers)
        ]
        for read in selectors(expr)
    }
    return {
        json.dumps(line.labels, sort_keys=True): {
            int(at): float(value)
            for at, value, there in zip(TIMES, line.values, line.present, strict=True)
            if there
        }
        for line in evaluate(expr, times=TIMES, data=data)
    }


def theirs(client: httpx.Client, text: str) -> dict[str, dict[int, float]]:
    response = client.post(
        "/query_range",
        data={"query": text, "start": T0, "end": T0 + LENGTH, "step": STEP},
    ).json()
    assert response["status"] == "success", response
    return {
        json.dumps(each["metric"], sort_keys=True): {
            int(at): float(value) for at, value in each["values"]
        }
        for each in response["data"]["result"]
    }


# Debian's 2.42 does not know these, or calls them otherwise.
SINCE_3 = ("double_exponential_smoothing", "first_over_time", "mad_over_time")
LATER = (*SINCE_3, *(name for name in functions.WINDOW_NEEDS if name.startswith("ts_of_")))
NUMBERS = {"quantile_over_time": "0.3, ", "predict_linear": ", 600", "holt_winters": ", 0.4, 0.2"}


def _windowed(name: str, range_: str) -> str:
    extra = NUMBERS.get(name, "")
    return f"{name}({range_}{extra})" if extra.startswith(",") else f"{name}({extra}{range_})"


WINDOWED = [
    _windowed(name, f"{metric}[{window}]")
    for name in functions.WINDOW_NEEDS
    for metric, window in (("requests", "1m"), ("cpu", "5m"), ("odd", "2m"), ("lonely", "10m"))
    # Prometheus 2.42 extrapolates to zero before it checks for gaps, 3 after: differs near zero.
    if (metric == "requests" or name not in ("rate", "increase")) and name not in LATER
]
SUBQUERIES = [
    # Whole minutes lie on no sample; windows that are no multiple of the step have none on an edge.
    *(
        _windowed(name, f"cpu[{window}]")
        for name in functions.WINDOW_NEEDS
        for window in ("10m30s:1m", "5m7s:20s")
        if name not in (*LATER, "rate", "increase")
    ),
    "max_over_time(rate(requests[2m])[10m30s:1m])",
    "sum_over_time(sum by (zone) (cpu)[5m1s:30s] offset 3m)",
    "avg_over_time((cpu > 30)[7m30s:] offset -2m)",
    "max_over_time(avg_over_time(cpu[3m1s:30s])[10m1s:1m])",
    "quantile_over_time(0.5, absent(lonely)[10m1s:1m])",
    "min_over_time(vector(time())[5m1s:1m])",
    "absent_over_time(lonely[2m1s:30s])",
    "timestamp(cpu)",
    "max_over_time(timestamp(cpu)[3m1s:20s])",
    "sum_over_time(hour()[61m:7m])",
]
FIXED = [
    *(f"cpu @ {at}" for at in (T0 + 100, T0 + 1_000.5, "start()", "end()")),
    *(f"rate(requests[2m] @ {at})" for at in (T0 + 1_000, "start()", "end()")),
    "cpu offset 3m @ end()",
    "cpu @ end() offset 3m",
    "max_over_time(cpu[5m1s:30s] @ end())",
    "max_over_time((cpu @ start())[5m1s:30s] offset 1m)",
    "max_over_time(sum_over_time(cpu[2m1s:20s] @ end())[5m1s:30s])",
    "topk(2, cpu @ end())",
    "cpu - cpu @ start()",
    "timestamp(cpu @ end())",
    "absent(lonely @ start())",
]
ELEMENTWISE = [
    f"{name}({metric}{extra})"
    for metric in ("cpu", "odd", "cpu / 100")
    for name, extra in (
        *((name, "") for name in functions.ELEMENTWISE if not name.startswith("clamp")),
        *((name, "") for name in functions.DATES if metric != "odd"),
        *(("round", ", 0.1"), ("round", ", 7"), ("clamp", ", -5, 20"), ("clamp", ", 20, -5")),
        *(("clamp_min", ", 10"), ("clamp_max", ", 10"), ("clamp", ", scalar(lonely), time()")),
    )
]
DATES = [
    *(f"{name}()" for name in functions.DATES),
    *(f"{name}(timestamp(cpu) * 3.7 - 4e9)" for name in functions.DATES),
    *(f"{name}(vector(951782400 + 86400 * (time() % 3000)))" for name in functions.DATES),
]
AGGREGATED = [
    f"{operator}{grouping}({param}{metric})"
    for operator, param in (
        *((name, "") for name in ("sum", "avg", "min", "max", "count", "stddev", "stdvar")),
        *(("group", ""), ("count_values", '"value", '), ("count_values", '"zone", ')),
        *(("quantile", "0.4, "), ("quantile", "-1, "), ("quantile", "1.5, ")),
        *(("quantile", "scalar(cpu), "), ("topk", "2, "), ("bottomk", "2, "), ("topk", "0, ")),
    )
    for grouping in ("", " by (zone, nothing) ", " without (host, code) ")
    for metric in ("cpu", "odd")
    # The deviation of one infinity is 0 in Prometheus 2.42 and NaN in 3.
    if not (operator in ("stddev", "stdvar") and metric == "odd")
]
BINARY = [
    *(f"cpu {operator} capacity" for operator in ("* on(host)", "/ ignoring(kind)")),
    *(f"cpu {operator} on(host, zone) odd" for operator in functions.ARITHMETIC),
    *(f"cpu {operator} on(host) odd" for operator in functions.COMPARISONS),
    *(f"cpu {operator} ignoring(code) odd" for operator in functions.COMPARISONS),
    *(f"cpu {operator} bool odd" for operator in functions.COMPARISONS),
    # Prometheus 2.42 keeps the name for atan2 with a number, 3 does not.
    *(f"odd {operator} 3" for operator in functions.OPERATORS[:6] + functions.COMPARISONS),
    *(f"3 {operator} odd" for operator in functions.OPERATORS[:6] + functions.COMPARISONS),
    *(f"3 {operator} bool odd" for operator in functions.COMPARISONS),
    *(f"-7.5 {operator} 2" for operator in functions.ARITHMETIC),
    *(f"time() {operator} bool 1700000100" for operator in functions.COMPARISONS),
    *(f"cpu {operator} odd" for operator in functions.SETS),
    *(f"requests {operator} on(host) (cpu > 30)" for operator in functions.SETS),
    *(f"(cpu > 30) {operator} ignoring(kind) capacity" for operator in functions.SETS),
    "requests / on(host, zone) group_left() capacity",
    "requests / on(host) group_left(kind) capacity",
    "requests > on(host) group_left(kind) capacity",
    "requests == bool on(host) group_left(kind) capacity",
    "capacity - on(host) group_right(kind) requests",
    "capacity < on(host) group_right(kind, zone) requests",
    "sum by (host) (rate(requests[2m])) / ignoring(code) group_right() rate(requests[2m])",
    'requests{code="500"} / ignoring(code) requests{code="200"}',
    "-cpu",
    "-(cpu - cpu) ^ 2",
    "2 ^ 3 ^ 2 - -1",
]
OTHER = [
    *("cpu", 'cpu{host=~"a|c"}', 'cpu{host!~"a|c"}', 'requests{code!="200",zone="east"}'),
    *("cpu offset 5m", "cpu offset -2m", "rate(requests[2m] offset 7m)", '{__name__=~"cpu|odd"}'),
    *("time()", "vector(time())", "scalar(lonely)", "scalar(cpu)", "1 / 0", "vector(NaN)"),
    *("absent(lonely)", 'absent(lonely{host="z"})', 'absent(none{a="b",c=~"d",e="f",e="g"})'),
    *("absent(sum(lonely))", 'absent_over_time(lonely{host="z"}[30s])', "absent(cpu)"),
    *(f"histogram_quantile({q}, lat_bucket)" for q in (0, 0.1, 0.5, 0.99, 1, -1, 2, "NaN")),
    "histogram_quantile(0.9, rate(lat_bucket[2m]))",
    "histogram_quantile(0.9, sum by (le) (rate(lat_bucket[5m])))",
    'histogram_quantile(0.9, sum by (le, host) (increase(lat_bucket{le!="1"}[5m])))',
    'histogram_quantile(0.5, lat_bucket{le!="+Inf"})',
    "histogram_quantile(scalar(lonely) / 10, lat_bucket)",
    "histogram_quantile(0.5, cpu)",
    'label_replace(cpu, "node", "n-$1", "host", "(a|b)")',
    'label_replace(cpu, "zone", "", "zone", "east")',
    'label_replace(cpu, "new", "${1}x$2y", "zone", "(.)(.*)")',
    'label_replace(cpu, "new", "$1x", "zone", "(.).*")',
    'label_replace(cpu, "__name__", "other", "host", ".*")',
    'label_replace(rate(requests[2m]), "class", "$1xx", "code", "(.)..")',
    "topk by (zone) (1, rate(requests[2m]))",
    "sum by (zone) (rate(requests[2m])) > 1 and avg by (zone) (cpu) < 40",
    "max_over_time(cpu[10m]) - min_over_time(cpu[10m] offset 3m)",
    "quantile_over_time(scalar(lonely) / 10, cpu[5m])",
    'avg by (host) (cpu) * 100 / on(host) max by (host) (capacity{kind=~"big.*"})',
    *(f"quantile_over_time({q}, odd[5m])" for q in (-1, 0, 1, 2, "NaN")),
    'label_join(cpu, "where", "/", "zone", "host", "none")',
    'label_join(cpu, "zone", "", "none")',
    *("sort(cpu)", "sort_desc(cpu)", "pi()", "pi() * 2", "-pi()", "0x10 + 1", "1e3", ".5"),
    *("sum(cpu) or vector(0)", "cpu % -7"),
    "cpu atan2 on(host, zone) odd",
    'count_values by (zone) ("v", round(cpu, 10))',
    'group by (host) ({__name__=~"cpu|odd"})',
    '{host="a", zone="east", __name__!~"lat.*"}',
    'absent({job=~"x", job="a"})',
]


@pytest.mark.parametrize(
    "texts",
    [WINDOWED, SUBQUERIES, FIXED, ELEMENTWISE, DATES, AGGREGATED, BINARY, OTHER],
    ids=[
        *("windows", "subqueries", "at", "elementwise", "dates", "aggregations", "operators"),
        "others",
    ],
)
def test_results_are_those_of_prometheus(prometheus: httpx.Client, texts: list[str]) -> None:
    wrong = {text: found for text in texts if (found := _difference(prometheus, text))}
    assert not wrong, "\n".join(f"{text}: {found}" for text, found in wrong.items())


def _difference(client: httpx.Client, text: str) -> str:
    mine, other = ours(text), theirs(client, text)
    if mine.keys() != other.keys():
        return f"series: ours {sorted(mine.keys() - other.keys())[:4]}, " + (
            f"theirs {sorted(other.keys() - mine.keys())[:4]}"
        )
    for key, values in other.items():
        if values.keys() != mine[key].keys():
            return f"{key}: present at {sorted(values.keys() ^ mine[key].keys())[:5]}"
        for at, value in values.items():
            if mine[key][at] != pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True):
                return f"{key} at {at}: {mine[key][at]!r}, theirs {value!r}"
    return ""


def test_the_samples_are_worth_comparing(prometheus: httpx.Client) -> None:
    assert sum(len(each.stale_markers) for each in STORED) > 20
    assert sum(int(np.isnan(each.values).sum()) for each in STORED) > 5
    assert len(theirs(prometheus, "rate(requests[1m])")) == 9


@pytest.mark.parametrize(
    "text",
    [
        "requests / on(host) capacity",
        "capacity / on(host) requests",
        "cpu * on(zone) group_left() capacity",
        'rate({__name__=~"cpu|odd"}[5m])',
        'label_replace(cpu, "host", "x", "", "")',
        'label_join(cpu, "host", "x")',
        "holt_winters(cpu[5m], 2, 0.1)",
        'label_join({__name__=~"cpu|odd"}, "__name__", "")',
    ],
)
def test_what_prometheus_refuses_is_refused(prometheus: httpx.Client, text: str) -> None:
    query: dict[str, str | int] = {"query": text, "start": T0, "end": T0 + LENGTH, "step": STEP}
    assert prometheus.get("/query_range", params=query).status_code == 422
    with pytest.raises(InvalidRequest):
        ours(text)
