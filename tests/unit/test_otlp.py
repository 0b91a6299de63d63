"""OpenTelemetry metrics in both encodings, encoded by OpenTelemetry's own classes."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json, to_json

from pulseboard.catalogue.series_key import MetricMetadata
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.core.settings import Settings
from pulseboard.ingest.batch import Batch, BatchLimits, FamilyMarker
from pulseboard.ingest.decoders import otlp
from pulseboard.ingest.decoders.otlp import AttributeChoice
from pulseboard.ingest.decoders.protobuf_wire import encoded_text
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from tests.support import otlp_messages as make

NOW = 1_800_000_000_000
LIMITS = BatchLimits(
    points=100, tags=5, errors=10, max_age=6 * 86_400, max_ahead=600, parts=1_000_000
)
CHOICE = AttributeChoice(("service.name", "host.name"))


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


def everything(batch: Batch) -> dict[str, float]:
    assert set(batch.times) <= {NOW}
    return {repr(key)[11:-1]: value for key, value in zip(batch.series, batch.values, strict=True)}


def stored(batch: Batch) -> dict[str, float]:
    """All but what is said of resources."""
    return {
        key: value for key, value in everything(batch).items() if not key.startswith("target_info{")
    }


def infos(batch: Batch) -> list[dict[str, str]]:
    """What is said of resources, without their ids."""
    found = [from_json(key.tags) for key in batch.series if key.name == "target_info"]
    for tags in found:
        assert len(tags.pop("otel.resource.id")) == 16
    return found


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
        'http-requests{"service.name":"shop"}': 2.0**40,
        'http-requests{"c":"2","service.name":"shop"}': 7.0,
    }
    assert batch.metadata["http-requests"] == MetricMetadata(MetricType.COUNTER, "1", "All.")
    assert batch.metadata["temp.now"].type == MetricType.GAUGE
    assert batch.positions == [0, 1, 2, 3, 4]
    assert infos(batch) == [{"service.name": "shop", "job": "shop", "process.pid": "17"}]


def test_a_points_own_attribute_stands_above_the_resources(batch_of: Callable[..., Batch]) -> None:
    batch = batch_of(
        make.request(
            make.gauge("m", [make.number(NOW, 1, {"host.name": "inner"})]),
            resource={"host.name": "outer"},
        )
    )
    [series] = stored(batch)
    assert series.startswith('m{"host.name":"inner","otel.resource.id":"')
    same = make.gauge("m", [make.number(NOW, 1, {"host.name": "inner"})])
    batch = batch_of(make.request(same, resource={"host.name": "inner"}))
    assert stored(batch) == {'m{"host.name":"inner"}': 1.0}


@pytest.mark.parametrize(
    "attribute",
    [
        "container.id", "container.name", "process.pid", "host.id", "k8s.node.name",
        "k8s.container.name", "k8s.pod.uid", "aws.ecs.task.arn", "faas.name", "faas.instance",
    ],
)  # fmt: skip
def test_by_default_what_tells_instances_apart_becomes_tags(
    batch_of: Callable[..., Batch], attribute: str
) -> None:
    default = Settings.model_fields["otlp_resource_attributes"].default
    message = make.request(
        make.gauge("m", [make.number(NOW, 1)]), resource={attribute: "1", "os.type": "linux"}
    )
    other = make.request(make.gauge("m", [make.number(NOW, 2)]), resource={attribute: "2"})
    message.MergeFrom(other)
    batch = batch_of(message, None, AttributeChoice(default.split(",")))
    assert stored(batch) == {
        f'm{{"{attribute}":"1"}}': 1.0,
        f'm{{"{attribute}":"2"}}': 2.0,
    }
    assert infos(batch) == [{attribute: "1", "os.type": "linux"}]
    assert batch.notes == []


def both(*messages: Any) -> Any:
    """One request of all."""
    first = make.request()
    for message in messages:
        first.MergeFrom(message)
    return first


def test_what_is_no_tag_is_on_target_info_as_in_prometheus(batch_of: Callable[..., Batch]) -> None:
    resource = {
        "service.name": "cart",
        "service.namespace": "shop",
        "service.instance.id": "a1",
        "service.version": "1.2",
        "os.map": {"a": 1, "b": ["x", {"c": b"\0"}]},
        "empty": "",
        "bad\0": "x",
    }
    batch = batch_of(make.request(make.gauge("m", [make.number(NOW, 1)]), resource=resource))
    assert stored(batch) == {'m{"service.name":"cart"}': 1.0}
    assert infos(batch) == [
        {
            "job": "shop/cart",
            "instance": "a1",
            "service.name": "cart",
            "service.namespace": "shop",
            "service.instance.id": "a1",
            "service.version": "1.2",
            "os.map": '{"a":"1","b":["x",{"c":"AA=="}]}',
        }
    ]
    [note] = batch.notes
    assert "target_info" in note
    assert "NUL" in note


def test_a_resource_of_tags_alone_needs_no_target_info(batch_of: Callable[..., Batch]) -> None:
    resource = {"service.name": "cart", "host.name": ""}
    batch = batch_of(make.request(make.gauge("m", [make.number(NOW, 1)]), resource=resource))
    assert everything(batch) == {'m{"service.name":"cart"}': 1.0}
    off = AttributeChoice(("service.name",), info_tags=0)
    more = make.request(make.gauge("m", [make.number(NOW, 1)]), resource={"x": "y"})
    assert everything(batch_of(more, None, off)) == {"m{}": 1.0}


def test_two_resources_with_the_same_tags_are_told_apart(batch_of: Callable[..., Batch]) -> None:
    versions = [
        make.request(
            make.total("m", [make.number(NOW, n)]),
            resource={"service.name": "cart", "service.version": str(n)},
        )
        for n in (1, 2)
    ]
    batch = batch_of(both(*versions))
    first, second = stored(batch)
    assert first == 'm{"service.name":"cart"}'
    assert second.startswith('m{"otel.resource.id":"')
    assert [info["service.version"] for info in infos(batch)] == ["1", "2"]
    tags = [from_json(key.tags) for key in batch.series]
    assert tags[1]["otel.resource.id"] == tags[3]["otel.resource.id"]
    [note] = batch.notes
    assert '{service.name="cart"}' in note
    assert "PULSEBOARD_OTLP_RESOURCE_ATTRIBUTES" in note
    # The same resource twice is one.
    assert batch_of(both(versions[0], versions[0])).notes == []


def test_scopes_that_send_the_same_metric_are_told_apart(batch_of: Callable[..., Batch]) -> None:
    message = make.request(
        make.gauge("m", [make.number(NOW, 1)]), make.gauge("own", [make.number(NOW, 1)])
    )
    for scope in ({"name": "lib", "version": "3"}, {"name": "lib", "version": "2", "a": "b"}, {}):
        other = make.request(make.gauge("m", [make.number(NOW, 2)]))
        more = {key: scope.pop(key) for key in [*scope] if key == "a"}
        scope_of_other = other.resource_metrics[0].scope_metrics[0].scope
        scope_of_other.Clear()
        scope_of_other.MergeFrom(type(scope_of_other)(**scope, attributes=make.attributes(more)))
        message.resource_metrics[0].MergeFrom(other.resource_metrics[0])
    assert stored(batch_of(message)) == {
        "m{}": 1.0,
        "own{}": 1.0,
        'm{"otel.scope.name":"lib","otel.scope.version":"3"}': 2.0,
        'm{"otel.scope.a":"b","otel.scope.name":"lib","otel.scope.version":"2"}': 2.0,
        'm{"otel.scope.name":"unknown"}': 2.0,
    }


def test_what_is_beyond_the_limit_of_tags_goes_to_target_info(
    batch_of: Callable[..., Batch],
) -> None:
    names = [f"r{n}" for n in range(4)]
    messages = [
        make.request(
            make.gauge("m", [make.number(NOW, 1, {"a": "x", "b": "y"})]),
            resource=dict.fromkeys(names[:3], "v") | {"r3": value},
        )
        for value in ("v", "w")
    ]
    known = SeriesMemo(1_000_000)
    for _ in range(2):
        batch = batch_of(both(*messages), known, AttributeChoice(names))
        series = [from_json(key.tags) for key in batch.series if key.name == "m"]
        ids = [tags.pop("otel.resource.id") for tags in series]
        assert ids[0] != ids[1]
        assert series == [{"a": "x", "b": "y", "r0": "v", "r1": "v"}] * 2
        assert infos(batch) == [dict.fromkeys(names[:3], "v") | {"r3": v} for v in ("v", "w")]
    first = batch_of(both(*messages), None, AttributeChoice(names))
    assert len(first.notes) == 2
    assert "more attributes than its series have room for" in first.notes[0]
    wide = make.request(
        make.gauge("m", [make.number(NOW, 1)]), resource={f"x{n}": 1 for n in range(70)}
    )
    [note, *_] = batch_of(wide).notes
    assert "more than 64 attributes" in note


def test_points_that_differ_in_a_map_are_two_series(batch_of: Callable[..., Batch]) -> None:
    points = [make.number(NOW, n, {"k": {"n": n}}) for n in (1, 2)]
    batch = batch_of(make.request(make.gauge("m", points)))
    assert stored(batch) == {'m{"k":"{\\"n\\":\\"1\\"}"}': 1.0, 'm{"k":"{\\"n\\":\\"2\\"}"}': 2.0}


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
    found = batch_of(make.request(metric)).metadata["m"]
    assert found.type == kind
    # Of deltas rate() makes nonsense: who looks at the metric is told.
    assert ("do not use rate()" in found.text) == (temporality == 1)
    assert found.text.startswith("All.")


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
    assert batch.family_markers == [FamilyMarker("h_bucket", b"{}", "le", NOW)]


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        (make.exponential("e", NOW, scale=21), "e has the scale 21"),
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
        (b"\x10\x05", "no resource_metrics"),
        (b"hello world, hello", "ExportMetricsServiceRequest"),
    ],
)
def test_what_is_no_request_says_why(body: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        protobuf(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"hello":"world"}',
        b'{"resource_logs":[]}',
        b'{"resourceMetrics":3}',
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
    samples = [
        (repr(key), time, value)
        for key, time, value in zip(batch.series, batch.times, batch.values, strict=True)
        if key.name != "target_info"
    ]
    return samples, ends, batch.rejected, infos(batch)


@given(METRICS, TAGS)
def test_both_encodings_mean_the_same_whatever_is_known(metrics: list[Any], resource: Any) -> None:
    message = _request(metrics, resource)
    first = _all(protobuf(message))
    assert _all(protobuf(message, KNOWN)) == first
    assert _all(protobuf(message, KNOWN)) == first
    assert _all(json(message)) == first
    assert len(first[0]) + len(first[1]) + first[2] == sum(len(points) for _, points in metrics)


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


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":'
        b'[{"timeUnixNano":"1800000000000000000","asInt":"x"}]}}]}]}]}',
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":'
        b'[{"timeUnixNano":1e999,"asDouble":1}]}}]}]}]}',
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":'
        b'[{"timeUnixNano":"1800000000000000000","asInt":1' + b"0" * 400 + b"}]}}]}]}]}",
    ],
)
def test_a_point_that_can_t_be_read_is_refused_alone(body: bytes) -> None:
    good = b'{"timeUnixNano":"%d","asDouble":1}' % (NOW * 1_000_000)
    batch = json(body.replace(b'"dataPoints":[', b'"dataPoints":[' + good + b","))
    assert (batch.accepted, batch.rejected) == (1, 1)
    assert "m has a point that can't be read" in batch.issues[0].message


AT = str(NOW * 1_000_000)
GOOD = {"name": "good", "gauge": {"dataPoints": [{"timeUnixNano": AT, "asDouble": 7}]}}


def in_scope(*metrics: Any) -> Any:
    return {"scopeMetrics": [{"metrics": [*metrics]}]}


def with_point(**point: Any) -> Any:
    return in_scope({"name": "m", "gauge": {"dataPoints": [{"timeUnixNano": AT, **point}]}})


def with_value(**value: Any) -> Any:
    return with_point(asInt=1, attributes=[{"key": "k", "value": value}])


TWO = [{"timeUnixNano": AT, "asInt": 1}, {"timeUnixNano": AT, "asInt": 2}]


@pytest.mark.parametrize(
    ("bad", "refused", "says"),
    [
        (in_scope(None), 1, "metrics[0] can't be read: it is not an object"),
        (in_scope("x"), 1, "metrics[0] can't be read: it is not an object"),
        (in_scope({"name": "m", "gauge": []}), 1, "m can't be read: gauge is not an object"),
        (in_scope({"name": "m", "gauge": 0}), 1, "m can't be read: gauge is not an object"),
        (in_scope({"name": "m", "gauge": {"dataPoints": {}}}), 1, "dataPoints is not an array"),
        (in_scope({"name": "m", "gauge": {"dataPoints": ""}}), 1, "dataPoints is not an array"),
        (in_scope({"name": "m", "guage": {"dataPoints": TWO}}), 1, 'it has "guage" and none of'),
        (in_scope({"name": ["x"], "gauge": {"dataPoints": TWO}}), 2, "name is not text"),
        (
            in_scope({"name": "m", "sum": {"dataPoints": TWO, "aggregationTemporality": []}}),
            2,
            "m can't be read: aggregationTemporality is not a whole number",
        ),
        (
            in_scope({"name": "m", "sum": {"dataPoints": TWO, "aggregationTemporality": "x"}}),
            2,
            "aggregationTemporality",
        ),
        (
            in_scope({"name": "m", "sum": {"dataPoints": TWO, "isMonotonic": "false"}}),
            2,
            "isMonotonic is neither true nor false",
        ),
        (in_scope({"name": "m", "unit": 5, "gauge": {"dataPoints": TWO}}), 2, "unit is not text"),
        ({"resource": "x", **in_scope(GOOD, GOOD)}, 2, "resourceMetrics[0] can't be read"),
        ({"resource": {"attributes": "x"}, **in_scope(GOOD)}, 1, "attributes is not an array"),
        (
            {"resource": {"attributes": [{"key": 5}]}, **in_scope(GOOD)},
            1,
            "resourceMetrics[0] can't be read: key is not text",
        ),
        (None, 1, "resourceMetrics[0] can't be read: it is not an object"),
        ({"scopeMetrics": "x"}, 1, "scopeMetrics is not an array"),
        ({"scopeMetrics": [{"metrics": 3}]}, 1, "scopeMetrics[0] can't be read: metrics is"),
        (
            {"scopeMetrics": [{"scope": {"name": 5}, "metrics": [GOOD]}]},
            1,
            "scopeMetrics[0] can't be read: name is not text",
        ),
        (with_point(asInt="1_000"), 1, 'asInt is not a whole number: "1_000"'),
        (with_point(asInt=" 5"), 1, "asInt is not a whole number"),
        (with_point(asInt=1.5), 1, "asInt is not a whole number: 1.5"),
        (with_point(asInt=True), 1, "asInt is not a whole number"),
        (with_point(asInt=str(2**63)), 1, "asInt is not a number of 64 bits"),
        (with_point(asDouble="1_000"), 1, "asDouble is not a number"),
        (with_point(asDouble="nan"), 1, "asDouble is not a number"),
        (with_point(asDouble="1e999"), 1, "asDouble is too large for a double"),
        (with_point(asDouble=True), 1, "asDouble is not a number"),
        (with_point(asDouble=10**400), 1, "asDouble is too large"),
        (with_point(asInt=1, flags=""), 1, "flags is not a whole number"),
        (with_point(asInt=1, flags="-1"), 1, "flags is not a number of 64 bits"),
        (with_point(asInt=1, attributes={}), 1, "attributes is not an array"),
        (with_point(asInt=1, attributes=[{"key": 5}]), 1, "key is not text"),
        (with_value(stringValue=5), 1, 'the attribute "k": stringValue is not text'),
        (with_value(boolValue="false"), 1, "boolValue is neither true nor false"),
        (with_value(intValue=1.5), 1, "intValue is not a whole number"),
        (with_value(intValue="1_000"), 1, "intValue is not a whole number"),
        (with_value(bytesValue="***"), 1, "bytesValue is not base64"),
        (with_value(arrayValue="x"), 1, "arrayValue is not an object"),
        (with_value(arrayValue={"values": [3]}), 1, "values[0] is not an object"),
    ],
)
def test_in_json_only_what_is_ill_typed_is_refused_by_name(
    bad: Any, refused: int, says: str
) -> None:
    batch = json(to_json({"resourceMetrics": [bad, in_scope(GOOD)]}))
    assert stored(batch) == {"good{}": 7.0}
    assert batch.rejected == refused
    assert says in batch.issues[0].message


def test_a_number_that_no_double_holds_is_not_stored_as_infinite() -> None:
    body = to_json({"resourceMetrics": [with_point(asDouble="@"), in_scope(GOOD)]})
    batch = json(body.replace(b'"@"', b"1e400"))
    assert (stored(batch), batch.rejected) == ({"good{}": 7.0}, 1)
    assert "asDouble is too large" in batch.issues[0].message


def test_null_is_as_good_as_absent_and_whole_numbers_have_all_their_spellings() -> None:
    batch = json(
        to_json(
            {
                "resourceMetrics": [
                    {"resource": None, **in_scope({"name": "n", "gauge": None})},
                    with_point(asInt="12", attributes=None, flags=None),
                    with_value(intValue="-5"),
                    with_value(intValue=1e3),
                    with_value(bytesValue="_-8"),
                    with_value(doubleValue="-Infinity"),
                    with_value(doubleValue="NaN"),
                    with_value(kvlistValue={"values": [{"key": "a", "value": None}]}),
                ]
            }
        )
    )
    assert batch.issues == []
    assert stored(batch) == {
        "m{}": 12.0,
        'm{"k":"-5"}': 1.0,
        'm{"k":"1000"}': 1.0,
        'm{"k":"/+8="}': 1.0,
        'm{"k":"-Inf"}': 1.0,
        'm{"k":"NaN"}': 1.0,
        'm{"k":"{\\"a\\":null}"}': 1.0,
    }


def wire(number: int, content: bytes) -> bytes:
    return encoded_text(number, content)


@pytest.mark.parametrize(
    ("bad", "refused", "says"),
    [
        # A resource, a scope and a metric whose fields are of another type.
        (wire(1, wire(1, wire(1, b"\x08\x01"))), 1, "a resource"),
        (wire(1, b"\x10\x01"), 1, "its field 2 has wire type 0"),
        (b"\x08\x01", 1, "a resource can't be read: it has wire type 0"),
        (wire(1, wire(2, b"\x08\x01")), 1, "the scope at byte"),
        (wire(1, wire(2, wire(2, wire(1, b"m") + b"\x28\x01"))), 1, "m can't be read"),
        (wire(1, wire(2, wire(2, b"\x08\x01" + wire(5, wire(1, b"") * 3)))), 3, "the metric at"),
        # A size that does not pass the end of the request, but that of its message.
        (wire(1, wire(2, wire(2, b"\x0a\x05m"))), 1, "passes the end"),
    ],
)
def test_in_protobuf_only_what_is_ill_typed_is_refused_by_name(
    bad: bytes, refused: int, says: str
) -> None:
    good = make.as_protobuf(make.request(make.gauge("good", [make.number(NOW, 7)])))
    for body in (bad + good, good + bad):
        batch = protobuf(body)
        assert stored(batch) == {"good{}": 7.0}
        assert batch.rejected == refused
        assert any(says.removeprefix("a resource") in each.message for each in batch.issues)


def test_a_large_resource_is_refused_with_its_points_alone(batch_of: Callable[..., Batch]) -> None:
    large = make.request(
        make.gauge("a", [make.number(NOW, 1), make.number(NOW, 2)]),
        make.histogram("h", [make.histogram_point(NOW, [1, 2], [0.5])]),
        resource={"big": "x" * 100_001},
    )
    small = make.request(make.gauge("good", [make.number(NOW, 7)]))
    batch = protobuf(both(large, small))
    assert stored(batch) == {"good{}": 7.0}
    assert batch.rejected == 3
    assert "message of 100" in batch.issues[0].message


def test_attributes_nested_too_deep_are_refused(batch_of: Callable[..., Batch]) -> None:
    def nested(levels: int) -> Any:
        value: Any = "x"
        for _ in range(levels):
            value = {"a": value}
        return value

    points = [make.number(NOW, n, {"k": nested(n)}) for n in (5, 6, 7, 20)]
    batch = batch_of(make.request(make.gauge("m", points)))
    assert sorted(stored(batch).values()) == [5.0, 6.0]
    assert batch.rejected == 2
    assert "nested in more than 6 levels" in batch.issues[0].message


def test_a_message_in_two_parts_is_one() -> None:
    point = make.as_protobuf(make.number(NOW, 1, {"n": "1"}))
    other = make.as_protobuf(make.number(NOW, 2, {"n": "2"}))
    metric = wire(1, b"m") + wire(5, wire(1, point)) + wire(5, wire(1, other))
    batch = protobuf(wire(1, wire(2, wire(2, metric))))
    assert stored(batch) == {'m{"n":"1"}': 1.0, 'm{"n":"2"}': 2.0}
