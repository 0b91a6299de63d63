"""When series were last seen: which of them can have samples in a range, and which have expired.

`metric_series.last_seen` is the arrival of a sample, at most `TOUCH_SECONDS` behind: it is written
in the transaction that stores samples. `last_seen_day` is at most a day behind `last_seen`, and is
what the indexes `metric_series_seen` (by metric) and `metric_series_expiry` (of all) serve.
"""

from datetime import UTC, datetime, timedelta
from typing import LiteralString

from pulseboard.core.settings import settings

TOUCH_SECONDS = 300
"""A process writes that a series was seen at most once in so many seconds."""
_MARGIN = 600
"""Seconds for clocks that differ and for a transaction that takes long."""

SEEN_SINCE: LiteralString = (
    "s.last_seen_day >= %(seen_since)s::timestamptz - interval '1 day'"
    " and s.last_seen >= %(seen_since)s::timestamptz"
)
"""A condition on `metric_series s`: seen at `%(seen_since)s` or later. Served by
metric_series_seen."""


def for_samples_since(start: float) -> datetime:
    """`seen_since` that finds every series with a sample at `start` (seconds since 1970) or later.

    A few more are found. A sample may be stamped ahead of its arrival, by `ingest_max_ahead`.
    """
    seconds = start - settings().ingest_max_ahead - TOUCH_SECONDS - _MARGIN
    return datetime.fromtimestamp(max(0.0, seconds), UTC)


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
