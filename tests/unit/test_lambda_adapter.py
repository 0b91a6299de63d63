"""SnapStart: what a snapshot must not hold, and what every copy of it must have of its own."""

import random
import re
from pathlib import Path

import pytest

from pulseboard.auth import api_key_cache
from pulseboard.catalogue import series_cache
from pulseboard.core.settings import settings
from pulseboard.db import cache, database, database_url
from pulseboard.web import lambda_adapter

ROOT = Path(__file__).parents[2]


def test_before_a_snapshot_nothing_is_open_or_cached() -> None:
    """Every module that keeps something has registered how to drop it."""
    settings.cache_clear()
    database_url._cached = (0.0, "old")
    api_key_cache._cached[b"hash"] = None  # type: ignore[assignment]
    series = series_cache.current()
    lambda_adapter.before_snapshot()
    assert vars(database_url)["_cached"] is None
    assert not api_key_cache._cached
    assert series_cache.current() is not series
    assert database._pool is None
    assert cache._client is None


def test_the_state_of_every_module_is_registered() -> None:
    """A module with state of its own that no reset reaches would carry it from test to test, and
    from a snapshot into every copy of it."""
    unregistered = []
    for path in sorted((ROOT / "shared" / "src" / "pulseboard").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if re.search(r"^    global ", text, re.M) and "on_reset" not in text:
            unregistered.append(str(path.relative_to(ROOT)))
    assert unregistered == [
        # A thread that serves connections by deadline: it holds nothing of theirs.
        "shared/src/pulseboard/db/connection_deadlines.py",
    ]


def test_a_pool_made_before_is_another_one_after(monkeypatch: pytest.MonkeyPatch) -> None:
    settings.cache_clear()
    # Opens nothing until a connection is wanted.
    before = database.pool()
    lambda_adapter.before_snapshot()
    assert before.closed
    after = database.pool()
    assert after is not before
    database.close()


def test_copies_of_a_snapshot_draw_different_numbers() -> None:
    state = random.getstate()
    drawn = []
    for _ in range(2):
        random.setstate(state)
        lambda_adapter.after_restore()
        drawn.append(random.random())
    assert drawn[0] != drawn[1]


def test_a_restored_copy_fetches_the_secret_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_url, "_cached", (0.0, "old"))
    lambda_adapter.after_restore()
    assert database_url._cached is None
