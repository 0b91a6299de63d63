"""Exponential histograms as classic ones: cumulative counts by upper bound.

In a histogram of schema s each power of two is divided into 2^s buckets; bucket i holds the values
in (2^((i-1)/2^s), 2^(i/2^s)], as Prometheus counts them (OpenTelemetry's index is one less). They
are merged to `histogram_scale` at most: a quantile is off by no more than a bucket's width, which
is 2^(2^-scale) - 1 of its value, 19 % with the default of 2. Merging adds up whole buckets, so the
counts stay exact.

All bounds between the smallest and the largest value are given, widened to blocks of four powers of
two: a bound that comes and goes would make rates of its neighbours wrong.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from pulseboard.ingest.batch import BatchLimits

_BLOCK = 4
COARSEST = -11
"""A bucket of this schema spans all doubles."""

Counts = dict[int, float]
Bucket = tuple[float, float]
"""Upper bound, cumulative count."""


@dataclass(slots=True)
class Exponential:
    """A histogram: counts of buckets by index, and of those around zero."""

    schema: int
    positive: Counts
    negative: Counts
    zero: float = 0.0
    zero_threshold: float = 0.0


def classic(histogram: Exponential, limits: BatchLimits) -> list[Bucket]:
    """Its buckets by ascending bound, without the one of infinity."""
    schema = histogram.schema
    wanted = min(schema, limits.histogram_scale)
    while True:
        positive = _merged(histogram.positive, schema - wanted)
        negative = _merged(histogram.negative, schema - wanted)
        above, below = _range(positive, wanted), _range(negative, wanted)
        if wanted <= COARSEST or len(above) + len(below) <= limits.histogram_buckets:
            break
        wanted -= 1
    buckets: list[Bucket] = []
    total = 0.0
    # From the most negative: bucket i ends, upwards, at its smaller bound.
    for index in reversed(below):
        total += negative.get(index + 1, 0.0)
        buckets.append((-_bound(index, wanted), total))
    total += histogram.zero
    if histogram.zero or negative or histogram.zero_threshold:
        buckets.append((histogram.zero_threshold, total))
    for index in above:
        total += positive.get(index, 0.0)
        buckets.append((_bound(index, wanted), total))
    return _ascending(buckets)


def _merged(counts: Counts, steps: int) -> Counts:
    if steps <= 0:
        return {index: count for index, count in counts.items() if count}
    merged: Counts = {}
    for index, count in counts.items():
        if count:
            target = ((index - 1) >> steps) + 1
            merged[target] = merged.get(target, 0.0) + count
    return merged


def _range(counts: Counts, schema: int) -> range:
    """The indices of the bounds to give: a block's lower bound, then each upper one."""
    if not counts:
        return range(0)
    block = max(1, _BLOCK << schema if schema >= 0 else _BLOCK >> -schema)
    first = (min(counts) - 1) // block * block
    last = -(-max(counts) // block) * block
    return range(first, last + 1)


def _bound(index: int, schema: int) -> float:
    exponent = index / (1 << schema) if schema >= 0 else float(index * (1 << -schema))
    return inf if exponent >= 1024 else 2.0**exponent


def _ascending(buckets: Iterable[Bucket]) -> list[Bucket]:
    """Each finite bound once, with the largest count: near zero several may be the same double."""
    found: dict[float, float] = {}
    for bound, count in buckets:
        if abs(bound) != inf:
            # Not `-0`, which is another text.
            found[bound + 0.0] = max(count, found.get(bound + 0.0, 0.0))
    ascending: list[Bucket] = []
    total = 0.0
    for bound in sorted(found):
        total = max(total, found[bound])
        ascending.append((bound, total))
    return ascending
