"""The outbox of notifications: claimed here, sent by `notify`, acknowledged here.

At least once: a claim that is not acknowledged in time is handed out again, with the same
idempotency key. Within a group (a rule and a channel) a notification waits for those before it,
so that no receiver gets a resolved notification before the firing one.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row
from pydantic import TypeAdapter, ValidationError

from pulseboard.alerts.notifications import (
    NotificationPayload,
    Outgoing,
    SendResult,
    describe,
    render,
)
from pulseboard.alerts.state_store import as_jsonb
from pulseboard.contracts.channels import AlertDelivery, DeliveryStatus, Receiver
from pulseboard.core.exceptions import NotFound
from pulseboard.core.settings import settings

_RECEIVER: TypeAdapter[Receiver] = TypeAdapter(Receiver)


def claim(connection: psycopg.Connection[Any], *, now: float) -> list[Outgoing]:
    """Claim due notifications, rendered, for a lease; bounded in number and in bytes.

    Served by alert_outbox_due and alert_outbox_group.
    """
    configured = settings()
    with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            select o.id, o.rule_id, o.idempotency_key, o.group_key, o.channel, o.payload,
              o.attempts, c.config as saved
            from alert_outbox o
            left join alert_channels c
              on o.channel ->> 'type' = 'saved' and c.name = o.channel ->> 'name'
            where o.sent_at is null and o.dead_at is null and o.next_attempt_at <= now()
              and (o.claimed_until is null or o.claimed_until < now())
              -- Correlated on purpose: one lookup in alert_outbox_group for each candidate, where
              -- a planner without statistics would join the whole backlog with itself.
              and o.seq = (
                select min(earlier.seq) from alert_outbox earlier
                where earlier.group_key = o.group_key
                  and earlier.sent_at is null and earlier.dead_at is null
              )
            order by o.next_attempt_at, o.seq limit %s
            for update of o skip locked
            """,
            (configured.alert_claim_limit,),
        ).fetchall()
        claimed: list[Outgoing] = []
        dead: list[tuple[UUID, str]] = []
        size = 0
        for row in rows:
            if row["attempts"] >= configured.alert_max_attempts:
                dead.append((row["id"], f"{row['attempts']} tries were never acknowledged"))
                continue
            rendered = _render(row, now)
            if isinstance(rendered, str):
                dead.append((row["id"], rendered))
                continue
            length = len(rendered.model_dump_json())
            if claimed and size + length > configured.alert_claim_bytes:
                break
            size += length
            claimed.append(rendered)
        cursor.execute(
            """
            update alert_outbox
            set claimed_until = now() + make_interval(secs => %s), attempts = attempts + 1
            where id = any(%s::uuid[])
            """,
            (configured.alert_claim_lease, [one.id for one in claimed]),
        )
        if dead:
            _mark_dead(cursor, dead)
    return claimed


def _render(row: dict[str, Any], now: float) -> Outgoing | str:
    """The notification, or why it can't be sent at all."""
    channel = row["channel"]
    saved = channel.get("type") == "saved"
    if saved and row["saved"] is None:
        return f'there is no channel named "{channel["name"]}" any more'
    try:
        receiver = _RECEIVER.validate_python(row["saved"] if saved else channel)
        payload = NotificationPayload.model_validate(row["payload"])
    except ValidationError as error:
        return f"the channel can't be read: {error.errors()[0]['msg']}"
    configured = settings()
    while True:
        rendered = render(
            payload,
            receiver,
            outbox_id=str(row["id"]),
            key=row["idempotency_key"],
            group=row["group_key"],
            name=channel["name"] if saved else receiver.type,
            now=now,
            public_url=configured.public_url or "",
            pagerduty_url=configured.alert_pagerduty_url,
        )
        if len(rendered.body) <= configured.alert_claim_bytes // 2 or len(payload.alerts) == 1:
            return rendered
        half = len(payload.alerts) // 2
        payload = payload.model_copy(
            update={
                "alerts": payload.alerts[:half],
                "more": payload.more + len(payload.alerts) - half,
            }
        )


def _mark_dead(cursor: psycopg.Cursor[Any], dead: Sequence[tuple[UUID, str]]) -> None:
    cursor.execute(
        """
        update alert_outbox o set dead_at = now(), claimed_until = null, last_error = w.error
        from unnest(%s::uuid[], %s::text[]) as w (id, error) where o.id = w.id
        """,
        ([one for one, _ in dead], [error for _, error in dead]),
    )


