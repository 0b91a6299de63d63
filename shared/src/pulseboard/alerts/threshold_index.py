"""Finds the rules that a tick has to evaluate, without evaluating each.

A rule without stored state whose series don't breach stays as it is: most rules at most ticks.
Rules with the same read, reducer and operator are sorted by threshold, so that the highest or the
lowest value finds the breached ones by bisection. The cost of a tick then grows with its reads and
with the rules whose state may change, not with the number of rules.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from pulseboard.alerts.state_machine import TICK, ReadKey, RuleSnapshot
from pulseboard.contracts.alerts import AlertCondition, NoDataPolicy

Spans = Iterable[tuple[int, int]]
_Find = Callable[[Sequence[float], Sequence[float]], Spans]


def _differing(thresholds: Sequence[float], values: Sequence[float]) -> Spans:
    low, high = min(values), max(values)
    if low != high:
        return ((0, len(thresholds)),)
    return (0, bisect_left(thresholds, low)), (bisect_right(thresholds, low), len(thresholds))


_FIND: dict[AlertCondition, _Find] = {
    AlertCondition.GT: lambda t, v: ((0, bisect_left(t, max(v))),),
    AlertCondition.GTE: lambda t, v: ((0, bisect_right(t, max(v))),),
    AlertCondition.LT: lambda t, v: ((bisect_right(t, min(v)), len(t)),),
    AlertCondition.LTE: lambda t, v: ((bisect_left(t, min(v)), len(t)),),
    AlertCondition.EQ: lambda t, v: ((bisect_left(t, x), bisect_right(t, x)) for x in set(v)),
    AlertCondition.NE: _differing,
    AlertCondition.RETURNED: lambda t, v: ((0, len(t)),),
}
"""The slice of ascending thresholds that any of the values breaches."""


@dataclass
class _SharedRead:
    """The rules of one read and reducer and interval: an example, and all rules by operator and
    threshold."""

    example: RuleSnapshot
    rules: dict[AlertCondition, list[RuleSnapshot]] = field(default_factory=dict)
    thresholds: dict[AlertCondition, list[float]] = field(default_factory=dict)


class RuleIndex:
    """All rules of a tick. It is not changed after it was created."""

    def __init__(
        self, rules: Iterable[RuleSnapshot], intervals: Mapping[str, float] | None = None
    ) -> None:
        """`intervals`: of the groups that have one, in seconds; all other rules are evaluated at
        every tick."""
        self.intervals: Mapping[str, float] = intervals or {}
        self.by_id: dict[UUID, RuleSnapshot] = {rule.id: rule for rule in rules}
        self.always_evaluated: list[RuleSnapshot] = []
        """Rules evaluated whenever due: missing data may be an alert, or an error may be over."""
        self._reads: dict[tuple[ReadKey, float], _SharedRead] = {}
        for rule in sorted(self.by_id.values(), key=lambda rule: rule.condition.threshold or 0.0):
            condition = rule.condition
            if condition.no_data is NoDataPolicy.ALERT or rule.last_error is not None:
                self.always_evaluated.append(rule)
            read = (rule.read_key, self.intervals.get(rule.group, 0.0))
            shared_read = self._reads.setdefault(read, _SharedRead(rule))
            shared_read.rules.setdefault(condition.operator, []).append(rule)
            shared_read.thresholds.setdefault(condition.operator, []).append(
                condition.threshold or 0.0
            )

    def __len__(self) -> int:
        return len(self.by_id)

    def due(self, rule: RuleSnapshot, at: float) -> bool:
        """Whether a multiple of its group's interval lies in the tick that ends at `at`."""
        interval = self.intervals.get(rule.group, 0.0)
        return interval <= TICK or at // interval != (at - TICK) // interval

    def seldom(self, rule: RuleSnapshot) -> bool:
        """Whether its group's interval is longer than a tick."""
        return self.intervals.get(rule.group, 0.0) > TICK

    def examples(self, at: float) -> list[RuleSnapshot]:
        """One rule for each distinct read of the rules that are due."""
        reads = self._reads.values()
        return [each.example for each in reads if self.due(each.example, at)]

    def breached(
        self, values_of: Callable[[RuleSnapshot], Sequence[float] | None], at: float
    ) -> Iterator[RuleSnapshot]:
        """Each rule that is due and that a value of its read breaches; all rules of a read that has
        failed (None).

        `values_of` gets an example; its values hold no NaN, but for the condition `returned`, of
        which all rules are breached by any value.
        """
        for shared_read in self._reads.values():
            if not self.due(shared_read.example, at):
                continue
            values = values_of(shared_read.example)
            if values is None:
                for rules in shared_read.rules.values():
                    yield from rules
            elif values:
                for condition, rules in shared_read.rules.items():
                    for start, end in _FIND[condition](shared_read.thresholds[condition], values):
                        yield from rules[start:end]
