"""SnapStart: what a snapshot must not hold, and what every copy of it must have of its own."""

import random

import pytest

from pulseboard.http import aws
from pulseboard.settings import settings
from pulseboard.stores import cache, database, secrets, series


def test_before_a_snapshot_nothing_is_open_or_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name, module, function in [
        ("database", database, "close"),
        ("cache", cache, "close"),
        ("series", series, "forget"),
        ("secret", secrets, "forget"),
    ]:
        monkeypatch.setattr(module, function, lambda name=name: done.append(name))
    settings.cache_clear()
    aws.before_snapshot()
    assert sorted(done) == ["cache", "database", "secret", "series"]


def test_a_pool_made_before_is_another_one_after(monkeypatch: pytest.MonkeyPatch) -> None:
    settings.cache_clear()
    # Opens nothing until a connection is wanted.
    before = database.pool()
    aws.before_snapshot()
    assert before.closed
    after = database.pool()
    assert after is not before
    database.close()


def test_copies_of_a_snapshot_draw_different_numbers() -> None:
    state = random.getstate()
    drawn = []
    for _ in range(2):
        random.setstate(state)
        aws.after_restore()
        drawn.append(random.random())
    assert drawn[0] != drawn[1]


def test_a_restored_copy_asks_for_the_secret_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_known", (0.0, "old"))
    aws.after_restore()
    assert secrets._known is None
