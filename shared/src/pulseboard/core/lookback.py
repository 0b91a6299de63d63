"""For how long a sample is the current value of its series.

In its own module: alert rules need it before they read anything, and nothing else of queries.
"""

LOOKBACK_DELTA = 300.0
"""Seconds for which a sample is the current value of its series, as in Prometheus."""
LOOKBACK_INTERVALS = 2
"""A sample is the current value for at least so many intervals of its metric."""


def lookback_of(interval: float) -> float:
    """For how many seconds a sample of a metric that is sent every `interval` seconds is the
    current value.
    """
    return max(LOOKBACK_DELTA, LOOKBACK_INTERVALS * interval)
