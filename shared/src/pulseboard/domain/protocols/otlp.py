"""OpenTelemetry metrics over HTTP: from a request's body to a batch.

https://opentelemetry.io/docs/specs/otlp/ and the proto files it names. Both encodings become the
same trees, named as in JSON, and are read by one reader. A number's point in protocol buffers
whose attributes are known by their bytes needs no tree.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from math import isfinite
from struct import Struct
from typing import Any, NamedTuple

from pydantic_core import from_json

from pulseboard.contracts.metrics import MetricType
from pulseboard.domain.batch import Batch, Description, Limits, SeriesKey, Window
from pulseboard.domain.protocols import otlp_schema as schema
from pulseboard.domain.protocols.names import metric_name, tag_value, tags_from
from pulseboard.domain.protocols.recognised import Recognised
from pulseboard.domain.protocols.wire import BYTES, WireError, fields, message
from pulseboard.exceptions import InvalidRequest, PayloadTooLarge

Tree = dict[str, Any]
_NO_RECORDED_VALUE = 1
_CUMULATIVE = 2
_LARGEST_MESSAGE = 100_000
_SHOWN = 200
# Fields of a number's point, in the order in which all libraries write them.
_START, _TIME, _DOUBLE, _INTEGER = 0x11, 0x19, 0x21, 0x31
_AS_TIME, _AS_DOUBLE, _AS_INTEGER = Struct("<Q"), Struct("<d"), Struct("<q")
_FIELD = 9


@dataclass(frozen=True, slots=True)
class Choice:
    """Which attributes of a resource become tags, and whether the scope does."""

    resource: Collection[str]
    scope: bool = False


class _Metric(NamedTuple):
    """A metric with the tags of what it belongs to. `context` stands for both, if not empty."""

    tree: Tree
    tags: dict[str, str]
    context: bytes


def from_protobuf(
    body: bytes, *, now: int, limits: Limits, choice: Choice, recognised: Recognised
) -> Batch:
    """The samples of an ExportMetricsServiceRequest. Times are milliseconds since 1970.

    `places` of the batch are data points; a histogram's makes several samples, and a refused one
    counts once. Raises InvalidRequest and PayloadTooLarge.
    """
    reader = _Reader(now, limits, recognised)
    try:
        for metric in _in_protobuf(body, limits, choice):
            reader.take(metric)
    except WireError as error:
        raise _not_a_request(error) from None
    return reader.batch


def from_json_text(
    body: bytes, *, now: int, limits: Limits, choice: Choice, recognised: Recognised
) -> Batch:
    """The same from the JSON encoding."""
    # A point has a few objects and two for each attribute; a tree costs much more than its text.
    if body.count(b"{") + body.count(b"[") > 40 * limits.points + 1000:
        raise PayloadTooLarge("The body has more structure than is accepted: send less at a time.")
    reader = _Reader(now, limits, recognised)
    try:
        for metric in _in_json(from_json(body), choice):
            reader.take(metric)
    except ValueError as error:
        raise _not_a_request(error) from None
    return reader.batch


def _not_a_request(error: ValueError) -> InvalidRequest:
    return InvalidRequest(f"The body is not an ExportMetricsServiceRequest: {error}.")


def _in_protobuf(data: bytes, limits: Limits, choice: Choice) -> Iterator[_Metric]:
    room = limits.points
    for start, stop in _messages(data, 0, len(data), 1):
        resource = b"".join(_small(data, *span) for span in _messages(data, start, stop, 1))
        from_resource = _resource_tags(message(resource, 0, len(resource), schema.RESOURCE), choice)
        for inner_start, inner_stop in _messages(data, start, stop, 2):
            scope = b"".join(
                _small(data, *span) for span in _messages(data, inner_start, inner_stop, 1)
            )
            tags = from_resource | _scope_tags(message(scope, 0, len(scope), schema.SCOPE), choice)
            for span in _messages(data, inner_start, inner_stop, 2):
                tree = message(data, *span, schema.METRIC)
                context = blake2b(resource, digest_size=16)
                context.update(scope + b"\0" + str(tree.get("name")).encode())
                yield _Metric(tree, tags, context.digest())
                room -= 1
            room -= 1
        room -= 1
        if room < 0:
            raise PayloadTooLarge(f"The body holds more than {limits.points} metrics.")


def _messages(data: bytes, start: int, stop: int, wanted: int) -> Iterator[tuple[int, int]]:
    for number, kind, value in fields(data, start, stop):
        if number == wanted and kind == BYTES:
            yield value


def _small(data: bytes, start: int, stop: int) -> bytes:
    if stop - start > _LARGEST_MESSAGE:
        raise WireError(f"a message of {stop - start} bytes; {_LARGEST_MESSAGE} are accepted")
    return data[start:stop]


def _in_json(tree: Any, choice: Choice) -> Iterator[_Metric]:
    if not isinstance(tree, dict):
        raise WireError("it is no JSON object")
    for resource in _objects(tree, "resourceMetrics"):
        from_resource = _resource_tags(_object(resource, "resource"), choice)
        for scope in _objects(resource, "scopeMetrics"):
            tags = from_resource | _scope_tags(_object(scope, "scope"), choice)
            for metric in _objects(scope, "metrics"):
                yield _Metric(metric, tags, b"")


def _objects(tree: Tree, name: str) -> list[Tree]:
    found = tree.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise WireError(f"{name} is not an array of objects")
    return found


def _object(tree: Tree, name: str) -> Tree:
    found = tree.get(name) or {}
    if not isinstance(found, dict):
        raise WireError(f"{name} is not an object")
    return found


def _resource_tags(resource: Tree, choice: Choice) -> dict[str, str]:
    pairs = _attributes(resource)
    return tags_from(pair for pair in pairs if pair[0] in choice.resource)


def _scope_tags(scope: Tree, choice: Choice) -> dict[str, str]:
    if not choice.scope:
        return {}
    named = (("otel.scope.name", scope.get("name")), ("otel.scope.version", scope.get("version")))
    return tags_from((key, str(value)) for key, value in named if value)


def _attributes(tree: Tree) -> Iterator[tuple[str, str]]:
    for each in _objects(tree, "attributes"):
        value = _text(_object(each, "value"))
        if value is not None:
            yield str(each.get("key", "")), value


def _text(value: Tree) -> str | None:
    """An attribute's value as text; None for maps and bytes, which make no tags."""
    if (found := value.get("stringValue")) is not None:
        return str(found)
    if (found := value.get("boolValue")) is not None:
        return "true" if found else "false"
    if (found := value.get("intValue")) is not None:
        return str(found)
    if (found := value.get("doubleValue")) is not None:
        return _shortest(_number(found, "doubleValue"))
    if "arrayValue" not in value:
        return None
    inner = (_text(each) for each in _objects(_object(value, "arrayValue"), "values"))
    return ",".join(text for text in inner if text is not None)


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise WireError(f"{name} is not a number") from None


