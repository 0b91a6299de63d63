"""The protocol buffers wire format, read without generated classes.

https://protobuf.dev/programming-guides/encoding/. A message is a sequence of (field number, wire
type, value); unknown fields are skipped, as the format requires. Schemas are tables. A decoded
message has the shape of its JSON encoding, so that both encodings share one parser.

Compressed, millions of fields fit into some hundred kilobytes. What bounds the work is therefore
their number: all that read one request share its `PartsBudget` and count each field they meet.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Any, Literal

from pulseboard.ingest.parts_budget import PartsBudget

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_DOUBLE = Struct("<d")
_DOUBLES_SIZE = 8
_ONE_BYTE = 0x80
_FIXED64 = Struct("<Q")
_NOT_LAST = bytes(range(0x80, 0x100))

Kind = Literal["double", "fixed64", "sfixed64", "uint", "int", "sint", "bool", "text", "bytes"]


class WireError(ValueError):
    """The bytes are not a protocol buffers message."""


def varint(data: bytes, position: int) -> tuple[int, int]:
    """An unsigned integer of up to 64 bits and the position after it. Raises WireError."""
    result = shift = 0
    try:
        while True:
            byte = data[position]
            position += 1
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result & 0xFFFF_FFFF_FFFF_FFFF, position
            shift += 7
            if shift > 63:
                raise WireError(f"an integer of more than 64 bits ends at byte {position}")
    except IndexError:
        raise WireError("the message ends in the middle of an integer") from None


def signed(value: int) -> int:
    """A varint as a signed 64-bit integer (int32 and int64 fields)."""
    return value - (1 << 64) if value >= 1 << 63 else value


def zigzag(value: int) -> int:
    """A varint in zigzag encoding as a signed integer (sint32 and sint64 fields)."""
    return (value >> 1) ^ -(value & 1)


def count_varints(data: bytes, start: int, stop: int) -> int:
    """The number of varints between two positions, without decoding them."""
    return len(data[start:stop].translate(None, _NOT_LAST))


def varints(data: bytes, start: int, stop: int) -> list[int]:
    """The unsigned integers of a packed field. Raises WireError."""
    packed = data[start:stop]
    if packed.isascii():
        return list(packed)
    numbers = []
    result = shift = 0
    for byte in packed:
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            numbers.append(result & 0xFFFF_FFFF_FFFF_FFFF)
            result = shift = 0
        else:
            shift += 7
            if shift > 63:
                raise WireError("a packed integer has more than 64 bits")
    if shift:
        raise WireError("packed integers pass their end")
    return numbers


def fields(
    data: bytes, start: int, stop: int, budget: PartsBudget
) -> Iterator[tuple[int, int, Any]]:
    """Each field between two positions: number, wire type, value.

    Values are integers for VARINT, and (from, to) positions in `data` for all others.
    Raises WireError, and PayloadTooLarge when the budget is spent.
    """
    position = start
    while position < stop:
        budget.left -= 1
        if budget.left < 0:
            raise budget.spent()
        key = data[position]
        if key < _ONE_BYTE:
            position += 1
        else:
            key, position = varint(data, position)
        kind = key & 7
        if kind == BYTES:
            if position >= stop:
                raise WireError("the message ends in the middle of a field")
            length = data[position]
            if length < _ONE_BYTE:
                position += 1
            else:
                length, position = varint(data, position)
        elif kind == VARINT:
            value, position = varint(data, position)
            yield key >> 3, kind, value
            continue
        elif kind == FIXED64:
            length = 8
        elif kind == FIXED32:
            length = 4
        else:
            raise WireError(f"wire type {kind} at byte {position} is not known")
        end = position + length
        if end > stop:
            raise WireError(f"a field of {length} bytes at byte {position} passes the end")
        yield key >> 3, kind, (position, end)
        position = end
    if position != stop:
        raise WireError("the message ends in the middle of a field")


def double(data: bytes, position: int) -> float:
    """The eight bytes at a position as a double."""
    value: float = _DOUBLE.unpack_from(data, position)[0]
    return value


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a schema: its JSON name and what it holds; `of` for messages.

    Each value of a field of points is one of the budget's points.
    """

    name: str
    kind: Kind | Literal["message"]
    repeated: bool = False
    of: "Schema | None" = None
    points: bool = False


