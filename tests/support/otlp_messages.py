"""OTLP metrics, encoded by the classes that come with OpenTelemetry's own exporter."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

MS = 1_000_000


def attributes(values: Mapping[str, Any]) -> list[KeyValue]:
    """Attributes of Python values."""
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items()]


def _value(value: Any) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, dict):
        return AnyValue(kvlist_value=KeyValueList(values=attributes(value)))
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_value(each) for each in value]))
    return AnyValue(string_value=value)


def number(time: int, value: float, tags: Mapping[str, Any] | None = None, **more: Any) -> Any:
    """A point of a gauge or sum; `time` in milliseconds."""
    kind = {"as_int": value} if isinstance(value, int) else {"as_double": value}
    return NumberDataPoint(
        time_unix_nano=time * MS, attributes=attributes(tags or {}), **kind, **more
    )


def no_number(time: int) -> Any:
    """A point without a value."""
    return NumberDataPoint(time_unix_nano=time * MS)


def gauge(name: str, points: Sequence[Any], **more: Any) -> Metric:
    """A gauge."""
    return Metric(name=name, gauge=Gauge(data_points=points), **more)


def total(name: str, points: Sequence[Any], *, temporality: int = 2, monotonic: bool = True) -> Any:
    """A sum, cumulative unless `temporality` is 1."""
    data: Any = Sum(data_points=points, is_monotonic=monotonic)
    data.aggregation_temporality = temporality
    return Metric(name=name, sum=data, unit="1", description="All.")


def histogram(name: str, points: Sequence[Any], *, temporality: int = 2) -> Metric:
    """A histogram of explicit buckets."""
    data: Any = Histogram(data_points=points)
    data.aggregation_temporality = temporality
    return Metric(name=name, histogram=data)


def histogram_point(time: int, counts: list[int], bounds: list[float], **more: Any) -> Any:
    """A point of a histogram."""
    return HistogramDataPoint(
        time_unix_nano=time * MS,
        count=sum(counts),
        bucket_counts=counts,
        explicit_bounds=bounds,
        **more,
    )


def summary(name: str, time: int, quantiles: Mapping[float, float]) -> Metric:
    """A summary of one point with count 9 and sum 4.5."""
    values = [
        SummaryDataPoint.ValueAtQuantile(quantile=quantile, value=value)
        for quantile, value in quantiles.items()
    ]
    point = SummaryDataPoint(time_unix_nano=time * MS, count=9, sum=4.5, quantile_values=values)
    return Metric(name=name, summary=Summary(data_points=[point]))


def exponential(name: str, time: int, *, scale: int = 0) -> Metric:
    """An exponential histogram."""
    point = ExponentialHistogramDataPoint(time_unix_nano=time * MS, count=1, scale=scale)
    return Metric(name=name, exponential_histogram=ExponentialHistogram(data_points=[point]))


def request(*metrics: Metric, resource: Mapping[str, Any] | None = None) -> Any:
    """A request of one resource and one scope."""
    scope = ScopeMetrics(scope=InstrumentationScope(name="lib", version="2"), metrics=metrics)
    owner = Resource(attributes=attributes(resource or {}))
    return ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(resource=owner, scope_metrics=[scope])]
    )


def as_protobuf(message: Any) -> bytes:
    """The binary encoding."""
    return bytes(message.SerializeToString())


def as_json(message: Any) -> bytes:
    """The JSON encoding, enums as numbers, as the specification requires."""
    text: str = MessageToJson(message, use_integers_for_enums=True)
    return text.encode()
