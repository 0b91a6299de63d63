"""A minute of `make soak`: parts are killed and stopped, and nothing acknowledged is lost."""

import pytest

from bench.soak import PARTS, soak

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def test_a_minute_of_killed_and_stopped_parts_lose_nothing() -> None:
    outcome = soak(1, seed=2)
    outcome.show()
    assert outcome.wrong == []
    assert outcome.acknowledged == outcome.stored == outcome.distinct > 0
    assert outcome.ticks > 0
    # Each part, the database among them, was harmed.
    assert {name.partition(" ")[0] for name in outcome.harm} == set(PARTS)
