"""What a tick, or a change of a rule, changes: states and events."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from pulseboard.alerts.state_machine import Instance, RuleSnapshot
from pulseboard.contracts.alerts import AlertStatus

Current = dict[str, tuple[float | None, bool, float | None]]
"""By series: current value, whether it fires, first triggered (seconds since 1970)."""

_LONGEST_KEY = 500
"""Bytes of a series' tags that serve as its key themselves: an index takes 2,704."""


def series_key(tags_key: str) -> str:
    """The key of a series among the states of its rule: its canonical tags, or their hash."""
    if len(tags_key) * 4 <= _LONGEST_KEY:
        return tags_key
    encoded = tags_key.encode()
    return tags_key if len(encoded) <= _LONGEST_KEY else f"sha256:{sha256(encoded).hexdigest()}"


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """One series of a rule. `fired_at` is when it last fired, in seconds since 1970."""

    tags: dict[str, str]
    instance: Instance
    event_id: UUID | None = None
    fired_at: float | None = None

    @property
    def idle(self) -> bool:
        """Whether it has resolved."""
        return self.instance.status is AlertStatus.RESOLVED


@dataclass(frozen=True, slots=True)
class StateChange:
    """A series' new record; None when its row is deleted."""

    rule_id: UUID
    series: str
    record: InstanceRecord | None


@dataclass(frozen=True, slots=True)
class Started:
    """An alert that fired."""

    id: UUID
    rule: RuleSnapshot
    series: str
    record: InstanceRecord


@dataclass(frozen=True, slots=True)
class Ended:
    """An alert that resolved."""

    event_id: UUID
    instance: Instance
    rule_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """Everything that one tick, or one change of a rule, writes."""

    states: Sequence[StateChange] = ()
    started: Sequence[Started] = ()
    ended: Sequence[Ended] = ()
    errors: Sequence[tuple[UUID, str | None]] = ()

    @property
    def rules(self) -> list[UUID]:
        """The rules that something changes for, each once."""
        ids = (
            *(state.rule_id for state in self.states),
            *(ended.rule_id for ended in self.ended),
            *(each.rule.id for each in self.started),
            *(rule_id for rule_id, _ in self.errors),
        )
        return list(dict.fromkeys(each for each in ids if each is not None))

    def of(self, rule_id: UUID) -> "Changes":
        """What changes for one rule."""
        return Changes(
            states=[each for each in self.states if each.rule_id == rule_id],
            started=[each for each in self.started if each.rule.id == rule_id],
            ended=[each for each in self.ended if each.rule_id == rule_id],
            errors=[each for each in self.errors if each[0] == rule_id],
        )
