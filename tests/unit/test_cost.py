"""The bill: its arithmetic, and the documents that quote it."""

from pathlib import Path

import pytest

from infra import prices
from infra.cost import (
    Load,
    cloudwatch,
    comparison,
    datadog,
    grafana,
    managed_prometheus,
    monthly,
    progress,
    relayed,
    sources,
    table,
    total,
)
from infra.inventory import Inventory, UnpricedError

DOCUMENT = Path(__file__).parents[2] / "docs" / "cost.md"


def test_the_document_shows_what_the_code_computes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert table(Load()) in text
    assert comparison() in text
    assert progress() in text
    for load in (Load(hosts=20), Load(hosts=20, senders=2), relayed(100), Load()):
        assert f"**${total(load):,.0f}**" in text
    assert sources() in text
    assert prices.AS_OF in text
    assert prices.REGION in text


def test_the_steps_of_growing_cost_what_the_price_list_says() -> None:
    text = (DOCUMENT.parent / "operating.md").read_text(encoding="utf-8")
    month = {name: f"${price * prices.MONTH_HOURS:.0f}" for name, price in prices.EC2_HOUR.items()}
    assert (
        f"`databaseDiskGb=100`; the file system grows within a minute | "
        f"${100 * prices.GP3_GB_MONTH:.0f} for 100 GB" in text
    )
    assert (
        f"`databaseInstance=m7g.large` | {month['m7g.large']} instead of {month['t4g.medium']}"
        in text
    )
    assert f"agents at 30 s | {month['m7g.xlarge']}" in text
    assert f"stores {Load(hosts=1).stored_gb:.2f} GB" in text
    # The limits of steps 2 and 4 are those by which the bill chooses an instance.
    chosen = [Load(hosts=hosts).instance for hosts in (200, 201, 2000, 2001)]
    assert chosen == ["t4g.medium", "m7g.large", "m7g.large", "m7g.xlarge"]
    assert "1,000 samples/s (200 hosts)" in text
    assert "10,000 samples/s (2,000 hosts)" in text


def test_the_beat_costs_about_three_dollars() -> None:
    (beat,) = [line for line in monthly(Load()) if line.service == "Step Functions"]
    assert 2 < beat.dollars < 3.5


def test_others_are_computed_as_their_price_lists_say() -> None:
    load = Load(hosts=100, series=50, interval=10)
    assert datadog(load) == 100 * 15
    assert datadog(Load(hosts=10, series=150)) == 10 * 15 + 500 / 100 * 5
    # 5,000 series at six samples a minute count as 30,000.
    assert grafana(load) == 19 + 20 * 6.5
    assert grafana(Load(hosts=100, interval=60)) == 19
    # 500 samples a second are 1.314 thousand million a month, $0.90 for ten million.
    assert managed_prometheus(load) == pytest.approx(131.4 * 0.9, abs=5)
    assert cloudwatch(load) == pytest.approx(5000 * 0.30 + 100 * 262.8 * 0.01)
    assert cloudwatch(Load(hosts=1000)) == pytest.approx(3000 + 40_000 * 0.10 + 2628)


def test_more_load_never_costs_less() -> None:
    def total(**changed: int) -> float:
        return sum(line.dollars for line in monthly(Load(**changed)))

    assert total(hosts=10) < total(hosts=100) < total(hosts=1000)
    assert total(interval=60) < total(interval=10)
    assert total(dashboards=0) < total(dashboards=50)
    assert all(line.dollars > 0 or line.service == "CloudFront" for line in monthly(Load()))


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="INTERVAL"):
        Load(interval=0)
    with pytest.raises(ValueError, match="SENDERS"):
        Load(hosts=10, senders=11)


def test_a_resource_without_a_price_is_refused() -> None:
    with pytest.raises(UnpricedError, match="AWS::RDS::DBInstance"):
        Inventory.read([{"Type": "AWS::RDS::DBInstance"}])


def test_relays_save_requests_and_store_the_same() -> None:
    alone, through = Load(), Load(senders=2)
    assert through.stored_gb == alone.stored_gb
    assert through.pushes * 50 == alone.pushes
    assert total(through) < total(alone)


def test_what_is_off_costs_nothing_and_what_is_on_does() -> None:
    assert "X-Ray" not in {line.service for line in monthly(Load())}
    everything = frozenset(Inventory().memory_gb)
    bill = {line.service: line.dollars for line in monthly(Load(), Inventory(traced=everything))}
    assert bill["X-Ray"] > 15
    assert total(Load(), Inventory(verbose=everything)) > total(Load(), Inventory())
    outside = Inventory(instance=None, disk_gb=0, root_gb=0, nats=1)
    external = {line.service: line.dollars for line in monthly(Load(), outside)}
    assert external["EC2"] == external["EBS"] == 0
    assert external["NAT gateway"] > 30
