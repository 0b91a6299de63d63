"""Shared by the tests of all protocols: the stored samples, and a lost database."""

import time
from typing import Any

import pytest

from pulseboard.core.settings import settings
from pulseboard.db import database

Stored = tuple[str, dict[str, str], float, int]
"""Name, tags, value and milliseconds since 1970."""


def rows(text: str, *arguments: Any) -> list[Any]:
    """The rows of a query."""
    with database.connection() as connection:
        return connection.execute(text.encode(), arguments).fetchall()


def stored() -> list[Stored]:
    """All stored samples, by name and time."""
    return rows(
        "select d.name, s.tags, r.value, round(extract(epoch from r.time) * 1000)::bigint "
        "from metrics_raw r join metric_series s on s.id = r.series_id "
        "join metric_definitions d on d.id = s.metric_id order by d.name, r.time, s.tags"
    )


def values() -> list[tuple[str, dict[str, str], float]]:
    """The same without times."""
    return [(name, tags, value) for name, tags, value, _ in stored()]


def now() -> int:
    """Milliseconds since 1970."""
    return int(time.time() * 1000)


def lose_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the database can't be reached."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://postgres@127.0.0.1:1/postgres")
    monkeypatch.setenv("PULSEBOARD_DATABASE_CONNECT_TIMEOUT", "1")
    settings.cache_clear()
    database.close()
