"""Finds the series of selectors. Their ids come from the database; names and tags are cached.

The tags of a series never change, and its id is not given to another series within one generation
of the catalogue (see `series_cache`). A lookup therefore reads only the ids that a selector has
now, and then the names and tags of the series that this process has not cached. Rules resolve all
their selectors at once (`find_many`).
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import Any

import psycopg
from psycopg.types.json import Jsonb
from pydantic_core import to_json

from pulseboard.catalogue import series_cache
from pulseboard.catalogue.last_seen import (
    SEEN_SINCE,
    SampleTimes,
    for_samples_since,
    seen_since,
)
from pulseboard.catalogue.selector import Matcher
from pulseboard.catalogue.series_cache import Selection, SeriesCache
from pulseboard.catalogue.series_key import NAME, Series, line_key
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest, LimitExceeded
from pulseboard.core.settings import settings
from pulseboard.db import pg_arrays

# Changes whenever a metric is added, renamed or removed; 0 when there are none.
_DIGEST = "coalesce(hashtextextended(string_agg(id || ' ' || name, E'\\n' order by id), 0), 0)"


class Lookup:
    """The series of a selector: the statement is sent when the lookup is created, so that in a
    pipeline other statements can follow before `series` waits for its rows.

    The series are those of a metric whose tags all matchers accept; matchers on `__name__` choose
    metrics by name. With `times` only those count that can have samples then. At most `limit`
    series are found where all matchers are `=`; for the others `query_max_matched` are looked at.
    Served by the unique index on the name (a pattern reads all names), then
    by metric_series_seen, (metric_id, tags_hash) or GIN(tags).
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        *,
        name: str | None,
        matchers: Sequence[Matcher],
        limit: int,
        times: SampleTimes | None = None,
    ) -> None:
        self._connection = connection
        self._selection: Selection = (name, tuple(matchers), limit, 0.0)
        self._times = times
        cache = series_cache.current()
        self._digest, metrics = cache.metric_names
        self._metrics = _matching(metrics, matchers) if name is None else None
        self._metric_id = cache.metric_ids.get(name) if name is not None else None
        self._cursor = self._execute()

    def _execute(self) -> psycopg.Cursor[Any]:
        name, matchers, limit, _ = self._selection
        equal = _equal(matchers)
        source = ""
        if name is None:
            # The digest is read only where the result depends on the names of all metrics.
            which, known = (
                "= any(%(metrics)s::int[])",
                f"(select {_DIGEST} from metric_definitions)",
            )
        elif self._metric_id is not None:
            which, known = "= %(metric)s", "%(metric)s"
        else:
            which, known = "= d.id", "d.id"
            source = "from metric_definitions d where d.name = %(name)s"
        tagged = "and s.tags @> %(tags)s" if equal else ""
        seen = f"and {SEEN_SINCE} and s.created_at <= %(created_until)s" if self._times else ""
        return pg_arrays.cursor(self._connection).execute(
            f"""
            select catalogue_generation(), {known}::int8,
              array(
                select s.id from metric_series s
                where s.metric_id {which} {tagged} {seen}
                order by s.id limit %(limit)s
              )
            {source}
            """.encode(),
            {
                "name": name,
                "metric": self._metric_id,
                "metrics": self._metrics,
                "tags": Jsonb(equal),
                "limit": _most_looked_at(matchers, limit),
                "seen_since": self._times and self._times.seen_since,
                "created_until": self._times and self._times.created_until,
            },
        )

    def series(self) -> list[Series] | None:
        """The series found; None when no metric has that name. Raises InvalidRequest when more
        would have to be looked at than may be.

        It is the same list object as the last time when nothing has changed.
        """
        row = self._cursor.fetchone()
        if self._metric_id is not None and (row is None or not pg_arrays.length(row[2])):
            self._metric_id = None
            row = self._execute().fetchone()
        if self._metrics is not None and row is not None and row[1] != self._digest:
            metrics = _read_names(self._connection, series_cache.of(row[0]), row[1])
            self._metrics = _matching(metrics, self._selection[1])
            row = self._execute().fetchone()
        if row is None or (self._metrics is not None and not self._metrics):
            return None
        generation, known, ids = row
        cache = series_cache.of(generation)
        if self._selection[0] is not None and pg_arrays.length(ids):
            cache.put_metric_id(self._selection[0], known)
        (found,) = _found(self._connection, cache, {self._selection: ids}).values()
        if isinstance(found, InvalidRequest):
            raise found
        return found


