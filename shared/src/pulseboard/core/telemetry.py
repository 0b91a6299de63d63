"""Pulseboard's metrics about itself, aggregated in this process until `drain` returns them.

Counts are deltas since the last drain of this process. Several processes write samples of one
series, and their sum is the total: `sum_over_time(pulseboard_samples_accepted[1m]) / 60` is a rate.
A tag that names the process would create a series for each Lambda environment that ever ran.

| name | tags | kind |
| --- | --- | --- |
| `pulseboard_samples_accepted`, `pulseboard_samples_refused` | `protocol` | count |
| `pulseboard_ingest_lag_seconds` | | maximum age of a batch's newest sample on arrival |
| `pulseboard_requests` | `function`, `status` (2xx) | count |
| `pulseboard_query_answers` | `source` (cache, database) | count |
| `pulseboard_query_seconds_bucket` | `le` | count, for `histogram_quantile` |
| `pulseboard_breaker_opened` | | count |
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from threading import Lock

from pulseboard.core.freshness import is_fresh
from pulseboard.core.process_state import on_reset, on_restore
from pulseboard.core.settings import settings

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper bounds of the histogram's buckets, in seconds."""
_MAX_TIMES = 100
"""Values that one metric of CloudWatch's embedded metric format can hold."""

Key = tuple[str, tuple[tuple[str, str], ...]]

_lock = Lock()
_counts: dict[Key, float] = defaultdict(float)
_maxima: dict[Key, float] = {}
_times: dict[str, list[float]] = defaultdict(list)
_drained_at = time.time()


def _key(name: str, tags: Mapping[str, str]) -> Key:
    return name, tuple(sorted(tags.items()))


def count(name: str, value: float = 1.0, **tags: str) -> None:
    """Add to a counter."""
    if value:
        with _lock:
            _counts[_key(name, tags)] += value


def observe_max(name: str, value: float, **tags: str) -> None:
    """Report the maximum of these values since the last drain."""
    key = _key(name, tags)
    with _lock:
        _maxima[key] = max(value, _maxima.get(key, value))


def observe_seconds(name: str, seconds: float) -> None:
    """Count a duration in its histogram; as in Prometheus, buckets are cumulative."""
    with _lock:
        for bound in BUCKETS:
            if seconds <= bound:
                _counts[f"{name}_bucket", (("le", f"{bound:g}"),)] += 1
        _counts[f"{name}_bucket", (("le", "+Inf"),)] += 1
        if len(_times[name]) < _MAX_TIMES:
            _times[name].append(seconds)


class TelemetryBatch:
    """What one process aggregated: samples, and single durations in seconds by name."""

    def __init__(self, samples: dict[Key, float], times: dict[str, list[float]]) -> None:
        self.samples = samples
        self.times = times

    def total(self, name: str, **tags: str) -> float:
        """The sum over all samples with this name and at least these tags."""
        wanted = tags.items()
        return sum(
            value
            for (sample_name, sample_tags), value in self.samples.items()
            if sample_name == name and wanted <= dict(sample_tags).items()
        )


def drain(*, force: bool = False) -> TelemetryBatch | None:
    """Return what was aggregated and clear it; None when nothing is due.

    It is due every `own_metrics_interval` seconds, or at once with `force`; an interval of 0
    turns telemetry off.
    """
    global _drained_at
    interval = settings().own_metrics_interval
    with _lock:
        if not interval or not (force or not is_fresh(_drained_at, interval)):
            return None
        _drained_at = time.time()
        if not (_counts or _maxima):
            return None
        batch = TelemetryBatch({**_counts, **_maxima}, dict(_times))
        _counts.clear()
        _maxima.clear()
        _times.clear()
    return batch


@on_restore
@on_reset
def reset() -> None:
    """Drop all counts: in a process restored from a snapshot, and between tests."""
    drain(force=True)
    with _lock:
        _counts.clear()
        _maxima.clear()
        _times.clear()
