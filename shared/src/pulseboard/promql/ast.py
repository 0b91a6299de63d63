"""The tree of a parsed expression, and what each selector reads.

Nodes compare by meaning: `position` (character offset in the text, from 0) is ignored, so
`repr(expr)` is the same for texts that differ in spaces only and can serve as a cache key.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from pulseboard.contracts.vocabulary import NAME as NAME  # for the modules of PromQL
from pulseboard.core.lookback import LOOKBACK_DELTA as LOOKBACK_DELTA  # likewise
from pulseboard.core.matchers import Matcher


class Need(StrEnum):
    """Which statistics of a bucket are enough for an exact result.

    The names in brackets are the fields of `Buckets` that are then used.
    """

    LAST = "last"
    """The newest sample (last_time, last)."""
    COUNT = "count"
    """The number of samples (count)."""
    SUM = "sum"
    """Their sum (sum)."""
    AVG = "avg"
    """Their mean (sum, count, mean)."""
    MIN = "min"
    """The smallest (min)."""
    MAX = "max"
    """The largest (max)."""
    FIRST = "first"
    """The oldest and the newest with their times (first_time, first, last_time, last)."""
    COUNTER = "counter"
    """count, first_time, first, last_time, last, increase_by_resets."""
    CHANGES = "changes"
    """first, last, changes, resets."""
    DEVIATION = "deviation"
    """count, mean, squared_deviations."""
    SAMPLES = "samples"
    """Every sample: buckets are not enough."""


class Edge(StrEnum):
    """A time that depends on the query: the first or the last at which it is evaluated."""

    START = "start"
    END = "end"


At = float | Edge | None
"""The modifier `@`: seconds since 1970, an edge of the query, or none."""


@dataclass(frozen=True, slots=True)
class Within:
    """The subquery that a selector is in: it is evaluated every `step` seconds in the window."""

    window: float
    step: float
    offset: float = 0.0
    at: At = None


@dataclass(frozen=True, slots=True)
class Read:
    """What one selector reads.

    Evaluated at t it needs the samples in (t - offset - w, t - offset], where w is `window`
    seconds, or the lookback delta for an instant selector (`window` is None). With `at`, that
    stands for t. `within` are the subqueries around it, the outermost first. `name` is None when
    the metric is chosen by matchers on `__name__` only.
    """

    name: str | None
    matchers: tuple[Matcher, ...]
    offset: float
    window: float | None
    needs: Need
    at: At = None
    within: tuple[Within, ...] = ()


@dataclass(frozen=True, slots=True)
class Number:
    """A number: the same at every step."""

    value: float
    position: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted text: only as an argument."""

    value: str
    position: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Select:
    """Series by name and matchers, `offset` seconds earlier; a range if it has a `window` (s)."""

    name: str | None
    matchers: tuple[Matcher, ...]
    offset: float = 0.0
    window: float | None = None
    at: At = None
    position: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Subquery:
    """The values of `expr` every `step` seconds in a window of `window` seconds: a range."""

    expr: "Expr"
    window: float
    step: float
    offset: float = 0.0
    at: At = None
    position: int = field(default=0, compare=False, repr=False)

    @property
    def within(self) -> Within:
        """The same without its expression."""
        return Within(self.window, self.step, self.offset, self.at)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of PromQL."""

    function: str
    args: tuple["Expr", ...]
    position: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation over series; `labels` are kept (`without` false) or dropped (true)."""

    operator: str
    expr: "Expr"
    param: "Expr | None" = None
    without: bool = False
    labels: tuple[str, ...] = ()
    position: int = field(default=0, compare=False, repr=False)


class Cardinality(StrEnum):
    """How many series of either side may take part in one match."""

    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_MANY = "many-to-many"


@dataclass(frozen=True, slots=True)
class Matching:
    """How series of two sides are matched: by `labels` (`on`), or by all other labels."""

    cardinality: Cardinality = Cardinality.ONE_TO_ONE
    on: bool = False
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands; `as_bool` makes a comparison give 0 or 1 instead of filtering."""

    operator: str
    left: "Expr"
    right: "Expr"
    matching: Matching = Matching()
    as_bool: bool = False
    position: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Negate:
    """The unary minus."""

    expr: "Expr"
    position: int = field(default=0, compare=False, repr=False)


Expr = Number | Text | Select | Subquery | Call | Aggregate | Binary | Negate
