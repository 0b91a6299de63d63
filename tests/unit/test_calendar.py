"""Days and weeks of a time zone: where they begin, and the plans of queries over them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.query import calendar
from pulseboard.query.expression import Expression
from pulseboard.query.plan import Plan, plans

DAY, HOUR = 86_400, 3_600
RETENTION = {Tier.RAW: 7 * DAY, Tier.MINUTE: 30 * DAY, Tier.HOUR: 365 * DAY}
BERLIN = "Europe/Berlin"
ZONES = [BERLIN, "UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu"]


def planned(
    query: str, start: datetime, end: datetime, *, now: datetime | None = None, **more: object
) -> tuple[Plan, ...]:
    params = QueryParams.model_validate({"query": query, "start": start, "end": end, **more})
    return plans(params, now=now or end, retention=RETENTION, longest=400 * DAY)


def times(found: tuple[Plan, ...], zone: str) -> list[str]:
    stamps = [stamp for each in found for stamp in each.timestamps()]
    return [f"{datetime.fromtimestamp(each / 1000, ZoneInfo(zone)):%a %d %H:%M}" for each in stamps]


def local(*fields: int, zone: str = BERLIN) -> datetime:
    year, month, day, hour = (*fields, 0)[:4]
    return datetime(year, month, day, hour, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_a_day_has_25_hours_where_clocks_are_put_back() -> None:
    start, end = local(2026, 10, 23), local(2026, 10, 28)
    found = planned("m", start, end, step="1d", aggregation="avg", timezone=BERLIN)
    assert times(found, BERLIN) == [
        f"{day} 00:00" for day in ["Fri 23", "Sat 24", "Sun 25", "Mon 26", "Tue 27"]
    ]
    assert [(each.step // HOUR, len(each.span)) for each in found] == [(24, 2), (25, 1), (24, 2)]
    assert [each.lookahead for each in found] == [24 * HOUR, 25 * HOUR, 24 * HOUR]


def test_weeks_begin_on_mondays_also_in_utc() -> None:
    start, end = datetime(2026, 6, 4, 9, tzinfo=UTC), datetime(2026, 6, 25, 9, tzinfo=UTC)
    found = planned("m", start, end, step="7d", aggregation="max", timezone="UTC")
    assert times(found, "UTC") == [f"Mon {day} 00:00" for day in ("01", "08", "15", "22")]
    # As ever for who names no zone: whole multiples of the step since Thursday, 1 January 1970.
    assert times(planned("m", start, end, step="7d", aggregation="max"), "UTC")[0] == "Thu 04 00:00"


def test_an_expression_is_evaluated_at_midnights_inside_the_range() -> None:
    start, end = local(2026, 3, 27, 9), local(2026, 3, 31, 9)
    query = "sum_over_time(m[1d])"
    found = planned(query, start, end, step="1d", timezone=BERLIN)
    assert times(found, BERLIN) == [
        f"{day} 00:00" for day in ["Sat 28", "Sun 29", "Mon 30", "Tue 31"]
    ]
    early = planned(query, start, end, now=local(2026, 3, 29, 12), step="1d", timezone=BERLIN)
    assert times(early, BERLIN) == ["Sat 28 00:00", "Sun 29 00:00"]
    within = planned("m", local(2026, 3, 27, 9), local(2026, 3, 27, 15), step="1d", timezone=BERLIN)
    assert times(within, BERLIN) == ["Fri 27 00:00"]
    edges = planned("m @ start() + m @ end()", start, end, step="1d", timezone=BERLIN)
    assert {repr(each.shape) for each in edges} == {repr(edges[0].shape)}
    assert isinstance(edges[0].shape, Expression)
    assert edges[0].shape.fixed == (
        local(2026, 3, 28).timestamp() - edges[0].shape.lookback_delta,
        local(2026, 3, 31).timestamp(),
    )


def test_a_sum_leaves_out_the_day_in_progress() -> None:
    start, end = local(2026, 6, 1), local(2026, 6, 4)
    sums = planned(
        "m", start, end, now=local(2026, 6, 3, 12), step="1d", aggregation="sum", timezone=BERLIN
    )
    assert times(sums, BERLIN) == ["Mon 01 00:00", "Tue 02 00:00"]
    means = planned(
        "m", start, end, now=local(2026, 6, 3, 12), step="1d", aggregation="avg", timezone=BERLIN
    )
    assert times(means, BERLIN)[-1] == "Wed 03 00:00"


def test_half_hours_are_read_from_minutes_or_rounded_with_a_note() -> None:
    zone = "Asia/Kolkata"
    end = local(2026, 6, 20, zone=zone)
    (near,) = planned(
        "m", end - timedelta(days=20), end, step="1d", aggregation="avg", timezone=zone
    )
    assert (near.tier, near.notes) == (Tier.MINUTE, ())
    assert times((near,), zone)[0] == "Sun 31 00:00"
    (far,) = planned(
        "m", end - timedelta(days=60), end, step="1d", aggregation="avg", timezone=zone
    )
    assert far.tier is Tier.HOUR
    assert "days begin within an hour of midnight" in far.notes[0]
    assert far.origin % HOUR == 0


def test_shorter_steps_and_other_zones_share_what_is_cached() -> None:
    start, end = local(2026, 6, 1), local(2026, 6, 4)
    plain, zoned = (
        planned("m", start, end, step="1h", aggregation="avg", timezone=zone)[0]
        for zone in (None, BERLIN)
    )
    assert plain == zoned
    keys = {
        zone: planned("m", start, end, step="1d", aggregation="avg", timezone=zone)[0].key
        for zone in (BERLIN, "Europe/Paris", "America/New_York")
    }
    assert keys[BERLIN] == keys["Europe/Paris"] != keys["America/New_York"]


def test_a_zone_that_is_unknown_is_named() -> None:
    for name in ("Europe/Atlantis", "../etc/passwd", "/etc/passwd", "America", "\0", "leapseconds"):
        with pytest.raises(InvalidRequest, match="No time zone is named"):
            planned("m", local(2026, 6, 1), local(2026, 6, 4), step="1d", timezone=name)
        # It would change nothing else, so it spoils nothing else.
        planned("m", local(2026, 6, 1), local(2026, 6, 4), step="1h", timezone=name)


@given(
    zone=st.sampled_from(ZONES),
    start=st.integers(978_307_200, 2_114_380_800),
    length=st.integers(1, 400),
    days=st.sampled_from([1, 2, 7, 14]),
)
def test_points_stand_at_midnights_and_leave_nothing_out(
    zone: str, start: int, length: int, days: int
) -> None:
    began = datetime.fromtimestamp(start, UTC)
    begins = calendar.boundaries(
        began.timestamp(),
        (began + timedelta(days=length)).timestamp(),
        days * DAY,
        ZoneInfo(zone),
        whole=1,
    )
    assert begins[0] <= began.timestamp() < begins[1]
    assert begins[-2] < (began + timedelta(days=length)).timestamp() <= begins[-1]
    dates = [datetime.fromtimestamp(each, ZoneInfo(zone)) for each in begins]
    assert {f"{date:%H:%M:%S}" for date in dates} == {"00:00:00"}
    assert {(after.date() - date.date()).days for date, after in pairwise(dates)} == {days}
    if days % 7 == 0:
        assert {date.weekday() for date in dates} == {0}
    runs = calendar.runs(begins)
    assert [run.time_of(point) for run in runs for point in run.span] == begins[:-1]
    assert all(0 <= run.origin < run.step for run in runs)