def find(
    connection: psycopg.Connection[Any],
    *,
    name: str | None,
    matchers: Sequence[Matcher],
    limit: int,
    times: SampleTimes | None = None,
) -> list[Series] | None:
    """The result of a `Lookup`, waited for at once."""
    return Lookup(connection, name=name, matchers=matchers, limit=limit, times=times).series()


def find_many(
    connection: psycopg.Connection[Any],
    *,
    selectors: Sequence[tuple[str, tuple[Matcher, ...], float]],
    limit: int,
    now: float,
) -> list[list[Series] | InvalidRequest]:
    """The series of each selector: at most three statements in all. A selector is a metric's name,
    matchers, and for how many seconds before `now` (seconds since 1970) its samples count. One for
    which too many would have to be looked at has an error.

    One statement, served by metric_series_pkey, detects whether series were created or deleted;
    otherwise the cached results are returned. The selectors' own statement is served by the unique
    index on the name, then by metric_series_seen, (metric_id, tags_hash) or GIN(tags).
    """
    selections: list[Selection] = [(name, each, limit, back) for name, each, back in selectors]
    row = connection.execute(
        """
        select catalogue_generation(),
          (select coalesce(max(id), 0) from metric_series)
        """
    ).fetchone()
    assert row is not None, "a select without a table returns a row"
    generation, newest_id = row
    cache = series_cache.of(generation)
    unconfirmed = cache.unconfirmed(selections, newest_id=newest_id)
    results: dict[Selection, list[Series] | InvalidRequest] = {}
    if unconfirmed:
        results = _found(connection, cache, _ids_of(connection, unconfirmed, now))
        cache.confirm(unconfirmed, newest_id=newest_id)
    for selection in selections:
        if selection not in results:
            cached = cache.selected(selection)
            # Dropped meanwhile by another thread's results.
            results[selection] = (
                cached[1]
                if cached is not None
                else _found(connection, cache, _ids_of(connection, [selection], now))[selection]
            )
    return [results[selection] for selection in selections]


def _ids_of(
    connection: psycopg.Connection[Any], selections: Sequence[Selection], now: float
) -> dict[Selection, bytes]:
    found = dict.fromkeys(selections, b"")
    since = [for_samples_since(now - back) for *_, back in selections]
    # The earliest of them says nothing more, but is known when the statement is planned: without it
    # the planner would read all series there ever were, in the order of their ids.
    with pg_arrays.cursor(connection) as cursor:
        rows = cursor.execute(
            f"""
            select w.number, array(
              select s.id from metric_series s
              where s.metric_id = d.id and s.tags @> w.tags::jsonb and {seen_since("w.since")}
                and s.last_seen_day >= %(earliest)s::timestamptz - interval '1 day'
              order by s.id limit w.most
            )
            from unnest(%(numbers)s::int[], %(names)s::text[], %(tags)s::text[], %(limits)s::int[],
              %(since)s::timestamptz[]) as w (number, name, tags, most, since)
            join metric_definitions d on d.name = w.name
            """.encode(),
            {
                "numbers": list(range(len(selections))),
                "names": [name for name, *_ in selections],
                "tags": [to_json(_equal(matchers)).decode() for _, matchers, *_ in selections],
                "limits": [
                    _most_looked_at(matchers, limit) for _, matchers, limit, _ in selections
                ],
                "since": since,
                "earliest": min(since),
            },
        ).fetchall()
    for number, ids in rows:
        found[selections[number]] = ids
    return found