def _integer(value: Any, name: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise WireError(f"{name} is not a whole number") from None


def _shortest(value: float) -> str:
    """A bound or quantile as Prometheus writes it: without a trailing `.0`."""
    return repr(value).removesuffix(".0") if isfinite(value) else "+Inf"


Part = tuple[str, dict[str, str], float]
"""Suffix of the name, tags beside the point's own, value."""


def _number_parts(point: Tree, name: str) -> list[Part]:
    if (value := point.get("asInt")) is not None:
        return [("", {}, _number(_integer(value, "asInt"), "asInt"))]
    if (value := point.get("asDouble")) is not None:
        return [("", {}, _number(value, "asDouble"))]
    raise _Refused("has neither asDouble nor asInt")


def _histogram_parts(point: Tree, name: str) -> list[Part]:
    counts, bounds = point.get("bucketCounts") or [], point.get("explicitBounds") or []
    if not isinstance(counts, list) or not isinstance(bounds, list):
        raise WireError("bucketCounts and explicitBounds are not arrays")
    if counts and len(counts) != len(bounds) + 1:
        raise _Refused(f"has {len(counts)} buckets for {len(bounds)} bounds")
    parts: list[Part] = []
    total = 0
    for count, bound in zip(counts, [*bounds, "Infinity"], strict=False):
        total += _integer(count, "bucketCounts")
        label = _shortest(_number(bound, "explicitBounds"))
        parts.append(("_bucket", {"le": label}, _number(total, "bucketCounts")))
    return [*parts, *_sum_and_count(point)]


def _summary_parts(point: Tree, name: str) -> list[Part]:
    parts: list[Part] = [
        (
            "",
            {"quantile": _shortest(_number(each.get("quantile", 0.0), "quantile"))},
            _number(each.get("value", 0.0), "value"),
        )
        for each in _objects(point, "quantileValues")
    ]
    return [*parts, *_sum_and_count(point)]


def _exponential_parts(point: Tree, name: str) -> list[Part]:
    raise _Refused(
        "is an exponential histogram, which is not stored: choose the aggregation "
        "explicit_bucket_histogram"
    )


def _sum_and_count(point: Tree) -> list[Part]:
    count = _integer(point.get("count") or 0, "count")
    parts: list[Part] = [("_count", {}, _number(count, "count"))]
    if point.get("sum") is not None:
        parts.append(("_sum", {}, _number(point["sum"], "sum")))
    return parts


class _Refused(ValueError):
    """Why a point is not stored."""


_KINDS = {
    "gauge": (schema.NUMBER, _number_parts),
    "sum": (schema.NUMBER, _number_parts),
    "histogram": (schema.HISTOGRAM, _histogram_parts),
    "summary": (schema.SUMMARY, _summary_parts),
    "exponentialHistogram": (schema.EXPONENTIAL, _exponential_parts),
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


class _Reader:
    """Metrics on their way into columns."""

    def __init__(self, now: int, limits: Limits, recognised: Recognised) -> None:
        self.batch = Batch()
        self._limits = limits
        self._window = Window(now, limits)
        self._recognised = recognised
        self._points = 0

    def take(self, metric: _Metric) -> None:
        """All points of a metric. Raises WireError and PayloadTooLarge."""
        name = metric_name(str(metric.tree.get("name") or ""))
        for kind in _KINDS:
            if kind not in metric.tree:
                continue
            data = _object(metric.tree, kind)
            points = data.get("dataPoints") or []
            if not isinstance(points, list):
                raise WireError("dataPoints is not an array")
            for point in points:
                if not (isinstance(point, bytes) and self._known(point, metric.context)):
                    self._point(point, name, kind, metric)
                self._points += 1
                if max(self._points, len(self.batch.times)) > self._limits.points:
                    raise PayloadTooLarge(
                        f"The body holds more than the {self._limits.points} samples that fit in "
                        "one request: send smaller batches."
                    )
            self._describe(name, kind, data, metric.tree)

    def _describe(self, name: str, kind: str, data: Tree, tree: Tree) -> None:
        if not name:
            return
        grows = kind != "sum" or bool(data.get("isMonotonic"))
        sums_up = "aggregationTemporality" not in data or _temporality(data) == _CUMULATIVE
        for suffix, part in _DESCRIBED.get(kind, {}).items():
            # What does not go on from its former value is no counter.
            counted = part if grows and sums_up else MetricType.GAUGE
            self.batch.descriptions[name + suffix] = Description(
                counted,
                tag_value(str(tree.get("unit") or "")),
                tag_value(str(tree.get("description") or "")),
            )

    def _known(self, raw: bytes, context: bytes) -> bool:
        """Take a number's point whose attributes are known, or leave it."""
        try:
            time, value, rest = _head(raw)
        except (IndexError, _OtherOrder):
            return False
        key = self._recognised.young.get(context + raw[rest:])
        if key is None or not isfinite(value) or time not in self._window:
            return False
        self._add(key, time, value)
        return True

    def _add(self, key: SeriesKey, time: int, value: float) -> None:
        self.batch.series.append(key)
        self.batch.times.append(time)
        self.batch.values.append(value)
        self.batch.places.append(self._points)

    def _point(self, point: Any, name: str, kind: str, metric: _Metric) -> None:
        fields_of, parts_of = _KINDS[kind]
        raw = b""
        if isinstance(point, bytes):
            raw = point
            point = message(raw, 0, len(_small(raw, 0, len(raw))), fields_of)
        if not isinstance(point, dict):
            raise WireError("a data point is not an object")
        try:
            tags, time = self._tags_and_time(point, name, metric)
            parts = self._parts(point, parts_of, name)
        except _Refused as why:
            shown = name[:_SHOWN] or "a metric"
            self.batch.refuse(self._limits, self._points, [(kind, f"{shown} {why}")])
            return
        for suffix, more, value in parts:
            key = SeriesKey.of(name + suffix, tags | more)
            if value != value:
                self.batch.ends.append((key, time))
            else:
                self._add(key, time, value)
            if raw and fields_of is schema.NUMBER:
                self._remember(raw, metric.context, key)

    def _tags_and_time(self, point: Tree, name: str, metric: _Metric) -> tuple[dict[str, str], int]:
        if not name:
            raise _Refused("has no name")
        tags = metric.tags | tags_from(_attributes(point))
        if len(tags) > self._limits.tags:
            raise _Refused(f"has {len(tags)} tags; {self._limits.tags} are allowed")
        time = _integer(point.get("timeUnixNano") or 0, "timeUnixNano") // 1_000_000
        if time not in self._window:
            raise _Refused(f"at {time} {self._window.why_not(time)}" if time else "has no time")
        return tags, time

    def _parts(self, point: Tree, parts_of: Any, name: str) -> list[Part]:
        if _integer(point.get("flags") or 0, "flags") & _NO_RECORDED_VALUE:
            nan = float("nan")
            suffixes = ("",) if parts_of is _number_parts else ("_count", "_sum")
            return [(suffix, {}, nan) for suffix in suffixes]
        parts: list[Part] = parts_of(point, name)
        for suffix, _, value in parts:
            if value in (float("inf"), float("-inf")):
                raise _Refused(f"is {value}{f' in {suffix}' if suffix else ''}")
        return parts

    def _remember(self, raw: bytes, context: bytes, key: SeriesKey) -> None:
        try:
            rest = _head(raw)[2]
        except (IndexError, _OtherOrder):
            return
        if all(number == schema.NUMBER_ATTRIBUTES for number, _, _ in fields(raw, rest, len(raw))):
            self._recognised.remember(context + raw[rest:], key)


class _OtherOrder(Exception):
    """A point's fields don't stand as libraries write them."""


def _head(raw: bytes) -> tuple[int, float, int]:
    """Time in milliseconds, value, and where the rest begins. Raises IndexError, _OtherOrder."""
    place = _FIELD if raw[0] == _START else 0
    if raw[place] != _TIME:
        raise _OtherOrder
    kind = raw[place + _FIELD]
    rest = place + 2 * _FIELD
    if len(raw) < rest:
        raise _OtherOrder
    (nanoseconds,) = _AS_TIME.unpack_from(raw, place + 1)
    if kind == _DOUBLE:
        (value,) = _AS_DOUBLE.unpack_from(raw, place + _FIELD + 1)
    elif kind == _INTEGER:
        (value,) = _AS_INTEGER.unpack_from(raw, place + _FIELD + 1)
    else:
        raise _OtherOrder
    return nanoseconds // 1_000_000, float(value), rest


def _temporality(data: Tree) -> int:
    said = data.get("aggregationTemporality")
    if isinstance(said, str) and not said.isdigit():
        # Not allowed by the specification, and sent all the same.
        return _CUMULATIVE if said.endswith("CUMULATIVE") else 0
    return _integer(said, "aggregationTemporality")
