"""Datadog's protocol buffers of version 3, written by a general encoder: for tests and benchmarks.

Of each property the columns say what the last series' said, or not, as Datadog's own writers do.
"""

from collections.abc import Iterable, Sequence
from struct import pack
from typing import Any

from tests.support.datadog_messages import field, varint

Point = tuple[int, Any]
"""Seconds, and a value or a sketch's (count, sum, min, max)."""
ZERO, INTEGERS, FLOATS, DOUBLES = 0x00, 0x10, 0x20, 0x30
SKETCH = 4


def zigzag(value: int) -> int:
    return value << 1 if value >= 0 else (-value << 1) - 1


def packed(numbers: Iterable[int]) -> bytes:
    return b"".join(map(varint, numbers))


def signed(numbers: Iterable[int]) -> bytes:
    return packed(map(zigzag, numbers))


def deltas(numbers: Sequence[int]) -> list[int]:
    return [now - before for before, now in zip([0, *numbers], numbers, strict=False)]


class _Dictionary:
    """What was said already, by number from 1; nothing is 0."""

    def __init__(self) -> None:
        self.known: dict[Any, int] = {}

    def number(self, entry: Any) -> int:
        return self.known.setdefault(entry, len(self.known) + 1) if entry else 0

    def texts(self) -> bytes:
        columns = [one.encode() if isinstance(one, str) else one for one in self.known]
        return b"".join(varint(len(one)) + one for one in columns)


class Payload:
    """Columns in the making; `column` may be changed before it is written."""

    def __init__(self, *, tags: Sequence[str] = (), resources: Sequence[str] = ()) -> None:
        self._of_all = field(1, list(tags)) + field(2, list(resources))
        self._names, self._tags, self._units = _Dictionary(), _Dictionary(), _Dictionary()
        self._texts, self._tag_sets, self._sets = _Dictionary(), _Dictionary(), _Dictionary()
        self._refs: dict[int, list[int]] = {number: [] for number in (11, 12, 13, 16, 26)}
        self._plain: dict[int, list[int]] = {number: [] for number in (10, 14, 15, 20)}
        self._held: dict[int, list[Any]] = {INTEGERS: [], FLOATS: [], DOUBLES: []}

    def add(
        self,
        metric: str | bytes,
        points: Sequence[Point],
        *,
        kind: int = 3,
        held: int = DOUBLES,
        host: str = "web-1",
        resources: Sequence[tuple[str, str]] = (),
        tags: Sequence[str | bytes] = (),
        unit: str = "",
        interval: int = 0,
    ) -> "Payload":
        """A series, its values as `held` says."""
        pairs = [*([("host", host)] if host else []), *resources]
        tag_refs = tuple(sorted(map(self._tags.number, tags)))
        pair_refs = tuple((self._texts.number(a), self._texts.number(b)) for a, b in pairs)
        self._refs[11].append(self._names.number(metric))
        self._refs[12].append(self._tag_sets.number(tag_refs))
        self._refs[13].append(self._sets.number(pair_refs))
        if unit:
            self._refs[26].append(self._units.number(unit))
        self._plain[10].append(kind | held | (0x200 if unit else 0))
        self._plain[14].append(interval)
        self._plain[15].append(len(points))
        for seconds, value in points:
            self._refs[16].append(seconds)
            if kind != SKETCH:
                self._hold(held, [value])
                continue
            count, *summary = value
            self._hold(held, summary)
            self._hold(INTEGERS, [count])
            self._plain[20].append(0)
        return self

    def _hold(self, held: int, values: list[Any]) -> None:
        if held != ZERO:
            self._held[held] += map(int if held == INTEGERS else float, values)

    def columns(self) -> dict[int, bytes]:
        """Each field's content by its number."""
        tag_sets = [one for tags in self._tag_sets.known for one in (len(tags), *deltas(tags))]
        sets = [tuple(zip(*pairs, strict=True)) for pairs in self._sets.known]
        columns = {
            1: self._names.texts(),
            2: self._tags.texts(),
            3: signed(tag_sets),
            4: self._texts.texts(),
            5: packed(len(kinds) for kinds, _ in sets),
            6: signed(one for kinds, _ in sets for one in deltas(kinds)),
            7: signed(one for _, names in sets for one in deltas(names)),
            17: signed(self._held[INTEGERS]),
            18: pack(f"<{len(self._held[FLOATS])}f", *self._held[FLOATS]),
            19: pack(f"<{len(self._held[DOUBLES])}d", *self._held[DOUBLES]),
            25: self._units.texts(),
        }
        columns |= {number: packed(column) for number, column in self._plain.items()}
        columns |= {number: signed(deltas(column)) for number, column in self._refs.items()}
        return columns

    def encoded(self, **changed: bytes) -> bytes:
        """The whole, with columns changed as `_11=b"…"`."""
        columns = self.columns() | {int(name[1:]): column for name, column in changed.items()}
        data = b"".join(field(number, one) for number, one in sorted(columns.items()) if one)
        return (field(2, self._of_all) if self._of_all else b"") + field(3, data)
