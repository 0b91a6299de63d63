"""Series known by the very bytes that name them in a protocol.

An agent sends the same series again and again, byte for byte: then one look-up stands for parsing,
checking and hashing its labels. What is remembered was parsed whole before, so equal bytes mean
the equal series.
"""

from threading import Lock

from pulseboard.catalogue.series_key import SeriesKey

# Beside the bytes themselves: the key object, its digest, its tags in canonical form, a slot.
_OVERHEAD = 400


class SeriesMemo:
    """Bytes → series; bounded in bytes of memory, safe to share among threads.

    Two generations instead of a linked list: when the young one is full it becomes the old one,
    and a hit in the old one moves into the young one.
    """

    def __init__(self, room: int) -> None:
        self._half = room // 2
        self._used = 0
        self.young: dict[bytes, SeriesKey] = {}
        self._old: dict[bytes, SeriesKey] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def __repr__(self) -> str:
        return f"<SeriesMemo {len(self)} series, {self._used} bytes young>"

    def find(self, raw: bytes) -> SeriesKey | None:
        """The series that these bytes name, when it is remembered."""
        known = self.young.get(raw)
        if known is None:
            known = self._old.get(raw)
            if known is not None:
                self.put(raw, known)
        return known

    def put(self, raw: bytes, key: SeriesKey) -> None:
        """Take in a series; the bytes must have been parsed to their end."""
        cost = _OVERHEAD + 2 * len(raw)
        with self._lock:
            if self._used + cost > self._half:
                self._old, self.young, self._used = self.young, {}, 0
            if cost <= self._half and raw not in self.young:
                self.young[raw] = key
                self._used += cost
