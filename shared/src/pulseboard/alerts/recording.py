"""Recording rules: which are due at a tick, in which order, and what they write. No I/O.

The meaning is that of Prometheus
(https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/): the rules of a group
are evaluated one after the other, so that one sees what those before it have written at the same
time. Here all rules of all groups that need nothing of each other are one *stage*, which is read
and written together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID

from pulseboard.alerts.state_machine import TICK, Condition, RuleSnapshot
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.contracts.alerts import AlertCondition
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.lookback import LOOKBACK_DELTA

_CONDITION = Condition(AlertCondition.RETURNED, None, window=LOOKBACK_DELTA)


@dataclass(frozen=True, slots=True)
class RecordingSnapshot:
    """A recording rule as a tick needs it. Lengths are seconds; `limit` 0: as many as any may."""

    id: UUID
    name: str
    query: str
    interval: float
    labels: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    offset: float = 0.0
    limit: int = 0
    last_error: str | None = None
    version: int = 1

    def due(self, at: float) -> bool:
        """Whether a multiple of its interval lies in the tick that ends at `at`."""
        return at // self.interval != (at - TICK) // self.interval

    @property
    def read(self) -> RuleSnapshot:
        """The rule as inputs read it: each series that its expression returns."""
        return RuleSnapshot(
            id=self.id,
            name=self.name,
            query=self.query,
            condition=_CONDITION,
            default_window=True,
            delay=self.offset,
            last_error=self.last_error,
            recording=True,
        )


Observed = Sequence[tuple[str, dict[str, str], float | None]]


@dataclass(frozen=True, slots=True)
class Output:
    """What a rule writes at a tick."""

    keys: Sequence[SeriesKey]
    values: Sequence[float]


def stages(rules: Iterable[RecordingSnapshot]) -> list[list[RecordingSnapshot]]:
    """Rules, those of a group in their order, in stages: each after what it reads of its group."""
    found: list[list[RecordingSnapshot]] = []
    levels: dict[str, dict[str, int]] = {}
    for rule in rules:
        before = levels.setdefault(rule.group, {})
        level = 0
        if before:
            names = metrics_of(rule.query)
            read = before.values() if names is None else [before[n] for n in names if n in before]
            level = max((each + 1 for each in read), default=0)
            # A second rule of one name writes after the first, as there.
            level = max(level, before.get(rule.name, 0))
        before[rule.name] = level
        while len(found) <= level:
            found.append([])
        found[level].append(rule)
    return found


@lru_cache(maxsize=20_000)
def metrics_of(query: str) -> frozenset[str] | None:
    """The metrics that a query reads; None where it chooses them by a pattern."""
    # The grammar is an eighth of a cold start, which lists of rules don't need.
    from pulseboard import promql

    try:
        names = [read.name for read in promql.selectors(promql.parse(query))]
    except InvalidRequest:
        return frozenset()
    found = frozenset(name for name in names if name is not None)
    return found if len(found) == len(set(names)) else None


def output(
    rule: RecordingSnapshot, observed: Observed, known: dict[str, SeriesKey], *, most_tags: int
) -> Output:
    """The samples of a rule. `known` are its series by what they are observed as, and is added to.

    Infinities are values. A NaN is none, as in what is sent (ADR 52): its series ends there.
    Raises InvalidRequest for two series that get the same labels, and for too many.
    """
    if rule.limit and len(observed) > rule.limit:
        raise InvalidRequest(
            f"The expression has {len(observed)} series; its group allows {rule.limit}."
        )
    keys: list[SeriesKey] = []
    values: list[float] = []
    for series, tags, value in observed:
        if value is None or value != value:
            continue
        key = known.get(series)
        if key is None:
            labels = {name: text for name, text in {**tags, **rule.labels}.items() if text}
            if len(labels) > most_tags:
                raise InvalidRequest(f"A series has {len(labels)} labels; {most_tags} are allowed.")
            key = known[series] = SeriesKey.of(rule.name, labels)
        keys.append(key)
        values.append(value)
    if len({key.identity for key in keys}) != len(keys):
        raise InvalidRequest(
            "Two series of the expression have the same labels once the rule's labels replace"
            " theirs. Aggregate them, or leave out the label."
        )
    return Output(keys, values)
