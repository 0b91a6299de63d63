"""Series and sketches of version 3: a column for each property, texts in dictionaries.

Written from Datadog's description (DataDog/agent-payload on GitHub, proto/metrics/intake_v3.proto).
Numbers that refer to a dictionary count from 1; 0 is empty. A star marks columns whose numbers are
stored as the difference from the one before.

    Payload        2 Metadata (1 tags, 2 resources: type, name, type, …), of all series   3 columns
    dictionaries   1 names  2 tags  4 texts of resources  25 units
    sets of tags   3: how many; then each tag*, or minus the number of an earlier set
    of resources   5: how many; in 6 and 7 as many types* and names*; stars begin anew in each set
    a series       10 type, where values are, flags  11 name*  12 tags*  13 resources*
                   14 interval  15 how many points  26 unit* (only with its flag)
    a point        16 seconds*; a value in 17 (integers), 18 (floats) or 19 (doubles); or none: zero
    of a sketch    sum, min and max are its values; count, after them, in 17

Origins and the bins of sketches are not read. A series with a dangling reference is refused alone.
Columns of inconsistent lengths make the whole body invalid: after the first error, values would be
assigned to the wrong series.
"""

from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from struct import Struct
from typing import Any, TypeVar

from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders.datadog.collector import (
    KINDS,
    SHOWN,
    RefusedSeries,
    SeriesCollector,
)
from pulseboard.ingest.decoders.datadog.columns import PIECES, Columns, Texts
from pulseboard.ingest.decoders.protobuf_wire import (
    BYTES,
    Field,
    WireError,
    fields,
    message,
    signed,
)
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from pulseboard.ingest.parts_budget import PartsBudget

_KIND, _VALUES, _HAS_UNIT = 0x0F, 0xF0, 0x200
_ZERO, _INTEGERS, _FLOATS, _DOUBLES = 0x00, 0x10, 0x20, 0x30
_SKETCH = 4
_METADATA = {
    1: Field("tags", "bytes", repeated=True),
    2: Field("resources", "bytes", repeated=True),
}
# Several values of one key become one tag. A series with more than so many values is refused.
_VALUES_A_TAG = 4
# Bytes that identify a series; its tags may have half of them.
_LONGEST = 65_536
# Of all series together, as if each were written out: what a body of version 2 may hold.
_MAX_IDENTITY_BYTES = 16 * 1024 * 1024
_OF_ALL = "The tags that all series of the body have are more than are accepted."
_HEAD = Struct("<BII")
_VERSION = 3

T = TypeVar("T")
Pairs = list[tuple[bytes, bytes]]


def decode_version3(
    body: bytes, *, now: int, limits: BatchLimits, series_memo: SeriesMemo
) -> Batch:
    """The samples of a Payload, inflated; of its sketches as of version 2's. As `decode_json`."""
    collector = SeriesCollector(now, limits, series_memo)
    try:
        _add_all(body, collector)
    except WireError as error:
        raise InvalidRequest(
            f"The body is not Datadog's protocol buffers of version 3: {error}."
        ) from None
    return collector.batch


def _add_all(body: bytes, collector: SeriesCollector) -> None:
    columns, names = _opened(body, collector.limits, collector.budget)
    most = collector.limits.points
    types = columns.integers(10, most)
    refs = [_of_each(types, columns.deltas(number, most)) for number in (11, 12, 13)]
    intervals, counts = (_of_each(types, columns.integers(number, most)) for number in (14, 15))
    if sum(counts) > most:
        raise PayloadTooLarge(
            f"The body has more than the {most} points that are accepted at once."
        )
    unit_refs = iter(columns.deltas(26, most))
    times = _Cursor(columns.deltas(16, most))
    values = {
        _INTEGERS: _Cursor(columns.signed(17, 4 * most)),
        _FLOATS: _Cursor(columns.reals(18, "f", 3 * most)),
        _DOUBLES: _Cursor(columns.reals(19, "d", 3 * most)),
    }
    for position, (kind, interval, count, *references) in enumerate(
        zip(types, intervals, counts, *refs, strict=False)
    ):
        collector.position = position
        # All columns advance past this series, whether it is stored or refused.
        seconds, unit = times.next_values(count), next(unit_refs, 0) if kind & _HAS_UNIT else 0
        points = _points(kind, count, values)
        try:
            raw, identity = names.of(*references)
            if kind & _KIND == _SKETCH:
                keys = collector.statistics(raw, *_decoded(*identity))
                for time, statistics in zip(seconds, points, strict=True):
                    collector.add_statistics(keys, time, statistics)
                continue
            key = collector.series_memo.find(raw) or collector.key(raw, *_decoded(*identity))
        except RefusedSeries as refusal:
            collector.refuse(str(refusal))
            continue
        type_name = KINDS[kind & _KIND] if kind & _KIND < len(KINDS) else ""
        collector.describe(key.name, type_name, signed(interval), names.unit(unit))
        for time, value in zip(seconds, points, strict=True):
            collector.add(key, time, value)


