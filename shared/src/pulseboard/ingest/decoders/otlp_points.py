"""What samples a data point of OpenTelemetry makes, by the kind of its metric."""

from collections.abc import Callable, Iterator

from pulseboard.catalogue.series_key import MetricMetadata
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.ingest.decoders import otlp_schema as schema
from pulseboard.ingest.decoders.names import tag_value
from pulseboard.ingest.decoders.otlp_resources import Tree, integer, number, objects, shortest
from pulseboard.ingest.decoders.protobuf_wire import Schema, WireError

_NO_RECORDED_VALUE = 1
_CUMULATIVE = 2


class Refused(ValueError):
    """Why a point is not stored."""


Part = tuple[str, dict[str, str], float]
"""Suffix of the name, tags beside the point's own, value."""


def _number_parts(point: Tree) -> list[Part]:
    if (value := point.get("asInt")) is not None:
        return [("", {}, number(integer(value, "asInt"), "asInt"))]
    if (value := point.get("asDouble")) is not None:
        return [("", {}, number(value, "asDouble"))]
    raise Refused("has neither asDouble nor asInt")


def _histogram_parts(point: Tree) -> list[Part]:
    counts, bounds = point.get("bucketCounts") or [], point.get("explicitBounds") or []
    if not isinstance(counts, list) or not isinstance(bounds, list):
        raise WireError("bucketCounts and explicitBounds are not arrays")
    if counts and len(counts) != len(bounds) + 1:
        raise Refused(f"has {len(counts)} buckets for {len(bounds)} bounds")
    parts: list[Part] = []
    total = 0
    for count, bound in zip(counts, [*bounds, "Infinity"], strict=False):
        total += integer(count, "bucketCounts")
        label = shortest(number(bound, "explicitBounds"))
        parts.append(("_bucket", {"le": label}, number(total, "bucketCounts")))
    return [*parts, *_sum_and_count(point)]


def _summary_parts(point: Tree) -> list[Part]:
    parts: list[Part] = [
        (
            "",
            {"quantile": shortest(number(each.get("quantile", 0.0), "quantile"))},
            number(each.get("value", 0.0), "value"),
        )
        for each in objects(point, "quantileValues")
    ]
    return [*parts, *_sum_and_count(point)]


def _exponential_parts(point: Tree) -> list[Part]:
    raise Refused(
        "is an exponential histogram, which is not stored: choose the aggregation "
        "explicit_bucket_histogram"
    )


def _sum_and_count(point: Tree) -> list[Part]:
    count = integer(point.get("count") or 0, "count")
    parts: list[Part] = [("_count", {}, number(count, "count"))]
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
"""What a metric can be, with the messages of its points."""
_PARTS: dict[str, Callable[[Tree], list[Part]]] = {
    "gauge": _number_parts,
    "sum": _number_parts,
    "histogram": _histogram_parts,
    "summary": _summary_parts,
    "exponentialHistogram": _exponential_parts,
}
# The names that a metric's parts get, each with its type.
_DESCRIBED = {
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


def parts_of(point: Tree, kind: str) -> list[Part]:
    """The samples of a point; NaN for those that end. Raises Refused, and WireError."""
    if integer(point.get("flags") or 0, "flags") & _NO_RECORDED_VALUE:
        nan = float("nan")
        suffixes = ("",) if KINDS[kind] is schema.NUMBER else ("_count", "_sum")
        return [(suffix, {}, nan) for suffix in suffixes]
    parts = _PARTS[kind](point)
    for suffix, _, value in parts:
        if value in (float("inf"), float("-inf")):
            raise Refused(f"is {value}{f' in {suffix}' if suffix else ''}")
    return parts


def described(name: str, kind: str, data: Tree, tree: Tree) -> Iterator[tuple[str, MetricMetadata]]:
    """Of each metric that a metric of this kind becomes, its name and what is said of it."""
    grows = kind != "sum" or bool(data.get("isMonotonic"))
    sums_up = "aggregationTemporality" not in data or _temporality(data) == _CUMULATIVE
    for suffix, part in _DESCRIBED.get(kind, {}).items():
        # What does not go on from its former value is no counter.
        counted = part if grows and sums_up else MetricType.GAUGE
        yield (
            name + suffix,
            MetricMetadata(
                counted,
                tag_value(str(tree.get("unit") or "")),
                tag_value(str(tree.get("description") or "")),
            ),
        )


def _temporality(data: Tree) -> int:
    said = data.get("aggregationTemporality")
    if isinstance(said, str) and not said.isdigit():
        # Not allowed by the specification, and sent all the same.
        return _CUMULATIVE if said.endswith("CUMULATIVE") else 0
    return integer(said, "aggregationTemporality")
