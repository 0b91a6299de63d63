"""What makes a series itself: its metric's name and its tags, in one canonical form."""

from collections.abc import Mapping
from hashlib import blake2b
from threading import Lock

from pydantic_core import to_json

IDENTITY_BYTES = 16


def canonical_tags(tags: Mapping[str, str]) -> bytes:
    """Tags as UTF-8 JSON with sorted keys and without spaces.

    An empty value means the same as no tag at all, as in Prometheus, and is left out.
    """
    return to_json({key: tags[key] for key in sorted(tags) if tags[key]})


def identity(name: str, canonical: bytes) -> bytes:
    """The identity of a series: 16 bytes over name and canonical tags.

    The name is part of it so that a remembered id can be checked against the row it points at
    without knowing the metric's id.
    """
    return blake2b(b"%b\0%b" % (name.encode(), canonical), digest_size=IDENTITY_BYTES).digest()


class RecentIds:
    """Identity → database id of the series used last; bounded, safe to share among threads.

    Two generations instead of a linked list: a hit in the old one moves into the young one, and
    when the young one is full it becomes the old one. That keeps at least the `size / 2` most
    recent entries, and a hit in the young generation costs one dictionary look-up.
    """

    def __init__(self, size: int) -> None:
        self._half = max(1, size // 2)
        self._young: dict[bytes, int] = {}
        self._old: dict[bytes, int] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def __repr__(self) -> str:
        return f"<RecentIds {len(self)} of at most {2 * self._half}>"

    def find(self, identities: Mapping[bytes, object]) -> dict[bytes, int]:
        """The ids of those that are remembered."""
        with self._lock:
            young = self._young
            found = {key: young[key] for key in identities if key in young}
            if len(found) < len(identities):
                for key in identities:
                    if key not in found and (known := self._old.pop(key, None)) is not None:
                        found[key] = known
                        self._put(key, known)
        return found

    def remember(self, ids: Mapping[bytes, int]) -> None:
        """Add or replace entries."""
        with self._lock:
            for key, series_id in ids.items():
                self._old.pop(key, None)
                self._put(key, series_id)

    def forget(self, identities: Mapping[bytes, object] | set[bytes] | None = None) -> None:
        """Drop these entries; all of them when left out."""
        with self._lock:
            if identities is None:
                self._young, self._old = {}, {}
                return
            for key in identities:
                self._young.pop(key, None)
                self._old.pop(key, None)

    def _put(self, key: bytes, series_id: int) -> None:
        if len(self._young) >= self._half and key not in self._young:
            self._old, self._young = self._young, {}
        self._young[key] = series_id
