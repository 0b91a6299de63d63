"""OpenTelemetry metrics over HTTP: from a request's body to a batch.

https://opentelemetry.io/docs/specs/otlp/ and its proto files. Both encodings become the same trees,
with JSON's names, and share one parser. A number data point in protocol buffers whose attributes
are in the series memo is decoded without a tree.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Any

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey, canonical_tags
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import AcceptedTimes, Batch, BatchLimits, FamilyMarker
from pulseboard.ingest.decoders import otlp_schema as schema
from pulseboard.ingest.decoders.json_body import parse_json
from pulseboard.ingest.decoders.names import name_problem, shown, tags_from, tags_problem
from pulseboard.ingest.decoders.otlp_origins import (
    AttributeChoice,
    Origins,
    OriginsOfRequest,
    Resource,
)
from pulseboard.ingest.decoders.otlp_points import (
    KINDS,
    WHOLE,
    RefusedPoint,
    has_value,
    metadata_of,
    parts_of,
)
from pulseboard.ingest.decoders.otlp_resources import (
    Metric,
    RefusedPart,
    in_json,
    in_protobuf,
    points_in,
    small,
)
from pulseboard.ingest.decoders.otlp_values import (
    Tree,
    array,
    attributes,
    check_sizes,
    object_of,
    text_of,
    whole_of,
)
from pulseboard.ingest.decoders.protobuf_wire import WireError, fields, message
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from pulseboard.ingest.parts_budget import PartsBudget

__all__ = ["AttributeChoice", "from_json_text", "from_protobuf"]

_SHOWN = 200
# Fields of a number data point, in the order in which all libraries write them.
_START, _TIME, _DOUBLE, _INTEGER = 0x11, 0x19, 0x21, 0x31
_AS_TIME, _AS_DOUBLE, _AS_INTEGER = Struct("<Q"), Struct("<d"), Struct("<q")
_FIELD = 9
_INFO = b"target_info\0"
_OF_ALL_KINDS = frozenset({"name", "description", "unit", "metadata"})


def from_protobuf(
    body: bytes,
    *,
    now: int,
    limits: BatchLimits,
    choice: AttributeChoice,
    series_memo: SeriesMemo,
    origins: Origins | None = None,
) -> Batch:
    """The samples of an ExportMetricsServiceRequest. Times are milliseconds since 1970.

    `positions` of the batch are indices of data points. A histogram's data point makes several
    samples; a refused one counts once. A `target_info` stands at the index after the last one.
    Without `origins`, resources and scopes are told apart within the request. Raises
    InvalidRequest and PayloadTooLarge.
    """
    parser = _MetricParser(now, limits, series_memo)
    try:
        parser.add_all(
            in_protobuf(body, limits, choice, origins or OriginsOfRequest(), parser.budget)
        )
    except WireError as error:
        raise _not_a_request(error) from None
    return parser.batch


def from_json_text(
    body: bytes,
    *,
    now: int,
    limits: BatchLimits,
    choice: AttributeChoice,
    series_memo: SeriesMemo,
    origins: Origins | None = None,
) -> Batch:
    """The same from the JSON encoding."""
    # A point has a few objects, and two more for each attribute. A tree is much larger than text.
    if body.count(b"{") + body.count(b"[") > 40 * limits.points + 1000:
        raise PayloadTooLarge("The body has more structure than is accepted: send less at a time.")
    parser = _MetricParser(now, limits, series_memo)
    try:
        parser.add_all(in_json(parse_json(body), choice, origins or OriginsOfRequest()))
    except WireError as error:
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
        self._of_histograms = 0
        self.budget = PartsBudget(limits.parts, limits.points)

    def add_all(self, parts: Sequence[Metric | RefusedPart]) -> None:
        """Add all metrics, then what is known of their resources. Raises PayloadTooLarge."""
        resources: dict[int, Resource] = {}
        for part in parts:
            if isinstance(part, RefusedPart):
                self._refuse(part)
                continue
            before = len(self.batch.times)
            try:
                data = _data_of(part.tree)
            except WireError as error:
                what = shown(text_of(part.tree, "name"), _SHOWN) or "a metric"
                self._refuse(RefusedPart(what, str(error), max(1, points_in(part.tree))))
                continue
            self._add(part, data)
            if newest := max(self.batch.times[before:], default=None):
                resource = part.resource
                resource.newest = max(newest, resource.newest or newest)
                resources[id(resource)] = resource
        for resource in resources.values():
            self._add_info(resource)

    def _refuse(self, part: RefusedPart) -> None:
        """Refuse all points of what can't be read."""
        why = f"{part.what} can't be read: {part.why}"
        self.batch.refuse(self._limits, self._points, [("metrics", why)])
        self.batch.rejected += part.points - 1
        self._points += part.points
        self._check_count()

    def _check_count(self) -> None:
        samples = len(self.batch.times) - self._of_histograms
        too_many = max(self._points, samples) > self._limits.points
        if too_many or self._of_histograms > self._limits.parts_of_histograms:
            raise PayloadTooLarge(
                f"The body holds more than the {self._limits.points} samples that fit in one "
                "request: send smaller batches."
            )

    def _add_info(self, resource: Resource) -> None:
        if note := resource.note():
            self.batch.note(self._limits, note)
        # Points that are known do not say whether they were cut: once sent, it is sent again.
        raw = _INFO + b"".join(resource.claim)
        key = self._series_memo.find(raw)
        if key is None:
            info = resource.info()
            if info is None:
                return
            key, notes = info
            for note in notes:
                self.batch.note(self._limits, note)
            if not notes:
                self._series_memo.put(raw, key)
        self._add_sample(key, resource.newest or 0, 1.0)

    def _add(self, metric: Metric, data: "_Data") -> None:
        """Add all points of a metric. Raises PayloadTooLarge."""
        name = text_of(metric.tree, "name")
        for kind, (points, metadata) in data.items():
            for point in points:
                if not (isinstance(point, bytes) and self._add_known(point, metric.context)):
                    self._add_point(point, name, kind, metric)
                self._points += 1
                self._check_count()
            if not name_problem(name):
                self.batch.metadata.update(metadata)

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
        try:
            if isinstance(point, bytes):
                raw = point
                point = message(raw, 0, len(small(raw, 0, len(raw))), fields_of, self.budget)
            elif isinstance(point, dict):
                check_sizes(point)
            else:
                raise WireError("it is not an object")
            tags, time = self._tags_and_time(point, name, metric)
            parts = parts_of(point, kind, self._limits)
        except (RefusedPoint, WireError) as error:
            unreadable = isinstance(error, WireError)
            why = f"has a point that can't be read: {error}" if unreadable else str(error)
            title = shown(name, _SHOWN) or "a metric"
            self.batch.refuse(self._limits, self._points, [(kind, why)], subject=title)
            return
        if kind in WHOLE and not has_value(point):
            suffix, varies = WHOLE[kind]
            self.batch.family_markers.append(
                FamilyMarker(name + suffix, canonical_tags(tags), varies, time)
            )
        if kind == "exponentialHistogram":
            self._of_histograms += len(parts)
        for suffix, more, value in parts:
            key = SeriesKey.of(name + suffix, tags | more)
            if value != value:
                self.batch.stale_markers.append((key, time))
            else:
                self._add_sample(key, time, value)
            if raw and fields_of is schema.NUMBER:
                self._memorize(raw, metric.context, key)

    def _tags_and_time(self, point: Tree, name: str, metric: Metric) -> tuple[dict[str, str], int]:
        own = metric.scope_tags | tags_from(attributes(point))
        tags = metric.resource.tags_beside(own, self._limits.tags)
        if problem := name_problem(name) or tags_problem(tags, self._limits.tags):
            raise RefusedPoint(problem)
        time = whole_of(point, "timeUnixNano") // 1_000_000
        if time not in self._window:
            raise RefusedPoint(f"at {time} {self._window.why_not(time)}" if time else "has no time")
        return tags, time

    def _memorize(self, raw: bytes, context: bytes, key: SeriesKey) -> None:
        try:
            rest = _head(raw)[2]
        except (IndexError, _OtherOrder):
            return
        if all(
            number == schema.NUMBER_ATTRIBUTES
            for number, _, _ in fields(raw, rest, len(raw), self.budget)
        ):
            self._series_memo.put(context + raw[rest:], key)


_Data = dict[str, tuple[list[Any], dict[str, MetricMetadata]]]


def _data_of(tree: Tree) -> _Data:
    """By kind: the points of a metric, and the metadata that it gives. Raises WireError."""
    name = text_of(tree, "name")
    found: _Data = {}
    for kind in KINDS:
        if tree.get(kind) is not None:
            data = object_of(tree, kind)
            found[kind] = array(data, "dataPoints"), metadata_of(name, kind, data, tree)
    if not found and (unknown := tree.keys() - _OF_ALL_KINDS - KINDS.keys()):
        raise WireError(f'it has "{shown(min(unknown))}" and none of {", ".join(KINDS)}')
    return found


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
