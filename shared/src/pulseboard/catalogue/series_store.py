"""Series: each (metric, tags) has one row and one id, whoever writes it first.

Ids are remembered in the process: by identity, and on the key objects that decoders send again.
A remembered id may outlive its row (a series was deleted, the database was restored), so each set
of ids comes with the generation of the catalogue under which it was found: `samples.write`
compares it in the transaction that writes, and a sample never lands on a row that is gone or has
become another series.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.errors import ForeignKeyViolation

from pulseboard.catalogue import cardinality_queries
from pulseboard.catalogue.series_key import RecentIds, SeriesKey
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings

TOUCH_SECONDS = 300
_ATTEMPTS = 5

_lock = Lock()
_touched: dict[UUID | None, set[int]] = {}
_touched_since = monotonic()
_generation: UUID | None = None
_epoch = 1
"""How often ids were forgotten. A key's `noted` is the epoch above 32 bits of id."""


class Resolved(NamedTuple):
    """The reasons, by identity, of the series that may not be made; all others have their ids
    noted on their keys. `generation` of the catalogue, and `epoch` of this process, is when.
    """

    refused: dict[bytes, str]
    generation: UUID
    epoch: int


@lru_cache(maxsize=1)
def _recent() -> RecentIds:
    return RecentIds(settings().series_map_size)


@on_reset
def reset(generation: UUID | None = None) -> None:
    """Drop all remembered ids; those found from now on belong to `generation`."""
    global _generation, _epoch
    with _lock:
        _recent.cache_clear()
        _touched.clear()
        _generation = generation
        _epoch += 1


def _began(connection: psycopg.Connection[Any]) -> tuple[UUID, int, RecentIds]:
    """The generation, with the epoch and the map that belong to it."""
    with _lock:
        if _generation is not None:
            return _generation, _epoch, _recent()
    # One row.
    row = connection.execute("select generation from series_generation").fetchone()
    if row is None:
        raise Unavailable("The catalogue of series is being restored. Try again in a moment.")
    reset(row[0])
    return _began(connection)


def cached() -> Resolved | None:
    """What holds when every key has its id noted; None before the first `resolve`."""
    with _lock:
        return Resolved({}, _generation, _epoch) if _generation is not None else None


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
    autocommit: each statement must see what other
    writers committed before it. Raises Unavailable when series are deleted as fast as they are
    made.
    """
    generation, epoch, recent = _began(connection)
    wanted = {key.identity: key for key in keys}
    ids = recent.find(wanted)
    refused: dict[bytes, str] = {}
    missing = [key for key in wanted if key not in ids] if len(ids) < len(wanted) else []
    for attempt in range(_ATTEMPTS):
        if not missing:
            break
        found = _select(connection, wanted, missing)
        if len(found) < len(missing):
            new = {key: wanted[key] for key in missing if key not in found}
            refused |= cardinality_queries.refuse(connection, new=new, key_id=key_id, paced=paced)
            allowed = [key for key in new if key not in refused]
            try:
                found |= _create(connection, wanted, allowed, key_id) if allowed else {}
            except ForeignKeyViolation:
                # A definition was deleted between our two statements: once more.
                if attempt == _ATTEMPTS - 1:
                    raise
        recent.put(found)
        ids |= found
        missing = [key for key in missing if key not in ids and key not in refused]
    if missing:
        raise Unavailable("Series are being deleted while they are written. Try again.")
    since = epoch << 32
    for key in keys:
        if (found_id := ids.get(key.identity)) is not None:
            key.noted = since | found_id
    return Resolved(refused, generation, epoch)


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
    return {bytes(key): series_id for key, series_id in rows}


def touch(
    connection: psycopg.Connection[Any], *, ids: Sequence[int], key_id: UUID | None = None
) -> None:
    """Note that these series were seen now, sent by this key; each at most once in five minutes,
    and at once when another key sent them before.

    Rows that another process is touching are left to it: nobody waits.
    """
    global _touched_since
    with _lock:
        if (
            monotonic() - _touched_since >= TOUCH_SECONDS
            or sum(map(len, _touched.values())) > 1_000_000
        ):
            _touched.clear()
            _touched_since = monotonic()
        mine = _touched.setdefault(key_id, set())
        due = set() if mine.issuperset(ids) else set(ids) - mine
        mine.update(due)
    if due:
        # Served by metric_series_pkey.
        connection.execute(
            """
            update metric_series set last_seen = now(), key_id = coalesce(%(key)s, key_id)
            where id in (
              select id from metric_series
              where id = any(%(ids)s) and (
                last_seen < now() - make_interval(secs => %(seconds)s)
                or key_id is distinct from coalesce(%(key)s, key_id)
              )
              order by id
              for update skip locked
            )
            """,
            {"key": key_id, "ids": sorted(due), "seconds": TOUCH_SECONDS * 0.8},
        )
