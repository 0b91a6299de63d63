"""The bins of Datadog's sketches: a key is the logarithm of a value, to 1/64.

As the Agent makes them (DataDog/datadog-agent on GitHub, pkg/util/quantile): bin k holds the values
around gamma^(k - bias), 0 those below 1e-9; of negative values the key is negative.
"""

from collections.abc import Sequence
from math import ceil, log2

from pulseboard.ingest.decoders.exponential import Counts, Exponential

_GAMMA = 1 + 1 / 64
_BIAS = 1338
_SCHEMA = 8
"""Finer than the bins, so that it adds less than their own error."""
_BUCKETS_A_BIN = log2(_GAMMA) * 2**_SCHEMA
_SMALLEST = 1e-9


def of_sketch(bins: Sequence[int], counts: Sequence[int]) -> Exponential:
    """A sketch as an exponential histogram: each bin by its middle."""
    positive: Counts = {}
    negative: Counts = {}
    zero = 0.0
    for bin_, count in zip(bins, counts, strict=True):
        if not bin_:
            zero += count
            continue
        side = positive if bin_ > 0 else negative
        index = ceil((abs(bin_) - _BIAS) * _BUCKETS_A_BIN)
        side[index] = side.get(index, 0.0) + count
    return Exponential(_SCHEMA, positive, negative, zero, _SMALLEST if zero else 0.0)
