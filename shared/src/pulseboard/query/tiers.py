"""Which tier a query reads, and in which buckets.

A range of up to an hour is read from raw samples, up to a day from minutes, longer from hours.
A step finer than the tier moves the query to a finer tier as long as that still holds the
range; a start that a tier has already dropped moves it to a coarser one.
"""

import math
from dataclasses import dataclass
from datetime import datetime

from pulseboard.contracts.vocabulary import Tier

MINUTE, HOUR, DAY = 60, 3_600, 86_400
NICE_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE),
    *(HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR),
    *(DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY),
)
"""Bucket widths in seconds that are easy to read."""

TABLES = {Tier.RAW: "metrics_raw", Tier.MINUTE: "metrics_1min", Tier.HOUR: "metrics_1hour"}
RESOLUTIONS = {Tier.RAW: 1, Tier.MINUTE: MINUTE, Tier.HOUR: HOUR}
AUTO_RAW_STEP = 10
_ORDER = (Tier.RAW, Tier.MINUTE, Tier.HOUR)


@dataclass(frozen=True, slots=True)
class TierChoice:
    """The tier to read, and `count` buckets of `step` seconds from `first` (seconds since 1970)."""

    tier: Tier
    step: int
    first: int
    count: int
    notes: tuple[str, ...] = ()

    @property
    def span(self) -> range:
        """The buckets by number: bucket n starts at n × step seconds since 1970."""
        return range(self.first // self.step, self.first // self.step + self.count)


def choose(
    *,
    start: datetime,
    end: datetime,
    now: datetime,
    step: float | None,
    max_points: int,
    tier: Tier | None,
    retention: dict[Tier, int],
    lookback: float = 0.0,
) -> TierChoice:
    """Choose for a query that reads samples up to `lookback` seconds before `start`.

    `step` is in seconds and rounded up to the tier's resolution; None chooses a nice one that
    gives at most `max_points` buckets. `retention` is each tier's age in seconds.
    """
    length = (end - start).total_seconds()
    notes: list[str] = []
    chosen = tier or _by_range(length)
    if tier is None:
        if step is not None:
            chosen = _fine_enough(chosen, step)
        stored = _still_stored(
            chosen, age=(now - start).total_seconds() + lookback, retention=retention
        )
        if stored is not chosen:
            notes.append(f"{TABLES[chosen]} no longer holds the start of the range")
            chosen = stored
    width = _width(length, step=step, max_points=max_points, tier=chosen)
    if step is not None and width != step:
        notes.append(f"the step was widened to the resolution of {TABLES[chosen]}")
    first = math.floor(start.timestamp() / width) * width
    count = max(1, math.ceil((end.timestamp() - first) / width))
    return TierChoice(tier=chosen, step=width, first=first, count=count, notes=tuple(notes))


def _by_range(length: float) -> Tier:
    if length <= HOUR:
        return Tier.RAW
    return Tier.MINUTE if length <= DAY else Tier.HOUR


def _fine_enough(chosen: Tier, step: float) -> Tier:
    fitting = [tier for tier in _ORDER if RESOLUTIONS[tier] <= max(step, 1)]
    finest_allowed = fitting[-1]
    return min(chosen, finest_allowed, key=_ORDER.index)


def _still_stored(chosen: Tier, *, age: float, retention: dict[Tier, int]) -> Tier:
    for tier in _ORDER[_ORDER.index(chosen) :]:
        if age <= retention[tier]:
            return tier
    return Tier.HOUR


def _width(length: float, *, step: float | None, max_points: int, tier: Tier) -> int:
    resolution = RESOLUTIONS[tier]
    if step is not None:
        return max(resolution, math.ceil(step / resolution) * resolution)
    least = max(length / max_points, AUTO_RAW_STEP if tier is Tier.RAW else resolution)
    for nice in NICE_STEPS:
        if nice >= least and nice % resolution == 0:
            return nice
    return math.ceil(least / DAY) * DAY
