"""Extents: runs of consecutive points of a plan; the gaps between them, and merging them.

The points of a plan are numbered: point n stands at n × step seconds since its origin, whatever the
range of the query. So extents of different queries with the same plan fit together. Values are
float64, NaN where there is no sample. Lines are named by a text of their labels (`line_key`).
"""

import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import eq

CHUNK = 60
"""Points that are cached under one key: chunk c holds the points from c × 60 on."""
_NAN = float("nan")
"""No value."""
(NAN_VALUE,) = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_0001))
"""A value that is NaN: of another bit pattern than where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Extent:
    """The values of the points `span`; a line that is not in `lines` has no values there.

    `read_at` is when the oldest part of it was read, in seconds since 1970. `samples` is how many
    samples were read for its points, without those before its first point. `notes` are those of the
    reads and evaluations that it is from.
    """

    span: range
    lines: Mapping[str, "array[float]"] = field(default_factory=dict)
    read_at: float = 0.0
    samples: float = 0.0
    notes: tuple[str, ...] = ()

    def cut(self, span: range) -> "Extent":
        """The part inside `span`, without lines that have no values there."""
        begin, end = max(span.start, self.span.start), min(span.stop, self.span.stop)
        if (begin, end) == (self.span.start, self.span.stop):
            return self
        if begin >= end:
            return Extent(range(begin, begin), {}, self.read_at)
        low, high = begin - self.span.start, end - self.span.start
        cut = {key: values[low:high] for key, values in self.lines.items()}
        samples = self.samples * (end - begin) / len(self.span)
        return Extent(range(begin, end), _with_values(cut), self.read_at, samples, self.notes)


def empty_values(count: int) -> "array[float]":
    """`count` points without a value."""
    return array("d", (_NAN,)) * count


def has_values(values: "array[float]") -> bool:
    """Whether any point has a value."""
    # NaN alone does not equal itself.
    return any(map(eq, values, values)) or values.tobytes() != empty_values(len(values)).tobytes()


def present(values: "array[float]") -> list[bool]:
    """Where there is a value, NaN or another."""
    bits = memoryview(values.tobytes()).cast("Q")
    absent = memoryview(array("d", (_NAN,)).tobytes()).cast("Q")[0]
    return [each != absent for each in bits]


def _with_values(lines: Mapping[str, "array[float]"]) -> dict[str, "array[float]"]:
    # Nearly every line begins with a value, which saves reading the rest of it.
    return {
        key: values for key, values in lines.items() if values[0] == values[0] or has_values(values)
    }


def find_gaps(wanted: range, known: Iterable[Extent]) -> list[range]:
    """The parts of `wanted` that no extent covers, in order."""
    gaps: list[range] = []
    covered_to = wanted.start
    for span in sorted((each.span for each in known), key=lambda span: span.start):
        if span.stop <= covered_to or not len(span):
            continue
        if span.start >= wanted.stop:
            break
        if span.start > covered_to:
            gaps.append(range(covered_to, span.start))
        covered_to = span.stop
    if covered_to < wanted.stop:
        gaps.append(range(covered_to, wanted.stop))
    return gaps


def merge(wanted: range, known: Sequence[Extent]) -> dict[str, "array[float]"]:
    """The lines of `wanted` that have values; where extents overlap, the later in the list wins."""
    if len(known) == 1 and known[0].span == wanted:
        return _with_values(known[0].lines)
    lines: dict[str, array[float]] = {}
    for extent in known:
        begin, end = max(wanted.start, extent.span.start), min(wanted.stop, extent.span.stop)
        if begin >= end:
            continue
        low, high = begin - extent.span.start, end - extent.span.start
        target = slice(begin - wanted.start, end - wanted.start)
        blank = empty_values(end - begin)
        for key, earlier in lines.items():
            if key not in extent.lines:
                earlier[target] = blank
        for key, values in extent.lines.items():
            line = lines.get(key)
            if line is None:
                line = lines[key] = empty_values(len(wanted))
            line[target] = values[low:high]
    return _with_values(lines)


def union(old: Extent, new: Extent) -> Extent:
    """Both as one extent where they touch or overlap, with `new` on top; else `new` alone."""
    apart = old.span.stop < new.span.start or new.span.stop < old.span.start
    if apart or not len(old.span):
        return new
    span = range(min(old.span.start, new.span.start), max(old.span.stop, new.span.stop))
    samples = samples_of(span, [old, new])
    notes = tuple(dict.fromkeys((*old.notes, *new.notes)))
    return Extent(span, merge(span, [old, new]), min(old.read_at, new.read_at), samples, notes)


def samples_of(wanted: range, known: Iterable[Extent]) -> float:
    """About how many samples the points `wanted` take, if all of them had to be read."""
    points, samples = 0, 0.0
    for extent in known:
        shared = min(wanted.stop, extent.span.stop) - max(wanted.start, extent.span.start)
        if shared > 0:
            points += shared
            samples += extent.samples * shared / len(extent.span)
    return samples * len(wanted) / points if points else 0.0


def chunk_numbers(span: range) -> range:
    """The chunks that hold a part of `span`."""
    return range(span.start // CHUNK, (span.stop - 1) // CHUNK + 1) if len(span) else range(0)


def settled_chunks(
    fresh: Extent, *, first_mutable: int, cached: Mapping[int, Extent]
) -> dict[int, Extent]:
    """The chunks that `fresh` adds points to, each joined with what is cached of it.

    Only points before `first_mutable` are settled. Chunks are by number.
    """
    chunks: dict[int, Extent] = {}
    span = range(fresh.span.start, min(fresh.span.stop, first_mutable))
    for number in chunk_numbers(span):
        whole = range(number * CHUNK, (number + 1) * CHUNK)
        chunk = fresh.cut(range(max(span.start, whole.start), min(span.stop, whole.stop)))
        if number in cached:
            chunk = union(cached[number], chunk)
        chunks[number] = chunk
    return chunks
