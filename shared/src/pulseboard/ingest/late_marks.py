"""Late marks: which time ranges of a metric received samples later than the allowed lateness.

Ingest records, for each metric, the buckets of `BUCKET_SECONDS` into which late samples fell, and
when the last of them was stored. `query.result_cache.invalidation` decides what that means for
cached points.
"""

from collections.abc import Mapping
from itertools import chain

from pulseboard.ingest.batch import Batch

BUCKET_SECONDS = 600
ANY_METRIC = ""
"""Stands for all metrics together: a selector without a metric name may read any of them."""

LateMarks = Mapping[int, float]
"""Time bucket (seconds since 1970, divided by BUCKET_SECONDS) → when a late sample in it was last
stored, in seconds since 1970."""


def time_buckets(batch: Batch, *, before: int) -> dict[str, set[int]]:
    """The time buckets of the samples and stale markers older than `before` (ms since 1970), by
    metric: a late marker ends values that were cached."""
    markers = [(key, time) for key, time in batch.stale_markers if time < before]
    if not markers and (not batch.times or min(batch.times) >= before):
        return {}
    found: dict[str, set[int]] = {}
    for key, time in chain(zip(batch.series, batch.times, strict=True), markers):
        if time < before:
            found.setdefault(key.name, set()).add(time // (BUCKET_SECONDS * 1000))
    found[ANY_METRIC] = set().union(*found.values())
    return found
