"""Samples that came later than the grace: how they are noted.

Ingest notes, for each metric, in which stretches of `BUCKET` seconds late samples fell and when
the last of them was stored. What that means for cached points: `query.result_cache.invalidation`.
"""

from collections.abc import Mapping

from pulseboard.ingest.batch import Batch

BUCKET = 600
"""Seconds: late samples are noted by the stretch of time that they fall into."""
ANY = ""
"""Stands for every metric: what a selector without a name may read."""

Marks = Mapping[int, float]
"""When a late sample was stored last, in seconds since 1970, by the stretch that it fell into."""


def stretches(batch: Batch, *, before: int) -> dict[str, set[int]]:
    """By metric, the stretches of the samples older than `before` (ms since 1970)."""
    if not batch.times or min(batch.times) >= before:
        return {}
    found: dict[str, set[int]] = {}
    for key, time in zip(batch.series, batch.times, strict=True):
        if time < before:
            found.setdefault(key.name, set()).add(time // (BUCKET * 1000))
    found[ANY] = set().union(*found.values())
    return found
