"""Channels, deliveries of notifications, and silences."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from functions.alerts.routes import Page, PageSize
from pulseboard.alerts import channels_store, outbox_store, silences_store
from pulseboard.alerts.notifications import NotificationPayload, NotifiedAlert
from pulseboard.auth.access import Reader, Writer
from pulseboard.contracts.alerts import AlertSeverity, AlertSilence, CreateAlertSilence
from pulseboard.contracts.channels import (
    REVEAL,
    AlertChannel,
    AlertDelivery,
    CreateAlertChannel,
    DeliveryStatus,
    Receiver,
    UpdateAlertChannel,
)
from pulseboard.contracts.envelope import ApiResponse, PageMeta
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.patterns import check_pattern
from pulseboard.db import database

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"])


@router.get("/channels")
def get_alert_channels(caller: Reader) -> ApiResponse[list[AlertChannel]]:
    """All channels by name, their secrets hidden."""
    with database.connection() as connection:
        return ApiResponse(data=channels_store.list_channels(connection))


@router.post("/channels", status_code=201)
def create_alert_channel(caller: Writer, body: CreateAlertChannel) -> ApiResponse[AlertChannel]:
    """Store a receiver under a name. 409 when the name exists."""
    with database.connection() as connection:
        created = channels_store.create_channel(connection, name=body.name, receiver=body.receiver)
    return ApiResponse(data=created)


@router.put("/channels/{channel_id}")
def update_alert_channel(
    caller: Writer, channel_id: UUID, body: UpdateAlertChannel
) -> ApiResponse[AlertChannel]:
    """Change a channel, for all rules that use it. A hidden secret stays as it is."""
    with database.connection() as connection:
        changed = channels_store.update_channel(
            connection, channel_id=channel_id, name=body.name, receiver=body.receiver
        )
    return ApiResponse(data=changed)


@router.delete("/channels/{channel_id}", status_code=204)
def delete_alert_channel(caller: Writer, channel_id: UUID) -> Response:
    """Delete a channel. 409 while a rule uses it."""
    with database.connection() as connection:
        channels_store.delete_channel(connection, channel_id=channel_id)
    return Response(status_code=204)


@router.post("/channels/test", status_code=202)
def test_alert_receiver(caller: Writer, body: Receiver) -> ApiResponse[AlertDelivery]:
    """Send a test notification to a receiver that is not stored yet, within ten seconds.

    `/deliveries/{id}` shows its result.
    """
    with database.connection() as connection:
        channel = body.model_dump(mode="json", context=REVEAL)
        created = outbox_store.queue_test(
            connection, channel=channel, payload=_test_payload(caller.email)
        )
    return ApiResponse(data=created)


@router.post("/channels/{channel_id}/test", status_code=202)
def test_alert_channel(caller: Writer, channel_id: UUID) -> ApiResponse[AlertDelivery]:
    """Send a test notification to a channel in the same way as real ones, within ten seconds."""
    with database.connection() as connection:
        found = channels_store.get_channel(connection, channel_id=channel_id)
        created = outbox_store.queue_test(
            connection,
            channel={"type": "saved", "id": str(found.id), "name": found.name},
            payload=_test_payload(caller.email),
        )
    return ApiResponse(data=created)


def _test_payload(requested_by: str) -> NotificationPayload:
    return NotificationPayload(
        rule_id="test",
        rule_name="Test notification",
        severity=AlertSeverity.INFO,
        threshold=0,
        message="If you can read this, the channel works.",
        alerts=[
            NotifiedAlert(
                status="firing",
                tags={},
                value=1,
                reason=f"{requested_by} requested a test",
                started=datetime.now(UTC).timestamp(),
            )
        ],
        test=True,
    )


@router.get("/deliveries")
def get_alert_deliveries(
    caller: Reader,
    status: DeliveryStatus | None = None,
    page: Page = 1,
    page_size: PageSize = 50,
) -> ApiResponse[list[AlertDelivery]]:
    """Notifications, newest first; `status=dead` are the dead letters."""
    with database.connection() as connection:
        found, total = outbox_store.list_deliveries(
            connection, status=status, page=page, page_size=page_size
        )
    return ApiResponse(data=found, meta=PageMeta(total=total, page=page, page_size=page_size))


@router.get("/deliveries/{delivery_id}")
def get_alert_delivery(caller: Reader, delivery_id: UUID) -> ApiResponse[AlertDelivery]:
    """The delivery of a notification."""
    with database.connection() as connection:
        return ApiResponse(data=outbox_store.get_delivery(connection, delivery_id=delivery_id))


@router.post("/deliveries/{delivery_id}/resend")
def resend_alert_delivery(caller: Writer, delivery_id: UUID) -> ApiResponse[AlertDelivery]:
    """Try a dead letter again at once, with what is true now. 404 when it is not dead, 409 when
    there is nothing to send any more."""
    with database.connection() as connection:
        return ApiResponse(data=outbox_store.resend(connection, delivery_id=delivery_id))


@router.get("/silences")
def get_alert_silences(
    caller: Reader,
    ended: Annotated[bool, Query(description="Include past ones.")] = False,
    page: Page = 1,
    page_size: PageSize = 50,
) -> ApiResponse[list[AlertSilence]]:
    """Active and future silences."""
    with database.connection() as connection:
        found, total = silences_store.list_silences(
            connection, ended=ended, page=page, page_size=page_size
        )
    return ApiResponse(data=found, meta=PageMeta(total=total, page=page, page_size=page_size))


@router.post("/silences", status_code=201)
def create_alert_silence(caller: Writer, body: CreateAlertSilence) -> ApiResponse[AlertSilence]:
    """Silence alerts that meet all matchers. They are still evaluated, but notify nobody."""
    if body.ends_at <= max(body.starts_at or datetime.now(UTC), datetime.now(UTC)):
        raise InvalidRequest(
            "endsAt must be in the future, and after startsAt.",
            details=[ErrorDetail(field="endsAt", message="is not after startsAt and now")],
        )
    for index, matcher in enumerate(body.matchers):
        if matcher.operator.value in ("=~", "!~"):
            problem = check_pattern(matcher.value)
            if problem:
                field = f"matchers.{index}.value"
                raise InvalidRequest(
                    f"{field}: {problem}", details=[ErrorDetail(field=field, message=problem)]
                )
    with database.connection() as connection:
        created = silences_store.create_silence(connection, author_id=caller.user_id, body=body)
    return ApiResponse(data=created)


@router.delete("/silences/{silence_id}")
def end_alert_silence(caller: Writer, silence_id: UUID) -> ApiResponse[AlertSilence]:
    """End a silence now. Alerts that still fire notify at the next tick."""
    with database.connection() as connection:
        return ApiResponse(data=silences_store.end_silence(connection, silence_id=silence_id))
