"""Annotations: what is suspicious about a result, in Prometheus' words (util/annotations)."""

from dataclasses import dataclass, field

from pulseboard.promql.ast import Expr, Negate, Subquery
from pulseboard.promql.reads import parts

MOST = 10
"""Annotations of a kind that are listed."""
_COUNTER_ENDS = ("_total", "_sum", "_count", "_bucket")


@dataclass(slots=True)
class Annotations:
    """Warnings and infos of one evaluation, each once, with the position (character from 0) of
    the expression that they are about.
    """

    warnings: dict[tuple[str, int], None] = field(default_factory=dict)
    infos: dict[tuple[str, int], None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    """Of the store: what was read instead of samples."""

    def warn(self, about: Expr, text: str) -> None:
        """Something is probably wrong."""
        self.warnings[(f"PromQL warning: {text}", start_of(about))] = None

    def inform(self, about: Expr, text: str) -> None:
        """Something may be wrong."""
        self.infos[(f"PromQL info: {text}", start_of(about))] = None

    def check_quantile(self, about: Expr, level: float) -> None:
        """Warn of a quantile that is none."""
        if not 0 <= level <= 1:
            self.warn(about, f"quantile value should be between 0 and 1, got {format_g(level)}")

    def check_counter(self, about: Expr, name: str) -> None:
        """Inform that a rate is taken of what is probably not a counter."""
        if name and not name.endswith(_COUNTER_ENDS):
            self.inform(
                about,
                "metric might not be a counter, name does not end in "
                f'_total/_sum/_count/_bucket: "{name}"',
            )


def located(annotations: dict[tuple[str, int], None], text: str) -> list[str]:
    """Annotations as Prometheus shows them, with line and column; at most `MOST`."""
    shown = []
    for message, position in list(annotations)[:MOST]:
        before = text[:position]
        line, column = before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
        shown.append(f"{message} ({line}:{column})")
    return shown


def start_of(expr: Expr) -> int:
    """The character at which an expression begins; brackets around it are not counted."""
    inner = parts(expr)
    if isinstance(expr, Negate | Subquery) or not inner:
        return expr.position
    return min(expr.position, *map(start_of, inner))


def format_g(number: float) -> str:
    """A number as Go's %g writes it."""
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "+Inf" if number > 0 else "-Inf"
    return repr(number).removesuffix(".0")