Schema = Mapping[int, Field]


def message(
    data: bytes, start: int, stop: int, schema: Schema, budget: PartsBudget
) -> dict[str, Any]:
    """A message as a dictionary by JSON names; fields outside the schema are left out.

    Schemas are finite, so the depth is too. Bytes of a text that are not UTF-8 become lone
    surrogates (`surrogateescape`). Raises WireError, and PayloadTooLarge when the budget is spent.
    """
    found: dict[str, Any] = {}
    for number, kind, value in fields(data, start, stop, budget):
        field = schema.get(number)
        if field is None:
            continue
        if kind == BYTES and field.repeated and field.kind in _PACKED:
            packed = _packed(data, value[0], value[1], field.kind, budget)
            found.setdefault(field.name, []).extend(packed)
            continue
        read = _read(data, kind, value, field, budget)
        if field.repeated:
            if field.points:
                budget.spend_point()
            found.setdefault(field.name, []).append(read)
        elif field.of is not None and field.name in found:
            _merge(found[field.name], read, field.of)
        else:
            found[field.name] = read
    return found


def _merge(earlier: dict[str, Any], later: dict[str, Any], schema: Schema) -> None:
    """Add a message that comes a second time to the first one, as the format requires."""
    for field in schema.values():
        if field.name not in later:
            continue
        if field.name in earlier and field.repeated:
            earlier[field.name] += later[field.name]
        elif field.name in earlier and field.of is not None:
            _merge(earlier[field.name], later[field.name], field.of)
        else:
            earlier[field.name] = later[field.name]


_WIRE = {"double": FIXED64, "fixed64": FIXED64, "sfixed64": FIXED64, "uint": VARINT}
_WIRE |= {"int": VARINT, "sint": VARINT, "bool": VARINT}
_PACKED = frozenset(_WIRE)


def _read(data: bytes, kind: int, value: Any, field: Field, budget: PartsBudget) -> Any:
    if kind != _WIRE.get(field.kind, BYTES):
        raise WireError(f"the field {field.name} has wire type {kind}")
    if kind == VARINT:
        return _number(value, field.kind)
    if kind == FIXED64:
        return _eight_bytes(data, value[0], field.kind)
    if field.of is not None:
        return message(data, value[0], value[1], field.of, budget)
    content = data[value[0] : value[1]]
    if field.kind == "bytes":
        return content
    return content.decode(errors="surrogateescape")


def _number(value: int, kind: str) -> int | bool:
    if kind == "sint":
        return zigzag(value)
    if kind == "bool":
        return bool(value)
    return signed(value) if kind == "int" else value


def _eight_bytes(data: bytes, position: int, kind: str) -> float | int:
    if kind == "double":
        return double(data, position)
    value: int = _FIXED64.unpack_from(data, position)[0]
    return signed(value) if kind == "sfixed64" else value


def _packed(
    data: bytes, start: int, stop: int, kind: str, budget: PartsBudget
) -> Iterator[float | int]:
    if _WIRE[kind] == FIXED64:
        budget.spend((stop - start) // _DOUBLES_SIZE)
        if (stop - start) % _DOUBLES_SIZE:
            raise WireError("packed numbers of eight bytes end in the middle of one")
        for position in range(start, stop, _DOUBLES_SIZE):
            yield _eight_bytes(data, position, kind)
        return
    budget.spend(count_varints(data, start, stop))
    for value in varints(data, start, stop):
        yield _number(value, kind)


def encoded_varint(number: int, value: int) -> bytes:
    """A field that holds an unsigned integer."""
    return _varint(number << 3 | VARINT) + _varint(value)


def encoded_text(number: int, content: bytes) -> bytes:
    """A field that holds text, bytes or a message."""
    return _varint(number << 3 | BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])
