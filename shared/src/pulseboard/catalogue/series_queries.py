"""Finds the series of a selector. Their ids come from the database; names and tags are cached.

The tags of a series never change, and its id is not given to another series within one generation
of the catalogue (see `series_store`). A lookup therefore reads only the ids that a selector has
now, and then the names and tags of the series that this process has not cached. A speculative
read uses the series found last (`cached_result`), reads their samples in the same round trip as
the lookup, and is verified against the lookup's result afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from pulseboard.catalogue.selector import Matcher
from pulseboard.catalogue.series_key import line_key
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings
from pulseboard.db import pg_arrays

_SELECTIONS = 256
"""Selectors whose series are remembered as they were found last."""
# Of what a pattern is held against; 0 of no metrics at all.
_DIGEST = "coalesce(hashtextextended(string_agg(id || ' ' || name, E'\\n' order by id), 0), 0)"
_Selection = tuple[str | None, tuple[Matcher, ...]]

NAME = "__name__"


@dataclass(frozen=True)
class Series:
    """A series of the catalogue; `key` is its `line_key`."""

    id: int
    tags: dict[str, str]
    name: str = ""
    key: str = ""

    @cached_property
    def labels(self) -> dict[str, str]:
        """Its tags, and its name as a tag, to be read only."""
        return {NAME: self.name, **self.tags}


_lock = Lock()
_generation: UUID | None = None
_series: dict[int, Series] = {}
_selections: dict[_Selection, tuple[bytes, list[Series]]] = {}
_metric_ids: dict[str, int] = {}
"""Ids of metrics by name. Another one has the name only after this one's series are gone."""
_names: tuple[int, list[tuple[int, str]]] = (0, [])
"""Ids and names of all metrics, and the digest that the database made of them."""


@on_reset
def reset() -> None:
    """Read all names and tags again."""
    _belong_to(None)


def _belong_to(generation: UUID | None) -> None:
    global _generation, _series, _selections, _metric_ids, _names
    with _lock:
        if generation is None or generation != _generation:
            _generation, _series, _selections, _metric_ids = generation, {}, {}, {}
        if generation is None:
            _names = (0, [])


def cached_result(*, name: str | None, matchers: Sequence[Matcher]) -> list[Series] | None:
    """The series that were found last for a selector; None: none are remembered."""
    with _lock:
        before = _selections.get((name, tuple(matchers)))
    return before[1] if before is not None else None


class Lookup:
    """Which series a selector has: asked when it is made, so that in a pipeline other statements
    can follow before `series` waits for the answer.

    The series are those of a metric whose tags all matchers accept; matchers on `__name__` choose
    metrics by name. At most `limit` series are looked at. Served by the unique index on the name
    (a pattern reads all names), then by (metric_id, tags_hash) or GIN(tags).
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        *,
        name: str | None,
        matchers: Sequence[Matcher],
        limit: int,
    ) -> None:
        self._connection = connection
        self._selection = (name, tuple(matchers))
        self._limit = limit
        self._digest, metrics = _names
        self._metrics = _matching(metrics, matchers) if name is None else None
        self._remembered = _metric_ids.get(name) if name is not None else None
        self._cursor = self._ask()

    def _ask(self) -> psycopg.Cursor[Any]:
        name, matchers = self._selection
        equal = {m.key: m.value for m in matchers if _in_sql(m)}
        source = ""
        if name is None:
            # Read only where the answer depends on the names of all metrics.
            which, known = (
                "= any(%(metrics)s::int[])",
                f"(select {_DIGEST} from metric_definitions)",
            )
        elif self._remembered is not None:
            which, known = "= %(metric)s", "%(metric)s"
        else:
            which, known = "= d.id", "d.id"
            source = "from metric_definitions d where d.name = %(name)s"
        tagged = "and s.tags @> %(tags)s" if equal else ""
        return pg_arrays.cursor(self._connection).execute(
            f"""
            select (select generation from series_generation), {known}::int8,
              array(
                select s.id from metric_series s
                where s.metric_id {which} {tagged}
                order by s.id limit %(limit)s
              )
            {source}
            """.encode(),
            {
                "name": name,
                "metric": self._remembered,
                "metrics": self._metrics,
                "tags": Jsonb(equal),
                "limit": self._limit,
            },
        )

    def series(self) -> list[Series] | None:
        """The series found; None when no metric has that name.

        It is the same list object as `cached_result` when nothing has changed.
        """
        row = self._cursor.fetchone()
        if self._remembered is not None and (row is None or not pg_arrays.length(row[2])):
            self._remembered = None
            row = self._ask().fetchone()
        if self._metrics is not None and row is not None and row[1] != self._digest:
            self._metrics = _matching(_read_names(self._connection, row[1]), self._selection[1])
            row = self._ask().fetchone()
        if row is None or (self._metrics is not None and not self._metrics):
            return None
        generation, known, ids = row
        return self._called(generation, known, ids)

    def _called(self, generation: UUID, known: int, ids: bytes) -> list[Series]:
        _belong_to(generation)
        name = self._selection[0]
        with _lock:
            if name is not None and pg_arrays.length(ids):
                if len(_metric_ids) >= _SELECTIONS:
                    _metric_ids.clear()
                _metric_ids[name] = known
            before = _selections.get(self._selection)
        if before is not None and before[0] == ids:
            return before[1]
        others = [m for m in self._selection[1] if not _in_sql(m)]
        found = [
            each
            for each in _named(self._connection, pg_arrays.integers(ids))
            if all(
                m.accepts({**each.tags, NAME: each.name} if m.key == NAME else each.tags)
                for m in others
            )
        ]
        with _lock:
            if _generation == generation:
                if len(_selections) >= _SELECTIONS:
                    _selections.clear()
                _selections[self._selection] = (ids, found)
        return found


def find(
    connection: psycopg.Connection[Any],
    *,
    name: str | None,
    matchers: Sequence[Matcher],
    limit: int,
) -> list[Series] | None:
    """The answer of a `Lookup` that nobody waits beside."""
    return Lookup(connection, name=name, matchers=matchers, limit=limit).series()


def _in_sql(matcher: Matcher) -> bool:
    return matcher.operator == "=" and bool(matcher.value) and matcher.key != NAME


def _matching(metrics: Sequence[tuple[int, str]], matchers: Sequence[Matcher]) -> list[int]:
    names = [m for m in matchers if m.key == NAME]
    return [metric for metric, name in metrics if all(m.accepts({NAME: name}) for m in names)]


def _read_names(connection: psycopg.Connection[Any], digest: int) -> list[tuple[int, str]]:
    """All metrics, to be remembered until the database's digest is another one."""
    global _names
    rows = connection.execute("select id, name from metric_definitions").fetchall()
    with _lock:
        _names = (digest, rows)
    return rows


def _named(connection: psycopg.Connection[Any], ids: Sequence[int]) -> list[Series]:
    """These series in this order; without those that are gone meanwhile."""
    known = _series
    unknown = [each for each in ids if each not in known]
    if not unknown:
        return [known[each] for each in ids]
    # Served by metric_series_pkey.
    rows = connection.execute(
        """
        select s.id, s.tags, d.name
        from metric_series s join metric_definitions d on d.id = s.metric_id
        where s.id = any(%s)
        """,
        (unknown,),
    ).fetchall()
    fresh = {
        series_id: Series(series_id, tags, name, line_key(name, tags))
        for series_id, tags, name in rows
    }
    found = [each for each in map({**known, **fresh}.get, ids) if each is not None]
    with _lock:
        if _series is known:
            if len(known) + len(fresh) > settings().series_map_size:
                known.clear()
            known.update(fresh)
    return found
