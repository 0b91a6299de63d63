"""The file format of a spilled batch. A file is self-contained.

    "PBSP", version, codec      6 bytes
    digest of all that follows  16 bytes, blake2b
    inflated size               4 bytes
    zstd of
      size of the header        4 bytes
      header                    JSON: key, arrived, before, samples, ends, series, descriptions,
                                families
      columns                   of samples: series u32, times i64, values f64;
                                of stale markers (`ends`): series u32, times i64

All numbers are little-endian. `series` of the header is a list of [name, canonical tags]; the
columns `series` hold indices into it. `before` is not used any more;
the versions up to 0.1 can't read a file without it.
"""

import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_json

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.ingest.batch import Batch, FamilyMarker

MAX_INFLATED_BYTES = 64 * 1024 * 1024
"""Most batches have a tenth of it: one that has more, of long tags, is split."""
EXTENSION = ".pbspill"

_MAGIC = b"PBSP"
_VERSION = 1
_ZSTD = 1
_DIGEST_BYTES = 16
_PRELUDE = struct.Struct(f"<4sBB{_DIGEST_BYTES}s")
_SIZE = struct.Struct("<I")
# What parsing an unexpected header can raise. A file with a valid digest but other content must be
# set aside, and must not block the others.
_MALFORMED = (struct.error, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Unreadable(ValueError):
    """The bytes are not a spilled batch; the message says why."""


class TooLarge(ValueError):
    """The batch would inflate to more than can be read again: it must be split."""


@dataclass(frozen=True, slots=True)
class SpilledBatch:
    """A batch, the API key it was sent with, and its time of arrival (ms since 1970)."""

    batch: Batch
    key_id: UUID | None
    arrived: int


def file_name(data: bytes, *, arrived: int) -> str:
    """The file's name: sorts by time of arrival, and is always the same for the same bytes."""
    return f"{arrived:015d}-{data[6 : 6 + _DIGEST_BYTES].hex()}{EXTENSION}"


def arrival_time(name: str) -> int | None:
    """The arrival in a file's name (ms since 1970), or None when the name is not a batch's."""
    time, _, rest = name.partition("-")
    return int(time) if rest.endswith(EXTENSION) and time.isascii() and time.isdigit() else None


def encode(spilled: SpilledBatch) -> bytes:
    """The bytes of the file. Raises TooLarge."""
    import cramjam

    batch = spilled.batch
    series = batch.series_by_identity()
    indices = {identity: index for index, identity in enumerate(series)}
    header = to_json(
        {
            "key": spilled.key_id,
            "arrived": spilled.arrived,
            "before": None,
            "samples": len(batch.times),
            "ends": len(batch.stale_markers),
            "series": [[key.name, key.tags.decode()] for key in series.values()],
            "descriptions": {
                name: [each.type, each.unit, each.text] for name, each in batch.metadata.items()
            },
            "families": [
                [each.name, each.tags.decode(), each.varies, each.time]
                for each in batch.family_markers
            ],
        }
    )
    samples, markers = len(batch.times), len(batch.stale_markers)
    payload = b"".join(
        (
            _SIZE.pack(len(header)),
            header,
            struct.pack(f"<{samples}I", *(indices[key.identity] for key in batch.series)),
            struct.pack(f"<{samples}q", *batch.times),
            struct.pack(f"<{samples}d", *batch.values),
            struct.pack(f"<{markers}I", *(indices[key.identity] for key, _ in batch.stale_markers)),
            struct.pack(f"<{markers}q", *(time for _, time in batch.stale_markers)),
        )
    )
    if len(payload) > MAX_INFLATED_BYTES:
        raise TooLarge(f"it would inflate to {len(payload)} bytes, more than {MAX_INFLATED_BYTES}")
    body = _SIZE.pack(len(payload)) + bytes(cramjam.zstd.compress(payload))
    return _PRELUDE.pack(_MAGIC, _VERSION, _ZSTD, _digest(body)) + body


def decode(data: bytes) -> SpilledBatch:
    """The reverse of `encode`, except `Batch.positions`. Raises Unreadable."""
    payload = _inflate(data)
    try:
        return _parse(payload)
    except _MALFORMED as error:
        raise Unreadable(f"its content makes no sense: {error}") from error


def _inflate(data: bytes) -> memoryview:
    import cramjam

    if len(data) < _PRELUDE.size + _SIZE.size:
        raise Unreadable(f"it ends after {len(data)} bytes, within its head")
    magic, version, codec, digest = _PRELUDE.unpack_from(data)
    if magic != _MAGIC:
        raise Unreadable("it does not begin as a spilled batch does")
    if (version, codec) != (_VERSION, _ZSTD):
        raise Unreadable(f"its format {version}.{codec} is not known to this version of Pulseboard")
    body = memoryview(data)[_PRELUDE.size :]
    if _digest(body) != digest:
        raise Unreadable("its checksum does not fit: it is damaged or not complete")
    (size,) = _SIZE.unpack_from(body)
    if size > MAX_INFLATED_BYTES:
        raise Unreadable(f"it would inflate to {size} bytes, more than {MAX_INFLATED_BYTES}")
    payload = bytearray(size)
    try:
        written = cramjam.zstd.decompress_into(body[_SIZE.size :], payload)
    except cramjam.DecompressionError as error:
        raise Unreadable(f"it can't be inflated: {error}") from error
    if written != size:
        raise Unreadable(f"it inflates to {written} bytes instead of {size}")
    return memoryview(payload)


def _parse(payload: memoryview) -> SpilledBatch:
    (header_size,) = _SIZE.unpack_from(payload)
    offset = _SIZE.size + header_size
    header: dict[str, Any] = from_json(payload[_SIZE.size : offset].tobytes())
    samples, markers = int(header["samples"]), int(header["ends"])
    if len(payload) - offset != 20 * samples + 12 * markers:
        raise ValueError(
            f"{samples} samples and {markers} stale markers need another number of bytes"
        )
    keys = [SeriesKey(name, tags.encode()) for name, tags in header["series"]]

    def column(count: int, kind: str) -> tuple[Any, ...]:
        nonlocal offset
        found = struct.unpack_from(f"<{count}{kind}", payload, offset)
        offset += struct.calcsize(f"<{count}{kind}")
        return found

    batch = Batch(
        series=[keys[index] for index in column(samples, "I")],
        times=list(column(samples, "q")),
        values=list(column(samples, "d")),
        metadata={
            name: MetricMetadata(MetricType(kind), unit, text)
            for name, (kind, unit, text) in header["descriptions"].items()
        },
    )
    marked = [keys[index] for index in column(markers, "I")]
    batch.stale_markers = list(zip(marked, column(markers, "q"), strict=True))
    # Files of older versions have none.
    batch.family_markers = [
        FamilyMarker(str(name), tags.encode(), str(varies), int(time))
        for name, tags, varies, time in header.get("families", [])
    ]
    return SpilledBatch(
        batch=batch,
        key_id=UUID(header["key"]) if header["key"] else None,
        arrived=int(header["arrived"]),
    )


def _digest(body: bytes | memoryview) -> bytes:
    return blake2b(body, digest_size=_DIGEST_BYTES).digest()