def acknowledge(connection: psycopg.Connection[Any], *, results: Sequence[SendResult]) -> None:
    """Record the results of claimed notifications. Repeating it changes nothing.

    A failure is retried after `alert_first_retry`, doubled each time; a permanent one, or the
    last try, makes a dead letter. Served by alert_outbox_pkey.
    """
    configured = settings()
    connection.execute(
        """
        update alert_outbox o set
          claimed_until = null,
          sent_at = case when w.ok then now() end,
          last_error = case when w.ok then null else w.error end,
          dead_at = case when not w.ok and (w.permanent or o.attempts >= %(most)s) then now() end,
          next_attempt_at = case when w.ok then o.next_attempt_at else now() + make_interval(
            secs => least(%(longest)s, %(first)s * 2 ^ greatest(o.attempts - 1, 0))) end
        from unnest(%(ids)s::uuid[], %(oks)s::boolean[], %(permanent)s::boolean[],
          %(errors)s::text[]) as w (id, ok, permanent, error)
        where o.id = w.id and o.sent_at is null and o.dead_at is null
        """,
        {
            "most": configured.alert_max_attempts,
            "first": configured.alert_first_retry,
            "longest": configured.alert_longest_retry,
            "ids": [one.id for one in results],
            "oks": [one.ok for one in results],
            "permanent": [one.permanent for one in results],
            "errors": [(one.error or "")[:500] for one in results],
        },
    )


def queue_test(
    connection: psycopg.Connection[Any], *, channel: dict[str, Any], payload: NotificationPayload
) -> AlertDelivery:
    """Queue a test notification for a stored channel."""
    key = f"test:{uuid4()}"
    row = connection.execute(
        """
        insert into alert_outbox (idempotency_key, group_key, channel, payload)
        values (%s, %s, %s, %s) returning id
        """,
        (key, key, as_jsonb(channel), as_jsonb(payload.model_dump(mode="json"))),
    ).fetchone()
    assert row is not None, "an insert without a conflict clause returns its row"
    return get_delivery(connection, delivery_id=row[0])


_DELIVERY = """
    id, rule_id, channel, payload, attempts, last_error, created_at, next_attempt_at,
    sent_at, dead_at
"""


def _delivery(row: dict[str, Any]) -> AlertDelivery:
    payload = row["payload"]
    alerts = payload["alerts"]
    done = row["sent_at"] or row["dead_at"]
    status = DeliveryStatus.WAITING
    if row["sent_at"]:
        status = DeliveryStatus.SENT
    elif row["dead_at"]:
        status = DeliveryStatus.DEAD
    return AlertDelivery(
        id=row["id"],
        rule_id=row["rule_id"],
        rule_name=payload["rule_name"],
        channel=describe(row["channel"]),
        status=status,
        firing=sum(alert["status"] == "firing" for alert in alerts),
        resolved=sum(alert["status"] == "resolved" for alert in alerts),
        attempts=row["attempts"],
        last_error=row["last_error"],
        created_at=row["created_at"],
        next_attempt_at=None if done else row["next_attempt_at"],
        sent_at=row["sent_at"],
        dead_at=row["dead_at"],
    )


def get_delivery(connection: psycopg.Connection[Any], *, delivery_id: UUID) -> AlertDelivery:
    """One notification. Raises NotFound. Served by alert_outbox_pkey."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            f"select {_DELIVERY} from alert_outbox where id = %s", (delivery_id,)
        ).fetchone()
    if row is None:
        raise NotFound("There is no such notification.")
    return _delivery(row)


def list_deliveries(
    connection: psycopg.Connection[Any],
    *,
    status: DeliveryStatus | None,
    page: int,
    page_size: int,
) -> tuple[list[AlertDelivery], int]:
    """A page of notifications, newest first. Dead ones are served by alert_outbox_dead."""
    condition = {
        None: "true",
        DeliveryStatus.DEAD: "dead_at is not null",
        DeliveryStatus.SENT: "sent_at is not null",
        DeliveryStatus.WAITING: "sent_at is null and dead_at is null",
    }[status]
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"""
            select {_DELIVERY} from alert_outbox where {condition}
            order by coalesce(dead_at, created_at) desc, seq desc limit %s offset %s
            """,
            (page_size, (page - 1) * page_size),
        ).fetchall()
        total = cursor.execute(
            f"select count(*) as total from alert_outbox where {condition}"
        ).fetchone()
    return [_delivery(row) for row in rows], total["total"] if total else 0


def resend(connection: psycopg.Connection[Any], *, delivery_id: UUID) -> AlertDelivery:
    """Send a dead letter again, with new tries. Raises NotFound when it is not dead."""
    row = connection.execute(
        """
        update alert_outbox
        set dead_at = null, attempts = 0, next_attempt_at = now(), claimed_until = null
        where id = %s and dead_at is not null returning id
        """,
        (delivery_id,),
    ).fetchone()
    if row is None:
        raise NotFound("There is no such dead letter; it may have been sent again already.")
    return get_delivery(connection, delivery_id=delivery_id)
