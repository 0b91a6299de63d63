"""How often the series of metrics are sent, cached in the process.

The interval of a metric is measured from its newest samples, kept with the metric, and measured
again by `maintain`. A metric that `maintain` has not measured yet is measured when it is queried.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from pulseboard.catalogue import intervals_store
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.freshness import is_fresh
from pulseboard.core.process_state import on_reset
from pulseboard.db import database

KNOWN_FOR = 60.0
"""Seconds for which a process uses an interval before it reads it again."""
UNKNOWN_FOR = 5.0
"""The same for a metric whose interval can't be measured yet: it has too few samples."""
MEASURED_SOON = 30.0
"""The same for a metric that `maintain` will measure."""
MAX_CACHED = 20_000


@dataclass(frozen=True, slots=True)
class _Cached:
    seconds: float | None
    since: float
    life: float


_cached: dict[str, _Cached] = {}


@on_reset
def reset() -> None:
    """Drop all cached intervals."""
    _cached.clear()


def get_intervals(names: Iterable[str], *, now: float) -> dict[str, float]:
    """Seconds between two samples of a series, by metric; unknown ones are left out.

    `now` is in seconds since 1970. Without a database only what is cached is known: the query
    itself will say that the database is away.
    """
    wanted = list(dict.fromkeys(names))
    missing = _missing(wanted)
    if missing:
        try:
            with database.connection() as connection:
                found = intervals_store.get(connection, names=missing, now=now)
        except Unavailable:
            pass
        else:
            _put(missing, found, UNKNOWN_FOR)
    return _known(wanted)


def get_measured(connection: psycopg.Connection[Any], names: Iterable[str]) -> dict[str, float]:
    """The same of metrics that are measured already: measuring thousands would delay a tick."""
    wanted = list(dict.fromkeys(names))
    missing = _missing(wanted)
    if missing:
        found = intervals_store.get(connection, names=missing, now=None)
        _put(missing, found, MEASURED_SOON)
    return _known(wanted)


def _missing(names: list[str]) -> list[str]:
    return [
        name
        for name in names
        if (one := _cached.get(name)) is None or not is_fresh(one.since, one.life)
    ]


def _put(names: list[str], found: dict[str, float], unknown_for: float) -> None:
    since = time.time()
    if len(_cached) + len(names) > MAX_CACHED:
        _cached.clear()
    for name in names:
        seconds = found.get(name)
        _cached[name] = _Cached(seconds, since, unknown_for if seconds is None else KNOWN_FOR)


def _known(wanted: list[str]) -> dict[str, float]:
    return {
        name: one.seconds
        for name in wanted
        if (one := _cached.get(name)) is not None and one.seconds is not None
    }
