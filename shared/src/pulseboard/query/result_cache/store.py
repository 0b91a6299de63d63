"""The result cache in Redis. Without Redis every result is computed."""

import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
from pydantic_core import from_json, to_json
from redis.exceptions import RedisClusterException

from pulseboard.db import cache
from pulseboard.ingest import late_marks_store
from pulseboard.ingest.late_marks import LateMarks
from pulseboard.query.result_cache.extents import Extent, chunk_numbers
from pulseboard.query.result_cache.key import SpanKey, chunk_key, tail_key

_HEADER = struct.Struct("<4sIqqdd")
_FORMAT = b"pbs3"
# One command a plan: the client takes longer over each than the server does.
_PUT = """
for i = 1, #KEYS do
  local left = tonumber(ARGV[2 * i])
  if left > 0 then redis.call('SET', KEYS[i], ARGV[2 * i - 1], 'PX', left) end
end
"""


@dataclass(frozen=True, slots=True)
class Cached:
    """What the cache holds of a plan's points: settled chunks by number, and the mutable tail."""

    chunks: Mapping[int, Extent] = field(default_factory=dict)
    tail: Extent | None = None

    @property
    def extents(self) -> list[Extent]:
        """All of them; the tail, which was read last, comes last."""
        return [*self.chunks.values(), *([self.tail] if self.tail else [])]


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """What `put` writes for one plan."""

    key: SpanKey
    chunks: Mapping[int, Extent] = field(default_factory=dict)
    tail: Extent | None = None


def get(
    wanted: Sequence[SpanKey], *, metrics: Sequence[str] = ()
) -> tuple[list[Cached], Mapping[str, LateMarks]]:
    """What is cached of the points of these spans, and the late marks of `metrics`, in one round
    trip. Without Redis nothing is cached.
    """
    if not wanted or cache.backing_off():
        return [Cached() for _ in wanted], {}
    numbers = [chunk_numbers(each.span) for each in wanted]
    try:
        pipe = cache.client().pipeline(transaction=False)
        for each, chunks in zip(wanted, numbers, strict=True):
            keys = (chunk_key(each.plan, number) for number in chunks)
            # All in one slot. The cluster client's own mget does not go into a pipeline.
            pipe.execute_command("MGET", tail_key(each.plan), *keys)
        late_marks_store.queue_reads(pipe, metrics)
        replies = pipe.execute()
    except (redis.RedisError, RedisClusterException) as error:
        cache.back_off(error)
        return [Cached() for _ in wanted], {}
    cached = [_cached(*each) for each in zip(numbers, replies[: len(wanted)], strict=True)]
    return cached, late_marks_store.parse(metrics, replies[len(wanted) :])


def _cached(numbers: range, replies: Sequence[bytes | None]) -> Cached:
    tail, *chunks = replies
    decoded = zip(numbers, map(_decode, chunks), strict=True)
    return Cached(
        chunks={number: extent for number, extent in decoded if extent is not None},
        tail=_decode(tail),
    )


def put(entries: Sequence[CacheEntry], *, now: float, chunk_life: float, tail_life: float) -> None:
    """Cache entries in one round trip; without Redis nothing is done.

    A chunk lives for `chunk_life` seconds after it was read, a tail for `tail_life` from `now`
    (seconds since 1970).
    """
    if not entries or cache.backing_off():
        return
    try:
        client = cache.client()
        target: Any = client if len(entries) == 1 else client.pipeline(transaction=False)
        for entry in entries:
            values = {
                chunk_key(entry.key.plan, number): (
                    _encode(extent),
                    extent.read_at + chunk_life - now,
                )
                for number, extent in entry.chunks.items()
            }
            if entry.tail is not None and len(entry.tail.span):
                values[tail_key(entry.key.plan)] = (_encode(entry.tail), tail_life)
            args = [each for value, left in values.values() for each in (value, round(left * 1000))]
            if values:
                target.execute_command("EVAL", _PUT, len(values), *values, *args)
        if target is not client:
            target.execute()
    except (redis.RedisError, RedisClusterException) as error:
        cache.back_off(error)


def _encode(extent: Extent) -> bytes:
    names = to_json([list(extent.lines), extent.notes])
    head = _HEADER.pack(
        _FORMAT,
        len(names),
        extent.span.start,
        extent.span.stop,
        extent.read_at,
        extent.samples,
    )
    return b"".join([head, names, *(values.tobytes() for values in extent.lines.values())])


def _decode(data: bytes | None) -> Extent | None:
    if data is None or data[:4] != _FORMAT:
        return None
    _, length, start, stop, read_at, samples = _HEADER.unpack_from(data)
    offset = _HEADER.size + length
    try:
        keys, notes = from_json(data[_HEADER.size : offset])
    except ValueError:
        return None
    size = (stop - start) * 8
    if len(data) != offset + size * len(keys):
        return None
    lines: dict[str, array[float]] = {}
    for key in keys:
        values = array("d")
        values.frombytes(data[offset : offset + size])
        lines[key] = values
        offset += size
    return Extent(range(start, stop), lines, read_at, samples, tuple(notes))
