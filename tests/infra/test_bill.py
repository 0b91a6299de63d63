"""The bill against the templates: each resource has a price, and each size is what it says."""

import pytest

from infra.config import SIZES
from infra.inventory import Inventory, resources
from tests.infra.conftest import Assembly, Synthesise


def test_the_bill_counts_what_production_deploys(production: Assembly) -> None:
    assert Inventory.read(resources(production.directory)) == Inventory()


@pytest.mark.parametrize(
    "context",
    [
        {"api": "rest", "tracing": "true", "alarmEmail": "a@example.com", "accessLog": "all"},
        {"database": "external", "databaseSecret": "tiger", "nat": "true"},
    ],
)
def test_every_variant_has_a_price(synthesise: Synthesise, context: dict[str, str]) -> None:
    has = Inventory.read(resources(synthesise(**context).directory))
    assert has.traced == (frozenset(has.memory_gb) if "tracing" in context else frozenset())
    assert (has.instance is None, has.nats) == ("nat" in context, int("nat" in context))


@pytest.mark.parametrize("name", ["small", "large"])
def test_a_size_is_what_it_says(synthesise: Synthesise, name: str) -> None:
    assembly, size = synthesise(size=name), SIZES[name]
    has, functions = Inventory.read(resources(assembly.directory)), assembly.functions()
    assert (has.instance, has.disk_gb) == (size.instance, size.disk_gb)
    for function in ("ingest", "query"):
        assert functions[function]["ReservedConcurrentExecutions"] == size.clients


def test_the_bill_sees_what_was_chosen_in_addition(chosen: Assembly) -> None:
    has = Inventory.read(resources(chosen.directory))
    assert has.snap_start == {"query", "dashboards"}
    assert (has.boards, has.acl) == (1, True)
    assert has.metrics > Inventory().metrics


def test_a_choice_of_its_own_overrides_the_size(synthesise: Synthesise) -> None:
    assembly = synthesise(size="small", databaseInstance="m7g.xlarge", databaseDiskGb="70")
    has = Inventory.read(resources(assembly.directory))
    assert (has.instance, has.disk_gb) == ("m7g.xlarge", 70)
