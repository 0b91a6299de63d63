"""Every choice, and every version after the released one, as an update of what is deployed."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.config import SIZES
from infra.updates import RELEASED, SERVING, essence, problems, rolled_back, windows
from tests.infra.conftest import DOMAIN, Assembly, Synthesise

pytestmark = pytest.mark.infra


def test_today_is_an_update_of_what_was_released_and_can_be_rolled_back_to_it(
    production: Assembly,
) -> None:
    released, now = json.loads(RELEASED.read_text(encoding="utf-8")), production.templates
    assert problems(released, now) == []
    assert windows(released, now) == []
    back = rolled_back(released, now)
    assert problems(now, back) == []
    assert windows(now, back) == []
    # The comparison sees what the released stacks refer to.
    assert any(stack["References"] for stack in released.values())


@pytest.mark.parametrize("name", ["rest", "external", "everything", "large", "small"])
def test_each_choice_is_an_update_of_every_other_and_can_be_taken_back(
    production: Assembly, synthesise: Synthesise, request: pytest.FixtureRequest, name: str
) -> None:
    def made(name: str) -> Assembly:
        sized = name in SIZES
        found: Assembly = synthesise(size=name) if sized else request.getfixturevalue(name)
        return found

    one = made(name)
    there, back = (
        problems(production.templates, one.templates),
        problems(one.templates, production.templates),
    )
    # A disk can only grow: `chosen` in infra/deploy.py keeps its size, and the page says so.
    for found, shrinks in ((there, name == "small"), (back, name in ("everything", "large"))):
        assert [problem for problem in found if "would shrink" not in problem] == []
        assert bool(found) == shrinks
    # What is being left, for the minutes until functions change over: docs/operating.md.
    assert _gone(production, one) == WITHOUT.get(name, set())


WITHOUT = {
    "everything": {"AWS::ElastiCache::ServerlessCache"},
    "external": {"AWS::AutoScaling::AutoScalingGroup", "AWS::EC2::SecurityGroupEgress"},
}


def _gone(before: Assembly, after: Assembly) -> set[str]:
    found = windows(before.templates, after.templates)
    return {kind for kind in SERVING if any(f"({kind})" in window for window in found)}


def test_back_from_an_external_database_there_is_always_one(
    external: Assembly, synthesise: Synthesise
) -> None:
    """While its secret and the way to it are kept, as `make deploy` keeps choices."""
    returning = synthesise(databaseSecret="tiger", nat="true", reserve="false", **DOMAIN)
    assert problems(external.templates, returning.templates) == []
    assert _gone(external, returning) == set()


@pytest.mark.parametrize(
    "choice", [{"zones": "eu-central-1b,eu-central-1c"}, {"cidr": "10.99.0.0/18"}]
)
def test_what_can_not_be_chosen_later_is_seen(
    production: Assembly, synthesise: Synthesise, choice: dict[str, str]
) -> None:
    found = problems(production.templates, synthesise(**choice).templates)
    assert any("replaced" in problem for problem in found)


def test_a_serving_part_that_goes_before_its_users_is_seen(production: Assembly) -> None:
    templates = copy.deepcopy(production.templates)
    name = _only(templates["Data"], "AWS::AutoScaling::AutoScalingGroup")
    del templates["Data"]["Resources"][name]
    (found,) = windows(essence(production.templates), templates)
    assert found.startswith(f"Data/{name}")
    lost = rolled_back(essence(production.templates), templates)
    lost["Data"]["Outputs"].clear()
    assert any("which is not there" in problem for problem in problems(templates, lost))


def _changed(production: Assembly, change: Callable[[dict[str, Any]], object]) -> list[str]:
    templates = copy.deepcopy(production.templates)
    change(templates)
    return problems(essence(production.templates), templates)


def _only(template: dict[str, Any], kind: str) -> str:
    return next(str(name) for name, r in template["Resources"].items() if r["Type"] == kind)


def test_what_would_be_lost_is_seen(production: Assembly) -> None:
    data = production.templates["Data"]
    volume = _only(data, "AWS::EC2::Volume")
    spill = next(n for n, r in data["Resources"].items() if n.startswith("SpillQueue")
                 and r["Type"] == "AWS::SQS::Queue")  # fmt: skip

    def properties(templates: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = templates["Data"]["Resources"][volume]["Properties"]
        return found

    assert _changed(production, lambda t: None) == []
    (shrunk,) = _changed(production, lambda t: properties(t).update(Size=20))
    assert "50 → 20 GB" in shrunk
    (replaced,) = _changed(production, lambda t: properties(t).update(AvailabilityZone="x"))
    assert "replaced: AvailabilityZone" in replaced
    (deleted,) = _changed(production, lambda t: t["Data"]["Resources"].pop(spill))
    assert "would be deleted" in deleted


def test_references_that_no_longer_lead_anywhere_are_seen(production: Assembly) -> None:
    found = _changed(production, lambda t: t["Data"]["Outputs"].clear())
    assert any("Api refers to Data." in problem for problem in found)
    exported = {
        "Data": {
            "Resources": {},
            "Outputs": {"Cache": {"Value": "x", "Export": {"Name": "cache"}}},
        },
        "Api": {
            "Resources": {"F": {"Type": "X", "Properties": {"V": {"Fn::ImportValue": "cache"}}}}
        },
    }
    without: dict[str, dict[str, Any]] = {"Data": {"Resources": {}}, "Api": {"Resources": {}}}
    assert problems(exported, without) == ['the export "cache" would vanish while it is imported']


def test_a_function_that_moves_to_another_stack_is_seen(production: Assembly) -> None:
    """Its name is taken until the first stack has given it up, and then it is down."""

    def move(templates: dict[str, Any]) -> None:
        resources = templates["Maintenance"]["Resources"]
        name = next(n for n, r in resources.items() if r["Type"] == "AWS::Lambda::Function")
        templates["Data"]["Resources"][name] = resources.pop(name)

    assert any("from Maintenance to Data" in each for each in _changed(production, move))
