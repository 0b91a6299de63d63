"""A cache of series by the bytes that identify them in a protocol.

An agent sends the same series again and again, byte for byte. One lookup then replaces parsing,
validating and hashing its labels. Bytes are cached only after they were parsed to their end, so
equal bytes always mean the same series.
"""

from threading import Lock

from pulseboard.catalogue.series_key import SeriesKey

# Bytes per entry besides the key: the SeriesKey, its digest, its canonical tags, a slot.
_OVERHEAD = 400


class SeriesMemo:
    """Bytes → series, bounded by `max_bytes` of memory; thread-safe.

    It has two generations instead of a linked list: when the young one is full it replaces the old
    one, and a hit in the old one is copied to the young one.
    """

    def __init__(self, max_bytes: int) -> None:
        self._half = max_bytes // 2
        self._used = 0
        self.young: dict[bytes, SeriesKey] = {}
        self._old: dict[bytes, SeriesKey] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def __repr__(self) -> str:
        return f"<SeriesMemo {len(self)} series, {self._used} bytes young>"

    def find(self, raw: bytes) -> SeriesKey | None:
        """The series of these bytes, or None when they are not cached."""
        key = self.young.get(raw)
        if key is None:
            key = self._old.get(raw)
            if key is not None:
                self.put(raw, key)
        return key

    def put(self, raw: bytes, key: SeriesKey) -> None:
        """Cache a series; the bytes must have been parsed to their end."""
        cost = _OVERHEAD + 2 * len(raw)
        with self._lock:
            if self._used + cost > self._half:
                self._old, self.young, self._used = self.young, {}, 0
            if cost <= self._half and raw not in self.young:
                self.young[raw] = key
                self._used += cost
