"""What a process remembers for some seconds, while its monotonic clock stands still."""

import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from pulseboard.auth import api_key_cache
from pulseboard.auth.api_keys_store import ActiveKey
from pulseboard.contracts.vocabulary import Role, Scope
from pulseboard.core import freshness
from pulseboard.core.freshness import is_fresh
from pulseboard.core.process_state import reset
from pulseboard.core.retry_gate import RetryGate
from pulseboard.core.settings import settings
from pulseboard.db import database_url

ROOT = Path(__file__).parents[2]
DEADLINES = {
    "db/backup.py",
    "db/database.py",
    "db/move.py",
    "db/rollups.py",
    "alerts/inputs.py",
    "agent/host.py",
    "agent/run.py",
    "catalogue/stale_markers_store.py",
    "catalogue/intervals_store.py",
    "catalogue/expiry_store.py",
    "db/connection_deadlines.py",
    "query/engine.py",
    "query/variables/resolve.py",
    "query/exact_queries.py",
    "promql/budget.py",
    "query/reader.py",
    "usage/deletion_store.py",
}
"""Modules that measure time within one request, or in a process that is never frozen."""


class Clock:
    """A wall clock that a test sets; the monotonic one stands still, as in a frozen Lambda."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = time.time()
        held = time.monotonic()
        monkeypatch.setattr(time, "time", lambda: self.now)
        monkeypatch.setattr(time, "monotonic", lambda: held)
        monkeypatch.setattr(freshness, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    # No Redis responds here.
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setenv("PULSEBOARD_REDIS_CLUSTER", "false")
    reset()
    return Clock(monkeypatch)


def test_fresh_is_less_than_so_many_seconds_and_never_in_the_future(clock: Clock) -> None:
    assert is_fresh(clock.now, 5)
    assert is_fresh(clock.now - 4.9, 5)
    assert not is_fresh(clock.now - 5, 5)
    assert not is_fresh(clock.now + 1, 5)


def test_a_key_is_looked_up_again_after_its_environment_was_frozen(clock: Clock) -> None:
    key = ActiveKey(uuid4(), (Scope.INGEST,), uuid4(), Role.EDITOR, "a@example.com")
    api_key_cache.put("pb_x", key)
    assert api_key_cache.get_fresh("pb_x") == key
    clock.now += settings().key_memory
    assert api_key_cache.get_fresh("pb_x") is None
    assert api_key_cache.get_last_known("pb_x") == key
    clock.now += settings().key_remembered
    assert api_key_cache.get_last_known("pb_x") is None


def test_the_database_secret_is_read_again_after_its_environment_was_frozen(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Any] = []

    def get_secret_value(**request: Any) -> dict[str, str]:
        reads.append(request)
        return {"SecretString": "postgresql://a"}

    monkeypatch.setattr(
        database_url, "client", lambda _: SimpleNamespace(get_secret_value=get_secret_value)
    )
    monkeypatch.setattr(database_url, "_cached", None)
    for _ in range(3):
        database_url._read("secret", database_url._from_secrets_manager)
    assert len(reads) == 1
    clock.now += 3600
    database_url._read("secret", database_url._from_secrets_manager)
    assert len(reads) == 2


def test_a_gate_opens_after_its_pause_and_when_the_clock_is_set_back(clock: Clock) -> None:
    gate = RetryGate(2.0)
    gate.failed(clock.now)
    assert not gate.allows(clock.now + 1.9)
    assert gate.allows(clock.now + 2)
    gate.failed(clock.now)
    assert gate.allows(clock.now - 3600)


def test_only_deadlines_use_the_monotonic_clock() -> None:
    package = ROOT / "shared" / "src" / "pulseboard"
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if re.search(r"\bmonotonic\b(?! clock)", path.read_text(encoding="utf-8"))
    }
    assert found <= DEADLINES
