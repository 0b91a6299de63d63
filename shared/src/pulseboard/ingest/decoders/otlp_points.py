"""The samples of an OpenTelemetry data point, by the kind of its metric."""

from collections.abc import Callable, Iterator

from pulseboard.catalogue.series_key import MetricMetadata
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.ingest.decoders import otlp_schema as schema
from pulseboard.ingest.decoders.names import tag_value
from pulseboard.ingest.decoders.otlp_resources import Tree, integer, number, objects, shortest
from pulseboard.ingest.decoders.protobuf_wire import Schema, WireError

_NO_RECORDED_VALUE = 1
_CUMULATIVE = 2


class RefusedPoint(ValueError):
    """A data point is not stored; the message says why."""


PointSample = tuple[str, dict[str, str], float]
"""Suffix of the name, tags beside the point's own, value."""


def _number_parts(point: Tree) -> list[PointSample]:
    if (value := point.get("asInt")) is not None:
        return [("", {}, number(integer(value, "asInt"), "asInt"))]
    if (value := point.get("asDouble")) is not None:
        return [("", {}, number(value, "asDouble"))]
    raise RefusedPoint("has neither asDouble nor asInt")


def _histogram_parts(point: Tree) -> list[PointSample]:
    counts, bounds = point.get("bucketCounts") or [], point.get("explicitBounds") or []
    if not isinstance(counts, list) or not isinstance(bounds, list):
        raise WireError("bucketCounts and explicitBounds are not arrays")
    if counts and len(counts) != len(bounds) + 1:
        raise RefusedPoint(f"has {len(counts)} buckets for {len(bounds)} bounds")
    parts: list[PointSample] = []
    total = 0
    for count, bound in zip(counts, [*bounds, "Infinity"], strict=False):
        total += integer(count, "bucketCounts")
        label = shortest(number(bound, "explicitBounds"))
        parts.append(("_bucket", {"le": label}, number(total, "bucketCounts")))
    return [*parts, *_sum_and_count(point)]


def _summary_parts(point: Tree) -> list[PointSample]:
    parts: list[PointSample] = [
        (
            "",
            {"quantile": shortest(number(each.get("quantile", 0.0), "quantile"))},
            number(each.get("value", 0.0), "value"),
        )
        for each in objects(point, "quantileValues")
    ]
    return [*parts, *_sum_and_count(point)]


def _exponential_parts(point: Tree) -> list[PointSample]:
    raise RefusedPoint(
        "is an exponential histogram, which is not stored: choose the aggregation "
        "explicit_bucket_histogram"
    )


def _sum_and_count(point: Tree) -> list[PointSample]:
    count = integer(point.get("count") or 0, "count")
    parts: list[PointSample] = [("_count", {}, number(count, "count"))]
    if point.get("sum") is not None:
        parts.append(("_sum", {}, number(point["sum"], "sum")))
    return parts


KINDS: dict[str, Schema] = {
    "gauge": schema.NUMBER,
    "sum": schema.NUMBER,
    "histogram": schema.HISTOGRAM,
    "summary": schema.SUMMARY,
    "exponentialHistogram": schema.EXPONENTIAL,
}
"""The kinds of metrics, with the schemas of their data points."""
_PARTS: dict[str, Callable[[Tree], list[PointSample]]] = {
    "gauge": _number_parts,
    "sum": _number_parts,
    "histogram": _histogram_parts,
    "summary": _summary_parts,
    "exponentialHistogram": _exponential_parts,
}
# The suffixes of the metrics that a metric becomes, with their types.
_TYPES = {
    "gauge": {"": MetricType.GAUGE},
    "sum": {"": MetricType.COUNTER},
    "histogram": {
        "_bucket": MetricType.HISTOGRAM,
        "_sum": MetricType.COUNTER,
        "_count": MetricType.COUNTER,
    },
    "summary": {
        "": MetricType.SUMMARY,
        "_sum": MetricType.COUNTER,
        "_count": MetricType.COUNTER,
    },
}


def parts_of(point: Tree, kind: str) -> list[PointSample]:
    """The samples of a point; NaN stands for a stale marker. Raises RefusedPoint, and WireError."""
    if integer(point.get("flags") or 0, "flags") & _NO_RECORDED_VALUE:
        nan = float("nan")
        suffixes = ("",) if KINDS[kind] is schema.NUMBER else ("_count", "_sum")
        return [(suffix, {}, nan) for suffix in suffixes]
    return _PARTS[kind](point)


def metadata_of(
    name: str, kind: str, data: Tree, tree: Tree
) -> Iterator[tuple[str, MetricMetadata]]:
    """Name and metadata of each metric that a metric of this kind becomes."""
    grows = kind != "sum" or bool(data.get("isMonotonic"))
    sums_up = "aggregationTemporality" not in data or _temporality(data) == _CUMULATIVE
    for suffix, part in _TYPES.get(kind, {}).items():
        # A value that does not accumulate is not a counter.
        type_ = part if grows and sums_up else MetricType.GAUGE
        yield (
            name + suffix,
            MetricMetadata(
                type_,
                tag_value(str(tree.get("unit") or "")),
                tag_value(str(tree.get("description") or "")),
            ),
        )


def _temporality(data: Tree) -> int:
    value = data.get("aggregationTemporality")
    if isinstance(value, str) and not value.isdigit():
        # The specification does not allow names, but some senders use them.
        return _CUMULATIVE if value.endswith("CUMULATIVE") else 0
    return integer(value, "aggregationTemporality")
