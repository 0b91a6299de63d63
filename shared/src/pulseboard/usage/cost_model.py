"""The estimated cost of series and samples, and sums of usage counts."""

from collections.abc import Iterable
from dataclasses import dataclass

MONTH_SECONDS = 730 * 3600


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in dollars of what grows with the data; fixed monthly costs are not included."""

    million_samples: float
    thousand_series: float

    def monthly(self, *, series: int, samples_per_second: float | None) -> float:
        """Dollars per month at the current rate; an unknown rate counts as 0."""
        millions = (samples_per_second or 0.0) * MONTH_SECONDS / 1e6
        return self.million_samples * millions + self.thousand_series * series / 1000


@dataclass(frozen=True, slots=True)
class UsageCount:
    """Series and samples of a metric, an API key or both; `rate` is in samples per second or None.

    `last_seen` is in seconds since 1970, 0 when there are no series.
    """

    series: int = 0
    new_minute: int = 0
    new_hour: int = 0
    new_day: int = 0
    rate: float | None = None
    last_seen: float = 0.0

    def __add__(self, other: "UsageCount") -> "UsageCount":
        known = [rate for rate in (self.rate, other.rate) if rate is not None]
        return UsageCount(
            series=self.series + other.series,
            new_minute=self.new_minute + other.new_minute,
            new_hour=self.new_hour + other.new_hour,
            new_day=self.new_day + other.new_day,
            rate=sum(known) if known else None,
            last_seen=max(self.last_seen, other.last_seen),
        )


def add_up(parts: Iterable[UsageCount]) -> UsageCount:
    """The sum of all counts."""
    return sum(parts, UsageCount())
