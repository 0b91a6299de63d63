"""The input and the result of an evaluation: columns of numbers with their labels.

Times are seconds since 1970 as float64. numpy is imported for the type checker only: importing it
takes about 0.2 s, which plain panels do without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pulseboard.promql.array_types import Bools, Floats

Labels = dict[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class SeriesSamples:
    """Every sample of a series: `times` ascending; labels include `__name__`.

    `stale_markers` are times: a series is gone from there until its next sample.
    """

    labels: Labels
    times: Floats
    values: Floats
    stale_markers: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """A series in buckets of `step` seconds, each over (end - step, end]; empty ones left out.

    `bucket_ends` are the buckets' end times, ascending. Of the other columns only those have to
    be there that the read's `Need` names. `increase_by_resets` is what counter resets inside the
    bucket add to last - first: the sum of the values before each drop. `resets` and `changes` count
    those inside the bucket. `squared_deviations` is the sum of the squared distances from the
    bucket's mean. `stale_markers` are times, as in `SeriesSamples`.
    """

    labels: Labels
    bucket_ends: Floats
    step: float
    count: Floats | None = None
    sum: Floats | None = None
    mean: Floats | None = None
    min: Floats | None = None
    max: Floats | None = None
    first_time: Floats | None = None
    first: Floats | None = None
    last_time: Floats | None = None
    last: Floats | None = None
    increase_by_resets: Floats | None = None
    resets: Floats | None = None
    changes: Floats | None = None
    squared_deviations: Floats | None = None
    stale_markers: tuple[float, ...] = ()


StoredSeries = SeriesSamples | Buckets


def entry_count(stored: StoredSeries) -> int:
    """How many samples or buckets of a series have been read."""
    return len(stored.times if isinstance(stored, SeriesSamples) else stored.bucket_ends)


@dataclass(frozen=True, slots=True, eq=False)
class SeriesValues:
    """One series of a result; where `present` is false there is no sample and the value is NaN.

    A sample that is itself NaN is present.
    """

    labels: Labels
    values: Floats
    present: Bools
