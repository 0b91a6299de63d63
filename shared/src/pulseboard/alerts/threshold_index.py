"""Finds the rules that a tick has to evaluate, without evaluating each.

A rule without stored state whose series don't breach stays as it is: most rules at most ticks.
Rules with the same read, reducer and operator are sorted by threshold, so that the highest or the
lowest value finds the breached ones by bisection. The cost of a tick then grows with its reads and
with the rules whose state may change, not with the number of rules.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from pulseboard.alerts.state_machine import RuleSnapshot
from pulseboard.contracts.alerts import AlertCondition, NoDataPolicy, Reducer

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
}
"""The slice of ascending thresholds that any of the values breaches."""

_Shared = tuple[str, float, bool, float, Reducer]


@dataclass
class _SharedRead:
    """The rules of one read and reducer: an example, and all rules by operator and threshold."""

    example: RuleSnapshot
    rules: dict[AlertCondition, list[RuleSnapshot]] = field(default_factory=dict)
    thresholds: dict[AlertCondition, list[float]] = field(default_factory=dict)


class RuleIndex:
    """All rules of a tick. It is not changed after it was created."""

    def __init__(self, rules: Iterable[RuleSnapshot]) -> None:
        self.by_id: dict[UUID, RuleSnapshot] = {rule.id: rule for rule in rules}
        self.always_evaluated: list[RuleSnapshot] = []
        """Rules evaluated at every tick: missing data may be an alert, or an error may be over."""
        self._reads: dict[_Shared, _SharedRead] = {}
        for rule in sorted(self.by_id.values(), key=lambda rule: rule.condition.threshold):
            condition = rule.condition
            if condition.no_data is NoDataPolicy.ALERT or rule.last_error is not None:
                self.always_evaluated.append(rule)
            shared = (
                *(rule.query, condition.window, rule.default_window),
                *(rule.delay, rule.reducer),
            )
            shared_read = self._reads.setdefault(shared, _SharedRead(rule))
            shared_read.rules.setdefault(condition.operator, []).append(rule)
            shared_read.thresholds.setdefault(condition.operator, []).append(condition.threshold)

    def __len__(self) -> int:
        return len(self.by_id)

    @property
    def examples(self) -> list[RuleSnapshot]:
        """One rule for each distinct read."""
        return [shared_read.example for shared_read in self._reads.values()]

    def breached(
        self, values_of: Callable[[RuleSnapshot], Sequence[float] | None]
    ) -> Iterator[RuleSnapshot]:
        """Each rule that a value of its read breaches; all rules of a read that has failed (None).

        `values_of` gets an example; its values hold no NaN.
        """
        for shared_read in self._reads.values():
            values = values_of(shared_read.example)
            if values is None:
                for rules in shared_read.rules.values():
                    yield from rules
            elif values:
                for condition, rules in shared_read.rules.items():
                    for start, end in _FIND[condition](shared_read.thresholds[condition], values):
                        yield from rules[start:end]
