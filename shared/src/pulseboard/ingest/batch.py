"""A batch of samples as columns: every decoder returns one, the store writes it.

There is no object per sample. Three lists run in parallel; the first one repeats the `SeriesKey`
of a series once for each of its samples.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.ingest import IngestIssue


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Limits of one request. `max_age` and `max_ahead` are in seconds."""

    points: int
    tags: int
    errors: int
    max_age: int
    max_ahead: int


@dataclass(slots=True)
class Batch:
    """The decoded content of a request body. Times are milliseconds since 1970, values are no NaNs.

    `positions` gives, for each sample, the index of its item in the body; it is empty when both
    indices are equal. `stale_markers` holds series with the times at which they ended. `metadata`
    is keyed by metric name. `issues` is cut at `BatchLimits.errors`; the counts are complete.
    `skipped` counts values that are valid but not stored, such as text.
    """

    series: list[SeriesKey] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    stale_markers: list[tuple[SeriesKey, int]] = field(default_factory=list)
    metadata: dict[str, MetricMetadata] = field(default_factory=dict)
    rejected: int = 0
    skipped: int = 0
    issues: list[IngestIssue] = field(default_factory=list)

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

    def refuse(self, limits: BatchLimits, index: int, why: Iterable[tuple[str, str]]) -> None:
        """Count an item as rejected and add its (field, message) pairs, up to `limits.errors`."""
        self.rejected += 1
        remaining = limits.errors - len(self.issues)
        for name, message in why:
            if remaining <= 0:
                break
            self.issues.append(IngestIssue(index=index, field=name, message=message))
            remaining -= 1

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
            if key.identity not in reported and len(self.issues) < errors:
                reported.add(key.identity)
                position = self.positions[index] if self.positions else index
                self.issues.append(IngestIssue(index=position, field="tags", message=why))
        self.series = [self.series[index] for index in remaining]
        self.times = [self.times[index] for index in remaining]
        self.values = [self.values[index] for index in remaining]
        if self.positions:
            self.positions = [self.positions[index] for index in remaining]
        before = len(self.stale_markers)
        self.stale_markers = [
            marker for marker in self.stale_markers if marker[0].identity not in refused
        ]
        self.rejected += before - len(self.stale_markers)


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
