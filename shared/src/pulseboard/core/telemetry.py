"""Pulseboard's own figures, added up in this process until `take` hands them out.

Counts are of the time since this process told last, so several processes write samples of one
series and their sum is the truth: `sum_over_time(pulseboard_samples_accepted[1m]) / 60` is a rate.
A name of the process would make a series of each Lambda that ever ran.

| name | tags | what |
| --- | --- | --- |
| `pulseboard_samples_accepted`, `pulseboard_samples_refused` | `protocol` | counted |
| `pulseboard_ingest_lag_seconds` | | greatest age of a batch's newest sample on arrival |
| `pulseboard_requests` | `function`, `status` (2xx) | counted |
| `pulseboard_query_answers` | `source` (cache, database) | counted |
| `pulseboard_query_seconds_bucket` | `le` | counted, for `histogram_quantile` |
| `pulseboard_breaker_opened` | | counted |
"""

import time
from collections import defaultdict
from collections.abc import Mapping
from threading import Lock

from pulseboard.core.process_state import on_reset, on_restore
from pulseboard.core.settings import settings

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Upper ends of the classes of times, in seconds."""
_MOST_TIMES = 100
"""Times that one line of CloudWatch's embedded format can hold."""

Name = tuple[str, tuple[tuple[str, str], ...]]

_lock = Lock()
_counts: dict[Name, float] = defaultdict(float)
_greatest: dict[Name, float] = {}
_times: dict[str, list[float]] = defaultdict(list)
_told = time.monotonic()


def _name(name: str, tags: Mapping[str, str]) -> Name:
    return name, tuple(sorted(tags.items()))


def count(name: str, value: float = 1.0, **tags: str) -> None:
    """Add to what is told next."""
    if value:
        with _lock:
            _counts[_name(name, tags)] += value


def highest(name: str, value: float, **tags: str) -> None:
    """Tell the greatest of these."""
    key = _name(name, tags)
    with _lock:
        _greatest[key] = max(value, _greatest.get(key, value))


def timed(name: str, seconds: float) -> None:
    """Sort a time into its classes, each of which holds the smaller ones too."""
    with _lock:
        for end in BUCKETS:
            if seconds <= end:
                _counts[f"{name}_bucket", (("le", f"{end:g}"),)] += 1
        _counts[f"{name}_bucket", (("le", "+Inf"),)] += 1
        if len(_times[name]) < _MOST_TIMES:
            _times[name].append(seconds)


class Told:
    """What one process had added up: samples, and single times by name."""

    def __init__(self, samples: dict[Name, float], times: dict[str, list[float]]) -> None:
        self.samples = samples
        self.times = times

    def total(self, name: str, **tags: str) -> float:
        """All counted under a name and these tags."""
        wanted = tags.items()
        return sum(
            value
            for (each, has), value in self.samples.items()
            if each == name and wanted <= dict(has).items()
        )


def take(*, at_once: bool = False) -> Told | None:
    """What there is to tell, which is then forgotten here; None when it is not yet time.

    `own_metrics_interval` seconds lie between two; 0 turns all of it off.
    """
    global _told
    interval = settings().own_metrics_interval
    with _lock:
        now = time.monotonic()
        if not interval or not (at_once or now - _told >= interval):
            return None
        _told = now
        if not (_counts or _greatest):
            return None
        told = Told({**_counts, **_greatest}, dict(_times))
        _counts.clear()
        _greatest.clear()
        _times.clear()
    return told


@on_restore
@on_reset
def reset() -> None:
    """Begin anew: in a process restored from a snapshot, and between tests."""
    take(at_once=True)
    with _lock:
        _counts.clear()
        _greatest.clear()
        _times.clear()
