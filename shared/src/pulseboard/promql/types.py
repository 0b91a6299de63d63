"""The types of expressions: what each gives, and the errors where something else is expected."""

from pulseboard.core.exceptions import InvalidRequest
from pulseboard.promql import functions
from pulseboard.promql.ast import (
    Aggregate,
    Binary,
    Call,
    Expr,
    Negate,
    Number,
    Select,
    Subquery,
    Text,
)
from pulseboard.promql.functions import Signature, Type
from pulseboard.promql.lexer import Token, syntax_error

_OPERANDS = (Type.SCALAR, Type.VECTOR)


def type_of(expr: Expr) -> Type:
    """What an expression gives."""
    match expr:
        case Number():
            return Type.SCALAR
        case Text():
            return Type.STRING
        case Select():
            return Type.VECTOR if expr.window is None else Type.MATRIX
        case Subquery():
            return Type.MATRIX
        case Call():
            return functions.FUNCTIONS[expr.function].result
        case Aggregate():
            return Type.VECTOR
        case Negate():
            return type_of(expr.expr)
        case Binary():
            both = (type_of(expr.left), type_of(expr.right))
            return Type.SCALAR if both == (Type.SCALAR, Type.SCALAR) else Type.VECTOR


def check_sign(expr: Expr, position: int) -> None:
    """Raise InvalidRequest for a sign before a range or a text."""
    of = type_of(expr)
    if of not in _OPERANDS:
        raise syntax_error(
            position,
            f"a sign can stand before a scalar or an instant vector only, not before a {of}",
            _HINTS[of],
        )


def check_subquery(expr: Expr, position: int) -> None:
    """Raise InvalidRequest for a subquery of something else than an instant vector."""
    if (of := type_of(expr)) is not Type.VECTOR:
        raise syntax_error(
            position,
            f"a subquery is only allowed on an instant vector, not on a {of}",
            "such as max_over_time(rate(x[5m])[1h:1m])",
        )


def check_operands(node: Binary) -> None:
    """Raise InvalidRequest at the operator where its operands do not go with it."""
    both = (type_of(node.left), type_of(node.right))
    for of in both:
        if of not in _OPERANDS:
            raise syntax_error(
                node.position,
                f"{node.operator} can't be used with a {of}",
                _HINTS[of],
            )
    if node.operator in functions.SETS and Type.SCALAR in both:
        raise syntax_error(
            node.position,
            f"set operator {node.operator} not allowed in binary scalar expression",
            "make a series of the number: vector(1)",
        )
    scalars = both == (Type.SCALAR, Type.SCALAR)
    if scalars and node.operator in functions.COMPARISONS and not node.as_bool:
        raise syntax_error(
            node.position,
            "comparisons between scalars must use BOOL modifier",
            "numbers are compared with bool, such as 1 > bool 2",
        )
    if Type.SCALAR in both and node.matching.labels:
        raise syntax_error(
            node.position,
            "vector matching only allowed between instant vectors",
            "leave on(…) or ignoring(…) out",
        )


def check_arguments(token: Token, signature: Signature, args: tuple[Expr, ...]) -> None:
    """Raise InvalidRequest at a function whose arguments are too few, too many or of wrong type."""
    if len(args) < signature.least:
        raise syntax_error(
            token.position,
            f"{token.text} has {len(args)} arguments, but needs {signature.least}",
            _usage(token, signature),
        )
    for position, arg in enumerate(args):
        expected = signature.type_of(position)
        if expected is None:
            raise syntax_error(
                token.position,
                f"{token.text} has {len(args)} arguments, but takes at most {len(signature.args)}",
                _usage(token, signature),
            )
        _check(token, expected, arg)


def check_aggregation(token: Token, parameter: Type | None, args: tuple[Expr, ...]) -> None:
    """Raise InvalidRequest at an aggregation whose arguments do not go with it."""
    expected = (Type.VECTOR,) if parameter is None else (parameter, Type.VECTOR)
    if len(args) != len(expected):
        raise syntax_error(
            token.position,
            f"{token.text} has {len(args)} arguments, but needs {len(expected)}",
            _usage(token, Signature(expected)),
        )
    for of, arg in zip(expected, args, strict=True):
        _check(token, of, arg)


def _check(token: Token, expected: Type, arg: Expr) -> None:
    if (of := type_of(arg)) is not expected:
        raise _wrong(token, expected, of)


def _wrong(token: Token, expected: Type, of: Type) -> InvalidRequest:
    hint = _HINTS[of]
    if expected is Type.MATRIX and of is Type.VECTOR:
        hint = f"give it a range, such as {token.text}(requests[5m])"
    elif expected is Type.VECTOR and of is Type.SCALAR:
        hint = "make a series of the number: vector(1)"
    elif expected is Type.SCALAR and of is Type.VECTOR:
        hint = "make a number of a single series: scalar(x)"
    elif expected is Type.STRING:
        hint = 'put it in quotes, such as "host"'
    return syntax_error(
        token.position,
        f"{token.text} expects {_with_article(expected)} here, not {_with_article(of)}",
        hint,
    )


def _with_article(of: Type) -> str:
    return f"an {of}" if of is Type.VECTOR else f"a {of}"


def _usage(token: Token, signature: Signature) -> str:
    args = ", ".join(_EXAMPLES[each] for each in signature.args)
    return f"such as {token.text}({args})"


_HINTS = {
    Type.MATRIX: "leave the range out, or use it in a function such as rate(requests[5m])",
    Type.STRING: "a text can only be an argument",
    Type.SCALAR: "see the query language in the documentation",
    Type.VECTOR: "see the query language in the documentation",
}
_EXAMPLES = {Type.MATRIX: "x[5m]", Type.STRING: '"text"', Type.SCALAR: "1", Type.VECTOR: "x"}
