"""Parses the text of an expression to a tree, by precedence climbing, and checks its types.

The grammar is that of Prometheus 3 (promql/parser/generated_parser.y). Every error names its
character and gives a hint.
"""

import difflib
from collections.abc import Callable
from typing import NoReturn, TypeVar

from pulseboard.core.matchers import Matcher, Operator
from pulseboard.core.patterns import check_pattern
from pulseboard.promql import functions, types
from pulseboard.promql.ast import (
    NAME,
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
    Select,
    Subquery,
    Text,
)
from pulseboard.promql.lexer import (
    NUMBER_NAMES,
    Token,
    number,
    seconds,
    syntax_error,
    tokens,
    unquoted,
)

_T = TypeVar("_T")
SUBQUERY_STEP = 60.0
"""Seconds between two points of a subquery that names no step."""
_MATCHERS: dict[str, Operator] = {"=": "=", "!=": "!=", "=~": "=~", "!~": "!~"}
_GROUPING = ("by", "without")
_UNARY_PRECEDENCE = functions.PRECEDENCE["*"]
_MAX_SIGNS = 10


def parse(text: str) -> Expr:
    """The tree of an expression that can be drawn: of series or of a number.

    Raises InvalidRequest with the position of the error.
    """
    expr = parse_any(text)
    of = types.type_of(expr)
    if of is functions.Type.MATRIX:
        raise syntax_error(
            expr.position,
            "a range alone can't be drawn",
            "use it in a function: rate(requests[5m]) or avg_over_time(cpu[5m])",
        )
    if of is functions.Type.STRING:
        raise syntax_error(0, "a text is not a series", "write a metric's name without quotes")
    return expr


def parse_any(text: str) -> Expr:
    """The tree of any expression, also of a range or a text. Raises InvalidRequest likewise."""
    return _Parser(text).run()


