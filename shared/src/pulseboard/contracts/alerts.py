"""Alert rules, their state, and what happened."""

from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, HttpUrl, SecretStr, StringConstraints

from pulseboard.contracts.base import Contract, Interval, PositiveInterval, UtcTime
from pulseboard.contracts.dashboards import Title
from pulseboard.contracts.metrics import Tags
from pulseboard.contracts.queries import QueryText


class AlertCondition(StrEnum):
    """How a value is held against the threshold."""

    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    EQ = "eq"
    NE = "ne"


class AlertSeverity(StrEnum):
    """How urgent a firing alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlertStatus(StrEnum):
    """The states of one alert instance."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class NoDataPolicy(StrEnum):
    """What a series without data in the window means."""

    KEEP_STATE = "keep_state"
    OK = "ok"
    ALERT = "alert"


class Reducer(StrEnum):
    """How the window becomes one value."""

    LAST = "last"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"


class WebhookChannel(Contract):
    """An HTTP receiver of Alertmanager version 4 bodies."""

    type: Literal["webhook"] = "webhook"
    url: HttpUrl
    secret: SecretStr | None = Field(
        default=None, description="Signs each body (HMAC-SHA256). Never shown again."
    )


class SlackChannel(Contract):
    """A Slack incoming webhook."""

    type: Literal["slack"] = "slack"
    url: HttpUrl


class PagerDutyChannel(Contract):
    """A PagerDuty service (Events API v2)."""

    type: Literal["pagerduty"] = "pagerduty"
    routing_key: SecretStr


class EmailChannel(Contract):
    """E-mail to one or more addresses."""

    type: Literal["email"] = "email"
    to: list[Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]] = (
        Field(min_length=1, max_length=50)
    )


class SavedChannel(Contract):
    """A channel that was saved under a name."""

    type: Literal["saved"] = "saved"
    name: Title


Channel = Annotated[
    WebhookChannel | SlackChannel | PagerDutyChannel | EmailChannel | SavedChannel,
    Field(discriminator="type"),
]


class Notification(Contract):
    """Who is told, and how often while it fires."""

    channels: list[Channel] = Field(default_factory=list, max_length=20)
    repeat_interval: PositiveInterval = "4h"


class AlertRuleFields(Contract):
    """What a rule says."""

    name: Title
    query: QueryText
    condition: AlertCondition
    threshold: float = Field(allow_inf_nan=False)
    duration: Interval = Field(
        default="0s", description="How long the condition must hold before it fires."
    )
    window: PositiveInterval | None = Field(
        default=None, description="Left out: the larger of duration and 1m."
    )
    reducer: Reducer = Reducer.LAST
    severity: AlertSeverity = AlertSeverity.WARNING
    enabled: bool = True
    no_data: NoDataPolicy = NoDataPolicy.KEEP_STATE
    keep_firing_for: Interval = "0s"
    evaluation_delay: Interval = "0s"
    labels: Tags = Field(default_factory=dict)
    message: Annotated[str, StringConstraints(max_length=4000)] = Field(
        default="", description="Text with `{{value}}`, `{{threshold}}` and tags: `{{host}}`."
    )
    notification: Notification = Field(default_factory=Notification)


class CreateAlertRule(AlertRuleFields):
    """A new rule."""


class UpdateAlertRule(Contract):
    """Changes to a rule; what is left out stays. `version` is the one that was read."""

    version: int | None = Field(default=None, ge=1)
    name: Title | None = None
    query: QueryText | None = None
    condition: AlertCondition | None = None
    threshold: float | None = Field(default=None, allow_inf_nan=False)
    duration: Interval | None = None
    window: PositiveInterval | None = None
    reducer: Reducer | None = None
    severity: AlertSeverity | None = None
    enabled: bool | None = None
    no_data: NoDataPolicy | None = None
    keep_firing_for: Interval | None = None
    evaluation_delay: Interval | None = None
    labels: Tags | None = None
    message: Annotated[str, StringConstraints(max_length=4000)] | None = None
    notification: Notification | None = None


class AlertInstance(Contract):
    """The state of one series of a rule."""

    tags: dict[str, str]
    status: AlertStatus
    value: float | None = None
    reason: str
    since: UtcTime
    first_triggered: UtcTime | None = None


class AlertRule(AlertRuleFields):
    """A rule as it is kept, with the state of its series."""

    id: UUID
    owner_id: UUID | None = None
    status: AlertStatus = Field(
        default=AlertStatus.INACTIVE, description="The most urgent state among its series."
    )
    last_evaluated_at: UtcTime | None = None
    last_error: str | None = None
    version: int = Field(default=1, ge=1)
    created_at: UtcTime
    updated_at: UtcTime


class AlertEvent(Contract):
    """One alert from the moment it fired."""

    id: UUID
    rule_id: UUID
    rule_name: str
    severity: AlertSeverity
    tags: dict[str, str]
    status: AlertStatus
    value: float | None = None
    reason: str
    triggered_at: UtcTime
    resolved_at: UtcTime | None = None
