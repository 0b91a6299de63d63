"""Request bodies as agents send them, for the ingest benchmarks."""

import gzip
import json
import struct
from collections.abc import Mapping, Sequence

import cramjam

from tests.support.datadog_columns import Payload

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
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def field(number: int, content: bytes) -> bytes:
    """A field of protocol buffers with a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def lines(rows: Sequence[Row]) -> bytes:
    """Line protocol as Telegraf writes it, ten fields a line, gzip."""
    by_head: dict[str, list[str]] = {}
    for name, tags, time, value in rows:
        measurement, _, number = name.partition("_")
        head = ",".join([measurement, *(f"{key}={text}" for key, text in sorted(tags.items()))])
        by_head.setdefault(f"{head} {{}} {time * 1_000_000}", []).append(f"{number}={value!r}")
    text = "\n".join(line.format(",".join(fields)) for line, fields in by_head.items())
    return gzip.compress(text.encode(), 5)


def datadog_series(rows: Sequence[Row]) -> bytes:
    """A MetricPayload of Datadog's Agent, zstd: a series with one point for each row."""
    parts = []
    for name, tags, time, value in rows:
        resource = field(1, field(1, b"host") + field(2, tags["instance"].encode()))
        texts = b"".join(
            field(3, f"{key}:{text}".encode()) for key, text in tags.items() if key != "instance"
        )
        point = b"\x09" + struct.pack("<d", value) + b"\x10" + varint(time // 1000)
        parts.append(field(1, resource + field(2, name.encode()) + texts + field(4, point)
                          + b"\x28\x03" + field(7, b"System")))  # fmt: skip
    return bytes(cramjam.zstd.compress(b"".join(parts), 1))


def datadog_columns(rows: Sequence[Row]) -> bytes:
    """The same series in a Payload of version 3, as Vector sends them."""
    payload = Payload()
    for name, tags, time, value in rows:
        texts = [f"{key}:{text}" for key, text in tags.items() if key != "instance"]
        payload.add(name, [(time // 1000, value)], host=tags["instance"], tags=texts)
    return bytes(cramjam.zstd.compress(payload.encoded(), 1))


def remote_write(rows: Sequence[Row]) -> bytes:
    """A WriteRequest of Prometheus: a series with one sample for each row."""
    parts = []
    for name, tags, time, value in rows:
        labels = b"".join(
            field(1, field(1, key.encode()) + field(2, text.encode()))
            for key, text in (("__name__", name), *sorted(tags.items()))
        )
        sample = b"\x09" + struct.pack("<d", value) + b"\x10" + varint(time)
        parts.append(field(1, labels + field(2, sample)))
    return bytes(cramjam.snappy.compress_raw(b"".join(parts)))


def otlp(rows: Sequence[Row]) -> bytes:
    """An ExportMetricsServiceRequest: a gauge for each metric, a point for each row."""
    points: dict[str, list[bytes]] = {}
    for name, tags, time, value in rows:
        attributes = b"".join(
            field(7, field(1, key.encode()) + field(2, field(1, text.encode())))
            for key, text in tags.items()
        )
        head = b"\x19" + struct.pack("<Q", time * 1_000_000) + b"\x21" + struct.pack("<d", value)
        points.setdefault(name, []).append(field(1, head + attributes))
    metrics = [
        field(2, field(1, name.encode()) + field(5, b"".join(found)))
        for name, found in points.items()
    ]
    return field(1, field(2, b"".join(metrics)))
