"""OpenTelemetry metrics in both encodings, encoded by OpenTelemetry's own classes."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.catalogue.series_key import MetricMetadata
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders import otlp
from pulseboard.ingest.decoders.otlp import AttributeChoice
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from tests.support import otlp_messages as make

NOW = 1_800_000_000_000
LIMITS = BatchLimits(points=100, tags=5, errors=10, max_age=6 * 86_400, max_ahead=600)
CHOICE = AttributeChoice(frozenset({"service.name", "host.name"}))


def protobuf(
    message: Any, known: SeriesMemo | None = None, choice: AttributeChoice = CHOICE
) -> Batch:
    return otlp.from_protobuf(
        message if isinstance(message, bytes) else make.as_protobuf(message),
        now=NOW,
        limits=LIMITS,
        choice=choice,
        series_memo=SeriesMemo(1_000_000) if known is None else known,
    )


def json(message: Any, known: SeriesMemo | None = None, choice: AttributeChoice = CHOICE) -> Batch:
    return otlp.from_json_text(
        message if isinstance(message, bytes) else make.as_json(message),
        now=NOW,
        limits=LIMITS,
        choice=choice,
        series_memo=SeriesMemo(0),
    )


def stored(batch: Batch) -> dict[str, float]:
    assert set(batch.times) <= {NOW}
    return {repr(key)[11:-1]: value for key, value in zip(batch.series, batch.values, strict=True)}


@pytest.fixture(params=[protobuf, json], ids=["protobuf", "JSON"])
def batch_of(request: pytest.FixtureRequest) -> Callable[..., Batch]:
    return request.param  # type: ignore[no-any-return]


def test_gauges_and_sums_with_the_chosen_attributes(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(
        make.request(
            make.gauge("temp.now", [make.number(NOW, 1.5, {"a": "x", "n": 3, "b": True})]),
            make.gauge("list", [make.number(NOW, 0.0, {"l": ["p", 2], "d": 0.5})]),
            make.total("http-requests", [make.number(NOW, 2**40), make.number(NOW, 7, {"c": "2"})]),
            resource={"service.name": "shop", "process.pid": 17},
        )
    )
    assert stored(batch) == {
        'temp.now{"a":"x","b":"true","n":"3","service.name":"shop"}': 1.5,
        'list{"d":"0.5","l":"p,2","service.name":"shop"}': 0.0,
        'http_requests{"service.name":"shop"}': 2.0**40,
        'http_requests{"c":"2","service.name":"shop"}': 7.0,
    }
    assert batch.metadata["http_requests"] == MetricMetadata(MetricType.COUNTER, "1", "All.")
    assert batch.metadata["temp.now"].type == MetricType.GAUGE
    assert batch.positions == [0, 1, 2, 3]


def test_a_points_own_attribute_stands_above_the_resources(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(
        make.request(
            make.gauge("m", [make.number(NOW, 1, {"host.name": "inner"})]),
            resource={"host.name": "outer"},
        )
    )
    assert stored(batch) == {'m{"host.name":"inner"}': 1.0}


def test_the_scope_becomes_tags_when_configured(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(
        make.request(make.gauge("m", [make.number(NOW, 1)])), None, AttributeChoice((), True)
    )
    assert stored(batch) == {'m{"otel.scope.name":"lib","otel.scope.version":"2"}': 1.0}


@pytest.mark.parametrize(
    ("temporality", "monotonic", "kind"),
    [(2, True, MetricType.COUNTER), (2, False, MetricType.GAUGE), (1, True, MetricType.GAUGE)],
)
def test_only_what_grows_from_one_start_is_a_counter(
    batch_of: Callable[..., Batch], temporality: int, monotonic: bool, kind: MetricType
) -> None:
    metric = make.total("m", [make.number(NOW, 1)], temporality=temporality, monotonic=monotonic)
    assert batch_of(make.request(metric)).metadata["m"].type == kind


def test_histograms_become_cumulative_buckets(batch_of: Callable[..., Batch]) -> None:
    point = make.histogram_point(NOW, [1, 2, 3], [0.25, 10.0], sum=12.5)
    batch = batch_of(make.request(make.histogram("lat", [point])))
    assert stored(batch) == {
        'lat_bucket{"le":"0.25"}': 1.0,
        'lat_bucket{"le":"10"}': 3.0,
        'lat_bucket{"le":"+Inf"}': 6.0,
        "lat_count{}": 6.0,
        "lat_sum{}": 12.5,
    }
    assert set(batch.positions) == {0}
    assert batch.metadata["lat_bucket"].type == MetricType.HISTOGRAM


def test_a_delta_histogram_is_no_counter(batch_of: Callable[..., Batch]) -> None:
    point = make.histogram_point(NOW, [1, 2], [0.25], sum=2.5)
    batch = batch_of(make.request(make.histogram("lat", [point], temporality=1)))
    assert stored(batch)['lat_bucket{"le":"+Inf"}'] == 3.0
    kinds = {said.type for said in batch.metadata.values()}
    assert kinds == {MetricType.GAUGE}


def test_summaries_become_quantiles(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(make.request(make.summary("rpc", NOW, {0.5: 1.25, 0.99: math.nan, 1.0: 3.0})))
    assert stored(batch) == {
        'rpc{"quantile":"0.5"}': 1.25,
        'rpc{"quantile":"1"}': 3.0,
        "rpc_count{}": 9.0,
        "rpc_sum{}": 4.5,
    }
    assert [repr(key) for key, _ in batch.stale_markers] == ['<SeriesKey rpc{"quantile":"0.99"}>']


def test_no_recorded_value_is_a_stale_marker(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(
        make.request(
            make.gauge("m", [make.number(NOW, 0.0, {"a": "x"}, flags=1)]),
            make.histogram("h", [make.histogram_point(NOW, [], [], flags=1)]),
        )
    )
    assert stored(batch) == {}
    assert [repr(key) for key, _ in batch.stale_markers] == [
        '<SeriesKey m{"a":"x"}>',
        "<SeriesKey h_count{}>",
        "<SeriesKey h_sum{}>",
    ]


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (make.exponential("e", NOW), "e is an exponential histogram"),
        (make.gauge("", [make.number(NOW, 1)]), "has no name"),
        (make.gauge("m", [make.number(0, 1)]), "m has no time"),
        (make.gauge("m", [make.number(NOW - 10**9, 1)]), "is older"),
        (make.gauge("m", [make.number(NOW, 1, {f"t{n}": "x" for n in range(6)})]), "has 6 tags"),
        (make.gauge("m", [make.no_number(NOW)]), "neither asDouble"),
        (make.histogram("h", [make.histogram_point(NOW, [1, 2], [])]), "2 buckets for 0 bounds"),
    ],
)
def test_a_bad_point_is_named_and_the_valid_ones_are_stored(
    batch_of: Callable[..., Batch], metric: Any, says: str
) -> None:
    batch = batch_of(make.request(metric, make.gauge("good", [make.number(NOW, 1)])))
    assert stored(batch) == {"good{}": 1.0}
    assert batch.rejected == 1
    assert says in batch.issues[0].message


def test_an_empty_request_is_one(batch_of: Callable[..., Batch]) -> None:
    assert batch_of(make.request()).accepted == 0
    assert protobuf(b"").accepted == 0
    assert json(b"{}").accepted == 0


def test_too_many_points(batch_of: Callable[..., Batch]) -> None:
    points = [make.number(NOW, n, {"n": str(n)}) for n in range(101)]
    assert batch_of(make.request(make.gauge("m", points[:100]))).accepted == 100
    with pytest.raises(PayloadTooLarge, match="100 samples"):
        batch_of(make.request(make.gauge("m", points)))
    wide = make.histogram_point(NOW, [1] * 101, [float(n) for n in range(100)])
    with pytest.raises(PayloadTooLarge):
        batch_of(make.request(make.histogram("h", [wide])))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\x0a\x05\x0a", "passes the end"),
        (b"\x0b", "not known"),
        (b"\x0a\x07\x12\x05\x12\x03\x0a\x01\xff", "UTF-8"),
    ],
)
def test_what_is_no_request_says_why(body: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        protobuf(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"resourceMetrics":3}',
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":[]},3]}]}]}',
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":'
        b'[{"timeUnixNano":"1800000000000000000","asInt":"x"}]}}]}]}]}',
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":'
        b'[{"timeUnixNano":1e999,"asDouble":1}]}}]}]}]}',
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":'
        b'[{"timeUnixNano":"1800000000000000000","asInt":1' + b"0" * 400 + b"}]}}]}]}]}",
    ],
)
def test_json_of_another_shape_says_so(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="ExportMetricsServiceRequest"):
        json(body)


def test_a_json_body_that_would_unfold_is_too_large() -> None:
    with pytest.raises(PayloadTooLarge, match="structure"):
        json(b'{"x":' + b"[" * 6000 + b"]" * 6000 + b"}")


TAGS = st.dictionaries(
    st.sampled_from(["a", "b.c", "host.name", "é", ""]),
    st.text(max_size=4) | st.booleans(),
    max_size=3,
)
POINTS = st.lists(
    st.tuples(
        st.sampled_from([NOW, 0, 5]),
        st.floats() | st.integers(-(2**63), 2**63 - 1),
        TAGS,
        st.sampled_from([0, 1]),
        st.sampled_from([0, NOW]),
    ),
    max_size=4,
)
METRICS = st.lists(st.tuples(st.sampled_from(["m", "n-o", ""]), POINTS), max_size=3)
KNOWN = SeriesMemo(100_000)


def _request(metrics: list[Any], resource: Any) -> Any:
    return make.request(
        *(
            make.gauge(
                name,
                [
                    make.number(time, value, tags, flags=flags, start_time_unix_nano=start)
                    for time, value, tags, flags, start in points
                ],
            )
            for name, points in metrics
        ),
        resource=resource,
    )


def _all(batch: Batch) -> Any:
    ends = [(repr(key), time) for key, time in batch.stale_markers]
    return [repr(key) for key in batch.series], batch.times, batch.values, ends, batch.rejected


@given(METRICS, TAGS)
def test_both_encodings_mean_the_same_whatever_is_known(metrics: list[Any], resource: Any) -> None:
    message = _request(metrics, resource)
    first = _all(protobuf(message))
    assert _all(protobuf(message, KNOWN)) == first
    assert _all(protobuf(message, KNOWN)) == first
    assert _all(json(message)) == first
    assert len(first[0]) + len(first[3]) + first[4] == sum(len(points) for _, points in metrics)


@given(METRICS, TAGS, st.data())
def test_any_bytes_are_decoded_or_refused(
    metrics: list[Any], resource: Any, data: st.DataObject
) -> None:
    message = _request(metrics, resource)
    for plain, decode in ((make.as_protobuf(message), protobuf), (make.as_json(message), json)):
        body = bytearray(plain)
        for _ in range(data.draw(st.integers(0, 4))):
            if body:
                offset = data.draw(st.integers(0, len(body) - 1))
                body[offset : offset + data.draw(st.integers(0, 2))] = data.draw(
                    st.binary(max_size=3)
                )
        try:
            batch = decode(bytes(body), KNOWN)
        except (InvalidRequest, PayloadTooLarge):
            continue
        assert not any(map(math.isnan, batch.values))
        assert len(batch.series) == len(batch.times) == len(batch.values) == len(batch.positions)


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinities_are_values(batch_of: Callable[..., Batch], value: float) -> None:
    batch = batch_of(make.request(make.gauge("wild", [make.number(NOW, value)])))
    assert (stored(batch), batch.rejected) == ({"wild{}": value}, 0)


def test_known_points_are_read_by_their_bytes() -> None:
    known = SeriesMemo(1_000_000)
    message = make.request(
        make.gauge("m", [make.number(NOW, 1, {"a": "x"}), make.number(NOW, 2.5)]),
        resource={"service.name": "s"},
    )
    assert len(known) == 0
    first = protobuf(message, known)
    assert len(known) == 2
    again = protobuf(message, known)
    assert again.series[0] is first.series[0]
    assert stored(again) == stored(first)