def _opened(body: bytes, limits: BatchLimits, budget: PartsBudget) -> tuple[Columns, "_Names"]:
    columns = Columns(body)
    metadata: dict[str, Texts] = {"tags": [], "resources": []}
    for count, (number, kind, value) in enumerate(fields(body, 0, len(body), budget)):
        if kind != BYTES or number == 1:
            raise WireError("it may be of version 2")
        if count > PIECES:
            raise WireError(f"it comes in more than {PIECES} pieces")
        start, stop = value
        if number == 2:
            if stop - start > _LONGEST:
                raise PayloadTooLarge(_OF_ALL)
            for name, texts in message(body, start, stop, _METADATA, budget).items():
                metadata[name] += texts
        elif number == 3:
            columns.add(start, stop, budget)
    return columns, _Names(columns, limits, metadata["tags"], metadata["resources"])


def _of_each(types: list[int], column: list[int]) -> list[int]:
    if len(column) < len(types):
        raise WireError(f"a column has {len(column)} numbers for {len(types)} series")
    return column


class _Cursor:
    """A column of the points of all series, read series by series."""

    def __init__(self, column: Sequence[float]) -> None:
        self._column, self._at = column, 0

    def next_values(self, many: int) -> Sequence[float]:
        start, self._at = self._at, self._at + many
        if self._at > len(self._column):
            raise WireError(f"a column has {len(self._column)} numbers, and its points more")
        return self._column[start : self._at]


def _points(kind: int, count: int, values: dict[int, _Cursor]) -> Sequence[Any]:
    """A value per point; for sketches the values that `STATISTICS` names."""
    held = kind & _VALUES
    if held != _ZERO and held not in values:
        raise WireError(f"the type {kind} is not known")
    if kind & _KIND != _SKETCH:
        return [0] * count if held == _ZERO else values[held].next_values(count)
    if held == _INTEGERS:
        flat = values[held].next_values(4 * count)
        *summaries, counts = (flat[n::4] for n in range(4))
    else:
        flat = [0] * 3 * count if held == _ZERO else values[held].next_values(3 * count)
        summaries, counts = [flat[n::3] for n in range(3)], values[_INTEGERS].next_values(count)
    return [
        (many, total, least, most, total / many if many else 0)
        for total, least, most, many in zip(*summaries, counts, strict=True)
    ]


