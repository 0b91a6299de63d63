"""Days and weeks of a time zone as points: they begin at midnight there, weeks on Mondays.

A day has 23 or 25 hours where clocks are changed, so the points of a range are runs of equal
steps, one for each length. Times are seconds since 1970.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, pairwise
from zoneinfo import ZoneInfo

from pulseboard.query.tiers import DAY

WEEK = 7 * DAY
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).toordinal()
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC).toordinal()


@dataclass(frozen=True, slots=True)
class Run:
    """Points at equal distances: point n stands at `origin` + n × `step`."""

    step: int
    span: range
    origin: int = 0

    def time_of(self, point: int) -> int:
        """The time of a point."""
        return self.origin + point * self.step


def offsets(zone: ZoneInfo, start: datetime, end: datetime) -> int:
    """The greatest length in seconds of which all the zone's offsets from UTC are multiples.

    0 where the offset is none at all times.
    """
    days = range((end - start).days + 3)
    found = {(start + timedelta(days=day - 1)).astimezone(zone).utcoffset() for day in days}
    return math.gcd(*(int(offset.total_seconds()) for offset in found if offset is not None))


def boundaries(start: float, end: float, step: int, zone: ZoneInfo, *, whole: int) -> list[int]:
    """Where the days, or groups of days, begin that have a part in [start, end); the last is where
    the one after them begins.

    They are rounded to multiples of `whole`.
    """
    days = step // DAY
    # Groups are counted from 1970 on, those of weeks from its first Monday.
    first_day = _MONDAY if step % WEEK == 0 else _EPOCH
    ordinal = datetime.fromtimestamp(start, zone).toordinal()
    ordinal = (ordinal - first_day) // days * days + first_day
    # Rounded, the first may begin after the start.
    found = [_midnight(ordinal - days, zone, whole)]
    while found[-1] < end:
        found.append(_midnight(ordinal, zone, whole))
        ordinal += days
    return [each for each, after in pairwise(found) if after > start] + found[-1:]


def _midnight(ordinal: int, zone: ZoneInfo, whole: int) -> int:
    day = datetime.fromordinal(ordinal)
    return round(day.replace(tzinfo=zone).timestamp() / whole) * whole


def runs(begins: Sequence[int]) -> tuple[Run, ...]:
    """Points at all of these times but the last, which says how long the last one is."""
    widths = [after - before for before, after in pairwise(begins)]
    found: list[Run] = []
    position = 0
    for width, group in groupby(widths):
        count = len(list(group))
        number, origin = divmod(begins[position], width)
        found.append(Run(width, range(number, number + count), origin))
        position += count
    return tuple(found)
