"""Notification channels: receivers stored under a name, with their secrets.

Rules name them by id. A receiver that is written inside a rule becomes a saved channel.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from pydantic import SecretStr

from pulseboard.alerts import notification_log_store
from pulseboard.alerts.notifications import read_receiver, receiver_key, revealed
from pulseboard.alerts.state_store import as_jsonb, rules_changed
from pulseboard.contracts.channels import (
    HIDDEN,
    AlertChannel,
    Channel,
    EmailChannel,
    Receiver,
    SavedChannel,
    WebhookChannel,
)
from pulseboard.core.exceptions import Conflict, InvalidRequest, NotFound

_SECRETS = {"webhook": "secret", "slack": "url", "pagerduty": "routing_key"}
_SELECT = """
    select c.id, c.name, c.config as receiver, c.created_at, c.updated_at,
      (select count(*) from alert_rules r
       where r.notification -> 'channels' @> jsonb_build_array(
         jsonb_build_object('type', 'saved', 'id', c.id))) as used_by
    from alert_channels c
"""


@dataclass(frozen=True, slots=True)
class KnownChannel:
    """A channel as notifications need it."""

    id: str
    name: str
    receiver: Receiver


def known_channels(connection: psycopg.Connection[Any]) -> dict[str, KnownChannel]:
    """All channels by id, but for those that can't be read. A scan of few rows."""
    rows = connection.execute("select id, name, config from alert_channels").fetchall()
    return {
        str(row[0]): KnownChannel(str(row[0]), row[1], receiver)
        for row in rows
        if (receiver := read_receiver(row[2])) is not None
    }


def described(channel: KnownChannel) -> dict[str, Any]:
    """A channel without its secrets, for people."""
    if channel.name:
        return {"type": "saved", "name": channel.name}
    return channel.receiver.model_dump(mode="json", exclude={"secret", "routing_key"})


def saved(
    connection: psycopg.Connection[Any],
    *,
    channels: Sequence[Channel],
    known_ids: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """The channels of a rule as they are stored: by id, each once. Receivers become channels.

    A hidden secret stands for that of the same receiver among `known_ids`, the channels that the
    rule has. Within a transaction that began with `rules_changed`. Raises InvalidRequest.
    """
    if not channels:
        return []
    everyone = known_channels(connection)
    known = [everyone[one].receiver for one in known_ids if one in everyone]
    by_name = {one.name: one.id for one in everyone.values()}
    by_receiver = {_fingerprint(one.receiver): one.id for one in everyone.values()}
    names = set(by_name)
    ids: dict[str, None] = {}
    for index, channel in enumerate(channels):
        if isinstance(channel, SavedChannel):
            found = str(channel.id) if channel.id is not None else by_name.get(channel.name)
            if found is None or found not in everyone:
                shown = channel.name or channel.id
                raise InvalidRequest(f'There is no channel named "{shown}". Create it first.')
            ids[found] = None
            continue
        field = f"notification.channels.{index}"
        receiver = with_known_secret(channel, known, field=field)
        key = _fingerprint(receiver)
        if key not in by_receiver:
            by_receiver[key] = _create_unnamed(connection, receiver, names)
        ids[by_receiver[key]] = None
    # They stay while the rule is written.
    connection.execute(
        "select from alert_channels where id = any(%s::uuid[]) for key share", (list(ids),)
    )
    return [{"type": "saved", "id": one} for one in ids]


def _fingerprint(receiver: Receiver) -> str:
    return repr(sorted(revealed(receiver).items()))


def _create_unnamed(
    connection: psycopg.Connection[Any], receiver: Receiver, names: set[str]
) -> str:
    """Store a receiver of a rule under a name that says what it is."""
    match receiver:
        case WebhookChannel():
            base = f"webhook {urlsplit(str(receiver.url)).netloc}"
        case EmailChannel():
            base = f"email {receiver.to[0]}"
        case _:
            base = receiver.type
    base = base[:150]
    name, number = base, 1
    while name in names:
        number += 1
        name = f"{base} {number}"
    row = connection.execute(
        "insert into alert_channels (name, config, made_by_rule) values (%s, %s, true)"
        " returning id",
        (name, as_jsonb(revealed(receiver))),
    ).fetchone()
    assert row is not None, "an insert without a conflict clause returns its row"
    names.add(name)
    return str(row[0])


def with_known_secret(channel: Receiver, known: Sequence[Receiver], *, field: str) -> Receiver:
    """The receiver with a hidden secret replaced by the one known for the same receiver.

    The same: of the same kind and, for a webhook, with the same address; otherwise a secret could
    be moved to another receiver. Raises InvalidRequest where none or several are known.
    """
    secret_field = _SECRETS.get(channel.type)
    secret = getattr(channel, secret_field) if secret_field else None
    hidden = isinstance(secret, SecretStr) and secret.get_secret_value() == HIDDEN
    if secret_field is None or not hidden:
        return channel
    url = getattr(channel, "url", None) if channel.type == "webhook" else None
    same = {
        _fingerprint(one): one
        for one in known
        if one.type == channel.type
        and (url is None or getattr(one, "url", None) == url)
        and getattr(one, secret_field) is not None
    }
    if len(same) != 1:
        problem = "is not known here" if not same else "could be one of several"
        raise InvalidRequest(
            f"{field}.{secret_field}: {HIDDEN} stands for a secret that {problem};"
            " write the secret itself, or name the saved channel."
        )
    (only,) = same.values()
    return channel.model_copy(update={secret_field: getattr(only, secret_field)})


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
    with_known_secret(receiver, [], field="receiver")
    row = connection.execute(
        """
        insert into alert_channels (name, config) values (%s, %s)
        on conflict (name) do nothing returning id
        """,
        (name, as_jsonb(revealed(receiver))),
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
    """Change a channel, for all rules that use it. Raises NotFound, Conflict.

    Another address is another receiver: the old one is notified that what fires there has resolved.
    """
    with connection.transaction():
        rules_changed(connection)
        before = get_channel(connection, channel_id=channel_id)
        if receiver is not None:
            receiver = with_known_secret(receiver, [before.receiver], field="receiver")
        wanted = name or before.name
        other = connection.execute(
            "select 1 from alert_channels where name = %s and id <> %s", (wanted, channel_id)
        ).fetchone()
        if other:
            raise Conflict(f'There is a channel named "{wanted}" already.')
        stored = receiver or before.receiver
        connection.execute(
            "update alert_channels set name = %s, config = %s, made_by_rule = false,"
            " updated_at = now() where id = %s",
            (wanted, as_jsonb(revealed(stored)), channel_id),
        )
        notification_log_store.retry_receivers(connection, receivers=[receiver_key(stored)])
    return get_channel(connection, channel_id=channel_id)


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


def prune(connection: psycopg.Connection[Any]) -> None:
    """Delete channels that a rule made and none has used for a day."""
    connection.execute(
        """
        delete from alert_channels c
        where c.made_by_rule and c.updated_at < now() - interval '1 day'
          and not exists (
            select from alert_rules r
            where r.notification -> 'channels' @> jsonb_build_array(
              jsonb_build_object('type', 'saved', 'id', c.id))
          )
        """
    )