class _Names:
    """The dictionaries: resolves the references of a series to its names and tags."""

    def __init__(
        self, columns: Columns, limits: BatchLimits, tags_of_all: Texts, resources_of_all: Texts
    ) -> None:
        most = limits.points
        self._longest = _VALUES_A_TAG * (limits.tags + 1)
        if len(tags_of_all) + len(resources_of_all) > self._longest:
            raise PayloadTooLarge(_OF_ALL)
        # In all sets together, each text as often as it is in one.
        self._room = 2 * most * (limits.tags + 1)
        self._metrics, self._units = columns.texts(1, most), columns.texts(25, most)
        self._tags = self._tag_sets(columns.signed(3, self._room), columns.texts(2, self._room))
        texts = columns.texts(4, self._room)
        kinds, names = (columns.signed(number, self._room) for number in (6, 7))
        self._resources = self._resource_sets(columns.integers(5, most), kinds, names, texts)
        self._identity_bytes = 0
        self._tags_of_all = tags_of_all
        self._resources_of_all = list(
            zip(resources_of_all[::2], resources_of_all[1::2], strict=False)
        )

    def _tag_sets(self, packed: list[int], texts: Texts) -> list[Texts | None]:
        """The texts of each set; None for an invalid or too large one."""
        sets: list[Texts | None] = [[]]
        position, room = 0, self._room
        while position < len(packed):
            start, position = position + 1, position + 1 + packed[position]
            if not start <= position <= len(packed):
                raise WireError("a set of tags passes the end of its column")
            result = self._tag_set(accumulate(packed[start:position]), sets, texts)
            sets.append(result)
            room -= len(result or ())
            if room < 0:
                raise PayloadTooLarge("The series have more tags than are accepted at once.")
        return sets

    def _tag_set(self, refs: Iterable[int], sets: list[Texts | None], texts: Texts) -> Texts | None:
        result: Texts = []
        for ref in refs:
            part = _entry(sets, -ref) if ref < 0 else texts[ref : ref + 1]
            if part is None or (ref > 0 and not part) or len(result) + len(part) > self._longest:
                return None
            result += part
        return result

    def _resource_sets(
        self, sizes: list[int], kinds: list[int], names: list[int], texts: Texts
    ) -> list[Pairs | None]:
        sets: list[Pairs | None] = [[]]
        position = 0
        for size in sizes:
            start, position = position, position + size
            if position > min(len(kinds), len(names)):
                raise WireError("a set of resources passes the end of its columns")
            result = [
                (_entry(texts, kind), _entry(texts, name))
                for kind, name in zip(
                    accumulate(kinds[start:position]),
                    accumulate(names[start:position]),
                    strict=True,
                )
            ]
            good = [(kind, name) for kind, name in result if kind is not None and name is not None]
            sets.append(good if len(good) == size <= self._longest else None)
        return sets

    def of(
        self, metric: int, tags: int, resources: int
    ) -> tuple[bytes, tuple[bytes, Pairs, Texts]]:
        """Identity of a series (bytes); its metric, resources, tags. Raises RefusedSeries."""
        name, texts, pairs = (
            _entry(self._metrics, metric),
            _entry(self._tags, tags),
            _entry(self._resources, resources),
        )
        if name is None or texts is None or pairs is None:
            raise RefusedSeries("has a name or tags that are not in the body, or too many tags")
        if self._tags_of_all:
            texts = [*texts, *(text for text in self._tags_of_all if text not in texts)]
        if self._resources_of_all:
            own = {kind for kind, _ in pairs}
            pairs = [*pairs, *(pair for pair in self._resources_of_all if pair[0] not in own)]
        parts = [name, *chain.from_iterable(pairs), *texts]
        lengths = array("I", map(len, parts))
        size = sum(lengths)
        if size > _LONGEST:
            raise RefusedSeries(f"is named by {size} bytes; {_LONGEST} are allowed")
        self._identity_bytes += size
        if self._identity_bytes > _MAX_IDENTITY_BYTES:
            raise PayloadTooLarge("The names and tags of all series are more than are accepted.")
        head = _HEAD.pack(_VERSION, len(pairs), len(texts)) + lengths.tobytes()
        return head + b"".join(parts), (name, pairs, texts)

    def unit(self, ref: int) -> str:
        return (_entry(self._units, ref) or b"").decode(errors="replace")[:SHOWN]


def _entry(dictionary: Sequence[T | None], ref: int) -> T | None:
    return dictionary[ref] if 0 <= ref < len(dictionary) else None


def _decoded(
    metric: bytes, resources: Pairs, tags: Texts
) -> tuple[str, list[tuple[str, str]], list[str]]:
    try:
        return (
            metric.decode(),
            [(kind.decode(), name.decode()) for kind, name in resources],
            [tag.decode() for tag in tags],
        )
    except UnicodeDecodeError:
        raise RefusedSeries("has a text that is not UTF-8") from None
