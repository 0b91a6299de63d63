"""The samples of an OpenTelemetry data point, by the kind of its metric."""

from collections.abc import Callable
from math import inf

from pulseboard.catalogue.series_key import MetricMetadata
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.ingest.batch import BatchLimits
from pulseboard.ingest.decoders import otlp_schema as schema
from pulseboard.ingest.decoders.exponential import COARSEST, Exponential, classic
from pulseboard.ingest.decoders.names import metadata_text
from pulseboard.ingest.decoders.otlp_values import (
    Tree,
    array,
    flag_of,
    integer,
    object_of,
    objects,
    real,
    shortest,
    text_of,
    whole_of,
)
from pulseboard.ingest.decoders.protobuf_wire import Schema

_NO_RECORDED_VALUE = 1
_CUMULATIVE = 2
_FINEST = 20
"""The scale at which OpenTelemetry's SDKs begin."""


DELTA_NOTE = (
    "Deltas, a number of each interval: add them up with sum_over_time, and do not use rate()."
)


class RefusedPoint(ValueError):
    """A data point is not stored; the message says why."""


PointSample = tuple[str, dict[str, str], float]
"""Suffix of the name, tags beside the point's own, value."""


def _number_parts(point: Tree) -> list[PointSample]:
    if (value := point.get("asInt")) is not None:
        return [("", {}, float(integer(value, "asInt", signed=True)))]
    if (value := point.get("asDouble")) is not None:
        return [("", {}, real(value, "asDouble"))]
    raise RefusedPoint("has neither asDouble nor asInt")


def _histogram_parts(point: Tree) -> list[PointSample]:
    counts, bounds = array(point, "bucketCounts"), array(point, "explicitBounds")
    if counts and len(counts) != len(bounds) + 1:
        raise RefusedPoint(f"has {len(counts)} buckets for {len(bounds)} bounds")
    parts: list[PointSample] = []
    total = 0
    for count, bound in zip(counts, [*bounds, "Infinity"], strict=False):
        total += integer(count, "bucketCounts", signed=False)
        label = shortest(real(bound, "explicitBounds"))
        parts.append(("_bucket", {"le": label}, float(total)))
    return [*parts, *_sum_and_count(point)]


def _summary_parts(point: Tree) -> list[PointSample]:
    parts: list[PointSample] = [
        ("", {"quantile": shortest(_double_of(each, "quantile"))}, _double_of(each, "value"))
        for each in objects(point, "quantileValues")
    ]
    return [*parts, *_sum_and_count(point)]


def _double_of(tree: Tree, name: str) -> float:
    found = tree.get(name)
    return 0.0 if found is None else real(found, name)


def _exponential_parts(point: Tree, limits: BatchLimits) -> list[PointSample]:
    scale = _signed_of(point, "scale")
    if not COARSEST <= scale <= _FINEST:
        raise RefusedPoint(f"has the scale {scale}; {COARSEST} to {_FINEST} are read")
    histogram = Exponential(
        scale,
        _exponential_counts(point, "positive"),
        _exponential_counts(point, "negative"),
        float(whole_of(point, "zeroCount")),
        abs(_double_of(point, "zeroThreshold")),
    )
    buckets = [*classic(histogram, limits), (inf, float(whole_of(point, "count")))]
    parts: list[PointSample] = [
        ("_bucket", {"le": shortest(bound)}, cumulative) for bound, cumulative in buckets
    ]
    return [*parts, *_sum_and_count(point)]


def _exponential_counts(point: Tree, side: str) -> dict[int, float]:
    buckets = object_of(point, side)
    # Index 0 is the bucket above 1, which Prometheus counts as 1.
    offset = _signed_of(buckets, "offset") + 1
    return {
        offset + index: float(integer(count, "bucketCounts", signed=False))
        for index, count in enumerate(array(buckets, "bucketCounts"))
    }


def _signed_of(tree: Tree, name: str) -> int:
    found = tree.get(name)
    return 0 if found is None else integer(found, name, signed=True)


def _sum_and_count(point: Tree) -> list[PointSample]:
    parts: list[PointSample] = [("_count", {}, float(whole_of(point, "count")))]
    if point.get("sum") is not None:
        parts.append(("_sum", {}, real(point["sum"], "sum")))
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
}
# The suffixes of the metrics that a metric becomes, with their types.
_HISTOGRAM_TYPES = {
    "_bucket": MetricType.HISTOGRAM,
    "_sum": MetricType.COUNTER,
    "_count": MetricType.COUNTER,
}
_TYPES = {
    "gauge": {"": MetricType.GAUGE},
    "sum": {"": MetricType.COUNTER},
    "histogram": _HISTOGRAM_TYPES,
    "exponentialHistogram": _HISTOGRAM_TYPES,
    "summary": {
        "": MetricType.SUMMARY,
        "_sum": MetricType.COUNTER,
        "_count": MetricType.COUNTER,
    },
}


def has_value(point: Tree) -> bool:
    """False with the flag "no recorded value": the point ends its series."""
    return not whole_of(point, "flags") & _NO_RECORDED_VALUE


def ends_of(point: Tree, kind: str) -> list[PointSample]:
    """What a point without a recorded value ends, as NaN.

    A histogram's or summary's point has neither bounds nor quantiles then: its other series are
    those of the catalogue that `WHOLE` names.
    """
    nan = float("nan")
    if KINDS[kind] is schema.NUMBER:
        return [("", {}, nan)]
    return [("_count", {}, nan), ("_sum", {}, nan)]


WHOLE = {
    "histogram": ("_bucket", "le"),
    "exponentialHistogram": ("_bucket", "le"),
    "summary": ("", "quantile"),
}
"""The metrics of whose series one point makes several: suffix, and the tag that differs."""


def parts_of(point: Tree, kind: str, limits: BatchLimits) -> list[PointSample]:
    """The samples of a point; NaN stands for a stale marker. Raises RefusedPoint, and WireError."""
    if not has_value(point):
        return ends_of(point, kind)
    if kind == "exponentialHistogram":
        return _exponential_parts(point, limits)
    return _PARTS[kind](point)


def metadata_of(name: str, kind: str, data: Tree, tree: Tree) -> dict[str, MetricMetadata]:
    """Metadata of each metric that a metric of this kind becomes, by name. Raises WireError."""
    grows = flag_of(data, "isMonotonic") or kind != "sum"
    temporality = _temporality(data)
    sums_up = temporality in (None, _CUMULATIVE)
    text, unit = text_of(tree, "description"), metadata_text(text_of(tree, "unit"))
    if not sums_up:
        text = f"{text} {DELTA_NOTE}".lstrip()
    found: dict[str, MetricMetadata] = {}
    for suffix, part in _TYPES.get(kind, {}).items():
        # A value that does not accumulate is not a counter.
        type_ = part if grows and sums_up else MetricType.GAUGE
        found[name + suffix] = MetricMetadata(type_, unit, metadata_text(text))
    return found


_TEMPORALITIES = {"UNSPECIFIED": 0, "DELTA": 1, "CUMULATIVE": _CUMULATIVE}
_PREFIX = "AGGREGATION_TEMPORALITY_"


def _temporality(data: Tree) -> int | None:
    """How values add up; None when that is not said."""
    value = data.get("aggregationTemporality")
    if value is None:
        return None
    # The specification does not allow names, but some senders use them.
    if isinstance(value, str) and (known := value.removeprefix(_PREFIX)) in _TEMPORALITIES:
        return _TEMPORALITIES[known]
    return integer(value, "aggregationTemporality", signed=False)
