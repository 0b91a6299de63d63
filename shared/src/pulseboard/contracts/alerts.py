"""Alert rules, their state and their history."""

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from pulseboard.contracts.base import (
    Contract,
    Interval,
    PositiveInterval,
    UtcTime,
    start_before_end,
)
from pulseboard.contracts.channels import Notification
from pulseboard.contracts.vocabulary import (
    TAG_KEY_PATTERN,
    GroupName,
    PointTags,
    Position,
    QueryText,
    Title,
)


class AlertCondition(StrEnum):
    """How a value is compared with the threshold."""

    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    EQ = "eq"
    NE = "ne"
    RETURNED = "returned"
    """Compares nothing: each series that the expression returns is an alert."""


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


class AlertRuleState(StrEnum):
    """How a rule is listed: the first of these that is true of it."""

    DISABLED = "disabled"
    FIRING = "firing"
    FAILING = "failing"
    PENDING = "pending"
    OK = "ok"


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


MAX_SOURCE = 500
AnnotationName = Annotated[str, StringConstraints(pattern=TAG_KEY_PATTERN, max_length=200)]
Annotation = Annotated[str, StringConstraints(max_length=10_000)]
Annotations = Annotated[dict[AnnotationName, Annotation], Field(max_length=64)]
Source = Annotated[str, StringConstraints(max_length=MAX_SOURCE)]
Runbook = Annotated[str, StringConstraints(max_length=2000, pattern=r"^(https?://\S+)?$")]


class AlertRuleFields(Contract):
    """The fields of a rule."""

    name: Title
    query: QueryText
    condition: AlertCondition = Field(
        description="How the value is compared with the threshold. `returned`: each series that "
        "the expression returns is an alert, as in Prometheus; one that it no longer returns "
        "resolves."
    )
    threshold: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="Required, but with the condition `returned`, which has none.",
    )
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
    labels: PointTags = Field(
        default_factory=dict, description="Added to those of each series. Templates, as `message`."
    )
    message: Annotated[str, StringConstraints(max_length=4000)] = Field(
        default="",
        description="Text with `{{value}}`, `{{threshold}}` and tags: `{{host}}`. "
        "Prometheus' form works too: `{{ $labels.host }}`, `{{ $value | humanize }}`.",
    )
    runbook_url: Runbook = Field(
        default="", description="URL of the runbook; a link in each notification."
    )
    source: Source = Field(
        default="",
        description="What identifies a rule of a file: its group, name and position. "
        "Empty: it comes from no file.",
    )
    group: GroupName = Field(default="", description="The group of rules it belongs to.")
    position: Position = Field(default=0, description="The place in the group.")
    annotations: Annotations = Field(
        default_factory=dict,
        description="Of a file of Prometheus, as they are there: `message` and `runbookUrl` are"
        " what is sent.",
    )
    notification: Notification = Field(default_factory=Notification)

    @model_validator(mode="after")
    def _fits_the_condition(self) -> Self:
        """A comparison needs a threshold; `returned` has none, nor a window, nor missing data."""
        if self.condition is not AlertCondition.RETURNED:
            if self.threshold is None:
                raise ValueError("threshold is missing: a comparison needs one")
            return self
        for name, given in (
            ("threshold", self.threshold is not None),
            ("window", self.window is not None),
            ("reducer", self.reducer is not Reducer.LAST),
            ("noData", self.no_data is not NoDataPolicy.OK and "no_data" in self.model_fields_set),
        ):
            if given:
                raise ValueError(f"{name}: {_NOT_WITH_RETURNED[name]}")
        if self.no_data is not NoDataPolicy.OK:
            # Left out, so that nobody's choice is changed.
            self.no_data = NoDataPolicy.OK
        return self


_NOT_WITH_RETURNED = {
    "threshold": "leave it out, the condition returned compares nothing: write it in the query",
    "window": "leave it out, the condition returned reads what its expression says",
    "reducer": "leave it out, the condition returned evaluates its expression once a tick",
    "noData": "leave it out, or ok: what the expression does not return is clear. To be notified "
    "of missing data, write absent() in the query",
}


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
    labels: PointTags | None = None
    message: Annotated[str, StringConstraints(max_length=4000)] | None = None
    runbook_url: Runbook | None = None
    source: Source | None = None
    group: GroupName | None = None
    position: Position | None = None
    annotations: Annotations | None = None
    notification: Notification | None = None


class AlertAcknowledgement(Contract):
    """Somebody takes care of an alert: that it fires is not notified again until then."""

    by: str | None = Field(default=None, description="Email; null when the user was deleted.")
    at: UtcTime
    until: UtcTime | None = Field(default=None, description="Null: until it resolves.")
    note: str = ""


class AcknowledgeAlert(Contract):
    """Who sends this takes care of the alert."""

    until: UtcTime | None = Field(default=None, description="Left out: until it resolves.")
    note: Annotated[str, StringConstraints(max_length=1000)] = ""


class AlertInstance(Contract):
    """The state of one series of a rule."""

    tags: dict[str, str]
    labels: dict[str, str] = Field(
        default_factory=dict, description="What silences match: tags, the rule's labels, alertname."
    )
    event_id: UUID | None = Field(default=None, description="The event of one that is firing.")
    status: AlertStatus
    value: float | None = Field(default=None, description="Null when there was no data.")
    reason: str
    since: UtcTime
    first_triggered: UtcTime | None = Field(
        default=None, description="When the condition was first met, before `duration` passed."
    )
    silenced: bool = False
    acknowledgement: AlertAcknowledgement | None = None


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
    labels: dict[str, str] = Field(
        default_factory=dict, description="What silences match: tags, the rule's labels, alertname."
    )
    status: AlertStatus
    value: float | None = None
    reason: str
    query: str | None = Field(
        default=None, description="The query of its rule as it is now; null when it was deleted."
    )
    triggered_at: UtcTime
    resolved_at: UtcTime | None = None
    resolved_value: float | None = None
    resolved_reason: str | None = None
    acknowledgement: AlertAcknowledgement | None = Field(
        default=None, description="Also one that has ended: who took care of it."
    )


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

    _start_before_end = model_validator(mode="after")(start_before_end)


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

    matchers: list[SilenceMatcher] = Field(min_length=1, max_length=150)
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
