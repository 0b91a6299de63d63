"""Notification channels: receivers stored under a name, with their secrets."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from pydantic import SecretStr, TypeAdapter

from pulseboard.alerts.state_store import as_jsonb, rules_changed
from pulseboard.contracts.channels import HIDDEN, REVEAL, AlertChannel, Channel, Receiver
from pulseboard.core.exceptions import Conflict, InvalidRequest, NotFound

_RECEIVER: TypeAdapter[Receiver] = TypeAdapter(Receiver)
_SECRETS = {"webhook": "secret", "slack": "url", "pagerduty": "routing_key"}
_SELECT = """
    select c.id, c.name, c.config as receiver, c.created_at, c.updated_at,
      (select count(*) from alert_rules r
       where r.notification -> 'channels' @> jsonb_build_array(
         jsonb_build_object('type', 'saved', 'name', c.name))) as used_by
    from alert_channels c
"""


def with_known_secrets(new: Sequence[Channel], known: Sequence[Channel]) -> list[Channel]:
    """The channels with each hidden secret replaced by the one known for the same receiver.

    The same: of the same kind at the same index, and for a webhook with the same address;
    otherwise a secret could be moved to another receiver. Raises InvalidRequest.
    """
    filled: list[Channel] = []
    for index, channel in enumerate(new):
        field = _SECRETS.get(channel.type)
        secret = getattr(channel, field) if field else None
        if not isinstance(secret, SecretStr) or secret.get_secret_value() != HIDDEN or not field:
            filled.append(channel)
            continue
        before = known[index] if index < len(known) else None
        same = before is not None and before.type == channel.type
        if same and channel.type == "webhook":
            same = getattr(before, "url", None) == channel.url
        if not same or before is None:
            raise InvalidRequest(
                f"notification.channels.{index}.{field}: {HIDDEN} stands for a secret that is not"
                " known here; write the secret itself."
            )
        filled.append(channel.model_copy(update={field: getattr(before, field)}))
    return filled


def list_channels(connection: psycopg.Connection[Any]) -> list[AlertChannel]:
    """All channels, by name. A scan of few rows."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(f"{_SELECT} order by lower(c.name)").fetchall()
    return [AlertChannel.model_validate(row) for row in rows]


def get_channel(connection: psycopg.Connection[Any], *, channel_id: UUID) -> AlertChannel:
    """A channel, with its secrets. Raises NotFound. Served by alert_channels_pkey."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(f"{_SELECT} where c.id = %s", (channel_id,)).fetchone()
    if row is None:
        raise NotFound("There is no such channel.")
    return AlertChannel.model_validate(row)


def create_channel(
    connection: psycopg.Connection[Any], *, name: str, receiver: Receiver
) -> AlertChannel:
    """Store a receiver under a name. Raises Conflict when the name exists."""
    with_known_secrets([receiver], [])
    row = connection.execute(
        """
        insert into alert_channels (name, config) values (%s, %s)
        on conflict (name) do nothing returning id
        """,
        (name, as_jsonb(receiver.model_dump(mode="json", context=REVEAL))),
    ).fetchone()
    if row is None:
        raise Conflict(f'There is a channel named "{name}" already.')
    return get_channel(connection, channel_id=row[0])


def update_channel(
    connection: psycopg.Connection[Any],
    *,
    channel_id: UUID,
    name: str | None,
    receiver: Receiver | None,
) -> AlertChannel:
    """Change a receiver; rules that name it follow a new name. Raises NotFound, Conflict."""
    with connection.transaction():
        rules_changed(connection)
        before = get_channel(connection, channel_id=channel_id)
        if receiver is not None:
            known = with_known_secrets([receiver], [before.receiver])
            receiver = _RECEIVER.validate_python(known[0])
        wanted = name or before.name
        other = connection.execute(
            "select 1 from alert_channels where name = %s and id <> %s", (wanted, channel_id)
        ).fetchone()
        if other:
            raise Conflict(f'There is a channel named "{wanted}" already.')
        stored = receiver or before.receiver
        connection.execute(
            "update alert_channels set name = %s, config = %s, updated_at = now() where id = %s",
            (wanted, as_jsonb(stored.model_dump(mode="json", context=REVEAL)), channel_id),
        )
        if wanted != before.name:
            _rename(connection, before.name, wanted)
    return get_channel(connection, channel_id=channel_id)


def _rename(connection: psycopg.Connection[Any], old: str, new: str) -> None:
    saved = as_jsonb([{"type": "saved", "name": old}])
    connection.execute(
        """
        update alert_rules r set version = version + 1, notification = jsonb_set(
          r.notification, '{channels}', (
            select jsonb_agg(
              case when c @> %(one)s then jsonb_set(c, '{name}', to_jsonb(%(new)s::text))
              else c end order by position)
            from jsonb_array_elements(r.notification -> 'channels') with ordinality
              as x (c, position)
          ))
        where r.notification -> 'channels' @> %(saved)s
        """,
        {"one": as_jsonb({"type": "saved", "name": old}), "new": new, "saved": saved},
    )
    connection.execute(
        """
        update alert_outbox set channel = jsonb_set(channel, '{name}', to_jsonb(%s::text))
        where sent_at is null and channel @> %s
        """,
        (new, as_jsonb({"type": "saved", "name": old})),
    )


def delete_channel(connection: psycopg.Connection[Any], *, channel_id: UUID) -> None:
    """Delete a channel that no rule names. Raises NotFound, Conflict."""
    with connection.transaction():
        rules_changed(connection)
        found = get_channel(connection, channel_id=channel_id)
        if found.used_by:
            raise Conflict(
                f"{found.used_by} alert rules notify this channel: remove it from them first."
            )
        connection.execute("delete from alert_channels where id = %s", (channel_id,))