def _found(
    connection: psycopg.Connection[Any], cache: SeriesCache, ids_of: dict[Selection, bytes]
) -> dict[Selection, list[Series] | InvalidRequest]:
    """The series of each selection, cached; the same list as before where the ids are."""
    results: dict[Selection, list[Series] | InvalidRequest] = {}
    changed: dict[Selection, tuple[int, ...]] = {}
    for selection, ids in ids_of.items():
        before = cache.selected(selection)
        if before is not None and before[0] == ids:
            results[selection] = before[1]
        elif pg_arrays.length(ids) > _most_matched(selection):
            results[selection] = _too_many(selection)
        else:
            changed[selection] = pg_arrays.integers(ids)
    if changed:
        named = _named(connection, cache, {each for ids in changed.values() for each in ids})
        for selection, wanted in changed.items():
            others = _others(selection[1])
            series = [
                named[each]
                for each in wanted
                if each in named and all(_accepts(m, named[each]) for m in others)
            ]
            # A list without what another thread has just deleted must not outlive this look-up.
            if all(each in named for each in wanted):
                cache.put_selected(selection, ids_of[selection], series)
            results[selection] = series
    return results


def equal_tags(matchers: Sequence[Matcher]) -> dict[str, str] | None:
    """The tags that series must have, where that is all that the matchers say; else None."""
    tags = _equal(matchers)
    return None if _others(matchers) else tags


def _others(matchers: Sequence[Matcher]) -> list[Matcher]:
    """Those that the statement leaves out: a second value of one tag is among them."""
    tags = _equal(matchers)
    return [m for m in matchers if not _in_sql(m) or tags[m.key] != m.value]


def _most_matched(selection: Selection) -> float:
    _, matchers, _, _ = selection
    return inf if all(map(_in_sql, matchers)) else settings().query_max_matched


def _most_looked_at(matchers: Sequence[Matcher], limit: int) -> int:
    return limit if all(map(_in_sql, matchers)) else max(limit, settings().query_max_matched + 1)


def _too_many(selection: Selection) -> InvalidRequest:
    others = ", ".join(f"{m.key}{m.operator}..." for m in selection[1] if not _in_sql(m))
    message = (
        f"{selection[0] or 'The selector'} has more than {settings().query_max_matched} series to "
        f"match with {others}."
    )
    hint = "add a filter with =, or narrow the range"
    return LimitExceeded(message, details=[ErrorDetail(field="query", message=message, hint=hint)])


def _accepts(matcher: Matcher, series: Series) -> bool:
    return matcher.accepts(series.labels if matcher.key == NAME else series.tags)


def _in_sql(matcher: Matcher) -> bool:
    return matcher.operator == "=" and bool(matcher.value) and matcher.key != NAME


def _equal(matchers: Iterable[Matcher]) -> dict[str, str]:
    return {m.key: m.value for m in matchers if _in_sql(m)}


def _matching(metrics: Sequence[tuple[int, str]], matchers: Sequence[Matcher]) -> list[int]:
    names = [m for m in matchers if m.key == NAME]
    return [metric for metric, name in metrics if all(m.accepts({NAME: name}) for m in names)]


def _read_names(
    connection: psycopg.Connection[Any], cache: SeriesCache, digest: int
) -> list[tuple[int, str]]:
    """All metrics, cached until the database's digest is another one."""
    rows = connection.execute("select id, name from metric_definitions").fetchall()
    cache.metric_names = (digest, rows)
    return rows


def _named(
    connection: psycopg.Connection[Any], cache: SeriesCache, ids: set[int]
) -> dict[int, Series]:
    """These series by id; those deleted meanwhile are left out."""
    known = cache.series
    unknown = [each for each in ids if each not in known]
    if not unknown:
        return known
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
    cache.put_series(fresh)
    named = ((each, known.get(each) or fresh.get(each)) for each in ids)
    return {each: series for each, series in named if series is not None}
