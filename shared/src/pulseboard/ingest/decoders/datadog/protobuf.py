"""Decodes the Agent's protocol buffers of version 2: series and sketches."""

from collections.abc import Callable, Iterator
from math import inf
from typing import Any

from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders.datadog.collector import (
    KINDS,
    SHOWN,
    STATISTICS,
    RefusedSeries,
    SeriesCollector,
)
from pulseboard.ingest.decoders.datadog.sketch import of_sketch
from pulseboard.ingest.decoders.exponential import classic
from pulseboard.ingest.decoders.names import shown
from pulseboard.ingest.decoders.otlp_values import shortest
from pulseboard.ingest.decoders.protobuf_wire import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Field,
    Schema,
    WireError,
    double,
    fields,
    message,
    signed,
    varint,
)
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from pulseboard.ingest.parts_budget import PartsBudget

_POINT_SIZE = 15
_ONE_BYTE = 0x80
_VALUE, _TIME = 0x09, 0x10
_POINT = {1: Field("value", "double"), 2: Field("timestamp", "int")}
_RESOURCE = {1: Field("type", "text"), 2: Field("name", "text")}
_IDENTITY = {
    1: Field("resources", "message", repeated=True, of=_RESOURCE),
    2: Field("metric", "text"),
    3: Field("tags", "text", repeated=True),
}
_SKETCH_IDENTITY = {
    1: Field("metric", "text"),
    2: Field("host", "text"),
    4: Field("tags", "text", repeated=True),
}
_DISTRIBUTION = {
    1: Field("ts", "int"),
    2: Field("count", "int"),
    3: Field("min", "double"),
    4: Field("max", "double"),
    5: Field("avg", "double"),
    6: Field("sum", "double"),
}
# Dogsketch: its bins by key, and how many values each has.
_SKETCH = {
    **_DISTRIBUTION,
    7: Field("k", "sint", repeated=True),
    8: Field("n", "uint", repeated=True),
}
_SKETCH_POINTS = {3: _DISTRIBUTION, 7: _SKETCH}
# The fields before the type are resources, metric, tags and points.
_LAST_OF_SERIES = 4
# A series with more tags is refused early, before it costs memory.
_MOST_TAGS = 1_000


def decode_series(body: bytes, *, now: int, limits: BatchLimits, series_memo: SeriesMemo) -> Batch:
    """The samples of a MetricPayload, inflated. As `decode_json`."""
    return _decode_each(body, _add_series, SeriesCollector(now, limits, series_memo))


def decode_sketches(
    body: bytes, *, now: int, limits: BatchLimits, series_memo: SeriesMemo
) -> Batch:
    """Count, sum, min, max, avg and buckets of a SketchPayload, inflated. As `decode_json`."""
    return _decode_each(body, _add_sketch, SeriesCollector(now, limits, series_memo))


def _decode_each(
    body: bytes, add: Callable[[bytes, int, int, SeriesCollector], None], collector: SeriesCollector
) -> Batch:
    """Decode each message of field 1 by `add`."""
    count = 0
    try:
        for number, kind, value in fields(body, 0, len(body), collector.budget):
            if number != 1:
                continue
            if kind != BYTES:
                raise WireError("a series is not a message")
            count += 1
            if count > collector.limits.points:
                raise PayloadTooLarge(
                    f"The body has more than the {collector.limits.points} series that are "
                    "accepted at once."
                )
            collector.position = count - 1
            try:
                add(body, value[0], value[1], collector)
            except RefusedSeries as refusal:
                collector.refuse(str(refusal))
            except WireError as error:
                collector.refuse(f"can't be read: {error}")
    except WireError as error:
        raise InvalidRequest(
            f"The body is neither JSON nor Datadog's protocol buffers: {error}."
        ) from None
    return collector.batch


def _add_series(body: bytes, start: int, stop: int, collector: SeriesCollector) -> None:
    raw, points, numbers, unit = [], [], {5: 0, 8: 0}, ""
    for number, varied, begin, end in _spans(body, start, stop, collector.budget):
        if varied is not None:
            if number in numbers:
                numbers[number] = varied
            elif number <= _LAST_OF_SERIES:
                raise WireError(f"its field {number} is a number")
        elif number <= 3:
            raw.append(body[begin:end])
        elif number == 4:
            points.append(_wire_point(body, begin, end, collector.budget))
        elif number == 6:
            unit = body[_inside(body, begin) : end].decode(errors="replace")
        if len(raw) > _MOST_TAGS or len(points) > collector.limits.points:
            raise PayloadTooLarge("A series has more tags or points than are accepted at once.")
    known = b"".join(raw)
    key = collector.series_memo.find(known)
    if key is None:
        identity = _identity(known, _IDENTITY, collector.budget)
        resources = [(one.get("type", ""), one.get("name", "")) for one in identity["resources"]]
        key = collector.key(known, identity.get("metric", ""), resources, identity["tags"])
    kind = numbers[5]
    collector.describe(
        key.name, KINDS[kind] if kind < len(KINDS) else "", signed(numbers[8]), unit[:SHOWN]
    )
    for seconds, value in points:
        collector.add(key, seconds, value)


