"""Datadog's protocol buffers, written by a general encoder: for tests and benchmarks."""

from collections.abc import Iterable
from struct import pack
from typing import Any


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def field(number: int, value: Any) -> bytes:
    """A text, message, number or list of them; proto3 leaves zero and nothing out."""
    if isinstance(value, list):
        return b"".join(field(number, one) for one in value)
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 1) + pack("<d", value) if value else b""
    return varint(number << 3) + varint(value) if value else b""


def series(
    metric: str,
    points: Iterable[tuple[int, float]],
    *,
    kind: int = 3,
    host: str = "web-1",
    tags: Iterable[str] = (),
    unit: str = "",
    interval: int = 0,
) -> bytes:
    """A MetricSeries. Points are seconds and value."""
    resource = field(1, field(1, "host") + field(2, host)) if host else b""
    return b"".join(
        [
            resource,
            field(2, metric),
            field(3, list(tags)),
            field(4, [field(1, float(value)) + field(2, seconds) for seconds, value in points]),
            field(5, kind),
            field(6, unit) if unit else b"",
            field(7, "System"),
            field(8, interval),
            field(9, field(1, field(1, 10))),
        ]
    )


def payload(all_series: Iterable[bytes]) -> bytes:
    """A MetricPayload, or a SketchPayload."""
    return field(1, list(all_series))


def sketch(
    metric: str,
    points: Iterable[tuple[int, int, float, float, float, float]],
    *,
    host: str = "web-1",
    tags: Iterable[str] = (),
) -> bytes:
    """A Sketch of Dogsketches. Points are seconds, count, min, max, avg, sum."""
    sketches = [
        field(1, ts)
        + field(2, count)
        + b"".join(field(n, float(value)) for n, value in enumerate(rest, 3))
        + field(7, bytes([2, 4, 6]))
        + field(8, bytes([1, 2, 1]))
        for ts, count, *rest in points
    ]
    return field(1, metric) + field(2, host) + field(4, list(tags)) + field(7, sketches)
