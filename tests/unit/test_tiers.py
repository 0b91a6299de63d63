"""The choice of tier and buckets."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.contracts.vocabulary import Tier
from pulseboard.query.tiers import RESOLUTIONS, TierChoice, choose

NOW = datetime(2026, 1, 31, 12, 0, 3, tzinfo=UTC)
RETENTION = {Tier.RAW: 7 * 86_400, Tier.MINUTE: 30 * 86_400, Tier.HOUR: 365 * 86_400}


def choice(
    length: float,
    *,
    ago: float = 0,
    step: float | None = None,
    max_points: int = 500,
    tier: Tier | None = None,
) -> TierChoice:
    end = NOW - timedelta(seconds=ago)
    return choose(
        start=end - timedelta(seconds=length),
        end=end,
        now=NOW,
        step=step,
        max_points=max_points,
        tier=tier,
        retention=RETENTION,
    )


@pytest.mark.parametrize(
    ("length", "tier", "step"),
    [
        (300, Tier.RAW, 10),
        (3_600, Tier.RAW, 10),
        (3_601, Tier.MINUTE, 60),
        (86_400, Tier.MINUTE, 300),
        (86_401, Tier.HOUR, 3_600),
        (365 * 86_400, Tier.HOUR, 86_400),
    ],
)
def test_the_range_chooses_the_tier_and_a_nice_step(length: int, tier: Tier, step: int) -> None:
    chosen = choice(length)
    assert (chosen.tier, chosen.step) == (tier, step)


def test_a_finer_step_reads_a_finer_tier_while_it_holds_the_range() -> None:
    assert choice(6 * 3_600, step=10).tier is Tier.RAW
    assert choice(7 * 86_400 - 60, step=300).tier is Tier.MINUTE
    old = choice(8 * 86_400, step=10)
    assert (old.tier, old.step) == (Tier.MINUTE, 60)
    assert old.notes


def test_what_a_tier_has_dropped_is_read_from_the_next_coarser_one() -> None:
    assert choice(600, ago=8 * 86_400).tier is Tier.MINUTE
    assert choice(600, ago=40 * 86_400).tier is Tier.HOUR


def test_a_requested_tier_is_read() -> None:
    assert choice(7 * 86_400, tier=Tier.RAW).tier is Tier.RAW


@given(
    length=st.floats(1, 400 * 86_400),
    ago=st.floats(0, 300 * 86_400),
    step=st.none() | st.floats(0.001, 10 * 86_400),
    max_points=st.integers(1, 11_000),
)
def test_buckets_cover_the_range_and_no_more(
    length: float, ago: float, step: float | None, max_points: int
) -> None:
    chosen = choice(length, ago=ago, step=step, max_points=max_points)
    end = NOW - timedelta(seconds=ago)
    start = end - timedelta(seconds=length)
    first, width = datetime.fromtimestamp(chosen.first, UTC), timedelta(seconds=chosen.step)
    assert first <= start < first + width
    assert end - timedelta(microseconds=1) <= first + chosen.count * width < end + width
    assert chosen.step >= RESOLUTIONS[chosen.tier]
    assert chosen.first % chosen.step == 0
    if step is None:
        assert chosen.count <= max_points + 1
