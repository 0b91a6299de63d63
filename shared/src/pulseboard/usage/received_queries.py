"""What an API key has sent."""

from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from pulseboard.contracts.usage import KeyReceived
from pulseboard.core.exceptions import NotFound

_MAX_SERIES = 1000
_MAX_NAMES = 20
_MAX_SAMPLED_SERIES = 200


def by_key(
    connection: psycopg.Connection[Any], *, key_id: UUID, owner_id: UUID | None
) -> KeyReceived:
    """What a key of this owner has sent; None: a key of any owner.

    Raises NotFound when there is no such key. Served by api_keys_pkey, metric_series_key and
    metrics_raw_series_time.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        key = cursor.execute(
            """
            select last_used_at from api_keys
            where id = %(key)s and (%(owner)s::uuid is null or owner_id = %(owner)s)
            """,
            {"key": key_id, "owner": owner_id},
        ).fetchone()
        if key is None:
            raise NotFound("There is no such API key.")
        series = cursor.execute(
            """
            select s.id, d.name from (
              select id, metric_id, created_at from metric_series
              where key_id = %s order by created_at desc limit %s
            ) s join metric_definitions d on d.id = s.metric_id
            order by s.created_at desc
            """,
            (key_id, _MAX_SERIES),
        ).fetchall()
        samples = cursor.execute(
            """
            select count(*) as recent, max(time) as newest from metrics_raw
            where series_id = any(%s::integer[]) and time > now() - interval '15 minutes'
            """,
            ([row["id"] for row in series[:_MAX_SAMPLED_SERIES]],),
        ).fetchone()
    assert samples is not None, "an aggregate without grouping returns a row"
    return KeyReceived(
        last_used_at=key["last_used_at"],
        series_count=len(series),
        metrics=sorted({row["name"] for row in series})[:_MAX_NAMES],
        recent_samples=samples["recent"],
        newest_sample_at=samples["newest"],
    )
