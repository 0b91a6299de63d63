"""Which tier a query reads, and in which buckets.

A range of up to an hour is read from raw samples, up to a day from minutes, longer from hours.
A step finer than the tier moves the query to a finer tier as long as that still holds the
range; a start that a tier has already dropped moves it to a coarser one.
"""

import math
from dataclasses import dataclass
from datetime import datetime

from pulseboard.contracts.vocabulary import Tier
from pulseboard.core.settings import settings

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


def configured_retention() -> dict[Tier, int]:
    """How long each tier stores a sample, in seconds, as it is configured."""
    configured = settings()
    return {
        Tier.RAW: configured.retention_raw,
        Tier.MINUTE: configured.retention_minute,
        Tier.HOUR: configured.retention_hour,
    }


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
    min_step: float = 0.0,
    interval: float = 0.0,
) -> TierChoice:
    """Choose for a query that reads samples up to `lookback` seconds before `start`.

    `step` is in seconds and rounded up to the tier's resolution; None chooses a nice one, of at
    least `min_step`, that gives at most `max_points` buckets. `interval` is that of the samples
    in seconds, for buckets: no step is below it, and a chosen one is a multiple of it, so that
    each bucket has the same number of samples. `retention` is each tier's age in seconds.
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
    resolution = RESOLUTIONS[chosen]
    every = math.ceil(interval / resolution) * resolution if interval > resolution else 0
    if step is not None:
        width = max(resolution, math.ceil(step / resolution) * resolution)
        if width != step:
            notes.append(f"the step was widened to the resolution of {TABLES[chosen]}")
        if width < every:
            width = every
            notes.append(f"the step was widened to {every} s: samples are that far apart")
    else:
        width = _chosen_width(
            max(length / max_points, min_step), resolution=resolution, every=every
        )
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


def _chosen_width(least: float, *, resolution: int, every: int) -> int:
    least = max(least, AUTO_RAW_STEP if resolution == 1 else resolution)
    whole = every or resolution
    if every >= least:
        return every
    # 7 s, say, has no nice multiple nearby.
    for nice in NICE_STEPS:
        if least <= nice <= 3 * least and nice % whole == 0 and nice % resolution == 0:
            return nice
    if every:
        return math.ceil(least / every) * every
    for nice in NICE_STEPS:
        if nice >= least and nice % resolution == 0:
            return nice
    return math.ceil(least / DAY) * DAY
