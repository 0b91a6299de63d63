"""When series were last seen: which of them can have samples in a range, and which have expired.

`metric_series.last_seen` is the arrival of a sample, at most `TOUCH_SECONDS` behind: it is written
in the transaction that stores samples. `last_seen_day` is at most a day behind `last_seen`, and is
what the indexes `metric_series_seen` (by metric) and `metric_series_expiry` (of all) serve.
"""

from datetime import UTC, datetime, timedelta
from typing import LiteralString, NamedTuple

from pulseboard.core.settings import settings

TOUCH_SECONDS = 300
"""A process writes that a series was seen at most once in so many seconds."""
_MARGIN = 600
"""Seconds for clocks that differ and for a transaction that takes long."""
_LAST = 253_402_000_000
"""Seconds since 1970 of the last time that there is in Python."""


def seen_since(time: LiteralString) -> LiteralString:
    """A condition on `metric_series s`: seen at `time`, which is SQL, or later. Served by
    metric_series_seen.
    """
    return f"s.last_seen_day >= {time} - interval '1 day' and s.last_seen >= {time}"


SEEN_SINCE: LiteralString = seen_since("%(seen_since)s::timestamptz")
"""Seen at `%(seen_since)s` or later."""
_ROUNDING = 600


class SampleTimes(NamedTuple):
    """A time range, in seconds since 1970. Of a selector: only series count that can have samples
    in it.

    It is wider than asked for, to whole ten minutes, so that look-ups can be shared.
    """

    start: float
    end: float

    @classmethod
    def around(cls, start: float, end: float) -> "SampleTimes":
        """A range that holds this one."""
        return cls(start // _ROUNDING * _ROUNDING, -(-end // _ROUNDING) * _ROUNDING)

    @property
    def seen_since(self) -> datetime:
        """When each of the series was seen last, or later."""
        return for_samples_since(self.start)

    @property
    def created_until(self) -> datetime:
        """When each of the series was created, or earlier: samples may be `ingest_max_age` late."""
        latest = datetime.max.replace(tzinfo=UTC)
        seconds = self.end + settings().ingest_max_age + settings().spill_max_age + _MARGIN
        return datetime.fromtimestamp(max(0, seconds), UTC) if seconds < _LAST else latest


def for_samples_since(start: float) -> datetime:
    """`seen_since` that finds every series with a sample at `start` (seconds since 1970) or later.

    A few more are found. A sample may be stamped ahead of its arrival, by `ingest_max_ahead`.
    """
    seconds = start - settings().ingest_max_ahead - TOUCH_SECONDS - _MARGIN
    return datetime.fromtimestamp(min(max(0.0, seconds), _LAST), UTC)


def active_since(now: float) -> datetime:
    """`seen_since` of the series that count in limits at `now` (seconds since 1970)."""
    return datetime.fromtimestamp(now - settings().series_active, UTC)


def expired_before(now: float) -> datetime:
    """Series last seen before this time have no sample left in any tier.

    The longest retention counts, and a day.
    """
    configured = settings()
    longest = max(configured.retention_raw, configured.retention_minute, configured.retention_hour)
    return datetime.fromtimestamp(now, UTC) - timedelta(seconds=longest, days=1)
