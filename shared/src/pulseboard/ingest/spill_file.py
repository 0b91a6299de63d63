"""A batch that could not be written, as the bytes of a file that tells all by itself.

    "PBSP", version, codec      6 bytes
    digest of all that follows  16 bytes, blake2b
    size once inflated          4 bytes
    zstd of
      size of the head          4 bytes
      head                      JSON: key, arrived, before, samples, ends, series, descriptions
      columns                   series u32, times i64, values f64; series and times of the ends

All numbers are little-endian. `series` and what the columns count in it are positions in the
head's list of [name, canonical tags].
"""

import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import from_json, to_json

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.ingest.batch import Batch

MOST_BYTES = 64 * 1024 * 1024
"""Once inflated; a full batch has a tenth."""
ENDING = ".pbspill"

_MAGIC = b"PBSP"
_VERSION = 1
_ZSTD = 1
_DIGEST_BYTES = 16
_PRELUDE = struct.Struct(f"<4sBB{_DIGEST_BYTES}s")
_SIZE = struct.Struct("<I")
# What reading a head of another shape can raise: a sealed file that is not as ours must be set
# aside, and never stop the others.
_SENSELESS = (struct.error, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Unreadable(ValueError):
    """These bytes are no batch; the message says why."""


class Finished(NamedTuple):
    """A place in the database's history: each transaction below it had ended.

    Numbers of transactions compare under one `generation` of the catalogue only.
    """

    generation: UUID
    transaction: int


@dataclass(frozen=True, slots=True)
class Spilled:
    """A batch with who sent it and when it arrived, in milliseconds since 1970.

    `before` is what the receiving process last knew of the database: what was stored below it is
    older than this batch.
    """

    batch: Batch
    key_id: UUID | None
    arrived: int
    before: Finished | None = None


def name_of(data: bytes, *, arrived: int) -> str:
    """The file's name: sorts by arrival, and the same batch always has the same one."""
    return f"{arrived:015d}-{data[6 : 6 + _DIGEST_BYTES].hex()}{ENDING}"


def arrival_of(name: str) -> int | None:
    """When the batch in a file of this name arrived, or None when no batch is called so."""
    time, _, rest = name.partition("-")
    return int(time) if rest.endswith(ENDING) and time.isascii() and time.isdigit() else None


def encode(spilled: Spilled) -> bytes:
    """The bytes of a file."""
    import cramjam

    batch = spilled.batch
    wanted = batch.wanted()
    places = {identity: place for place, identity in enumerate(wanted)}
    head = to_json(
        {
            "key": spilled.key_id,
            "arrived": spilled.arrived,
            "before": spilled.before,
            "samples": len(batch.times),
            "ends": len(batch.ends),
            "series": [[key.name, key.tags.decode()] for key in wanted.values()],
            "descriptions": {
                name: [said.type, said.unit, said.text] for name, said in batch.descriptions.items()
            },
        }
    )
    samples, ends = len(batch.times), len(batch.ends)
    payload = b"".join(
        (
            _SIZE.pack(len(head)),
            head,
            struct.pack(f"<{samples}I", *(places[key.identity] for key in batch.series)),
            struct.pack(f"<{samples}q", *batch.times),
            struct.pack(f"<{samples}d", *batch.values),
            struct.pack(f"<{ends}I", *(places[key.identity] for key, _ in batch.ends)),
            struct.pack(f"<{ends}q", *(time for _, time in batch.ends)),
        )
    )
    body = _SIZE.pack(len(payload)) + bytes(cramjam.zstd.compress(payload))
    return _PRELUDE.pack(_MAGIC, _VERSION, _ZSTD, _digest(body)) + body


def decode(data: bytes) -> Spilled:
    """What `encode` was given, but for the places in the sender's body. Raises Unreadable."""
    payload = _inflate(data)
    try:
        return _understand(payload)
    except _SENSELESS as error:
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
    if size > MOST_BYTES:
        raise Unreadable(f"it would inflate to {size} bytes, more than {MOST_BYTES}")
    payload = bytearray(size)
    try:
        written = cramjam.zstd.decompress_into(body[_SIZE.size :], payload)
    except cramjam.DecompressionError as error:
        raise Unreadable(f"it can't be inflated: {error}") from error
    if written != size:
        raise Unreadable(f"it inflates to {written} bytes instead of {size}")
    return memoryview(payload)


def _understand(payload: memoryview) -> Spilled:
    (head_size,) = _SIZE.unpack_from(payload)
    place = _SIZE.size + head_size
    head: dict[str, Any] = from_json(payload[_SIZE.size : place].tobytes())
    samples, ends = int(head["samples"]), int(head["ends"])
    if len(payload) - place != 20 * samples + 12 * ends:
        raise ValueError(f"{samples} samples and {ends} ends take another number of bytes")
    keys = [SeriesKey(name, tags.encode()) for name, tags in head["series"]]

    def column(count: int, kind: str) -> tuple[Any, ...]:
        nonlocal place
        found = struct.unpack_from(f"<{count}{kind}", payload, place)
        place += struct.calcsize(f"<{count}{kind}")
        return found

    batch = Batch(
        series=[keys[position] for position in column(samples, "I")],
        times=list(column(samples, "q")),
        values=list(column(samples, "d")),
        descriptions={
            name: MetricMetadata(MetricType(kind), unit, text)
            for name, (kind, unit, text) in head["descriptions"].items()
        },
    )
    ended = [keys[position] for position in column(ends, "I")]
    batch.ends = list(zip(ended, column(ends, "q"), strict=True))
    before = head["before"]
    return Spilled(
        batch=batch,
        key_id=UUID(head["key"]) if head["key"] else None,
        arrived=int(head["arrived"]),
        before=Finished(UUID(before[0]), int(before[1])) if before else None,
    )


def _digest(body: bytes | memoryview) -> bytes:
    return blake2b(body, digest_size=_DIGEST_BYTES).digest()
