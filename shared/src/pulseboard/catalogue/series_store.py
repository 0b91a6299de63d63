"""Series: each (metric, tags) has one row and one id, whoever writes it first.

Ids are cached in the process (`series_cache`): by identity, and on the key objects that decoders
pass again. A cached id may outlive its row (a series was deleted, the database was restored), so
each set of ids comes with the generation of the catalogue under which it was found:
`samples_store.write` compares it in the transaction that writes, and a sample never lands on a row
that is gone or has become another series.
"""

from collections.abc import Mapping, Sequence
from time import time
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.errors import ForeignKeyViolation

from pulseboard.catalogue import cardinality_queries, series_cache
from pulseboard.catalogue.last_seen import TOUCH_SECONDS
from pulseboard.catalogue.series_cache import SeriesCache
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.freshness import is_fresh

_ATTEMPTS = 5


class Resolved(NamedTuple):
    """The reasons, by identity, of the series that were refused; all others have their ids noted
    on their keys. They hold for this generation of the catalogue and this epoch of its cache.
    """

    refused: dict[bytes, str]
    generation: UUID
    epoch: int


def _cache_of_now(connection: psycopg.Connection[Any]) -> tuple[UUID, SeriesCache]:
    """The generation and its cache. Raises Unavailable while the catalogue is being restored."""
    cache = series_cache.current()
    if cache.generation is not None:
        return cache.generation, cache
    # One row.
    row = connection.execute("select catalogue_generation()").fetchone()
    if row is None or row[0] is None:
        raise Unavailable("The catalogue of series is being restored. Try again in a moment.")
    return row[0], series_cache.of(row[0])


def cached() -> Resolved | None:
    """What holds when every key has its id noted; None before the first `resolve`."""
    cache = series_cache.current()
    return Resolved({}, cache.generation, cache.epoch) if cache.generation is not None else None


def resolve(
    connection: psycopg.Connection[Any],
    *,
    keys: Sequence[SeriesKey],
    key_id: UUID | None = None,
    paced: bool = True,
) -> Resolved:
    """Note the id on each key; definitions and series that are new are created.

    `key_id` is the API key that sends them: a series beyond the limits of that key or of its
    metric is refused, with the reason; how many it may add in a minute counts when `paced`. Needs
    autocommit: each statement must see what other writers committed before it. Raises Unavailable
    when series are deleted as fast as they are created.
    """
    generation, cache = _cache_of_now(connection)
    wanted = {key.identity: key for key in keys}
    ids = cache.ids.find(wanted)
    refused: dict[bytes, str] = {}
    missing = [key for key in wanted if key not in ids] if len(ids) < len(wanted) else []
    if missing and paced:
        # Refused a moment ago: to look each time would make every batch that carries them slow.
        refused = cache.refused(missing, key_id=key_id)
        missing = [key for key in missing if key not in refused]
    for attempt in range(_ATTEMPTS):
        if not missing:
            break
        found = _select(connection, wanted, missing)
        if len(found) < len(missing):
            new = {key: wanted[key] for key in missing if key not in found}
            over = cardinality_queries.refuse(connection, new=new, key_id=key_id, paced=paced)
            cache.put_refused(over, key_id=key_id)
            refused |= over
            allowed = [key for key in new if key not in refused]
            try:
                found |= _create(connection, wanted, allowed, key_id) if allowed else {}
            except ForeignKeyViolation:
                # A definition was deleted between our two statements: once more.
                if attempt == _ATTEMPTS - 1:
                    raise
        cache.ids.put(found)
        ids |= found
        missing = [key for key in missing if key not in ids and key not in refused]
    if missing:
        raise Unavailable("Series are being deleted while they are written. Try again.")
    since = cache.epoch << 32
    for key in keys:
        if (found_id := ids.get(key.identity)) is not None:
            key.noted = since | found_id
    return Resolved(refused, generation, cache.epoch)


def look_up(connection: psycopg.Connection[Any], *, keys: Sequence[SeriesKey]) -> None:
    """Cache the ids of those of these series that exist: one statement, whoever sends them."""
    _, cache = _cache_of_now(connection)
    wanted = {key.identity: key for key in keys}
    known = cache.ids.find(wanted)
    missing = [key for key in wanted if key not in known]
    if missing:
        cache.ids.put(_select(connection, wanted, missing))


