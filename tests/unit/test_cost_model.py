"""What usage adds up to, and the prices behind its estimate."""

import pytest

from infra import prices as p
from infra.cost import COLUMN_ROW_BYTES, RAW_ROW_BYTES, ROLLUP_ROW_BYTES, Load, monthly
from pulseboard.core.settings import Settings
from pulseboard.usage.cost_model import Prices, UsageCount, add_up

GROWING = {"API Gateway", "Lambda", "CloudFront", "CloudWatch logs"}
"""What is paid by the request; storage is apart, the rest is paid anyhow."""


def test_the_default_prices_are_those_of_the_cost_model() -> None:
    few, many = Load(hosts=100), Load(hosts=120)
    dollars = sum(
        after.dollars - before.dollars
        for before, after in zip(monthly(few), monthly(many), strict=True)
        if before.service in GROWING
    )
    millions = (many.rows_per_second - few.rows_per_second) * p.MONTH_SECONDS / 1e6
    per_gb = p.GP3_GB_MONTH / 0.75 + 2 * p.SNAPSHOT_GB_MONTH
    raw = 86_400 * (0.25 * RAW_ROW_BYTES + 6.75 * COLUMN_ROW_BYTES) * 1e6 / p.MONTH_SECONDS
    rollups = (1440 * 30 + 24 * 365) * ROLLUP_ROW_BYTES * 1000
    settings = Settings()
    assert settings.usage_million_samples == pytest.approx(
        dollars / millions + raw / 1e9 * per_gb, rel=0.03
    )
    assert settings.usage_thousand_series == pytest.approx(rollups / 1e9 * per_gb, rel=0.03)


def test_a_month_of_samples_and_series() -> None:
    prices = Prices(million_samples=0.1, thousand_series=2)
    assert prices.monthly(series=500, samples_per_second=10) == pytest.approx(2.628 + 1)
    assert prices.monthly(series=500, samples_per_second=None) == 1


def test_adding_up_keeps_an_unknown_rate_unknown() -> None:
    one = UsageCount(series=1, new_hour=1, last_seen=5)
    two = UsageCount(series=2, new_minute=1, new_day=2, rate=1.5, last_seen=3)
    assert add_up([]) == UsageCount()
    assert add_up([one, one]).rate is None
    assert add_up([one, two]) == UsageCount(3, 1, 1, 2, 1.5, 5)
