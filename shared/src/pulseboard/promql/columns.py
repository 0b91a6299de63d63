"""All series of a read in one set of columns, and which entries of them each step uses.

A sample counts as a bucket of one sample, so both are evaluated in the same way. Times are whole
microseconds inside, the resolution of the database, so that comparisons are exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pulseboard.promql.array_types import Bools, Floats, Indices, Micros
from pulseboard.promql.series import Buckets, Labels, SeriesSamples, StoredSeries

MICRO = 1_000_000
_TIMES = ("bucket_ends", "first_time", "last_time")
_VALUES = ("sum", "mean", "min", "max", "first", "last")


def micros(seconds: Floats) -> Micros:
    """Seconds to whole microseconds."""
    return np.rint(np.asarray(seconds, dtype=np.float64) * MICRO).astype(np.int64)


class SeriesColumns:
    """Entries (samples or buckets) of all series, one series after the other."""

    def __init__(self, stored: Sequence[StoredSeries]) -> None:
        self.stored = stored
        self.labels: list[Labels] = [each.labels for each in stored]
        self._samples = {type(each) for each in stored} == {SeriesSamples}
        self._columns: dict[str, Floats] = {}
        lengths = [len(_bucket_ends(each)) for each in stored]
        self.starts: Indices = np.concatenate([[0], np.cumsum(lengths, dtype=np.intp)])
        self.series: Indices = np.repeat(np.arange(len(stored)), lengths)
        self.bucket_ends = micros(self.column("bucket_ends"))

    def __len__(self) -> int:
        return len(self.bucket_ends)

    def column(self, name: str) -> Floats:
        """A statistic of every entry."""
        if not self.stored:
            return np.zeros(0)
        # Of samples, several columns are the same.
        name = _sample_column(name) if self._samples else name
        if name not in self._columns:
            self._columns[name] = np.concatenate([_column(each, name) for each in self.stored])
        return self._columns[name]

    def end_indices(self, times: Micros) -> Indices:
        """For each series and time the index after the last entry that is not later.

        Shape (series, steps).
        """
        steps = len(times)
        width = int(times[1] - times[0]) if steps > 1 else 1
        if width == 0:
            return np.repeat(self.end_indices(times[:1]), steps, axis=1)
        if steps > 2 and not (np.diff(times) == width).all():
            indices = [
                start + np.searchsorted(self.bucket_ends[start:end], times, side="right")
                for start, end in zip(self.starts[:-1], self.starts[1:], strict=True)
            ]
            return np.array(indices, dtype=np.intp).reshape(len(self.stored), steps)
        # Counting entries by step is one pass; a binary search would be one for each step.
        step = (
            np.clip(-((int(times[0]) - self.bucket_ends) // width), 0, steps)
            if steps
            else self.bucket_ends
        )
        counts = np.bincount(
            self.series * (steps + 1) + step, minlength=len(self.stored) * (steps + 1)
        )
        counts = counts.reshape(len(self.stored), steps + 1)[:, :steps]
        return self.starts[:-1, None] + np.cumsum(counts, axis=1)

    def stale(self, times: Micros, last_times: Micros) -> Bools:
        """Where a stale marker follows the newest sample; both of shape (series, steps)."""
        stale = np.zeros(last_times.shape, dtype=np.bool_)
        for row, each in enumerate(self.stored):
            if each.stale_markers:
                markers = np.sort(micros(np.asarray(each.stale_markers)))
                before = np.searchsorted(markers, times, side="right")
                newest = markers[np.maximum(before - 1, 0)]
                stale[row] = (before > 0) & (newest > last_times[row])
        return stale


def _sample_column(name: str) -> str:
    return "bucket_ends" if name in _TIMES else "last" if name in _VALUES else name


def _bucket_ends(stored: StoredSeries) -> Floats:
    return stored.times if isinstance(stored, SeriesSamples) else stored.bucket_ends


def _column(stored: StoredSeries, name: str) -> Floats:
    if isinstance(stored, Buckets):
        column: Floats | None = getattr(stored, name)
        if column is None:
            raise ValueError(f"buckets of {stored.labels} were read without {name}")
        return np.asarray(column, dtype=np.float64)
    if name in _TIMES:
        return np.asarray(stored.times, dtype=np.float64)
    if name in _VALUES:
        return np.asarray(stored.values, dtype=np.float64)
    fill = 1.0 if name == "count" else 0.0
    return np.full(len(stored.times), fill)
