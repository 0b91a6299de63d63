"""Prometheus' native histograms in remote write, which has them alike in 1.0 and 2.0.

Histogram   1 count (integer) or 2 (float)  3 sum  4 schema  5 zero threshold
            6 zero count (integer) or 7 (float)
            negative 8 spans*  9 deltas* or 10 counts*; positive 11 spans*  12 deltas* or
            13 counts*; 15 timestamp  16 custom values*
BucketSpan  1 offset  2 length
"""

from collections.abc import Iterator
from itertools import accumulate
from math import inf
from typing import Any

from pulseboard.ingest.batch import BatchLimits
from pulseboard.ingest.decoders.exponential import Bucket, Counts, Exponential, classic
from pulseboard.ingest.decoders.protobuf_wire import Field, Schema, WireError, message
from pulseboard.ingest.parts_budget import PartsBudget

_SPAN: Schema = {1: Field("offset", "sint"), 2: Field("length", "uint")}
_HISTOGRAM: Schema = {
    1: Field("countInt", "uint"),
    2: Field("countFloat", "double"),
    3: Field("sum", "double"),
    4: Field("schema", "sint"),
    5: Field("zeroThreshold", "double"),
    6: Field("zeroInt", "uint"),
    7: Field("zeroFloat", "double"),
    8: Field("negativeSpans", "message", repeated=True, of=_SPAN),
    9: Field("negativeDeltas", "sint", repeated=True),
    10: Field("negativeCounts", "double", repeated=True),
    11: Field("positiveSpans", "message", repeated=True, of=_SPAN),
    12: Field("positiveDeltas", "sint", repeated=True),
    13: Field("positiveCounts", "double", repeated=True),
    15: Field("timestamp", "int"),
    16: Field("customValues", "double", repeated=True),
}
_CUSTOM = -53
_FINEST, _COARSEST = 8, -4


class NativeHistogram:
    """A histogram at one time (milliseconds since 1970); `ends` when it is a stale marker."""

    __slots__ = ("buckets", "count", "ends", "sum", "time")

    def __init__(self, data: bytes, begin: int, end: int, limits: BatchLimits, budget: PartsBudget):
        """Raises WireError, and PayloadTooLarge."""
        tree = message(data, begin, end, _HISTOGRAM, budget)
        self.time: int = tree.get("timestamp", 0)
        self.sum: float = tree.get("sum", 0.0)
        self.count = float(tree.get("countFloat", tree.get("countInt", 0)))
        # Prometheus' stale marker, and any other NaN of a sum, as of samples.
        self.ends = self.sum != self.sum
        self.buckets: list[Bucket] = [] if self.ends else _buckets(tree, self.count, limits)


def _buckets(tree: dict[str, Any], count: float, limits: BatchLimits) -> list[Bucket]:
    schema = tree.get("schema", 0)
    positive = _counts(tree, "positive", limits)
    if schema == _CUSTOM:
        bounds = tree.get("customValues", [])
        total, found = 0.0, []
        for index, bound in enumerate(bounds):
            total += positive.get(index, 0.0)
            found.append((bound + 0.0, total))
        return [*found, (inf, count)]
    if not _COARSEST <= schema <= _FINEST:
        raise WireError(f"a histogram has the schema {schema}, which is not known")
    zero = float(tree.get("zeroFloat", tree.get("zeroInt", 0)))
    negative = _counts(tree, "negative", limits)
    threshold = tree.get("zeroThreshold", 0.0)
    return [
        *classic(Exponential(schema, positive, negative, zero, threshold), limits),
        (inf, count),
    ]


def _counts(tree: dict[str, Any], side: str, limits: BatchLimits) -> Counts:
    counts = tree.get(f"{side}Counts") or list(accumulate(tree.get(f"{side}Deltas", [])))
    indices = list(_indices(tree.get(f"{side}Spans", []), limits.points))
    if len(indices) != len(counts):
        raise WireError(f"a histogram has {len(counts)} buckets, and spans of {len(indices)}")
    return dict(zip(indices, map(float, counts), strict=True))


def _indices(spans: list[dict[str, int]], most: int) -> Iterator[int]:
    index = 0
    for span in spans:
        index += span.get("offset", 0)
        most -= (length := span.get("length", 0))
        if most < 0:
            raise WireError("the spans of a histogram are too long")
        yield from range(index, index + length)
        index += length
