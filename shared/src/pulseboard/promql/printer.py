"""Writes a tree as text, in Prometheus' form."""

import re

from pulseboard.core.matchers import Matcher
from pulseboard.promql import functions, types
from pulseboard.promql.ast import (
    Aggregate,
    At,
    Binary,
    Call,
    Cardinality,
    Edge,
    Expr,
    Matching,
    Negate,
    Number,
    Read,
    Select,
    Subquery,
    Text,
)

_PLAIN = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PLAIN_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_UNITS = (
    *(("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000)),
    *(("m", 60_000), ("s", 1_000), ("ms", 1)),
)


def printed(expr: Expr) -> str:
    """The text of an expression; parsed again it gives the same tree."""
    match expr:
        case Number():
            return _number(expr.value)
        case Text():
            return quoted(expr.value)
        case Select():
            window = "" if expr.window is None else f"[{duration(expr.window)}]"
            return f"{_selector(expr)}{window}{_modifiers(expr.at, expr.offset)}"
        case Subquery():
            range_ = f"[{duration(expr.window)}:{duration(expr.step)}]"
            return f"{_operand(expr.expr, 8)}{range_}{_modifiers(expr.at, expr.offset)}"
        case Call():
            return f"{expr.function}({', '.join(map(printed, expr.args))})"
        case Aggregate():
            return _aggregate(expr)
        case Negate():
            return f"-{_operand(expr.expr, 6)}"
        case Binary():
            return _binary(expr)


def printed_read(read: Read) -> str:
    """The text of a selector as it is read, without the subqueries around it."""
    return printed(Select(read.name, read.matchers, read.offset, read.window, read.at))


def _operand(expr: Expr, precedence: int) -> str:
    """In brackets where it binds less strongly than its operator."""
    own = 8
    if isinstance(expr, Binary):
        own = functions.PRECEDENCE[expr.operator]
    elif isinstance(expr, Negate):
        own = functions.PRECEDENCE["*"]
    text = printed(expr)
    return f"({text})" if own < precedence else text


def _binary(node: Binary) -> str:
    own = functions.PRECEDENCE[node.operator]
    right_associative = node.operator == "^"
    left = _operand(node.left, own + 1 if right_associative else own)
    right = _operand(node.right, own if right_associative else own + 1)
    both = (types.type_of(node.left), types.type_of(node.right))
    matching = _matching(node.matching) if functions.Type.SCALAR not in both else ""
    return f"{left} {node.operator}{' bool' if node.as_bool else ''}{matching} {right}"


def _matching(matching: Matching) -> str:
    sides = {Cardinality.MANY_TO_ONE: "group_left", Cardinality.ONE_TO_MANY: "group_right"}
    side = sides.get(matching.cardinality)
    if not (matching.on or matching.labels or side):
        return ""
    by = f" {'on' if matching.on else 'ignoring'} ({_keys(matching.labels)})"
    return f"{by} {side} ({_keys(matching.include)})" if side else by


def _aggregate(node: Aggregate) -> str:
    grouping = ""
    if node.without or node.labels:
        grouping = f" {'without' if node.without else 'by'} ({_keys(node.labels)}) "
    args = [node.expr] if node.param is None else [node.param, node.expr]
    return f"{node.operator}{grouping}({', '.join(map(printed, args))})"


def _keys(labels: tuple[str, ...]) -> str:
    return ", ".join(each if _PLAIN_KEY.fullmatch(each) else quoted(each) for each in labels)


def _selector(node: Select) -> str:
    matchers = list(map(_matcher, node.matchers))
    name = node.name or ""
    if name and not _PLAIN.fullmatch(name):
        matchers.insert(0, quoted(name))
        name = ""
    return f"{name}{{{','.join(matchers)}}}" if matchers else name


def _matcher(matcher: Matcher) -> str:
    key = matcher.key if _PLAIN_KEY.fullmatch(matcher.key) else quoted(matcher.key)
    return f"{key}{matcher.operator}{quoted(matcher.value)}"


def _modifiers(at: At, offset: float) -> str:
    text = ""
    if isinstance(at, Edge):
        text = f" @ {at}()"
    elif at is not None:
        text = f" @ {at:.3f}"
    if offset:
        text += f" offset {'-' if offset < 0 else ''}{duration(abs(offset))}"
    return text


def duration(seconds: float) -> str:
    """A duration such as `1h30m`."""
    left, text = round(seconds * 1000), ""
    for unit, size in _UNITS:
        # As Prometheus writes them: years and weeks only where nothing is left.
        if left >= size and (unit not in ("y", "w") or left % size == 0):
            text += f"{left // size}{unit}"
            left %= size
    return text or "0s"


def _number(value: float) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")


def quoted(text: str) -> str:
    """A text in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r") + '"'
