"""Finds the positions of errors, calls, operators and selectors in the text of an expression.

`promql-parser` gives no positions, neither of errors nor of nodes. The outline does: it follows
the same grammar, refuses what is outside the subset at its character, and records the positions
of calls, operators and selectors in the order of the parser's tree. It also rewrites dotted names
for the parser: `system.cpu` becomes `{"system.cpu"}`.
"""

import difflib
import re
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.patterns import check_pattern
from pulseboard.query.promql import functions

_DURATION = r"(?:\d++(?:ms|[smhdwy]))++(?![A-Za-z0-9_])"
_TOKEN = re.compile(
    rf"""(?P<space>\s+|\#[^\n]*)
    |(?P<duration>{_DURATION})
    |(?P<number>0[xX][0-9a-fA-F]+|(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?)
    |(?P<name>[a-zA-Z_][a-zA-Z0-9_:]*(?:\.[a-zA-Z0-9_:]+)*)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<symbol>=~|!~|==|!=|>=|<=|[-+*/%^<>=(){{}}\[\],@:])""",
    re.VERBOSE,
)
_UNITS = {
    **{"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800},
    "y": 365 * 86_400,
}
_NUMBER_NAMES = ("inf", "nan")
_WORDS = ("by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset")
Kind = Literal["duration", "number", "name", "text", "symbol", "end"]


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text, at character `position` from 0."""

    kind: Kind
    text: str
    position: int

    @property
    def word(self) -> str:
        """The text in lower case, since keywords are case-insensitive."""
        return self.text.lower() if self.kind in ("name", "symbol") else ""


@dataclass(frozen=True, slots=True)
class Bracket:
    """A bracketed part: pieces[first:last], which begins at character `position`."""

    first: int
    last: int
    position: int


@dataclass(slots=True)
class Outline:
    """Positions in the order of the text, and the text for the parser in pieces."""

    calls: list[int] = field(default_factory=list)
    operators: list[Token] = field(default_factory=list)
    operator_pieces: list[int] = field(default_factory=list)
    selectors: list[int] = field(default_factory=list)
    brackets: list[Bracket] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)


def syntax_error(position: int, message: str, hint: str) -> InvalidRequest:
    """The error for an expression at a character, counted from 0."""
    return InvalidRequest(
        f"The query can't be read at character {position + 1}: {message}.",
        details=[ErrorDetail(field="query", message=message, hint=hint, position=position)],
    )


def outline(text: str) -> Outline:
    """The outline of a text. Raises InvalidRequest at the first character that is wrong."""
    return _Outliner(text).run()


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    index = 0
    while index < len(text):
        match = _TOKEN.match(text, index)
        if match is None:
            raise _unreadable(text, index)
        index = match.end()
        if match.lastgroup != "space":
            kind: Kind = match.lastgroup  # type: ignore[assignment]  # the groups are the kinds
            tokens.append(Token(kind, match[0], match.start()))
    tokens.append(Token("end", "", len(text)))
    return tokens


def _unreadable(text: str, index: int) -> InvalidRequest:
    if text[index] in "\"'`":
        return syntax_error(index, "the quoted text is not closed", "end it with the same quote")
    if text[index] == "$":
        return syntax_error(index, "a variable has no value", "choose one for it on the dashboard")
    return syntax_error(
        index, f"{text[index]!r} has no meaning here", "quote names with unusual characters"
    )


class _Outliner:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.index = 0
        self.depth = 0
        self.outline = Outline()

    @property
    def current(self) -> Token:
        return self.tokens[self.index]

    @property
    def next(self) -> Token:
        return self.tokens[min(self.index + 1, len(self.tokens) - 1)]

    def run(self) -> Outline:
        self._expression()
        if self.current.kind != "end":
            self._fail_after()
        return self.outline

    def _expression(self) -> None:
        self.depth += 1
        if self.depth > functions.MAX_DEPTH:
            raise syntax_error(
                self.current.position, "the expression is nested too deeply", "simplify it"
            )
        self._operand()
        while self.current.word in functions.OPERATORS:
            self._operator()
            self._operand()
        self.depth -= 1

    def _operator(self) -> None:
        if len(self.outline.operators) >= functions.MAX_OPERATORS:
            limit = functions.MAX_OPERATORS
            raise syntax_error(
                self.current.position, f"more than {limit} operators", "split the query"
            )
        self.outline.operators.append(self.current)
        self.outline.operator_pieces.append(len(self.outline.pieces))
        self._advance()
        if self.current.word == "bool":
            self._advance()
        if self.current.word in ("on", "ignoring"):
            self._advance()
            self._labels()
            if self.current.word in ("group_left", "group_right"):
                self._advance()
                if self.current.text == "(":
                    self._labels()
        elif self.current.word in ("group_left", "group_right"):
            raise syntax_error(
                self.current.position,
                f"{self.current.word} needs on(…) or ignoring(…) before it",
                "such as a / on(host) group_left() b",
            )

    def _operand(self) -> None:
        signs = 0
        while self.current.text in ("-", "+"):
            signs += 1
            if signs > 10:
                raise syntax_error(self.current.position, "too many signs", "one is enough")
            self._advance()
        token = self.current
        if token.text == "(":
            first = len(self.outline.pieces)
            self._advance()
            self._expression()
            self._close(")", token)
            self.outline.brackets.append(Bracket(first, len(self.outline.pieces), token.position))
            self._refuse_subquery()
        elif token.kind in ("number", "text") or token.word in _NUMBER_NAMES:
            self._advance()
        elif token.text == "{" or (
            token.kind == "name"
            and self.next.text != "("
            and not (token.word in functions.AGGREGATIONS and self.next.word in _WORDS)
            and token.word not in (*_WORDS, *functions.SETS)
        ):
            self._selector()
        elif token.kind == "name" and token.word not in (*_WORDS, *functions.SETS):
            self._call()
        else:
            self._fail_operand(token)

    def _call(self) -> None:
        token, first = self.current, len(self.outline.pieces)
        aggregation = token.word in functions.AGGREGATIONS
        if not aggregation and token.text not in functions.FUNCTIONS:
            self._fail_function(token)
        self.outline.calls.append(token.position)
        self._advance()
        grouped = aggregation and self._grouping()
        opened = self.current
        if opened.text != "(":
            raise syntax_error(
                opened.position, "an opening ( is missing", f"such as {token.text}(…)"
            )
        self._advance()
        while self.current.text != ")":
            self._expression()
            if self.current.text == ",":
                self._advance()
            elif self.current.text != ")":
                break
        self._close(")", opened)
        if aggregation and not grouped:
            self._grouping()
        self.outline.brackets.append(Bracket(first, len(self.outline.pieces), token.position))
        self._refuse_subquery()

    def _grouping(self) -> bool:
        if self.current.word not in ("by", "without"):
            return False
        self._advance()
        self._labels()
        return True

    def _labels(self) -> None:
        opened = self.current
        if opened.text != "(":
            raise syntax_error(
                opened.position, "a list of tag keys is missing", "such as (host, env)"
            )
        self._advance()
        while self.current.text != ")":
            if self.current.kind not in ("name", "text"):
                raise syntax_error(
                    self.current.position, "a tag key is missing", "such as (host, env)"
                )
            self._advance(_quote_dotted(self.current.text))
            if self.current.text == ",":
                self._advance()
            elif self.current.text != ")":
                break
        self._close(")", opened)

    def _selector(self) -> None:
        token, braced = self.current, False
        self.outline.selectors.append(token.position)
        if token.kind == "name":
            if "." not in token.text:
                self._advance()
            elif self.next.text == "{":
                self.index += 1
                self._advance('{"' + token.text + '",')
                braced = True
            else:
                self._advance('{"' + token.text + '"}')
        if braced or self.current.text == "{":
            self._matchers(None if braced else self.current)
        if self.current.text == "[":
            self._range()
        if self.current.word == "offset":
            self._advance()
            if self.current.text == "-":
                self._advance()
            self._duration()
        if self.current.text == "@":
            raise syntax_error(
                self.current.position, "@ is not supported", "use offset, or another range"
            )
        self._refuse_subquery()

    def _matchers(self, opened: Token | None) -> None:
        began = opened or self.tokens[self.index - 1]
        if opened:
            self._advance()
        while self.current.text != "}":
            if self.current.kind not in ("name", "text"):
                raise syntax_error(
                    self.current.position, "a tag key is missing", 'such as {host="web-1"}'
                )
            key = self.current
            self._advance(_quote_dotted(key.text))
            if key.kind == "name" or self.current.text in ("=", "!=", "=~", "!~"):
                self._condition()
            if self.current.text == ",":
                self._advance()
            elif self.current.word == "or":
                raise syntax_error(
                    self.current.position,
                    "or between matchers is not supported",
                    'use a pattern: {host=~"a|b"}',
                )
            elif self.current.text != "}":
                break
        self._close("}", began)

    def _condition(self) -> None:
        operator = self.current
        if operator.text not in ("=", "!=", "=~", "!~"):
            raise syntax_error(operator.position, "an operator is missing", "one of = != =~ !~")
        self._advance()
        if self.current.kind != "text":
            raise syntax_error(self.current.position, "a quoted text is missing", 'such as "web-1"')
        if "~" in operator.text and (problem := check_pattern(_unquoted(self.current.text))):
            raise syntax_error(self.current.position, problem, "such as web-.*")
        self._advance()

    def _range(self) -> None:
        opened = self.current
        self._advance()
        self._duration()
        if self.current.text == ":":
            self._fail_subquery(opened)
        self._close("]", opened)

    def _duration(self) -> None:
        if self.current.kind != "duration":
            raise syntax_error(
                self.current.position, "a duration is missing", "such as 30s, 5m or 1h30m"
            )
        if _seconds(self.current.text) > functions.MAX_DURATION:
            raise syntax_error(
                self.current.position, "the duration is longer than 100 years", "shorten it"
            )
        self._advance()

    def _refuse_subquery(self) -> None:
        if self.current.text == "[":
            self._fail_subquery(self.current)
        if self.current.text == "@":
            raise syntax_error(
                self.current.position, "@ is not supported", "use offset, or another range"
            )
        if self.current.word == "offset":
            raise syntax_error(
                self.current.position,
                "offset has to follow a selector directly",
                "such as rate(requests[5m] offset 1h)",
            )

    def _close(self, wanted: str, opened: Token) -> None:
        if self.current.text == wanted:
            self._advance()
            return
        if self.current.kind == "end":
            raise syntax_error(
                opened.position, f"this bracket has no closing {wanted}", f"add {wanted}"
            )
        self._fail_after()

    def _advance(self, piece: str | None = None) -> None:
        self.outline.pieces.append(self.current.text if piece is None else piece)
        self.index += 1

    def _fail_subquery(self, token: Token) -> NoReturn:
        raise syntax_error(
            token.position,
            "subqueries are not supported",
            "a range follows a selector directly: max_over_time(cpu[1h])",
        )

    def _fail_function(self, token: Token) -> NoReturn:
        known = (*functions.FUNCTIONS, *functions.AGGREGATIONS)
        near = difflib.get_close_matches(token.word, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
        raise syntax_error(token.position, f"there is no function {token.text} here", hint)

    def _fail_operand(self, token: Token) -> NoReturn:
        what = "a metric, a number or a function is missing"
        hint = 'such as cpu_usage, {"system.cpu"} or rate(requests[5m])'
        if token.kind == "duration":
            what, hint = "a duration stands alone", "such as requests[5m] or requests offset 5m"
        raise syntax_error(token.position, what, hint)

    def _fail_after(self) -> NoReturn:
        token = self.current
        if token.kind == "end":
            raise syntax_error(token.position, "the query ends too early", "something must follow")
        hint = "put an operator between two operands, such as a + b"
        if token.text in ("=", "=~", "!~"):
            hint = 'put conditions on tags in braces: cpu{host="a"}; == compares values'
        raise syntax_error(token.position, f"{token.text} can't follow here", hint)


def _quote_dotted(text: str) -> str:
    return f'"{text}"' if "." in text and text[0] not in "\"'`" else text


def _seconds(duration: str) -> float:
    parts = re.findall(r"(\d++)(ms|[smhdwy])", duration)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _unquoted(text: str) -> str:
    return text[1:-1] if text[0] == "`" else re.sub(r"\\(.)", r"\1", text[1:-1])
