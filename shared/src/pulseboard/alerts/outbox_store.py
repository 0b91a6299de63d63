"""The deliveries that people see, and test notifications.

A delivery shows what became of one notification. What is sent, and when, is decided by the
notification log (`notifier`), apart from tests: each is claimed, sent and acknowledged by its row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row

from pulseboard.alerts import channels_store
from pulseboard.alerts import notification_log_store as log_store
from pulseboard.alerts.notifications import (
    NotificationPayload,
    Outgoing,
    SendResult,
    describe,
    read_receiver,
    render,
)
from pulseboard.alerts.state_store import as_jsonb, json_text
from pulseboard.contracts.channels import AlertDelivery, DeliveryStatus
from pulseboard.core.exceptions import Conflict, NotFound
from pulseboard.core.settings import settings


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification that was claimed."""

    id: UUID
    rule_id: UUID | None
    key: str
    channel: Mapping[str, Any]
    payload: NotificationPayload
    firing: int
    resolved: int


def put_deliveries(
    connection: psycopg.Connection[Any],
    *,
    deliveries: Sequence[Delivery],
    superseded: Sequence[UUID],
) -> None:
    """Show claims as deliveries; one that is tried again keeps its row. Those that others stand
    for now are removed. Served by alert_outbox_pkey.
    """
    if superseded:
        connection.execute(
            "delete from alert_outbox where id = any(%s::uuid[]) and sent_at is null",
            (list(superseded),),
        )
    if not deliveries:
        return
    rows = [
        {
            "id": one.id,
            "rule_id": one.rule_id,
            # Unique for each row: the same news may be shown twice, when a row was removed.
            "key": f"{one.key}:{one.id}",
            "channel": one.channel,
            "payload": one.payload.model_dump(mode="json")
            | {"firing": one.firing, "resolved": one.resolved},
        }
        for one in deliveries
    ]
    connection.execute(
        """
        insert into alert_outbox (id, rule_id, idempotency_key, group_key, channel, payload,
          attempts)
        select w.id, w.rule_id, w.key, 'log', w.channel, w.payload, 1
        from jsonb_to_recordset(%s::jsonb)
          as w (id uuid, rule_id uuid, key text, channel jsonb, payload jsonb)
        on conflict (id) do update set
          rule_id = excluded.rule_id, idempotency_key = excluded.idempotency_key,
          channel = excluded.channel, payload = excluded.payload,
          attempts = alert_outbox.attempts + 1, dead_at = null
        """,
        (json_text(rows),),
    )


def claim_tests(connection: psycopg.Connection[Any], *, now: float) -> list[Outgoing]:
    """Claim test notifications, rendered, for a lease. Served by alert_outbox_due."""
    configured = settings()
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            """
            select id, idempotency_key, group_key, channel, payload, attempts from alert_outbox
            where sent_at is null and dead_at is null and group_key like 'test:%%'
              and next_attempt_at <= now() and (claimed_until is null or claimed_until < now())
            order by next_attempt_at, seq limit %s for update skip locked
            """,
            (configured.alert_claim_limit,),
        ).fetchall()
        claimed: list[Outgoing] = []
        dead: list[tuple[UUID, str]] = []
        channels = channels_store.known_channels(connection) if rows else {}
        for row in rows:
            if row["attempts"] >= configured.alert_max_attempts:
                dead.append((row["id"], f"{row['attempts']} tries were never acknowledged"))
                continue
            rendered = _render_test(row, channels, now)
            if isinstance(rendered, str):
                dead.append((row["id"], rendered))
            else:
                claimed.append(rendered)
        if claimed:
            cursor.execute(
                """
                update alert_outbox
                set claimed_until = now() + make_interval(secs => %s), attempts = attempts + 1
                where id = any(%s::uuid[])
                """,
                (configured.alert_claim_lease, [one.id for one in claimed]),
            )
        if dead:
            cursor.execute(
                """
                update alert_outbox o
                set dead_at = now(), claimed_until = null, last_error = w.error
                from unnest(%s::uuid[], %s::text[]) as w (id, error) where o.id = w.id
                """,
                ([one for one, _ in dead], [error for _, error in dead]),
            )
    return claimed


