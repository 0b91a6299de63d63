"""Events: what happened at a time."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from pulseboard.catalogue.series_key import canonical_tags
from pulseboard.contracts.events import CreateEvent, Event
from pulseboard.core.settings import settings
from pulseboard.ingest.decoders.events import at

_COLUMNS = "id, time, title, text, tags, source"
_TOGETHER = 10_000


def create(
    connection: psycopg.Connection[Any], *, events: Sequence[CreateEvent], now: int
) -> list[Event]:
    """Store events, all or none; one that was sent before is not stored again.

    `now`, in milliseconds since 1970, is the time of those without one.
    """
    with connection.transaction(), connection.cursor(row_factory=class_row(Event)) as cursor:
        stored = []
        for event in events:
            time = at(event, now)
            # Served by events_digest_key. An update that changes nothing, for its row.
            cursor.execute(
                f"""
                insert into events (time, title, text, tags, source, digest)
                values (%s, %s, %s, %s, %s, %s)
                on conflict (digest) do update set digest = excluded.digest
                returning {_COLUMNS}
                """.encode(),
                (
                    time,
                    event.title,
                    event.text,
                    Jsonb(event.tags),
                    event.source,
                    _digest(event, time),
                ),
            )
            row = cursor.fetchone()
            assert row is not None, "an upsert returns its row"
            stored.append(row)
        return stored


def _digest(event: CreateEvent, time: datetime) -> bytes:
    found = blake2b(canonical_tags(event.tags), digest_size=16)
    for text in (time.isoformat(), event.title, event.text, event.source):
        found.update(b"\0" + text.encode())
    return found.digest()


def list_events(
    connection: psycopg.Connection[Any],
    *,
    start: datetime,
    end: datetime,
    tags: Mapping[str, str],
    source: str | None,
    page: int,
    page_size: int,
) -> tuple[list[Event], int]:
    """The events in [start, end) with all these tags, newest first, and how many there are."""
    wanted = {
        "start": start,
        "end": end,
        "tags": Jsonb(dict(tags)),
        "source": source,
        "limit": page_size,
        "offset": (page - 1) * page_size,
    }
    # Served by events_time.
    where = """
        time >= %(start)s and time < %(end)s and tags @> %(tags)s
        and (%(source)s::text is null or source = %(source)s)
    """
    with connection.cursor(row_factory=class_row(Event)) as cursor:
        found = cursor.execute(
            f"""
            select {_COLUMNS} from events where {where}
            order by time desc, id limit %(limit)s offset %(offset)s
            """.encode(),
            wanted,
        ).fetchall()
    row = connection.execute(
        f"select count(*) from events where {where}".encode(), wanted
    ).fetchone()
    return found, row[0] if row else 0


def prune(connection: psycopg.Connection[Any]) -> int:
    """Remove events older than `retention_events`, some at a time; returns how many."""
    # Served by events_time, and by the rows' ctids.
    return connection.execute(
        """
        delete from events where ctid = any(array(
          select ctid from events where time < now() - %s order by time limit %s
        ))
        """,
        (timedelta(seconds=settings().retention_events), _TOGETHER),
    ).rowcount
