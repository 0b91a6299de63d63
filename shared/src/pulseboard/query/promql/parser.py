"""Parses text to a tree. The grammar is that of promql-parser; the subset and the positions are
added here."""

import promql_parser as grammar

from pulseboard.catalogue.selector import Matcher, Operator
from pulseboard.core.patterns import check_pattern
from pulseboard.query.promql import functions
from pulseboard.query.promql.ast import (
    NAME,
    Aggregate,
    Binary,
    Call,
    Cardinality,
    Expr,
    Matching,
    Need,
    Negate,
    Number,
    Read,
    Select,
    Text,
)
from pulseboard.query.promql.positions import Outline, outline, syntax_error

_OPERATORS: dict[str, Operator] = {
    "MatchOp.Equal": "=",
    "MatchOp.NotEqual": "!=",
    "MatchOp.Re": "=~",
    "MatchOp.NotRe": "!~",
}
_CARDINALITIES = {
    "VectorMatchCardinality.OneToOne": Cardinality.ONE_TO_ONE,
    "VectorMatchCardinality.ManyToOne": Cardinality.MANY_TO_ONE,
    "VectorMatchCardinality.OneToMany": Cardinality.ONE_TO_MANY,
    "VectorMatchCardinality.ManyToMany": Cardinality.MANY_TO_MANY,
}


def parse(text: str) -> Expr:
    """The tree of an expression. Raises InvalidRequest with the position of the error."""
    outlined = outline(text)
    try:
        tree = grammar.parse(" ".join(outlined.pieces))
    except ValueError as error:
        raise syntax_error(
            _error_position(outlined, str(error)), str(error), _hint(str(error))
        ) from None
    expr = _Builder(outlined).build(tree)
    if isinstance(expr, Select) and expr.window is not None:
        raise syntax_error(
            expr.position,
            "a range alone can't be drawn",
            "use it in a function: rate(requests[5m]) or avg_over_time(cpu[5m])",
        )
    if isinstance(expr, Text):
        raise syntax_error(0, "a text is not a series", "write a metric's name without quotes")
    return expr


def selectors(expr: Expr) -> list[Read]:
    """What an expression reads, in the order of its text, each once."""
    return list(dict.fromkeys(_reads(expr, function="")))


def read_of(select: Select, function: str) -> Read:
    """What a selector reads as an argument of `function`."""
    needs = functions.WINDOW_NEEDS[function] if select.window is not None else Need.LAST
    return Read(select.name, select.matchers, select.offset, select.window, needs)


def _reads(expr: Expr, *, function: str) -> list[Read]:
    match expr:
        case Select():
            return [read_of(expr, function)]
        case Call():
            return [read for arg in expr.args for read in _reads(arg, function=expr.function)]
        case Aggregate():
            parts = [part for part in (expr.param, expr.expr) if part is not None]
            return [read for part in parts for read in _reads(part, function="")]
        case Binary():
            return _reads(expr.left, function="") + _reads(expr.right, function="")
        case Negate():
            return _reads(expr.expr, function="")
        case _:
            return []


def _error_position(outlined: Outline, message: str) -> int:
    """The position of the smallest bracketed part that gives the same error by itself."""
    first, last, position = 0, len(outlined.pieces), 0
    for part in sorted(outlined.brackets, key=lambda each: each.last - each.first):
        try:
            grammar.parse(" ".join(outlined.pieces[part.first : part.last]))
        except ValueError as error:
            if str(error) == message:
                first, last, position = part.first, part.last, part.position
                break
    if any(word in message for word in ("binary", "scalars", "operator", "vector to vector")):
        for token, piece in zip(outlined.operators, outlined.operator_pieces, strict=True):
            if first <= piece < last:
                return token.position
    if first == 0 and last == len(outlined.pieces) and outlined.selectors and not outlined.brackets:
        return outlined.selectors[0]
    return position


def _hint(message: str) -> str:
    if "got vector" in message and "matrix" in message:
        return "give it a range, such as requests[5m]"
    if "got matrix" in message:
        return "leave the range out, or use it in a function such as rate(requests[5m])"
    if "BOOL modifier" in message:
        return "numbers are compared with bool, such as 1 > bool 2"
    if "non-empty matcher" in message:
        return 'name a metric, such as cpu{host="a"}'
    return "see the query language in the documentation"


class _Builder:
    """Walks the parser's tree in the order of the text, in step with the outline's positions."""

    def __init__(self, outlined: Outline) -> None:
        self.calls = iter(outlined.calls)
        self.operators = iter(outlined.operators)
        self.selectors = iter(outlined.selectors)

    def build(self, node: object) -> Expr:
        match node:
            case grammar.ParenExpr():
                return self.build(node.expr)
            case grammar.NumberLiteral():
                return Number(node.val)
            case grammar.StringLiteral():
                return Text(node.val)
            case grammar.VectorSelector():
                return self._select(node, window=None)
            case grammar.MatrixSelector():
                return self._select(node.vector_selector, window=node.range.total_seconds())
            case grammar.Call():
                return self._call(node)
            case grammar.AggregateExpr():
                return self._aggregate(node)
            case grammar.BinaryExpr():
                return self._binary(node)
            case grammar.UnaryExpr():
                # The parser drops a plus sign by itself.
                return Negate(self.build(node.expr))
            case _:
                raise syntax_error(0, "this form is not supported", "see the documentation")

    def _select(self, node: grammar.VectorSelector, *, window: float | None) -> Select:
        position = next(self.selectors)
        matchers = [Matcher(m.name, _OPERATORS[str(m.op)], m.value) for m in node.matchers.matchers]
        name = node.name
        for matcher in matchers:
            if name is None and matcher.key == NAME and matcher.operator == "=":
                name = matcher.value
        named = Matcher(NAME, "=", name or "")
        return Select(
            name=name,
            matchers=tuple(matcher for matcher in matchers if matcher != named),
            offset=node.offset.total_seconds() if node.offset else 0.0,
            window=window,
            position=position,
        )

    def _call(self, node: grammar.Call) -> Call:
        position = next(self.calls)
        call = Call(node.func.name, tuple(self.build(arg) for arg in node.args), position)
        if call.function == "label_replace":
            pattern = call.args[4]
            problem = check_pattern(pattern.value) if isinstance(pattern, Text) else None
            if problem:
                raise syntax_error(position, problem, "such as (.*)-[0-9]+")
        return call

    def _aggregate(self, node: grammar.AggregateExpr) -> Aggregate:
        position = next(self.calls)
        param = self.build(node.param) if node.param is not None else None
        modifier = node.modifier
        return Aggregate(
            operator=str(node.op),
            expr=self.build(node.expr),
            param=param,
            without=modifier is not None and str(modifier.type) == "AggModifierType.Without",
            labels=tuple(modifier.labels) if modifier else (),
            position=position,
        )

    def _binary(self, node: grammar.BinaryExpr) -> Binary:
        left = self.build(node.lhs)
        token = next(self.operators)
        right = self.build(node.rhs)
        matching, as_bool = Matching(), False
        if token.word in functions.SETS:
            matching = Matching(Cardinality.MANY_TO_MANY)
        if modifier := node.modifier:
            as_bool = modifier.return_bool
            by = modifier.matching
            matching = Matching(
                cardinality=_CARDINALITIES[str(modifier.card)],
                on=by is not None and str(by.type) == "LabelModifierType.Include",
                labels=tuple(by.labels) if by else (),
                include=tuple(modifier.group_labels or ()),
            )
        return Binary(token.word, left, right, matching, as_bool, token.position)
