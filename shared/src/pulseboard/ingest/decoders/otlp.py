"""OpenTelemetry metrics over HTTP: from a request's body to a batch.

https://opentelemetry.io/docs/specs/otlp/ and its proto files. Both encodings become the same trees,
with JSON's names, and share one parser. A number data point in protocol buffers whose attributes
are in the series memo is decoded without a tree.
"""

from struct import Struct
from typing import Any

from pydantic_core import from_json

from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import AcceptedTimes, Batch, BatchLimits
from pulseboard.ingest.decoders import otlp_schema as schema
from pulseboard.ingest.decoders.names import metric_name, tags_from
from pulseboard.ingest.decoders.otlp_points import KINDS, RefusedPoint, metadata_of, parts_of
from pulseboard.ingest.decoders.otlp_resources import (
    AttributeChoice,
    Metric,
    Tree,
    attributes,
    in_json,
    in_protobuf,
    integer,
    object_of,
    small,
)
from pulseboard.ingest.decoders.protobuf_wire import WireError, fields, message
from pulseboard.ingest.decoders.series_memo import SeriesMemo

__all__ = ["AttributeChoice", "from_json_text", "from_protobuf"]

_SHOWN = 200
# Fields of a number data point, in the order in which all libraries write them.
_START, _TIME, _DOUBLE, _INTEGER = 0x11, 0x19, 0x21, 0x31
_AS_TIME, _AS_DOUBLE, _AS_INTEGER = Struct("<Q"), Struct("<d"), Struct("<q")
_FIELD = 9


def from_protobuf(
    body: bytes, *, now: int, limits: BatchLimits, choice: AttributeChoice, series_memo: SeriesMemo
) -> Batch:
    """The samples of an ExportMetricsServiceRequest. Times are milliseconds since 1970.

    `positions` of the batch are indices of data points. A histogram's data point makes several
    samples; a refused one counts once. Raises InvalidRequest and PayloadTooLarge.
    """
    parser = _MetricParser(now, limits, series_memo)
    try:
        for metric in in_protobuf(body, limits, choice):
            parser.add(metric)
    except WireError as error:
        raise _not_a_request(error) from None
    return parser.batch


def from_json_text(
    body: bytes, *, now: int, limits: BatchLimits, choice: AttributeChoice, series_memo: SeriesMemo
) -> Batch:
    """The same from the JSON encoding."""
    # A point has a few objects, and two more for each attribute. A tree is much larger than text.
    if body.count(b"{") + body.count(b"[") > 40 * limits.points + 1000:
        raise PayloadTooLarge("The body has more structure than is accepted: send less at a time.")
    parser = _MetricParser(now, limits, series_memo)
    try:
        for metric in in_json(from_json(body), choice):
            parser.add(metric)
    except ValueError as error:
        raise _not_a_request(error) from None
    return parser.batch


def _not_a_request(error: ValueError) -> InvalidRequest:
    return InvalidRequest(f"The body is not an ExportMetricsServiceRequest: {error}.")


class _MetricParser:
    """Parses metrics into a batch."""

    def __init__(self, now: int, limits: BatchLimits, series_memo: SeriesMemo) -> None:
        self.batch = Batch()
        self._limits = limits
        self._window = AcceptedTimes(now, limits)
        self._series_memo = series_memo
        self._points = 0

    def add(self, metric: Metric) -> None:
        """Add all points of a metric. Raises WireError and PayloadTooLarge."""
        name = metric_name(str(metric.tree.get("name") or ""))
        for kind in KINDS:
            if kind not in metric.tree:
                continue
            data = object_of(metric.tree, kind)
            points = data.get("dataPoints") or []
            if not isinstance(points, list):
                raise WireError("dataPoints is not an array")
            for point in points:
                if not (isinstance(point, bytes) and self._add_known(point, metric.context)):
                    self._add_point(point, name, kind, metric)
                self._points += 1
                if max(self._points, len(self.batch.times)) > self._limits.points:
                    raise PayloadTooLarge(
                        f"The body holds more than the {self._limits.points} samples that fit in "
                        "one request: send smaller batches."
                    )
            if name:
                self.batch.metadata.update(metadata_of(name, kind, data, metric.tree))

    def _add_known(self, raw: bytes, context: bytes) -> bool:
        """Add a number data point whose attributes are in the memo; False for any other."""
        try:
            time, value, rest = _head(raw)
        except (IndexError, _OtherOrder):
            return False
        key = self._series_memo.young.get(context + raw[rest:])
        if key is None or value != value or time not in self._window:
            return False
        self._add_sample(key, time, value)
        return True

    def _add_sample(self, key: SeriesKey, time: int, value: float) -> None:
        self.batch.series.append(key)
        self.batch.times.append(time)
        self.batch.values.append(value)
        self.batch.positions.append(self._points)

    def _add_point(self, point: Any, name: str, kind: str, metric: Metric) -> None:
        fields_of = KINDS[kind]
        raw = b""
        if isinstance(point, bytes):
            raw = point
            point = message(raw, 0, len(small(raw, 0, len(raw))), fields_of)
        if not isinstance(point, dict):
            raise WireError("a data point is not an object")
        try:
            tags, time = self._tags_and_time(point, name, metric)
            parts = parts_of(point, kind)
        except RefusedPoint as why:
            shown = name[:_SHOWN] or "a metric"
            self.batch.refuse(self._limits, self._points, [(kind, f"{shown} {why}")])
            return
        for suffix, more, value in parts:
            key = SeriesKey.of(name + suffix, tags | more)
            if value != value:
                self.batch.stale_markers.append((key, time))
            else:
                self._add_sample(key, time, value)
            if raw and fields_of is schema.NUMBER:
                self._memorize(raw, metric.context, key)

    def _tags_and_time(self, point: Tree, name: str, metric: Metric) -> tuple[dict[str, str], int]:
        if not name:
            raise RefusedPoint("has no name")
        tags = metric.tags | tags_from(attributes(point))
        if len(tags) > self._limits.tags:
            raise RefusedPoint(f"has {len(tags)} tags; {self._limits.tags} are allowed")
        time = integer(point.get("timeUnixNano") or 0, "timeUnixNano") // 1_000_000
        if time not in self._window:
            raise RefusedPoint(f"at {time} {self._window.why_not(time)}" if time else "has no time")
        return tags, time

    def _memorize(self, raw: bytes, context: bytes, key: SeriesKey) -> None:
        try:
            rest = _head(raw)[2]
        except (IndexError, _OtherOrder):
            return
        if all(number == schema.NUMBER_ATTRIBUTES for number, _, _ in fields(raw, rest, len(raw))):
            self._series_memo.put(context + raw[rest:], key)


class _OtherOrder(Exception):
    """The fields of a point are not in the usual order."""


def _head(raw: bytes) -> tuple[int, float, int]:
    """Time in milliseconds, value, and the position after both. Raises IndexError, _OtherOrder."""
    start = _FIELD if raw[0] == _START else 0
    if raw[start] != _TIME:
        raise _OtherOrder
    kind = raw[start + _FIELD]
    rest = start + 2 * _FIELD
    if len(raw) < rest:
        raise _OtherOrder
    (nanoseconds,) = _AS_TIME.unpack_from(raw, start + 1)
    if kind == _DOUBLE:
        (value,) = _AS_DOUBLE.unpack_from(raw, start + _FIELD + 1)
    elif kind == _INTEGER:
        (value,) = _AS_INTEGER.unpack_from(raw, start + _FIELD + 1)
    else:
        raise _OtherOrder
    return nanoseconds // 1_000_000, float(value), rest
