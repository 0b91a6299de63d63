"""Notification channels and the outcome of deliveries.

Secrets (signing keys, routing keys, Slack's addresses, which are secrets themselves) are written
and never read back: a response holds `HIDDEN` instead, and `HIDDEN` sent back means "as it
is".
"""

from enum import StrEnum
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import (
    AfterValidator,
    Field,
    HttpUrl,
    PlainSerializer,
    SecretStr,
    SerializationInfo,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from pulseboard.contracts.base import Contract, Interval, PositiveInterval, UtcTime
from pulseboard.contracts.vocabulary import Title

HIDDEN = "**********"
"""Stands for a secret in responses."""

REVEAL = {"reveal": True}
"""Serialisation context under which secrets are written out: only for the database."""


def _write(value: SecretStr, info: SerializationInfo) -> str:
    if isinstance(info.context, dict) and info.context.get("reveal"):
        return value.get_secret_value()
    return HIDDEN


def _http_address(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    parts = urlsplit(text)
    if text != HIDDEN and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError("write an address such as https://hooks.slack.com/services/…")
    return value


def _without_user(value: HttpUrl) -> HttpUrl:
    if value.username or value.password:
        raise ValueError(
            "leave the user out of the address: it would be shown; sign bodies with `secret`"
        )
    return value


Secret = Annotated[
    SecretStr,
    Field(min_length=1, max_length=500),
    PlainSerializer(_write, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "format": "password",
            "minLength": 1,
            "maxLength": 500,
            "description": f"Never shown: responses hold {HIDDEN}; sent back, it changes nothing.",
        }
    ),
]
SecretAddress = Annotated[Secret, AfterValidator(_http_address)]


class WebhookChannel(Contract):
    """An HTTP receiver of Alertmanager version 4 bodies."""

    type: Literal["webhook"] = "webhook"
    url: Annotated[HttpUrl, AfterValidator(_without_user)]
    secret: Secret | None = Field(default=None, description="Signs each body (HMAC-SHA256).")


class SlackChannel(Contract):
    """A Slack incoming webhook, or one that reads the same bodies."""

    type: Literal["slack"] = "slack"
    url: SecretAddress


class PagerDutyChannel(Contract):
    """A PagerDuty service (Events API v2)."""

    type: Literal["pagerduty"] = "pagerduty"
    routing_key: Secret


class EmailChannel(Contract):
    """Email to one or more addresses."""

    type: Literal["email"] = "email"
    to: list[Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]] = (
        Field(min_length=1, max_length=50)
    )


class SavedChannel(Contract):
    """A saved channel, by its id or its name; the id counts where both are given."""

    type: Literal["saved"] = "saved"
    id: UUID | None = None
    name: Annotated[str, StringConstraints(max_length=200)] = ""

    @model_validator(mode="after")
    def _identified(self) -> Self:
        if self.id is None and not self.name:
            raise ValueError("write the id or the name of a saved channel")
        return self


Receiver = Annotated[
    WebhookChannel | SlackChannel | PagerDutyChannel | EmailChannel, Field(discriminator="type")
]
Channel = Annotated[
    WebhookChannel | SlackChannel | PagerDutyChannel | EmailChannel | SavedChannel,
    Field(discriminator="type"),
]


class Notification(Contract):
    """Who is notified, and when. The alerts of a rule are grouped into one notification."""

    channels: list[Channel] = Field(
        default_factory=list,
        max_length=20,
        description="A receiver that is written here becomes a saved channel.",
    )
    group_wait: Interval | None = Field(
        default=None,
        description="How long the first alert waits for others. "
        "Left out: the default of the settings.",
    )
    group_interval: Interval | None = Field(
        default=None,
        description="The shortest time between two notifications, except the one that all have "
        "resolved. Left out: the default of the settings.",
    )
    repeat_interval: PositiveInterval = "4h"


class CreateAlertChannel(Contract):
    """A new notification channel: a receiver with a name that rules refer to."""

    name: Title
    receiver: Receiver


class UpdateAlertChannel(Contract):
    """Changes to a channel; fields that are left out stay as they are."""

    name: Title | None = None
    receiver: Receiver | None = None


class AlertChannel(Contract):
    """A stored channel; its secrets are hidden."""

    id: UUID
    name: Title
    receiver: Receiver
    used_by: int = Field(default=0, ge=0, description="Number of rules that use it.")
    created_at: UtcTime
    updated_at: UtcTime


class DeliveryStatus(StrEnum):
    """The state of a delivery."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"


class AlertDelivery(Contract):
    """One notification to one channel. Dead ones are no longer retried; they can be sent again."""

    id: UUID
    rule_id: UUID | None = None
    rule_name: str
    channel: str = Field(description="Kind and name of the channel, without its secrets.")
    status: DeliveryStatus
    firing: int = Field(ge=0, description="Firing alerts in this notification.")
    resolved: int = Field(ge=0)
    attempts: int = Field(ge=0)
    last_error: str | None = None
    created_at: UtcTime
    next_attempt_at: UtcTime | None = None
    sent_at: UtcTime | None = None
    dead_at: UtcTime | None = None
