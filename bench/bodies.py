"""Bodies as agents make them, for measuring what becomes of them."""

import json
import struct
from collections.abc import Mapping, Sequence

import cramjam

Row = tuple[str, Mapping[str, str], int, float]
"""Metric, tags, milliseconds since 1970, value."""


def json_points(rows: Sequence[Row]) -> bytes:
    """Our own JSON."""
    return json.dumps(
        [
            {"name": name, "value": value, "tags": tags, "timestamp": time}
            for name, tags, time, value in rows
        ]
    ).encode()


def varint(number: int) -> bytes:
    """An integer of protocol buffers."""
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])


def field(number: int, content: bytes) -> bytes:
    """A field of protocol buffers with a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def remote_write(rows: Sequence[Row]) -> bytes:
    """A WriteRequest of Prometheus: a series with one sample for each row."""
    made = []
    for name, tags, time, value in rows:
        labels = b"".join(
            field(1, field(1, key.encode()) + field(2, text.encode()))
            for key, text in (("__name__", name), *sorted(tags.items()))
        )
        sample = b"\x09" + struct.pack("<d", value) + b"\x10" + varint(time)
        made.append(field(1, labels + field(2, sample)))
    return bytes(cramjam.snappy.compress_raw(b"".join(made)))
