"""What makes a series itself: its metric's name and its tags, in one canonical form."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from itertools import chain
from threading import Lock

from pydantic_core import from_json, to_json

from pulseboard.contracts.vocabulary import NAME as NAME  # for those who use series keys
from pulseboard.contracts.vocabulary import MetricType

IDENTITY_BYTES = 16


def canonical_tags(tags: Mapping[str, str]) -> bytes:
    """Tags as UTF-8 JSON with sorted keys and without spaces.

    An empty value means the same as no tag at all, as in Prometheus, and is left out.
    """
    return to_json({key: tags[key] for key in sorted(tags) if tags[key]})


def identity(name: str, canonical: bytes) -> bytes:
    """The identity of a series: 16 bytes over name and canonical tags.

    The name is part of it so that a cached id can be checked against the row it points at
    without knowing the metric's id.
    """
    return blake2b(b"%b\0%b" % (name.encode(), canonical), digest_size=IDENTITY_BYTES).digest()


class SeriesKey:
    """A series as its sender names it. `tags` is their canonical form, UTF-8 JSON.

    `noted` is the id as `series_store` notes it, so that a key that is sent again needs no lookup:
    the epoch of the series cache above 32 bits of id.
    """

    __slots__ = ("identity", "name", "noted", "tags")

    def __init__(self, name: str, tags: bytes) -> None:
        self.identity = identity(name, tags)
        self.name = name
        self.noted = 0
        self.tags = tags

    @classmethod
    def of(cls, name: str, tags: Mapping[str, str]) -> "SeriesKey":
        """The key of a metric with these tags."""
        return cls(name, canonical_tags(tags))

    def __repr__(self) -> str:
        return f"<SeriesKey {self.name}{self.tags.decode()}>"


@dataclass(frozen=True, slots=True)
class MetricMetadata:
    """Metadata of a metric as its sender gives it; an empty text says nothing."""

    type: MetricType = MetricType.UNKNOWN
    unit: str = ""
    text: str = ""


def line_key(name: str, tags: Mapping[str, str]) -> str:
    """The same text for the same labels."""
    return to_json([name, dict(sorted(tags.items()))]).decode()


@lru_cache(maxsize=10_000)
def labels_of(key: str) -> tuple[str, dict[str, str]]:
    """Name and tags back from a `line_key`, to be read only: they are cached."""
    name, tags = from_json(key)
    return name, tags


@lru_cache(maxsize=10_000)
def order_of(key: str) -> str:
    """What lines are sorted by: the name, then tag by tag, as one text. None of them holds NUL."""
    name, tags = labels_of(key)
    return "\0".join((name, *chain.from_iterable(tags.items())))


@dataclass(frozen=True)
class Series:
    """A series of the catalogue; `key` is its `line_key`."""

    id: int
    tags: dict[str, str]
    name: str = ""
    key: str = ""

    @cached_property
    def labels(self) -> dict[str, str]:
        """Its tags, and its name as a tag; not to be changed."""
        return {NAME: self.name, **self.tags}

    @cached_property
    def tags_key(self) -> str:
        """Its canonical tags as text."""
        return canonical_tags(self.tags).decode()


class RecentIds:
    """Identity → database id of the series used last; bounded, safe to share among threads.

    Two generations instead of a linked list: a hit in the old one moves into the young one, and
    when the young one is full it becomes the old one. That keeps at least the `size / 2` most
    recent entries, and a hit in the young generation costs one dictionary lookup.
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
        """The ids of those that are cached."""
        with self._lock:
            young = self._young
            found = {key: young[key] for key in identities if key in young}
            if len(found) < len(identities):
                for key in identities:
                    if key not in found and (known := self._old.pop(key, None)) is not None:
                        found[key] = known
                        self._put(key, known)
        return found

    def put(self, ids: Mapping[bytes, int]) -> None:
        """Add or replace entries."""
        with self._lock:
            for key, series_id in ids.items():
                self._old.pop(key, None)
                self._put(key, series_id)

    def invalidate(self, identities: Mapping[bytes, object] | set[bytes] | None = None) -> None:
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
