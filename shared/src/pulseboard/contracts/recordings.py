"""Recording rules, and the groups of rules."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from pulseboard.contracts.base import (
    Contract,
    Interval,
    PositiveInterval,
    UtcTime,
    start_before_end,
)
from pulseboard.contracts.vocabulary import GroupName, MetricName, PointTags, Position, QueryText

MAX_SOURCE = 500


class RecordingRuleFields(Contract):
    """The fields of a recording rule."""

    name: MetricName = Field(description="The metric it writes, such as `job:requests:rate5m`.")
    query: QueryText
    labels: PointTags = Field(
        default_factory=dict, description="Of each series; they replace those of the expression."
    )
    group: GroupName = Field(default="", description="Rules of a group are evaluated in order.")
    position: Position = Field(default=0, description="The place in the group.")
    enabled: bool = True
    source: Annotated[str, StringConstraints(max_length=MAX_SOURCE)] = Field(
        default="",
        description="What identifies a rule of a file: its group, name and position. "
        "Empty: it comes from no file.",
    )


class CreateRecordingRule(RecordingRuleFields):
    """A new recording rule."""


class UpdateRecordingRule(Contract):
    """Changes to a rule; what is left out stays. `version` is the one that was read."""

    version: int | None = Field(default=None, ge=1)
    name: MetricName | None = None
    query: QueryText | None = None
    labels: PointTags | None = None
    group: GroupName | None = None
    position: Position | None = None
    enabled: bool | None = None
    source: Annotated[str, StringConstraints(max_length=MAX_SOURCE)] | None = None


class RecordingRule(RecordingRuleFields):
    """A stored recording rule."""

    id: UUID
    owner_id: UUID | None = None
    interval: Interval = Field(description="How often its group is evaluated.")
    series: int = Field(default=0, ge=0, description="Series that it wrote last.")
    last_evaluated_at: UtcTime | None = None
    last_error: str | None = None
    version: int = Field(default=1, ge=1)
    created_at: UtcTime
    updated_at: UtcTime


class RuleGroupFields(Contract):
    """How the recording rules of a group are evaluated."""

    name: GroupName
    interval: PositiveInterval | None = Field(
        default=None, description="Null: the setting `recording_interval`."
    )
    query_offset: Interval = Field(
        default="0s", description="Evaluate this far in the past, for data that arrives late."
    )
    limit: int = Field(
        default=0, ge=0, description="Series that a rule may return; 0: as many as any may."
    )


class RuleGroup(RuleGroupFields):
    """A group of rules, and how many it has."""

    alerting: int = Field(default=0, ge=0)
    recording: int = Field(default=0, ge=0)


class _Times(Contract):
    start: UtcTime
    end: UtcTime

    _start_before_end = model_validator(mode="after")(start_before_end)


class PreviewRecordingRule(_Times):
    """A recording rule, saved or not, to run over past samples."""

    rule: CreateRecordingRule


class BackfillRecordingRule(_Times):
    """The range in which a rule writes what it would have written."""


class RecordedLine(Contract):
    """A series that a rule would have written: how often, and the last value."""

    tags: dict[str, str]
    samples: int = Field(ge=0)
    last: float


class RecordingPreview(Contract):
    """What a rule would have written at its group's interval."""

    series: int = Field(ge=0)
    evaluations: int = Field(ge=0)
    samples: int = Field(ge=0)
    lines: list[RecordedLine] = Field(description="Some of the series, by their labels.")
    duration_ms: float = Field(ge=0)
    notes: list[str] = Field(default_factory=list)


class RecordingBackfill(Contract):
    """What a backfill has written; what was stored already stays."""

    series: int = Field(ge=0)
    evaluations: int = Field(ge=0)
    samples: int = Field(ge=0)
    notes: list[str] = Field(default_factory=list)
