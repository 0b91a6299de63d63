"""Finds the series of a selector. The database tells their ids; what they are called is remembered.

The tags of a series never change, and its id is not given to another one while the generation of
the catalogue stands (see `series`). So each question asks the database which ids a selector has
now, which is a short answer, and reads names and tags of those alone that are new to the process.
"""

from collections.abc import Sequence
from threading import Lock
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from pulseboard.domain.selector import Matcher
from pulseboard.domain.splice import line_key
from pulseboard.settings import settings
from pulseboard.stores import binary
from pulseboard.stores.queries import NAME, Series

_SELECTIONS = 256
"""Selectors whose series are remembered as they were found last."""
_Selection = tuple[str | None, tuple[Matcher, ...]]

_lock = Lock()
_generation: UUID | None = None
_series: dict[int, Series] = {}
_selections: dict[_Selection, tuple[bytes, list[Series]]] = {}


def forget() -> None:
    """Read all names and tags again."""
    _belong_to(None)


def _belong_to(generation: UUID | None) -> None:
    global _generation, _series, _selections
    with _lock:
        if generation is None or generation != _generation:
            _generation, _series, _selections = generation, {}, {}


def find(
    connection: psycopg.Connection[Any],
    *,
    name: str | None,
    matchers: Sequence[Matcher],
    limit: int,
) -> list[Series] | None:
    """Series of a metric whose tags all matchers accept; None: no metric has that name.

    Matchers on `__name__` choose metrics by name. At most `limit` series are looked at. Served by
    the unique index on the name (a pattern reads all names), then by (metric_id, tags_hash) or
    GIN(tags).
    """
    equal = {m.key: m.value for m in matchers if _in_sql(m)}
    metrics = None if name is not None else _find_metrics(connection, matchers)
    if metrics is not None and not metrics:
        return None
    which = "d.name = %(name)s" if metrics is None else "d.id = any(%(metrics)s)"
    with binary.cursor(connection) as cursor:
        row = cursor.execute(
            f"""
            select (select generation from series_generation), count(*),
              array_agg(id order by id) filter (where id is not null)
            from (
              select s.id
              from metric_definitions d
              left join metric_series s on s.metric_id = d.id and s.tags @> %(tags)s
              where {which}
              order by s.id limit %(limit)s
            ) found
            """.encode(),
            {"name": name, "metrics": metrics, "tags": Jsonb(equal), "limit": limit},
        ).fetchone()
    if row is None or not row[1]:
        return None
    generation, _, ids = row
    if ids is None:
        return []
    _belong_to(generation)
    selection = (name, tuple(matchers))
    with _lock:
        before = _selections.get(selection)
    if before is not None and before[0] == ids:
        return before[1]
    others = [m for m in matchers if not _in_sql(m)]
    found = [
        each
        for each in _named(connection, binary.integers(ids))
        if all(
            m.accepts({**each.tags, NAME: each.name} if m.key == NAME else each.tags)
            for m in others
        )
    ]
    with _lock:
        if _generation == generation:
            if len(_selections) >= _SELECTIONS:
                _selections.clear()
            _selections[selection] = (ids, found)
    return found


def _in_sql(matcher: Matcher) -> bool:
    return matcher.operator == "=" and bool(matcher.value) and matcher.key != NAME


def _find_metrics(connection: psycopg.Connection[Any], matchers: Sequence[Matcher]) -> list[int]:
    names = [m for m in matchers if m.key == NAME]
    rows = connection.execute("select id, name from metric_definitions").fetchall()
    return [row[0] for row in rows if all(m.accepts({NAME: row[1]}) for m in names)]


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
