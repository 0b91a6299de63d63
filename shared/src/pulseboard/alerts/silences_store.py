"""Silences: matchers of alerts that are not notified for a while."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from pulseboard.alerts.state_store import as_jsonb
from pulseboard.catalogue.selector import Matcher
from pulseboard.contracts.alerts import AlertSilence, CreateAlertSilence, SilenceMatcher
from pulseboard.core.exceptions import InvalidRequest, NotFound

_SELECT = """
    select s.id, s.matchers, s.starts_at, s.ends_at, u.email as author, s.comment, s.created_at,
      s.starts_at <= now() and s.ends_at > now() as active
    from alert_silences s left join users u on u.id = s.author_id
"""


def active(connection: psycopg.Connection[Any], *, at: float) -> list[list[SilenceMatcher]]:
    """Matchers of each silence that is active at a time (seconds since 1970).

    Served by alert_silences_end.
    """
    rows = connection.execute(
        "select matchers from alert_silences where ends_at > %(at)s and starts_at <= %(at)s",
        {"at": datetime.fromtimestamp(at, UTC)},
    ).fetchall()
    return [[SilenceMatcher.model_validate(matcher) for matcher in row[0]] for row in rows]


def create_silence(
    connection: psycopg.Connection[Any], *, author_id: UUID, body: CreateAlertSilence
) -> AlertSilence:
    """Add a silence. Raises InvalidRequest when its matchers match every alert."""
    if all(Matcher(m.label, m.operator.value, m.value).accepts({}) for m in body.matchers):
        raise InvalidRequest(
            "This silence would silence everything: each of its matchers also matches an alert "
            "without that label. At least one must not match the empty value."
        )
    row = connection.execute(
        """
        insert into alert_silences (matchers, starts_at, ends_at, author_id, comment)
        values (%s, coalesce(%s, now()), %s, %s, %s) returning id
        """,
        (
            as_jsonb([matcher.model_dump(mode="json") for matcher in body.matchers]),
            body.starts_at,
            body.ends_at,
            author_id,
            body.comment,
        ),
    ).fetchone()
    assert row is not None, "an insert without a conflict clause returns its row"
    return get_silence(connection, silence_id=row[0])


def get_silence(connection: psycopg.Connection[Any], *, silence_id: UUID) -> AlertSilence:
    """A silence. Raises NotFound. Served by alert_silences_pkey."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(f"{_SELECT} where s.id = %s", (silence_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such silence.")
    return AlertSilence.model_validate(row)


def list_silences(
    connection: psycopg.Connection[Any], *, ended: bool, page: int, page_size: int
) -> tuple[list[AlertSilence], int]:
    """A page of silences, those that end last first; `ended`: past ones too.

    Served by alert_silences_end.
    """
    condition = "(%(ended)s or s.ends_at > now())"
    wanted = {"ended": ended, "limit": page_size, "offset": (page - 1) * page_size}
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"{_SELECT} where {condition} order by s.ends_at desc, s.id"
            " limit %(limit)s offset %(offset)s",
            wanted,
        ).fetchall()
        total = cursor.execute(
            f"select count(*) as total from alert_silences s where {condition}", wanted
        ).fetchone()
    return [AlertSilence.model_validate(row) for row in rows], total["total"] if total else 0


def end_silence(connection: psycopg.Connection[Any], *, silence_id: UUID) -> AlertSilence:
    """End a silence now; one that has ended, or not begun, ends too. Raises NotFound."""
    connection.execute(
        """
        update alert_silences
        set starts_at = least(starts_at, now() - interval '1 millisecond'),
          ends_at = least(ends_at, now())
        where id = %s
        """,
        (silence_id,),
    )
    return get_silence(connection, silence_id=silence_id)
