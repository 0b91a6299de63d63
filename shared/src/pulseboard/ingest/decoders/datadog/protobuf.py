"""Series and sketches as the Agent sends them, in protocol buffers."""

from collections.abc import Callable, Iterator
from typing import Any

from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders.datadog.collector import KINDS, SHOWN, STATISTICS, Bad, Taking
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
_SKETCH_POINTS = frozenset({3, 7})
# More is no series, and would cost memory before it is refused.
_MANY = 1_000


def decode_series(body: bytes, *, now: int, limits: BatchLimits, series_memo: SeriesMemo) -> Batch:
    """The samples of a MetricPayload, inflated. As `decode_json`."""
    return _decode_each(body, _take_wire, Taking(now, limits, series_memo))


def decode_sketches(
    body: bytes, *, now: int, limits: BatchLimits, series_memo: SeriesMemo
) -> Batch:
    """Count, sum, min, max and avg of a SketchPayload, inflated. As `decode_json`."""
    return _decode_each(body, _take_sketch, Taking(now, limits, series_memo))


def _decode_each(
    body: bytes, take: Callable[[bytes, int, int, Taking], None], taking: Taking
) -> Batch:
    """Each message of field 1 by `take`."""
    count = 0
    try:
        for number, kind, value in fields(body, 0, len(body)):
            if number != 1:
                continue
            if kind != BYTES:
                raise WireError("a series is not a message")
            count += 1
            if count > taking.limits.points:
                raise PayloadTooLarge(
                    f"The body has more than the {taking.limits.points} series that are accepted "
                    "at once."
                )
            taking.place = count - 1
            try:
                take(body, value[0], value[1], taking)
            except Bad as bad:
                taking.refuse(str(bad))
    except WireError as error:
        raise InvalidRequest(
            f"The body is neither JSON nor Datadog's protocol buffers: {error}."
        ) from None
    return taking.batch


def _take_wire(body: bytes, start: int, stop: int, taking: Taking) -> None:
    raw, points, numbers, unit = [], [], {5: 0, 8: 0}, ""
    for number, varied, begin, end in _spans(body, start, stop):
        if varied is not None:
            if number in numbers:
                numbers[number] = varied
        elif number <= 3:
            raw.append(body[begin:end])
        elif number == 4:
            points.append(_wire_point(body, begin, end))
        elif number == 6:
            unit = body[_inside(body, begin) : end].decode(errors="replace")
        if len(raw) > _MANY or len(points) > taking.limits.points:
            raise PayloadTooLarge("A series has more tags or points than are accepted at once.")
    known = b"".join(raw)
    key = taking.series_memo.find(known)
    if key is None:
        said = _identity(known, _IDENTITY)
        resources = [(one.get("type", ""), one.get("name", "")) for one in said["resources"]]
        key = taking.key(known, said.get("metric", ""), resources, said["tags"])
    kind = numbers[5]
    taking.describe(
        key.name, KINDS[kind] if kind < len(KINDS) else "", signed(numbers[8]), unit[:SHOWN]
    )
    for seconds, value in points:
        taking.add(key, seconds, value)


def _identity(known: bytes, schema: Schema) -> dict[str, Any]:
    """What makes a series itself. Raises Bad: one series is wrong, not the body."""
    try:
        said = message(known, 0, len(known), schema)
    except WireError as error:
        raise Bad(f"can't be read: {error}") from None
    return {"resources": [], "tags": [], **said}


def _take_sketch(body: bytes, start: int, stop: int, taking: Taking) -> None:
    raw, found = [], []
    for number, varied, begin, end in _spans(body, start, stop):
        if varied is not None:
            continue
        if number in _SKETCH_IDENTITY:
            raw.append(body[begin:end])
        elif number in _SKETCH_POINTS:
            found.append(message(body, _inside(body, begin), end, _DISTRIBUTION))
        if len(raw) > _MANY or len(found) > taking.limits.points:
            raise PayloadTooLarge("A sketch has more tags or points than are accepted at once.")
    known = b"".join(raw)
    said = _identity(known, _SKETCH_IDENTITY)
    keys = taking.statistics(
        known, said.get("metric", ""), [("host", said.get("host", ""))], said["tags"]
    )
    for one in found:
        taking.add_statistics(keys, one.get("ts", 0), [one.get(name, 0) for name in STATISTICS])


def _spans(body: bytes, start: int, stop: int) -> Iterator[tuple[int, int | None, int, int]]:
    """Number, value when it is a varint, and the span of each field with its key."""
    position = start
    while position < stop:
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
    """Where the content of the message or text begins whose field stands at `begin`."""
    tag, position = varint(body, begin)
    if tag & 7 != BYTES:
        raise WireError(f"the field at byte {begin} is no message or text")
    return varint(body, position)[1]


def _wire_point(body: bytes, begin: int, stop: int) -> tuple[int, float]:
    """Seconds and value."""
    start = _inside(body, begin)
    # As the Agent writes it: a value, then a time of five bytes (until 3058).
    if stop - start == _POINT_SIZE and body[start] == _VALUE and body[start + 9] == _TIME:
        moment, after = varint(body, start + 10)
        if after == stop:
            return moment, double(body, start + 1)
    point = message(body, start, stop, _POINT)
    return point.get("timestamp", 0), point.get("value", 0.0)