def _select(
    connection: psycopg.Connection[Any], wanted: Mapping[bytes, SeriesKey], keys: list[bytes]
) -> dict[bytes, int]:
    # Served by metric_definitions_name_key and metric_series_metric_id_tags_hash_key.
    rows = connection.execute(
        """
        select s.tags_hash, s.id
        from unnest(%s::text[], %s::bytea[]) as w (name, hash)
        join metric_definitions d on d.name = w.name
        join metric_series s on s.metric_id = d.id and s.tags_hash = w.hash
        """,
        ([wanted[key].name for key in keys], keys),
    ).fetchall()
    return {bytes(key): series_id for key, series_id in rows}


def _create(
    connection: psycopg.Connection[Any],
    wanted: Mapping[bytes, SeriesKey],
    keys: list[bytes],
    key_id: UUID | None,
) -> dict[bytes, int]:
    """Insert the missing series; those that another writer inserted meanwhile are left out, and
    found by the next select.

    Every writer inserts in the same order, so that two writers never deadlock.
    """
    names = sorted({wanted[key].name for key in keys})
    # Served by metric_definitions_name_key. The first filter saves identity values, which a
    # conflict would burn.
    connection.execute(
        """
        insert into metric_definitions (name)
        select w.name from unnest(%s::text[]) as w (name)
        where not exists (select from metric_definitions d where d.name = w.name)
        order by w.name
        on conflict (name) do nothing
        """,
        (names,),
    )
    # Served by metric_series_metric_id_tags_hash_key.
    rows = connection.execute(
        """
        insert into metric_series (metric_id, tags, tags_hash, key_id)
        select d.id, w.tags::jsonb, w.hash, %s
        from unnest(%s::text[], %s::text[], %s::bytea[]) as w (name, tags, hash)
        join metric_definitions d on d.name = w.name
        order by d.id, w.hash
        on conflict (metric_id, tags_hash) do nothing
        returning tags_hash, id
        """,
        (
            key_id,
            [wanted[key].name for key in keys],
            [wanted[key].tags.decode() for key in keys],
            keys,
        ),
    ).fetchall()
    created = {bytes(key): series_id for key, series_id in rows}
    if created:
        names = [wanted[key].name for key in created]
        cardinality_queries.add(connection, created=names, key_id=key_id)
    return created


def due_to_touch(seen: Mapping[UUID | None, Sequence[int]]) -> dict[UUID | None, list[int]]:
    """Of the series that each key has sent, those whose `last_seen` this process has not written
    lately.
    """
    cache = series_cache.current()
    due: dict[UUID | None, list[int]] = {}
    with cache.lock:
        if (
            not is_fresh(cache.touched_since, TOUCH_SECONDS)
            or sum(map(len, cache.touched.values())) > 1_000_000
        ):
            cache.touched.clear()
            cache.touched_since = time()
        for key_id, ids in seen.items():
            touched = cache.touched.get(key_id, set())
            if not touched.issuperset(ids):
                due[key_id] = sorted(set(ids) - touched)
    return due


def note_touched(due: Mapping[UUID | None, Sequence[int]]) -> None:
    """Note that `touch` is committed for these series."""
    cache = series_cache.current()
    with cache.lock:
        for key_id, ids in due.items():
            cache.touched.setdefault(key_id, set()).update(ids)


def touch(connection: psycopg.Connection[Any], due: Mapping[UUID | None, Sequence[int]]) -> None:
    """Write that these series were seen now, each sent by its key.

    In the transaction of their samples: queries find the series of a range by when they were last
    seen. Rows that another process is updating are skipped, so that none waits. `last_seen_day`
    changes once a day, not for all series in the same minute.
    """
    # Served by metric_series_pkey.
    connection.execute(
        """
        update metric_series s set
          last_seen = now(),
          last_seen_day = case
            when s.last_seen_day < now() - interval '1 day' + (s.id %% 240) * interval '1 minute'
            then now() else s.last_seen_day
          end,
          key_id = coalesce(d.key_id, s.key_id)
        from (
          select m.id, w.key_id
          from unnest(%(ids)s::integer[], %(keys)s::uuid[]) as w (id, key_id)
          join metric_series m on m.id = w.id
          where m.last_seen < now() - make_interval(secs => %(seconds)s)
            or m.key_id is distinct from coalesce(w.key_id, m.key_id)
          order by m.id
          for update of m skip locked
        ) d
        where s.id = d.id
        """,
        {
            "ids": [series_id for ids in due.values() for series_id in ids],
            "keys": [key_id for key_id, ids in due.items() for _ in ids],
            "seconds": TOUCH_SECONDS * 0.8,
        },
    )