def _identity(known: bytes, schema: Schema, budget: PartsBudget) -> dict[str, Any]:
    """The fields that identify a series. Raises RefusedSeries."""
    try:
        identity = message(known, 0, len(known), schema, budget)
    except WireError as error:
        raise RefusedSeries(f"can't be read: {error}") from None
    return {"resources": [], "tags": [], **identity}


def _add_sketch(body: bytes, start: int, stop: int, collector: SeriesCollector) -> None:
    raw, found = [], []
    for number, varied, begin, end in _spans(body, start, stop, collector.budget):
        if varied is not None:
            if number in _SKETCH_IDENTITY or number in _SKETCH_POINTS:
                raise WireError(f"its field {number} is a number")
            continue
        if number in _SKETCH_IDENTITY:
            raw.append(body[begin:end])
        elif number in _SKETCH_POINTS:
            inside = _inside(body, begin)
            schema = _SKETCH_POINTS[number]
            found.append(message(body, inside, end, schema, collector.budget))
        if len(raw) > _MOST_TAGS or len(found) > collector.limits.points:
            raise PayloadTooLarge("A sketch has more tags or points than are accepted at once.")
    known = b"".join(raw)
    identity = _identity(known, _SKETCH_IDENTITY, collector.budget)
    metric, resources = identity.get("metric", ""), [("host", identity.get("host", ""))]
    keys = collector.statistics(known, metric, resources, identity["tags"])
    for one in found:
        seconds = one.get("ts", 0)
        before = len(collector.batch.values)
        collector.add_statistics(keys, seconds, [one.get(name, 0) for name in STATISTICS])
        bins, counts = one.get("k", []), one.get("n", [])
        if len(bins) != len(counts):
            raise RefusedSeries(
                f'"{shown(metric)}" has a sketch of {len(bins)} bins and {len(counts)} counts'
            )
        # Of a point that is refused, the statistics say why.
        if bins and len(collector.batch.values) > before:
            buckets = [*classic(of_sketch(bins, counts), collector.limits), (inf, sum(counts))]
            labels = [(shortest(bound), count) for bound, count in buckets]
            collector.add_buckets(known, metric, resources, identity["tags"], seconds, labels)


def _spans(
    body: bytes, start: int, stop: int, budget: PartsBudget
) -> Iterator[tuple[int, int | None, int, int]]:
    """Of each field: number, value if it is a varint, and the span including its key."""
    position = start
    while position < stop:
        budget.left -= 1
        if budget.left < 0:
            raise budget.spent()
        begin = position
        tag = body[position]
        if tag < _ONE_BYTE:
            position += 1
        else:
            tag, position = varint(body, position)
        wire, value = tag & 7, None
        if wire == BYTES:
            size = body[position] if position < stop else _ONE_BYTE
            if size < _ONE_BYTE:
                position += 1
            else:
                size, position = varint(body, position)
            position += size
        elif wire == VARINT:
            value, position = varint(body, position)
        elif wire == FIXED64:
            position += 8
        elif wire == FIXED32:
            position += 4
        else:
            raise WireError(f"wire type {wire} at byte {begin} is not known")
        if position > stop:
            raise WireError(f"a field at byte {begin} passes the end")
        yield tag >> 3, value, begin, position


def _inside(body: bytes, begin: int) -> int:
    """The start of the content of the message or text whose field begins at `begin`."""
    tag, position = varint(body, begin)
    if tag & 7 != BYTES:
        raise WireError(f"the field at byte {begin} is no message or text")
    return varint(body, position)[1]


def _wire_point(body: bytes, begin: int, stop: int, budget: PartsBudget) -> tuple[int, float]:
    """Seconds and value."""
    start = _inside(body, begin)
    # The Agent writes a value, then a time of five bytes (until 3058).
    if stop - start == _POINT_SIZE and body[start] == _VALUE and body[start + 9] == _TIME:
        time, after = varint(body, start + 10)
        if after == stop:
            return time, double(body, start + 1)
    point = message(body, start, stop, _POINT, budget)
    return point.get("timestamp", 0), point.get("value", 0.0)
