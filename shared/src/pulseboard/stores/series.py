"""Series: each (metric, tags) has one row and one id, whoever writes it first.

Ids are remembered in the process. A remembered id may outlive its row (a metric was deleted, the
database was restored); `samples.write` checks each id against its identity in the statement that
writes, so a sample never lands on a row that is gone or has become another series.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from threading import Lock
from time import monotonic
from typing import Any

import psycopg
from psycopg.errors import ForeignKeyViolation

from pulseboard.domain.ingest import SeriesSamples
from pulseboard.domain.series import RecentIds
from pulseboard.exceptions import Unavailable
from pulseboard.settings import settings

TOUCH_SECONDS = 300
_ATTEMPTS = 5

_touch_lock = Lock()
_touched: set[int] = set()
_touched_since = monotonic()


@lru_cache(maxsize=1)
def _recent() -> RecentIds:
    return RecentIds(settings().series_map_size)


def forget(identities: set[bytes] | None = None) -> None:
    """Drop remembered ids: of these identities, or all of them (tests, before a snapshot)."""
    if identities is None:
        _recent.cache_clear()
        with _touch_lock:
            _touched.clear()
    else:
        _recent().forget(identities)


def resolve(
    connection: psycopg.Connection[Any], *, wanted: Mapping[bytes, SeriesSamples]
) -> dict[bytes, int]:
    """Identity → id for all of `wanted`; definitions and series that are new are created.

    Needs autocommit: each statement must see what other writers committed before it. Raises
    Unavailable when series are deleted as fast as they are made.
    """
    ids = _recent().find(wanted)
    missing = [key for key in wanted if key not in ids]
    for attempt in range(_ATTEMPTS):
        if not missing:
            return ids
        found = _select(connection, wanted, missing)
        if len(found) < len(missing):
            new = [key for key in missing if key not in found]
            try:
                found |= _create(connection, wanted, new)
            except ForeignKeyViolation:
                # A definition was deleted between our two statements: once more.
                if attempt == _ATTEMPTS - 1:
                    raise
        _recent().remember(found)
        ids |= found
        missing = [key for key in missing if key not in ids]
    if missing:
        raise Unavailable("Series are being deleted while they are written. Try again.")
    return ids


def _select(
    connection: psycopg.Connection[Any],
    wanted: Mapping[bytes, SeriesSamples],
    keys: list[bytes],
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
    wanted: Mapping[bytes, SeriesSamples],
    keys: list[bytes],
) -> dict[bytes, int]:
    """Insert what is missing; what another writer inserted meanwhile is found by a reselect.

    Both inserts go in one order everywhere, so that two writers wait for each other in a line
    and never in a circle.
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
        insert into metric_series (metric_id, tags, tags_hash)
        select d.id, w.tags::jsonb, w.hash
        from unnest(%s::text[], %s::text[], %s::bytea[]) as w (name, tags, hash)
        join metric_definitions d on d.name = w.name
        order by d.id, w.hash
        on conflict (metric_id, tags_hash) do nothing
        returning tags_hash, id
        """,
        (
            [wanted[key].name for key in keys],
            [wanted[key].tags.decode() for key in keys],
            keys,
        ),
    ).fetchall()
    return {bytes(key): series_id for key, series_id in rows}


def touch(connection: psycopg.Connection[Any], *, ids: Iterable[int]) -> None:
    """Note that these series were seen now; each at most once in five minutes a process.

    Rows that another process is touching are left to it: nobody waits.
    """
    global _touched_since
    with _touch_lock:
        if monotonic() - _touched_since >= TOUCH_SECONDS or len(_touched) > 1_000_000:
            _touched.clear()
            _touched_since = monotonic()
        due = [series_id for series_id in ids if series_id not in _touched]
        _touched.update(due)
    if due:
        # Served by metric_series_pkey.
        connection.execute(
            """
            update metric_series set last_seen = now()
            where id in (
              select id from metric_series
              where id = any(%s) and last_seen < now() - make_interval(secs => %s)
              order by id
              for update skip locked
            )
            """,
            (sorted(due), TOUCH_SECONDS * 0.8),
        )
