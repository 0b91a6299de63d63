"""Samples on their way in, as columns: what every decoder makes and the store writes.

No object is made for a sample: three lists run side by side, and the same `SeriesKey` stands in
the first one as often as its series has samples.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.ingest import IngestIssue


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request. Ages in seconds."""

    points: int
    tags: int
    errors: int
    max_age: int
    max_ahead: int


@dataclass(slots=True)
class Batch:
    """What a body holds. Times are milliseconds since 1970, values finite.

    `places` tells for each sample which item of the body it came from; empty when that is its own
    position. `ends` marks series as ended at a time. `issues` is cut at `Limits.errors`; the
    counts are complete. `skipped` counts what was left out without being wrong, as text.
    """

    series: list[SeriesKey] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    ends: list[tuple[SeriesKey, int]] = field(default_factory=list)
    descriptions: dict[str, MetricMetadata] = field(default_factory=dict)
    rejected: int = 0
    skipped: int = 0
    issues: list[IngestIssue] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """Samples and ends that are to be stored."""
        return len(self.times) + len(self.ends)

    def keys(self) -> list[SeriesKey]:
        """The series of all samples and ends, as often as they come."""
        return [*self.series, *(key for key, _ in self.ends)] if self.ends else self.series

    def wanted(self) -> dict[bytes, SeriesKey]:
        """Each series once, by identity."""
        return {key.identity: key for key in self.keys()}

    def refuse(self, limits: Limits, index: int, why: Iterable[tuple[str, str]]) -> None:
        """Count an item as refused and name (field, message) while there is room."""
        self.rejected += 1
        room = limits.errors - len(self.issues)
        for place, message in why:
            if room <= 0:
                break
            self.issues.append(IngestIssue(index=index, field=place, message=message))
            room -= 1

    def drop(self, refused: Mapping[bytes, str], *, errors: int) -> None:
        """Take out the samples of these series, naming each series once, with its reason."""
        if not refused:
            return
        named: set[bytes] = set()
        keep: list[int] = []
        for position, key in enumerate(self.series):
            why = refused.get(key.identity)
            if why is None:
                keep.append(position)
                continue
            self.rejected += 1
            if key.identity not in named and len(self.issues) < errors:
                named.add(key.identity)
                place = self.places[position] if self.places else position
                self.issues.append(IngestIssue(index=place, field="tags", message=why))
        self.series = [self.series[position] for position in keep]
        self.times = [self.times[position] for position in keep]
        self.values = [self.values[position] for position in keep]
        if self.places:
            self.places = [self.places[position] for position in keep]
        before = len(self.ends)
        self.ends = [end for end in self.ends if end[0].identity not in refused]
        self.rejected += before - len(self.ends)


class Window:
    """The times that are accepted around `now`, all in milliseconds since 1970."""

    __slots__ = ("age", "ahead", "newest", "oldest")

    def __init__(self, now: int, limits: Limits) -> None:
        self.age, self.ahead = limits.max_age, limits.max_ahead
        self.oldest = now - limits.max_age * 1000
        self.newest = now + limits.max_ahead * 1000

    def __contains__(self, time: int) -> bool:
        return self.oldest <= time <= self.newest

    def why_not(self, time: int, *, seconds_likely: bool = False) -> str:
        """The reason for refusing a time that is outside."""
        if time < self.oldest:
            # Before this number of milliseconds (1973) a timestamp was meant as seconds.
            hint = (
                "; milliseconds are meant, not seconds"
                if seconds_likely and time < 100_000_000_000
                else ""
            )
            return f"is older than the {self.age} seconds that are accepted{hint}"
        return f"is more than {self.ahead} seconds ahead of the server's clock"