class _Parser:
    def __init__(self, text: str) -> None:
        # Read as they are needed: most of what is wrong is wrong near its start.
        self.source = tokens(text)
        self.tokens: list[Token] = []
        self.index = 0
        self.depth = 0
        self.operators = 0

    @property
    def current(self) -> Token:
        return self._token(self.index)

    @property
    def next(self) -> Token:
        return self._token(self.index + 1)

    def _token(self, index: int) -> Token:
        while len(self.tokens) <= index:
            following = next(self.source, None)
            if following is None:
                return self.tokens[-1]
            self.tokens.append(following)
        return self.tokens[index]

    def run(self) -> Expr:
        expr = self._expression()
        if self.current.kind != "end":
            self._fail_after()
        return expr

    def _advance(self) -> Token:
        token = self.current
        self.index += 1
        return token

    def _accept(self, text: str) -> bool:
        if self.current.text != text or self.current.kind == "text":
            return False
        self.index += 1
        return True

    def _expression(self) -> Expr:
        self.depth += 1
        if self.depth > functions.MAX_DEPTH:
            raise syntax_error(
                self.current.position, "the expression is nested too deeply", "simplify it"
            )
        expr = self._operators(self._operand(), least=1)
        self.depth -= 1
        return expr

    # Operators

    def _operators(self, left: Expr, least: int) -> Expr:
        """`left`, and what follows it of operators that bind at least as strongly as `least`."""
        while functions.PRECEDENCE.get(self.current.word, 0) >= least:
            token = self.current
            precedence = functions.PRECEDENCE[token.word]
            as_bool, matching = self._operator()
            right = self._operand()
            # `^` is right-associative.
            stronger = precedence if token.word == "^" else precedence + 1
            right = self._operators(right, least=stronger)
            left = Binary(token.word, left, right, matching, as_bool, token.position)
            types.check_operands(left)
        return left

    def _operator(self) -> tuple[bool, Matching]:
        self.operators += 1
        if self.operators > functions.MAX_OPERATORS:
            limit = functions.MAX_OPERATORS
            raise syntax_error(
                self.current.position, f"more than {limit} operators", "split the query"
            )
        operator = self._advance()
        as_bool = self.current.word == "bool" and not self._is_metric()
        if as_bool:
            if operator.word not in functions.COMPARISONS:
                raise syntax_error(
                    self.current.position,
                    f"bool can't follow {operator.text}",
                    "it makes a comparison give 0 or 1: a > bool b",
                )
            self._advance()
        return as_bool, self._matching(operator)

    def _is_metric(self) -> bool:
        """Whether a keyword is a metric's name here, since nothing of an operand follows it."""
        follows = self.next
        return (
            follows.kind == "end"
            or follows.text in (")", ",", "{", "[")
            or (follows.word in functions.OPERATORS and follows.text not in ("-", "+"))
        )

    def _matching(self, operator: Token) -> Matching:
        set_operator = operator.word in functions.SETS
        cardinality = Cardinality.MANY_TO_MANY if set_operator else Cardinality.ONE_TO_ONE
        if self.current.word in ("group_left", "group_right"):
            raise syntax_error(
                self.current.position,
                f"{self.current.word} needs on(…) or ignoring(…) before it",
                "such as a / on(host) group_left() b",
            )
        if self.current.word not in ("on", "ignoring") or self.next.text != "(":
            return Matching(cardinality)
        on = self._advance().word == "on"
        labels = self._labels()
        include: tuple[str, ...] = ()
        side = self.current
        if side.word in ("group_left", "group_right"):
            if set_operator:
                raise syntax_error(
                    side.position,
                    f"{side.word} can't be used with {operator.word}",
                    "it matches many to many in any case",
                )
            self._advance()
            left = side.word == "group_left"
            cardinality = Cardinality.MANY_TO_ONE if left else Cardinality.ONE_TO_MANY
            if self.current.text == "(":
                include = self._labels()
            if on and (both := set(include) & set(labels)):
                raise syntax_error(
                    side.position,
                    f"{min(both)} is in on(…) and in {side.word}(…)",
                    "name it in one of them",
                )
        return Matching(cardinality, on, labels, include)

    # Operands

    def _operand(self) -> Expr:
        signs: list[Token] = []
        while self.current.text in ("-", "+") and self.current.kind == "symbol":
            signs.append(self._advance())
            if len(signs) > _MAX_SIGNS:
                raise syntax_error(signs[-1].position, "too many signs", "one is enough")
        expr = self._postfix(self._primary())
        if signs:
            # `-x^2` is -(x^2), `-x*y` is (-x)*y.
            expr = self._operators(expr, least=_UNARY_PRECEDENCE + 1)
        for sign in reversed(signs):
            types.check_sign(expr, sign.position)
            if sign.text == "-":
                expr = Negate(expr, sign.position)
        return expr

    def _primary(self) -> Expr:
        token = self.current
        if self._accept("("):
            expr = self._expression()
            self._close(")", token)
            return expr
        if token.kind == "duration":
            self._advance()
            return Number(seconds(token), token.position)
        if token.kind == "number":
            self._advance()
            return Number(number(token), token.position)
        if token.kind == "text":
            self._advance()
            return Text(unquoted(token), token.position)
        if token.text == "{":
            return self._selector(None)
        if token.kind != "name":
            self._fail_operand(token)
        if token.word in NUMBER_NAMES and self.next.text not in ("(", "{"):
            self._advance()
            return Number(float(token.text), token.position)
        if token.word in functions.AGGREGATIONS and (
            self.next.text == "(" or self.next.word in _GROUPING
        ):
            return self._aggregation()
        if self.next.text == "(":
            return self._call()
        if token.word in (*functions.SETS, "atan2"):
            self._fail_operand(token)
        return self._selector(self._advance())

    def _postfix(self, expr: Expr) -> Expr:
        """What may follow an operand: a subquery, `offset` and `@`."""
        while True:
            token = self.current
            if token.text == "[" and token.kind == "symbol":
                expr = self._range(expr)
            elif token.word == "offset" and not (
                isinstance(expr, Number) and self.next.kind == "end"
            ):
                expr = self._offset(expr)
            elif token.text == "@" and token.kind == "symbol":
                expr = self._at(expr)
            else:
                return expr

    def _range(self, expr: Expr) -> Expr:
        opened = self._advance()
        window = self._duration()
        if self._accept(":"):
            step = SUBQUERY_STEP if self.current.text == "]" else self._duration()
            self._close("]", opened)
            types.check_subquery(expr, opened.position)
            return Subquery(expr, window, step, position=expr.position)
        self._close("]", opened)
        if not isinstance(expr, Select) or self.tokens[self.index - 1].text != "]":
            raise syntax_error(
                opened.position,
                "a range must follow a selector directly",
                "write a subquery, such as max_over_time(rate(x[5m])[1h:])",
            )
        if expr.window is not None or expr.offset or expr.at is not None:
            raise syntax_error(
                opened.position, "a range must follow the selector", "put it before offset and @"
            )
        return Select(expr.name, expr.matchers, window=window, position=expr.position)

    def _offset(self, expr: Expr) -> Expr:
        token = self._advance()
        sign = -1.0 if self._accept("-") else 1.0
        if sign > 0:
            self._accept("+")
        offset = sign * seconds(self._advance())
        if not isinstance(expr, Select | Subquery):
            raise syntax_error(
                token.position,
                "offset has to follow a selector directly",
                "such as rate(requests[5m] offset 1h)",
            )
        if expr.offset:
            raise syntax_error(token.position, "there is an offset already", "leave one out")
        return _replaced(expr, offset=offset)

    def _at(self, expr: Expr) -> Expr:
        token = self._advance()
        at = self._timestamp()
        if not isinstance(expr, Select | Subquery):
            raise syntax_error(
                token.position,
                "@ has to follow a selector directly",
                "such as rate(requests[5m] @ end())",
            )
        if expr.at is not None:
            raise syntax_error(token.position, "there is an @ already", "leave one out")
        return _replaced(expr, at=at)

    def _timestamp(self) -> At:
        token = self._advance()
        if token.word in (Edge.START, Edge.END) and self.current.text == "(":
            opened = self._advance()
            self._close(")", opened)
            return Edge(token.word)
        negative = token.text == "-"
        if token.text in ("-", "+"):
            token = self._advance()
        if token.kind not in ("number", "duration"):
            raise syntax_error(
                token.position, "a time is missing after @", "seconds since 1970, start() or end()"
            )
        at = number(token) if token.kind == "number" else seconds(token)
        if at > functions.MAX_DURATION:
            raise syntax_error(token.position, "the time is out of range", "use seconds since 1970")
        return -at if negative else at

    def _duration(self) -> float:
        token = self.current
        sign = self._advance().text == "-"
        found = seconds(self._advance() if sign else token)
        if sign or found <= 0:
            raise syntax_error(token.position, "the duration must be above 0", "such as 5m")
        return found

    # Calls

    def _call(self) -> Expr:
        token = self._advance()
        signature = functions.FUNCTIONS.get(token.text)
        if signature is None:
            self._fail_function(token)
        args = self._arguments()
        types.check_arguments(token, signature, args)
        call = Call(token.text, args, token.position)
        if call.function == "label_replace":
            pattern = call.args[4]
            problem = check_pattern(pattern.value) if isinstance(pattern, Text) else None
            if problem:
                raise syntax_error(token.position, problem, "such as (.*)-[0-9]+")
        return call

    def _arguments(self) -> tuple[Expr, ...]:
        opened = self.current
        if opened.text != "(":
            raise syntax_error(opened.position, "an opening ( is missing", "such as rate(x[5m])")
        return self._list("(", ")", self._expression)

    def _list(self, opening: str, closing: str, item: Callable[[], _T]) -> tuple[_T, ...]:
        opened = self._advance()
        found: list[_T] = []
        while self.current.text != closing or self.current.kind == "text":
            found.append(item())
            if not self._accept(","):
                break
        self._close(closing, opened)
        return tuple(found)

    def _aggregation(self) -> Expr:
        token = self._advance()
        grouping = self._grouping()
        args = self._arguments()
        grouping = grouping or self._grouping()
        without, labels = grouping or (False, ())
        expected = functions.AGGREGATIONS[token.word]
        types.check_aggregation(token, expected, args)
        param = args[0] if expected is not None else None
        return Aggregate(token.word, args[-1], param, without, labels, token.position)

    def _grouping(self) -> tuple[bool, tuple[str, ...]] | None:
        if self.current.word not in _GROUPING:
            return None
        return self._advance().word == "without", self._labels()

    def _labels(self) -> tuple[str, ...]:
        if self.current.text != "(":
            raise syntax_error(
                self.current.position, "a list of tag keys is missing", "such as (host, env)"
            )
        return self._list("(", ")", self._label)

    def _label(self) -> str:
        token = self.current
        if token.kind not in ("name", "text") or token.text.startswith(":"):
            raise syntax_error(token.position, "a tag key is missing", "such as (host, env)")
        self._advance()
        return unquoted(token) if token.kind == "text" else token.text

    # Selectors

    def _selector(self, named: Token | None) -> Expr:
        position = self.current.position if named is None else named.position
        matchers: tuple[Matcher, ...] = ()
        if self.current.text == "{" and self.current.kind == "symbol":
            matchers = self._list("{", "}", self._matcher)
            self._refuse_or()
        equal = [each.value for each in matchers if (each.key, each.operator) == (NAME, "=")]
        if named is not None and equal:
            raise syntax_error(
                position, "the metric has two names", f"leave out {named.text} or {equal[0]}"
            )
        name = named.text if named is not None else next(iter(equal), None)
        if name is None and not any(not each.accepts({}) for each in matchers):
            raise syntax_error(
                position,
                "the selector would match everything",
                'name a metric, such as cpu{host="a"}, or add a condition on a tag',
            )
        named_by = Matcher(NAME, "=", name or "")
        return Select(name, tuple(each for each in matchers if each != named_by), position=position)

    def _matcher(self) -> Matcher:
        token = self.current
        if token.kind not in ("name", "text"):
            raise syntax_error(token.position, "a tag key is missing", 'such as {host="web-1"}')
        self._advance()
        key = unquoted(token) if token.kind == "text" else token.text
        if token.kind == "text" and self.current.text in (",", "}"):
            return Matcher(NAME, "=", key)
        operator = self.current
        if operator.text not in _MATCHERS or operator.kind == "text":
            raise syntax_error(operator.position, "an operator is missing", "one of = != =~ !~")
        self._advance()
        value = self.current
        if value.kind != "text":
            raise syntax_error(value.position, "a quoted text is missing", 'such as "web-1"')
        self._advance()
        text = unquoted(value)
        if "~" in operator.text and (problem := check_pattern(text)):
            raise syntax_error(value.position, problem, "such as web-.*")
        self._refuse_or()
        return Matcher(key, _MATCHERS[operator.text], text)

    def _refuse_or(self) -> None:
        if self.current.word == "or" and self.tokens[self.index - 1].kind == "text":
            raise syntax_error(
                self.current.position,
                "or between matchers is not supported",
                'use a pattern: {host=~"a|b"}',
            )

    # Errors

    def _close(self, wanted: str, opened: Token) -> None:
        if self._accept(wanted):
            return
        if self.current.kind == "end":
            raise syntax_error(
                opened.position, f"this bracket has no closing {wanted}", f"add {wanted}"
            )
        self._fail_after()

    def _fail_function(self, token: Token) -> NoReturn:
        if reason := functions.REFUSED.get(token.word):
            raise syntax_error(token.position, f"{token.text} is {reason}", "leave it out")
        known = (*functions.FUNCTIONS, *functions.AGGREGATIONS)
        near = difflib.get_close_matches(token.word, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
        raise syntax_error(token.position, f"there is no function {token.text} here", hint)

    def _fail_operand(self, token: Token) -> NoReturn:
        what = "a metric, a number or a function is missing"
        hint = 'such as cpu_usage, {"system.cpu"} or rate(requests[5m])'
        raise syntax_error(token.position, what, hint)

    def _fail_after(self) -> NoReturn:
        token = self.current
        if token.kind == "end":
            raise syntax_error(token.position, "the query ends too early", "something must follow")
        hint = "put an operator between two operands, such as a + b"
        if token.text in ("=", "=~", "!~"):
            hint = 'put conditions on tags in braces: cpu{host="a"}; == compares values'
        raise syntax_error(token.position, f"{token.text} can't follow here", hint)


def _replaced(expr: Select | Subquery, *, offset: float | None = None, at: At = None) -> Expr:
    offset = expr.offset if offset is None else offset
    at = expr.at if at is None else at
    if isinstance(expr, Select):
        return Select(expr.name, expr.matchers, offset, expr.window, at, expr.position)
    return Subquery(expr.expr, expr.window, expr.step, offset, at, expr.position)
