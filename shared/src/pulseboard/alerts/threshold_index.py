"""Which rules a tick must look at, found without looking at each.

A rule that keeps no state and whose series don't breach stays as it is: most rules at most ticks.
Rules of one read, reducer and condition stand here by rising threshold, so that the highest or
the lowest value read tells by one bisection which of them it breaches. A tick then costs its
reads and the rules that are up to something, not the rules there are.
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
"""Where, among rising thresholds, those stand that any of the values breaches."""

_Shared = tuple[str, float, float, Reducer]


@dataclass
class _Reading:
    """The rules of one read and reducer: one of them, and by condition all, by threshold."""

    example: RuleSnapshot
    rules: dict[AlertCondition, list[RuleSnapshot]] = field(default_factory=dict)
    thresholds: dict[AlertCondition, list[float]] = field(default_factory=dict)


class RuleIndex:
    """All rules of a tick. Not changed once made."""

    def __init__(self, rules: Iterable[RuleSnapshot]) -> None:
        self.by_id: dict[UUID, RuleSnapshot] = {rule.id: rule for rule in rules}
        self.watchful: list[RuleSnapshot] = []
        """Rules to look at always: silence may be an alert, or an error may be over."""
        self._readings: dict[_Shared, _Reading] = {}
        for rule in sorted(self.by_id.values(), key=lambda rule: rule.condition.threshold):
            condition = rule.condition
            if condition.no_data is NoDataPolicy.ALERT or rule.last_error is not None:
                self.watchful.append(rule)
            shared = (rule.query, condition.window, rule.delay, rule.reducer)
            reading = self._readings.setdefault(shared, _Reading(rule))
            reading.rules.setdefault(condition.operator, []).append(rule)
            reading.thresholds.setdefault(condition.operator, []).append(condition.threshold)

    def __len__(self) -> int:
        return len(self.by_id)

    @property
    def examples(self) -> list[RuleSnapshot]:
        """One rule for each distinct read."""
        return [reading.example for reading in self._readings.values()]

    def breached(
        self, values_of: Callable[[RuleSnapshot], Sequence[float] | None]
    ) -> Iterator[RuleSnapshot]:
        """Each rule that a value of its read breaches; all rules of a read that has failed (None).

        `values_of` takes an example; its values hold no NaN.
        """
        for reading in self._readings.values():
            values = values_of(reading.example)
            if values is None:
                for rules in reading.rules.values():
                    yield from rules
            elif values:
                for condition, rules in reading.rules.items():
                    for start, end in _FIND[condition](reading.thresholds[condition], values):
                        yield from rules[start:end]
