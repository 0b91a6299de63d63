"""A batch of samples as columns: every decoder returns one, the store writes it.

There is no object per sample. Three lists run in parallel; the first one repeats the `SeriesKey`
of a series once for each of its samples.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.ingest import IngestIssue


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Limits of one request. Ages are in seconds; `parts` as in PartsBudget. Of an exponential
    histogram: the finest scale and the most buckets that are stored.
    """

    points: int
    tags: int
    errors: int
    max_age: int
    max_ahead: int
    parts: int
    histogram_scale: int = 2
    histogram_buckets: int = 160

    @property
    def parts_of_histograms(self) -> int:
        """The most samples that the exponential histograms of a request become."""
        return 20 * self.points


_MOST_REASONS = 20
_OTHER_REASONS = "other reasons"
_LONGEST_REASON = 200
# What differs between two refusals for one reason: quoted texts and numbers, also long ones.
_DIFFERS = re.compile(r'"[^"]*"|[-+]?\d[\w.+-]*')


@dataclass(slots=True)
class Refused:
    """How many items were refused for one reason, with the last one's message as an example."""

    count: int
    example: str


def reason_of(message: str) -> str:
    """The reason that a message gives, the same for all that are refused for it.

    Quoted texts and numbers are left out, since they differ from one item to the next.
    """
    return _DIFFERS.sub("…", message)[:_LONGEST_REASON]


@dataclass(frozen=True, slots=True)
class FamilyMarker:
    """The end of all series of a metric that have these tags and one more, `varies`, of any value:
    a histogram's buckets. `tags` are canonical; the time is milliseconds since 1970.
    """

    name: str
    tags: bytes
    varies: str
    time: int


@dataclass(slots=True)
class Batch:
    """The decoded content of a request body. Times are milliseconds since 1970, values are no NaNs.

    `positions` gives, for each sample, the index of its item in the body; it is empty when both
    indices are equal. `stale_markers` holds series with the times at which they ended,
    `family_markers` the same for series that only the catalogue knows. `metadata` is keyed by
    metric name. `issues` is cut at `BatchLimits.errors`; the counts are complete. `skipped` counts
    values that are valid but not stored, such as text. `notes` say what was stored otherwise than
    it was sent. `reasons` counts what was rejected by reason, as `reason_of` gives it.
    """

    series: list[SeriesKey] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    stale_markers: list[tuple[SeriesKey, int]] = field(default_factory=list)
    family_markers: list[FamilyMarker] = field(default_factory=list)
    metadata: dict[str, MetricMetadata] = field(default_factory=dict)
    rejected: int = 0
    skipped: int = 0
    issues: list[IngestIssue] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reasons: dict[str, Refused] = field(default_factory=dict)

    @property
    def accepted(self) -> int:
        """Number of samples and stale markers to store."""
        return len(self.times) + len(self.stale_markers)

    def keys(self) -> list[SeriesKey]:
        """The series of all samples and stale markers, with repetitions."""
        return (
            [*self.series, *(key for key, _ in self.stale_markers)]
            if self.stale_markers
            else self.series
        )

    def series_by_identity(self) -> dict[bytes, SeriesKey]:
        """Each series of the batch once, by `SeriesKey.identity`."""
        return {key.identity: key for key in self.keys()}

    def halves(self) -> "tuple[Batch, Batch]":
        """Its samples and stale markers in two batches, in their order; without issues."""
        samples, markers = len(self.times) // 2, (len(self.stale_markers) + 1) // 2
        first = Batch(
            series=self.series[:samples],
            times=self.times[:samples],
            values=self.values[:samples],
            stale_markers=self.stale_markers[:markers],
            family_markers=self.family_markers,
            metadata=self.metadata,
        )
        second = Batch(
            series=self.series[samples:],
            times=self.times[samples:],
            values=self.values[samples:],
            stale_markers=self.stale_markers[markers:],
            metadata=self.metadata,
        )
        return first, second

    def refuse(
        self,
        limits: BatchLimits,
        index: int,
        why: Iterable[tuple[str, str]],
        *,
        subject: str = "",
    ) -> None:
        """Count an item as rejected and add its (field, message) pairs, up to `limits.errors`.

        `subject` names the item in front of each message, where no quotes mark its name.
        """
        self.rejected += 1
        remaining = limits.errors - len(self.issues)
        for position, (name, message) in enumerate(why):
            text = f"{subject} {message}" if subject else message
            if not position:
                self._count(f"{name} {message}" if not subject and name else message, text)
            if remaining <= 0:
                break
            self.issues.append(IngestIssue(index=index, field=name, message=text))
            remaining -= 1

    def _count(self, message: str, example: str, count: int = 1) -> None:
        reason = reason_of(message)
        known = self.reasons.get(reason)
        if known is None:
            if len(self.reasons) >= _MOST_REASONS:
                reason = _OTHER_REASONS
            known = self.reasons.setdefault(reason, Refused(0, example))
        known.count += count
        known.example = example

    def note(self, limits: BatchLimits, text: str) -> None:
        """Add a note, each once and up to `limits.errors`."""
        if text not in self.notes and len(self.notes) < limits.errors:
            self.notes.append(text)

    def drop(self, refused: Mapping[bytes, str], *, errors: int) -> None:
        """Remove the samples of these series (identity → reason); each series makes one issue."""
        if not refused:
            return
        reported: set[bytes] = set()
        remaining: list[int] = []
        for index, key in enumerate(self.series):
            why = refused.get(key.identity)
            if why is None:
                remaining.append(index)
                continue
            self.rejected += 1
            self._count(why, f"{_shown(key)}: {why}")
            if key.identity not in reported and len(self.issues) < errors:
                reported.add(key.identity)
                position = self.positions[index] if self.positions else index
                self.issues.append(IngestIssue(index=position, field="tags", message=why))
        self.series = [self.series[index] for index in remaining]
        self.times = [self.times[index] for index in remaining]
        self.values = [self.values[index] for index in remaining]
        if self.positions:
            self.positions = [self.positions[index] for index in remaining]
        markers, self.stale_markers = self.stale_markers, []
        for key, time in markers:
            if (why := refused.get(key.identity)) is None:
                self.stale_markers.append((key, time))
            else:
                self.rejected += 1
                self._count(why, f"{_shown(key)}: {why}")


def _shown(key: SeriesKey) -> str:
    return f"{key.name}{key.tags.decode()}"[:_LONGEST_REASON]


class AcceptedTimes:
    """The range of accepted sample times around `now`, in milliseconds since 1970."""

    __slots__ = ("age", "ahead", "newest", "oldest")

    def __init__(self, now: int, limits: BatchLimits) -> None:
        self.age, self.ahead = limits.max_age, limits.max_ahead
        self.oldest = now - limits.max_age * 1000
        self.newest = now + limits.max_ahead * 1000

    def __contains__(self, time: int) -> bool:
        return self.oldest <= time <= self.newest

    def why_not(self, time: int, *, seconds_likely: bool = False) -> str:
        """Why a time outside the range is refused."""
        if time < self.oldest:
            # A smaller number (before 1973 in milliseconds) is most likely in seconds.
            hint = (
                "; milliseconds are meant, not seconds"
                if seconds_likely and time < 100_000_000_000
                else ""
            )
            return f"is older than the {self.age} seconds that are accepted{hint}"
        return f"is more than {self.ahead} seconds ahead of the server's clock"
