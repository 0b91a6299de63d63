"""Parts of answers kept in Redis. Without Redis every answer is computed.

A plan has one hash; all its keys carry it as their hash tag, so they share a slot.
`cache:query:{sha256}:c:N` is chunk N of closed points, `…:tail` what was read last beyond them,
`…:lock:A-B` stands while somebody reads the points A to B.
"""

import hashlib
import json
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
from pulseboard.ingest.late_marks import Marks
from pulseboard.query.result_cache.extents import Segment, chunk_numbers

_HEADER = struct.Struct("<4sIqqd")
_FORMAT = b"pbs1"
# One command a plan: the client takes longer over each than the server does.
_KEEP = """
for i = 2, #KEYS do
  local left = tonumber(ARGV[2 * i - 2])
  if left > 0 then redis.call('SET', KEYS[i], ARGV[2 * i - 3], 'PX', left) end
end
redis.call('DEL', KEYS[1])
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the cache knows of a plan's points."""

    chunks: dict[int, Segment] = field(default_factory=dict)
    tail: Segment | None = None

    @property
    def segments(self) -> list[Segment]:
        """All of them; what was read last comes last."""
        return [*self.chunks.values(), *([self.tail] if self.tail else [])]


def key(parameters: dict[str, Any]) -> str:
    """`cache:query:{sha256}` of normalised parameters: keys sorted, no white space."""
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"cache:query:{{{digest}}}"


def take(
    wanted: Sequence[tuple[str, range]], *, metrics: Sequence[str] = (), seconds: float
) -> tuple[list[bool], list[Kept], Mapping[str, Marks]]:
    """Lock these plans and spans, and look what is kept of their points, in one round trip.

    For each whether it is ours to read now, what is kept, and the marks of late samples of these
    metrics. Who held a lock before has kept its answer before it was released, so that is seen.
    A lock is released by `put` or `release`, and ends by itself after `seconds`. Without a cache
    all are ours and nothing is kept.
    """
    if not wanted or cache.backing_off():
        return _all_ours(wanted)
    numbers = [chunk_numbers(span) for _, span in wanted]
    try:
        pipe = cache.client().pipeline(transaction=False)
        for (name, span), chunks in zip(wanted, numbers, strict=True):
            pipe.set(_lock_name(name, span), b"1", nx=True, px=round(seconds * 1000))
            parts = (f"{name}:c:{number}" for number in chunks)
            # All in one slot. The cluster client's own mget does not go into a pipeline.
            pipe.execute_command("MGET", f"{name}:tail", *parts)
        late_marks_store.ask(pipe, metrics)
        found = pipe.execute()
    except (redis.RedisError, RedisClusterException) as error:
        cache.back_off(error)
        return _all_ours(wanted)
    count = 2 * len(wanted)
    kept = [_kept(*each) for each in zip(numbers, found[1:count:2], strict=True)]
    return list(map(bool, found[:count:2])), kept, late_marks_store.read(metrics, found[count:])


def _all_ours(
    wanted: Sequence[tuple[str, range]],
) -> tuple[list[bool], list[Kept], Mapping[str, Marks]]:
    return [True] * len(wanted), [Kept() for _ in wanted], {}


def _kept(chunks: range, found: Sequence[bytes | None]) -> Kept:
    tail, *parts = found
    decoded = zip(chunks, map(_decode, parts), strict=True)
    return Kept(
        chunks={number: segment for number, segment in decoded if segment is not None},
        tail=_decode(tail),
    )


def locked(wanted: Sequence[tuple[str, range]]) -> bool:
    """Whether somebody is still reading all of these; false without a cache."""
    if cache.backing_off():
        return False
    try:
        pipe = cache.client().pipeline(transaction=False)
        for name, span in wanted:
            pipe.exists(_lock_name(name, span))
        return all(pipe.execute())
    except (redis.RedisError, RedisClusterException) as error:
        cache.back_off(error)
        return False


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is to be kept of one plan: chunks by number for `chunk_life` seconds after their
    birth, the tail for `tail_life` seconds from now; its lock on `span` is released.
    """

    name: str
    span: range
    chunks: Mapping[int, Segment]
    tail: Segment | None


def put(parts: Sequence[Keeping], *, now: float, chunk_life: float, tail_life: float) -> None:
    """Keep parts of answers, if the cache is there, in one round trip."""
    if not parts or cache.backing_off():
        return
    try:
        client = cache.client()
        to: Any = client if len(parts) == 1 else client.pipeline(transaction=False)
        for part in parts:
            kept = {
                f"{part.name}:c:{number}": (_encode(segment), segment.born + chunk_life - now)
                for number, segment in part.chunks.items()
            }
            if part.tail is not None and len(part.tail.span):
                kept[f"{part.name}:tail"] = (_encode(part.tail), tail_life)
            keys = [_lock_name(part.name, part.span), *kept]
            values = [each for value, left in kept.values() for each in (value, round(left * 1000))]
            to.execute_command("EVAL", _KEEP, len(keys), *keys, *values)
        if to is not client:
            to.execute()
    except (redis.RedisError, RedisClusterException) as error:
        cache.back_off(error)


def release(wanted: Sequence[tuple[str, range]]) -> None:
    """Give locks back without an answer."""
    put([Keeping(name, span, {}, None) for name, span in wanted], now=0, chunk_life=0, tail_life=0)


def _lock_name(name: str, span: range) -> str:
    return f"{name}:lock:{span.start}-{span.stop}"


def _encode(segment: Segment) -> bytes:
    names = to_json(list(segment.lines))
    head = _HEADER.pack(_FORMAT, len(names), segment.span.start, segment.span.stop, segment.born)
    return b"".join([head, names, *(values.tobytes() for values in segment.lines.values())])


def _decode(data: bytes | None) -> Segment | None:
    if data is None or data[:4] != _FORMAT:
        return None
    _, length, start, stop, born = _HEADER.unpack_from(data)
    at = _HEADER.size + length
    keys = from_json(data[_HEADER.size : at])
    size = (stop - start) * 8
    if len(data) != at + size * len(keys):
        return None
    lines: dict[str, array[float]] = {}
    for key_ in keys:
        values = array("d")
        values.frombytes(data[at : at + size])
        lines[key_] = values
        at += size
    return Segment(range(start, stop), lines, born)
