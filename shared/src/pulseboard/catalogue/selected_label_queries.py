"""Label names, label values and series of selectors, and metadata, as Prometheus' API lists them.

Each takes selectors, of which any may match, or none for all series; and the times of which the
series must be able to have samples.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import psycopg

from pulseboard.catalogue import label_queries, series_queries
from pulseboard.catalogue.last_seen import SampleTimes
from pulseboard.catalogue.series_key import Series
from pulseboard.core.matchers import Matcher
from pulseboard.db.statement_timeout import set_statement_timeout

_ESCAPED = re.compile(r"__|_([0-9a-fA-F]{1,6})_")
_KINDS = {"counter": "counter", "gauge": "gauge", "histogram": "histogram", "summary": "summary"}


class Selector(Protocol):
    """A metric's name, or None, and matchers."""

    @property
    def name(self) -> str | None: ...
    @property
    def matchers(self) -> tuple[Matcher, ...]: ...


class AllSeries(NamedTuple):
    """The selector of all series."""

    name: str | None = None
    matchers: tuple[Matcher, ...] = ()


def label_names(
    connection: psycopg.Connection[Any],
    *,
    selectors: Sequence[Selector],
    times: SampleTimes,
    limit: int,
    seconds: float,
) -> list[str]:
    """The keys of labels in order, `__name__` among them; at most `limit`."""
    found: set[str] = set()
    with _bounded(connection, seconds):
        for each in selectors or (AllSeries(),):
            tags = series_queries.equal_tags(each.matchers)
            if tags is None:
                found.update(key for one in _series(connection, each, times) for key in one.labels)
            else:
                found.update(
                    label_queries.label_names(
                        connection, name=each.name, tags=tags, times=times, limit=limit
                    )
                )
    return sorted(found)[:limit]


def label_values(
    connection: psycopg.Connection[Any],
    *,
    key: str,
    selectors: Sequence[Selector],
    times: SampleTimes,
    limit: int,
    seconds: float,
) -> list[str]:
    """The values of a label in order; at most `limit`."""
    if "\0" in key:
        return []
    found: set[str] = set()
    with _bounded(connection, seconds):
        for each in selectors or (AllSeries(),):
            tags = series_queries.equal_tags(each.matchers)
            if tags is None:
                series = _series(connection, each, times)
                found.update(value for one in series if (value := one.labels.get(key)))
            else:
                found.update(
                    label_queries.label_values(
                        connection, label=key, name=each.name, tags=tags, times=times, limit=limit
                    )
                )
    return sorted(found)[:limit]


def series_labels(
    connection: psycopg.Connection[Any],
    *,
    selectors: Sequence[Selector],
    times: SampleTimes,
    limit: int,
    seconds: float,
) -> list[dict[str, str]]:
    """The labels of each series, by name and labels; at most `limit`."""
    found: dict[int, Series] = {}
    with _bounded(connection, seconds):
        for each in selectors:
            found.update((one.id, one) for one in _series(connection, each, times, limit=limit))
    ordered = sorted(found.values(), key=lambda each: each.key)
    return [each.labels for each in ordered[:limit]]


def metadata(
    connection: psycopg.Connection[Any], *, name: str | None, limit: int
) -> dict[str, list[dict[str, str]]]:
    """Type, help and unit of metrics by name; of one, or of at most `limit`."""
    if name is not None and "\0" in name:
        return {}
    # Served by metric_definitions_name_key.
    rows = connection.execute(
        """
        select name, type, description, unit from metric_definitions
        where %(name)s::text is null or name = %(name)s
        order by name limit %(limit)s
        """,
        {"name": name, "limit": limit},
    ).fetchall()
    return {
        metric: [{"type": _KINDS.get(kind, "unknown"), "help": text or "", "unit": unit or ""}]
        for metric, kind, text, unit in rows
    }


def kinds(connection: psycopg.Connection[Any], *, names: Sequence[str]) -> dict[str, str]:
    """The types of metrics by name."""
    # Served by metric_definitions_name_key.
    rows = connection.execute(
        "select name, type from metric_definitions where name = any(%s)", (list(names),)
    ).fetchall()
    return {name: _KINDS.get(kind, "untyped") for name, kind in rows}


def unescaped(name: str) -> str:
    """A label's name as it is, of one that was escaped for an address: `U__` and `_20_`."""
    if not name.startswith("U__"):
        return name

    def character(match: re.Match[str]) -> str:
        return "_" if match[1] is None else chr(min(int(match[1], 16), 0x10FFFF))

    return _ESCAPED.sub(character, name[3:])


def _series(
    connection: psycopg.Connection[Any],
    selector: Selector,
    times: SampleTimes,
    *,
    limit: int = 0,
) -> list[Series]:
    """The series of a selector, where all its matchers are `=` at most `limit`. Raises
    InvalidRequest when more would have to be looked at than may be.
    """
    found = series_queries.find(
        connection, name=selector.name, matchers=selector.matchers, limit=limit, times=times
    )
    return found or []


@contextmanager
def _bounded(connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    with connection.transaction():
        set_statement_timeout(connection, seconds=seconds)
        yield
