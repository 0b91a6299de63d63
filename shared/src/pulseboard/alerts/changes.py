"""What a tick, or a change of a rule, makes of the series of rules: to be kept, and to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pulseboard.alerts.state_machine import Instance, RuleSnapshot
from pulseboard.contracts.alerts import AlertStatus


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One series of a rule, with what was told about it. Times are seconds since 1970.

    `fired_at` is when it last fired. `notified_at` is set from the moment its firing was told until
    its resolving is.
    """

    tags: dict[str, str]
    instance: Instance
    event_id: UUID | None = None
    notified_at: float | None = None
    fired_at: float | None = None

    @property
    def owed(self) -> bool:
        """Whether those who were told that it fires have not been told that it has resolved."""
        return self.notified_at is not None and self.instance.status is not AlertStatus.FIRING

    @property
    def settled(self) -> bool:
        """Whether it only waits to fire again, or to be forgotten."""
        return self.notified_at is None and self.instance.status is AlertStatus.RESOLVED


@dataclass(frozen=True, slots=True)
class StateChange:
    """A series' new state; None when there is nothing left to keep."""

    rule_id: UUID
    series: str
    live: InstanceRecord | None


@dataclass(frozen=True, slots=True)
class Started:
    """An alert that fired."""

    id: UUID
    rule: RuleSnapshot
    series: str
    live: InstanceRecord


@dataclass(frozen=True, slots=True)
class Ended:
    """An alert that resolved."""

    event_id: UUID
    instance: Instance


@dataclass(frozen=True, slots=True)
class Queued:
    """A notification for one channel."""

    rule_id: UUID
    key: str
    group: str
    channel: dict[str, Any]
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that one tick, or one change of a rule, writes."""

    states: Sequence[StateChange] = ()
    started: Sequence[Started] = ()
    ended: Sequence[Ended] = ()
    queued: Sequence[Queued] = ()
    told: Mapping[UUID, float] = field(default_factory=dict)
    """When the channels of a rule were told, by rule."""
    errors: Sequence[tuple[UUID, str | None]] = ()
