"""Threads of one server share what is cached of the catalogue, and each finds all its series."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg
import pytest

from pulseboard.catalogue import series_cache, series_queries
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest import samples_store
from pulseboard.ingest.batch import Batch

pytestmark = pytest.mark.integration
SIZE = 100
"""Series that a process caches here."""


def write(name: str, count: int) -> None:
    keys = [SeriesKey.of(name, {"host": f"{n:03}"}) for n in range(count)]
    at = round(time.time() * 1000)
    samples_store.write(Batch(series=keys, times=[at] * count, values=[1.0] * count))


def found(name: str) -> int:
    """How many series a look-up of this thread finds."""
    with database.connection() as connection:
        series = series_queries.find(connection, name=name, matchers=[], limit=10_000)
    return len(series or ())


@pytest.fixture
def small_cache(stack: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULSEBOARD_SERIES_MAP_SIZE", str(SIZE))
    settings.cache_clear()
    series_cache.reset()


def test_a_look_up_is_whole_when_another_thread_fills_the_cache_meanwhile(
    small_cache: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("cpu", 60)
    write("load", 90)
    assert found("cpu") == 60
    write("cpu", 61)
    original = psycopg.Connection.execute
    others: list[int] = []

    def execute(connection: Any, query: Any, *args: Any, **options: Any) -> Any:
        # One of the 61 is not cached: while its name is read, the others are dropped.
        if not others and isinstance(query, str) and "where s.id = any(%s)" in query:
            others.append(0)
            with ThreadPoolExecutor(1) as pool:
                others[0] = pool.submit(found, "load").result()
        return original(connection, query, *args, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", execute)
    assert found("cpu") == 61
    assert others == [90]
    assert found("cpu") == 61


def test_threads_that_fill_the_cache_in_turns_find_all_their_series(small_cache: None) -> None:
    sizes = {f"metric_{n}": 40 + 7 * n for n in range(6)}
    for name, count in sizes.items():
        write(name, count)
    begin = Barrier(len(sizes))

    def look_up(name: str) -> set[int]:
        begin.wait(60)
        return {found(name) for _ in range(20)}

    with ThreadPoolExecutor(len(sizes)) as pool:
        results = dict(zip(sizes, pool.map(look_up, sizes), strict=True))
    assert results == {name: {count} for name, count in sizes.items()}
