"""Answers in parts: what is known of a grid, what is missing, and both put together.

A grid's points are numbered: point n stands at n × step seconds since 1970, whatever the question,
so parts of different questions with the same plan fit together. Values are float64, NaN where
there is none. Lines are named by a text of their labels (`line_key`).
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import eq

CHUNK = 60
"""Points that are kept under one key: chunk c holds the points from c × 60 on."""
_NAN = float("nan")

Values = array


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """What is known of the points of `span`; a line that is not in `lines` has no values there.

    `born` is when the oldest part was read, in seconds since 1970.
    """

    span: range
    lines: Mapping[str, "array[float]"] = field(default_factory=dict)
    born: float = 0.0

    def cut(self, span: range) -> "Segment":
        """The part inside `span`, without lines that have nothing there."""
        begin, end = max(span.start, self.span.start), min(span.stop, self.span.stop)
        if (begin, end) == (self.span.start, self.span.stop):
            return self
        if begin >= end:
            return Segment(range(begin, begin), {}, self.born)
        low, high = begin - self.span.start, end - self.span.start
        cut = {key: values[low:high] for key, values in self.lines.items()}
        return Segment(range(begin, end), _with_values(cut), self.born)


def nothing(count: int) -> "array[float]":
    """`count` points without a value."""
    return array("d", (_NAN,)) * count


def has_values(values: Sequence[float]) -> bool:
    """Whether any value is there."""
    # NaN alone does not equal itself.
    return any(map(eq, values, values))


def _with_values(lines: Mapping[str, "array[float]"]) -> dict[str, "array[float]"]:
    # Nearly every line begins with a value, and then need not be looked through.
    return {
        key: values for key, values in lines.items() if values[0] == values[0] or has_values(values)
    }


def missing(wanted: range, known: Iterable[Segment]) -> list[range]:
    """The parts of `wanted` that no segment covers, in order."""
    holes: list[range] = []
    at = wanted.start
    for span in sorted((each.span for each in known), key=lambda span: span.start):
        if span.stop <= at or not len(span):
            continue
        if span.start >= wanted.stop:
            break
        if span.start > at:
            holes.append(range(at, span.start))
        at = span.stop
    if at < wanted.stop:
        holes.append(range(at, wanted.stop))
    return holes


def assemble(wanted: range, known: Sequence[Segment]) -> dict[str, "array[float]"]:
    """The lines of `wanted` with values; where segments overlap, the later in the list wins."""
    if len(known) == 1 and known[0].span == wanted:
        return _with_values(known[0].lines)
    lines: dict[str, array[float]] = {}
    for segment in known:
        begin, end = max(wanted.start, segment.span.start), min(wanted.stop, segment.span.stop)
        if begin >= end:
            continue
        low, high = begin - segment.span.start, end - segment.span.start
        here = slice(begin - wanted.start, end - wanted.start)
        blank = nothing(end - begin)
        for key, kept in lines.items():
            if key not in segment.lines:
                kept[here] = blank
        for key, values in segment.lines.items():
            line = lines.get(key)
            if line is None:
                line = lines[key] = nothing(len(wanted))
            line[here] = values[low:high]
    return _with_values(lines)


def union(old: Segment, new: Segment) -> Segment:
    """Both as one where they touch or overlap, with `new` on top; else `new` alone."""
    apart = old.span.stop < new.span.start or new.span.stop < old.span.start
    if apart or not len(old.span):
        return new
    span = range(min(old.span.start, new.span.start), max(old.span.stop, new.span.stop))
    return Segment(span, assemble(span, [old, new]), min(old.born, new.born))


def chunk_numbers(span: range) -> range:
    """The chunks that hold a part of `span`."""
    return range(span.start // CHUNK, (span.stop - 1) // CHUNK + 1) if len(span) else range(0)


def to_keep(fresh: Segment, *, closed: int, kept: Mapping[int, Segment]) -> dict[int, Segment]:
    """The chunks that `fresh` adds to, of its points before `closed`, joined with what was kept."""
    chunks: dict[int, Segment] = {}
    span = range(fresh.span.start, min(fresh.span.stop, closed))
    for number in chunk_numbers(span):
        whole = range(number * CHUNK, (number + 1) * CHUNK)
        part = fresh.cut(range(max(span.start, whole.start), min(span.stop, whole.stop)))
        if number in kept:
            part = union(kept[number], part)
        chunks[number] = part
    return chunks
