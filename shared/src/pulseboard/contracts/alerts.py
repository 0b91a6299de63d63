"""Alert rules, their state and their history."""

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from pulseboard.contracts.base import Contract, Interval, PositiveInterval, UtcTime
from pulseboard.contracts.channels import Notification
from pulseboard.contracts.vocabulary import QueryText, Tags, Title


class AlertCondition(StrEnum):
    """How a value is compared with the threshold."""

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
    """What happens to a series without data in the window."""

    KEEP_STATE = "keep_state"
    OK = "ok"
    ALERT = "alert"


class Reducer(StrEnum):
    """How the samples of the window become one value."""

    LAST = "last"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    SUM = "sum"


Runbook = Annotated[str, StringConstraints(max_length=2000, pattern=r"^(https?://\S+)?$")]


class AlertRuleFields(Contract):
    """The fields of a rule."""

    name: Title
    query: QueryText
    condition: AlertCondition
    threshold: float = Field(allow_inf_nan=False)
    duration: Interval = Field(
        default="0s", description="How long the condition must hold before it fires."
    )
    window: PositiveInterval | None = Field(
        default=None,
        description="Left out: the newest sample within the look-back of PromQL for `last`, else "
        "the larger of duration, 1m and two intervals of the metric.",
    )
    reducer: Reducer = Reducer.LAST
    severity: AlertSeverity = AlertSeverity.WARNING
    enabled: bool = True
    no_data: NoDataPolicy = NoDataPolicy.KEEP_STATE
    keep_firing_for: Interval = "0s"
    evaluation_delay: Interval = "0s"
    labels: Tags = Field(default_factory=dict)
    message: Annotated[str, StringConstraints(max_length=4000)] = Field(
        default="",
        description="Text with `{{value}}`, `{{threshold}}` and tags: `{{host}}`. "
        "Prometheus' form works too: `{{ $labels.host }}`, `{{ $value }}`.",
    )
    runbook_url: Runbook = Field(
        default="", description="URL of the runbook; a link in each notification."
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
    runbook_url: Runbook | None = None
    notification: Notification | None = None


class AlertInstance(Contract):
    """The state of one series of a rule."""

    tags: dict[str, str]
    status: AlertStatus
    value: float | None = Field(default=None, description="Null when there was no data.")
    reason: str
    since: UtcTime
    first_triggered: UtcTime | None = Field(
        default=None, description="When the condition was first met, before `duration` passed."
    )
    silenced: bool = False


class AlertRule(AlertRuleFields):
    """A stored rule with the state of its series."""

    id: UUID
    owner_id: UUID | None = None
    status: AlertStatus = Field(
        default=AlertStatus.INACTIVE, description="The most urgent state among its series."
    )
    firing: int = Field(default=0, ge=0, description="Series in the state firing.")
    pending: int = Field(default=0, ge=0, description="Series in the state pending.")
    last_evaluated_at: UtcTime | None = None
    last_error: str | None = None
    version: int = Field(default=1, ge=1)
    created_at: UtcTime
    updated_at: UtcTime


class AlertRuleDetail(AlertRule):
    """A rule with each of its series that is not inactive."""

    instances: list[AlertInstance] = Field(default_factory=list)


class AlertEvent(Contract):
    """One alert from the time it fired."""

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
    resolved_value: float | None = None
    resolved_reason: str | None = None


class AlertEvaluation(Contract):
    """The current values of a rule and the states at its next tick. Nothing is changed."""

    at: UtcTime
    instances: list[AlertInstance]
    notes: list[str] = Field(default_factory=list)


class PreviewAlertRule(Contract):
    """A rule, saved or not, to run over past samples."""

    rule: CreateAlertRule
    start: UtcTime
    end: UtcTime

    @model_validator(mode="after")
    def _start_before_end(self) -> Self:
        if self.start >= self.end:
            raise ValueError("start must be before end")
        return self


class AlertChange(Contract):
    """One change of state in a backtest."""

    at: UtcTime
    tags: dict[str, str]
    status: AlertStatus
    value: float | None = None
    reason: str


class AlertPreview(Contract):
    """When a rule would have fired and resolved, at the ticks of a real one."""

    changes: list[AlertChange] = Field(description="Oldest first.")
    series: int = Field(ge=0)
    ticks: int = Field(ge=0)
    fired: int = Field(ge=0)
    duration_ms: float = Field(ge=0)
    notes: list[str] = Field(default_factory=list)


class MatchOperator(StrEnum):
    """How a label is compared; regular expressions match the whole value."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    MATCHES_NOT = "!~"


class SilenceMatcher(Contract):
    """A condition on one label of an alert: a tag, a label of the rule, alertname or severity."""

    label: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    operator: MatchOperator = MatchOperator.EQUAL
    value: Annotated[str, StringConstraints(max_length=1024)]


class CreateAlertSilence(Contract):
    """Alerts that meet every matcher notify nobody until `endsAt`."""

    matchers: list[SilenceMatcher] = Field(min_length=1, max_length=20)
    starts_at: UtcTime | None = Field(default=None, description="Left out: now.")
    ends_at: UtcTime
    comment: Annotated[str, StringConstraints(max_length=1000)] = ""


class AlertSilence(Contract):
    """A stored silence."""

    id: UUID
    matchers: list[SilenceMatcher]
    starts_at: UtcTime
    ends_at: UtcTime
    author: str | None = Field(default=None, description="Email of the creator.")
    comment: str
    active: bool
    created_at: UtcTime
