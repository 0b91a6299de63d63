"""What the selectors of an expression read, and changing all selectors of one."""

from collections.abc import Callable
from dataclasses import replace

from pulseboard.promql import functions
from pulseboard.promql.ast import (
    Aggregate,
    Binary,
    Call,
    Expr,
    Need,
    Negate,
    Read,
    Select,
    Subquery,
    Within,
)


def selectors(expr: Expr) -> list[Read]:
    """What an expression reads, in the order of its text, each once."""
    return list(dict.fromkeys(_reads(expr, "", ())))


def read_of(select: Select, function: str, within: tuple[Within, ...] = ()) -> Read:
    """What a selector reads as an argument of `function`, in the subqueries `within`."""
    needs = Need.LAST
    if select.window is not None:
        # A range alone is a result, too.
        needs = functions.WINDOW_NEEDS.get(function, Need.SAMPLES)
    return Read(
        select.name, select.matchers, select.offset, select.window, needs, select.at, within
    )


def _reads(expr: Expr, function: str, within: tuple[Within, ...]) -> list[Read]:
    match expr:
        case Select():
            return [read_of(expr, function, within)]
        case Subquery():
            return _reads(expr.expr, "", (*within, expr.within))
        case Call():
            return [read for arg in expr.args for read in _reads(arg, expr.function, within)]
        case _:
            return [read for part in parts(expr) for read in _reads(part, "", within)]


def parts(expr: Expr) -> tuple[Expr, ...]:
    """The expressions that an expression consists of, in the order of its text."""
    match expr:
        case Subquery() | Negate():
            return (expr.expr,)
        case Call():
            return expr.args
        case Aggregate():
            return (expr.expr,) if expr.param is None else (expr.param, expr.expr)
        case Binary():
            return (expr.left, expr.right)
        case _:
            return ()


def mapped(
    expr: Expr, change: Callable[[Select | Subquery, str], Select | Subquery], function: str = ""
) -> Expr:
    """The expression with its selectors and subqueries changed, the inner ones first.

    `change` also gets the function whose argument the selector is, or an empty text.
    """
    match expr:
        case Select():
            return change(expr, function)
        case Subquery():
            return change(replace(expr, expr=mapped(expr.expr, change)), function)
        case Call():
            args = tuple(mapped(arg, change, expr.function) for arg in expr.args)
            return replace(expr, args=args)
        case Aggregate():
            param = None if expr.param is None else mapped(expr.param, change)
            return replace(expr, expr=mapped(expr.expr, change), param=param)
        case Binary():
            left, right = mapped(expr.left, change), mapped(expr.right, change)
            return replace(expr, left=left, right=right)
        case Negate():
            return replace(expr, expr=mapped(expr.expr, change))
        case _:
            return expr