def _render_test(
    row: dict[str, Any], channels: Mapping[str, channels_store.KnownChannel], now: float
) -> Outgoing | str:
    """The notification, or why it can't be sent at all."""
    channel = row["channel"]
    if channel.get("type") == "saved":
        known = channels.get(str(channel.get("id")))
        if known is None:
            return "the channel was deleted"
        receiver, name = known.receiver, known.name
    else:
        found = read_receiver(channel)
        if found is None:
            return "the channel can't be read"
        receiver, name = found, found.type
    configured = settings()
    return render(
        NotificationPayload.model_validate(row["payload"]),
        receiver,
        outbox_id=str(row["id"]),
        key=row["idempotency_key"],
        group=row["group_key"],
        name=name,
        now=now,
        public_url=configured.public_url or "",
        pagerduty_url=configured.alert_pagerduty_url,
    )


def record_outcomes(
    connection: psycopg.Connection[Any], *, outcomes: Mapping[UUID, SendResult]
) -> None:
    """Show the results of deliveries, and of tests. Repeating it changes nothing.

    A failed test is retried after `alert_first_retry`, doubled each time; a permanent failure, or
    the last try, makes a dead letter. What was not sent was no try. Served by alert_outbox_pkey.
    """
    if not outcomes:
        return
    configured = settings()
    connection.execute(
        """
        update alert_outbox o set
          claimed_until = null,
          sent_at = case when w.ok then now() end,
          last_error = case when w.ok then null else w.error end,
          dead_at = case when not w.ok and w.sent and (w.permanent or o.attempts >= %(most)s)
            then now() end,
          next_attempt_at = case when w.ok then o.next_attempt_at when not w.sent then now()
            else now() + make_interval(
              secs => least(%(longest)s, %(first)s * 2 ^ least(30, greatest(o.attempts - 1, 0))))
            end,
          attempts = case when w.sent then o.attempts else greatest(o.attempts - 1, 0) end
        from unnest(%(ids)s::uuid[], %(oks)s::boolean[], %(permanent)s::boolean[],
          %(sent)s::boolean[], %(errors)s::text[]) as w (id, ok, permanent, sent, error)
        where o.id = w.id and o.sent_at is null and o.dead_at is null
        """,
        {
            "most": configured.alert_max_attempts,
            "first": configured.alert_first_retry,
            "longest": configured.alert_longest_retry,
            "ids": list(outcomes),
            "oks": [one.ok for one in outcomes.values()],
            "permanent": [one.permanent for one in outcomes.values()],
            "sent": [one.sent for one in outcomes.values()],
            "errors": [(one.error or "")[:500] for one in outcomes.values()],
        },
    )


def give_up(connection: psycopg.Connection[Any], *, errors: Mapping[UUID, str]) -> None:
    """Make dead letters of deliveries that are not tried again. Served by alert_outbox_pkey."""
    connection.execute(
        """
        update alert_outbox o
        set dead_at = coalesce(o.dead_at, now()), claimed_until = null, last_error = w.error
        from unnest(%s::uuid[], %s::text[]) as w (id, error)
        where o.id = w.id and o.sent_at is null
        """,
        (list(errors), [error[:500] for error in errors.values()]),
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
        firing=payload.get("firing", sum(alert["status"] == "firing" for alert in alerts)),
        resolved=payload.get("resolved", sum(alert["status"] == "resolved" for alert in alerts)),
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
    """Try a dead letter again at once. A test is sent as it was; for a rule, what is true now.

    Raises NotFound when it is not dead, Conflict when what it said is over.
    """
    with connection.transaction():
        row = connection.execute(
            """
            update alert_outbox
            set dead_at = null, attempts = 0, next_attempt_at = now(), claimed_until = null
            where id = %s and dead_at is not null returning group_key
            """,
            (delivery_id,),
        ).fetchone()
        if row is None:
            raise NotFound("There is no such dead letter; it may have been sent again already.")
        if not row[0].startswith("test:") and not log_store.retry_delivery(
            connection, delivery_id=delivery_id
        ):
            raise Conflict("What this notification said is over: there is nothing to send.")
    return get_delivery(connection, delivery_id=delivery_id)
