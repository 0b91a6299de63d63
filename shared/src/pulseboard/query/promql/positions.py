"""Reads a text once to find where everything is.

`promql-parser` tells neither where an error is nor where a node came from. The outline does: it
walks the same grammar, refuses what is outside the subset at its own character, and notes the
positions of calls, operators and selectors in the order in which the parser's tree holds them. It
also writes dotted names the way the parser reads them: `system.cpu` becomes `{"system.cpu"}`.
"""

import difflib
import re
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from pulseboard.catalogue.selector import check_pattern
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.query.promql import functions

_DURATION = r"(?:\d+(?:ms|[smhdwy]))+(?![A-Za-z0-9_])"
_TOKEN = re.compile(
    rf"""(?P<space>\s+|\#[^\n]*)
    |(?P<duration>{_DURATION})
    |(?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<name>[a-zA-Z_][a-zA-Z0-9_:]*(?:\.[a-zA-Z0-9_:]+)*)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<symbol>=~|!~|==|!=|>=|<=|[-+*/%^<>=(){{}}\[\],@:])""",
    re.VERBOSE,
)
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
        """Keywords are read whatever their case."""
        return self.text.lower() if self.kind in ("name", "symbol") else ""


@dataclass(frozen=True, slots=True)
class Span:
    """A bracketed part: pieces[first:last], which began at character `position`."""

    first: int
    last: int
    position: int


@dataclass(slots=True)
class Outline:
    """Positions in reading order, and the text for the parser in pieces."""

    heads: list[int] = field(default_factory=list)
    operators: list[Token] = field(default_factory=list)
    operator_pieces: list[int] = field(default_factory=list)
    selectors: list[int] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)


def refuse(position: int, message: str, hint: str) -> InvalidRequest:
    """The error of an expression at a character, counted from 0."""
    return InvalidRequest(
        f"The query can't be read at character {position + 1}: {message}.",
        details=[ErrorDetail(field="query", message=message, hint=hint, position=position)],
    )


def outline(text: str) -> Outline:
    """Where everything is. Raises InvalidRequest at the first character that can't be read."""
    return _Outliner(text).run()


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unreadable(text, at)
        at = match.end()
        if match.lastgroup != "space":
            kind: Kind = match.lastgroup  # type: ignore[assignment]  # the groups are the kinds
            found.append(Token(kind, match[0], match.start()))
    found.append(Token("end", "", len(text)))
    return found


def _unreadable(text: str, at: int) -> InvalidRequest:
    if text[at] in "\"'`":
        return refuse(at, "the quoted text is not closed", "end it with the same quote")
    if text[at] == "$":
        return refuse(at, "a variable has no value", "choose one for it on the dashboard")
    return refuse(at, f"{text[at]!r} has no meaning here", "quote names with unusual characters")


class _Outliner:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.depth = 0
        self.found = Outline()

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    @property
    def following(self) -> Token:
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)]

    def run(self) -> Outline:
        self._expression()
        if self.now.kind != "end":
            self._fail_after()
        return self.found

    def _expression(self) -> None:
        self.depth += 1
        if self.depth > functions.MAX_DEPTH:
            raise refuse(self.now.position, "the expression is nested too deeply", "simplify it")
        self._operand()
        while self.now.word in functions.OPERATORS:
            self._operator()
            self._operand()
        self.depth -= 1

    def _operator(self) -> None:
        if len(self.found.operators) >= functions.MAX_OPERATORS:
            limit = functions.MAX_OPERATORS
            raise refuse(self.now.position, f"more than {limit} operators", "split the query")
        self.found.operators.append(self.now)
        self.found.operator_pieces.append(len(self.found.pieces))
        self._take()
        if self.now.word == "bool":
            self._take()
        if self.now.word in ("on", "ignoring"):
            self._take()
            self._labels()
            if self.now.word in ("group_left", "group_right"):
                self._take()
                if self.now.text == "(":
                    self._labels()
        elif self.now.word in ("group_left", "group_right"):
            raise refuse(
                self.now.position,
                f"{self.now.word} needs on(…) or ignoring(…) before it",
                "such as a / on(host) group_left() b",
            )

    def _operand(self) -> None:
        signs = 0
        while self.now.text in ("-", "+"):
            signs += 1
            if signs > 10:
                raise refuse(self.now.position, "too many signs", "one is enough")
            self._take()
        token = self.now
        if token.text == "(":
            first = len(self.found.pieces)
            self._take()
            self._expression()
            self._close(")", token)
            self.found.spans.append(Span(first, len(self.found.pieces), token.position))
            self._refuse_subquery()
        elif token.kind in ("number", "text") or token.word in _NUMBER_NAMES:
            self._take()
        elif token.text == "{" or (
            token.kind == "name"
            and self.following.text != "("
            and not (token.word in functions.AGGREGATIONS and self.following.word in _WORDS)
            and token.word not in (*_WORDS, *functions.SETS)
        ):
            self._selector()
        elif token.kind == "name" and token.word not in (*_WORDS, *functions.SETS):
            self._call()
        else:
            self._fail_operand(token)

    def _call(self) -> None:
        token, first = self.now, len(self.found.pieces)
        aggregation = token.word in functions.AGGREGATIONS
        if not aggregation and token.text not in functions.FUNCTIONS:
            self._fail_function(token)
        self.found.heads.append(token.position)
        self._take()
        grouped = aggregation and self._grouping()
        opened = self.now
        if opened.text != "(":
            raise refuse(opened.position, "an opening ( is missing", f"such as {token.text}(…)")
        self._take()
        while self.now.text != ")":
            self._expression()
            if self.now.text == ",":
                self._take()
            elif self.now.text != ")":
                break
        self._close(")", opened)
        if aggregation and not grouped:
            self._grouping()
        self.found.spans.append(Span(first, len(self.found.pieces), token.position))
        self._refuse_subquery()

    def _grouping(self) -> bool:
        if self.now.word not in ("by", "without"):
            return False
        self._take()
        self._labels()
        return True

    def _labels(self) -> None:
        opened = self.now
        if opened.text != "(":
            raise refuse(opened.position, "a list of tag keys is missing", "such as (host, env)")
        self._take()
        while self.now.text != ")":
            if self.now.kind not in ("name", "text"):
                raise refuse(self.now.position, "a tag key is missing", "such as (host, env)")
            self._take(_quote_dotted(self.now.text))
            if self.now.text == ",":
                self._take()
            elif self.now.text != ")":
                break
        self._close(")", opened)

    def _selector(self) -> None:
        token, braced = self.now, False
        self.found.selectors.append(token.position)
        if token.kind == "name":
            if "." not in token.text:
                self._take()
            elif self.following.text == "{":
                self.at += 1
                self._take('{"' + token.text + '",')
                braced = True
            else:
                self._take('{"' + token.text + '"}')
        if braced or self.now.text == "{":
            self._matchers(None if braced else self.now)
        if self.now.text == "[":
            self._range()
        if self.now.word == "offset":
            self._take()
            if self.now.text == "-":
                self._take()
            self._duration()
        if self.now.text == "@":
            raise refuse(self.now.position, "@ is not supported", "use offset, or another range")
        self._refuse_subquery()

    def _matchers(self, opened: Token | None) -> None:
        began = opened or self.tokens[self.at - 1]
        if opened:
            self._take()
        while self.now.text != "}":
            if self.now.kind not in ("name", "text"):
                raise refuse(self.now.position, "a tag key is missing", 'such as {host="web-1"}')
            key = self.now
            self._take(_quote_dotted(key.text))
            if key.kind == "name" or self.now.text in ("=", "!=", "=~", "!~"):
                self._condition()
            if self.now.text == ",":
                self._take()
            elif self.now.word == "or":
                raise refuse(
                    self.now.position,
                    "or between matchers is not supported",
                    'use a pattern: {host=~"a|b"}',
                )
            elif self.now.text != "}":
                break
        self._close("}", began)

    def _condition(self) -> None:
        operator = self.now
        if operator.text not in ("=", "!=", "=~", "!~"):
            raise refuse(operator.position, "an operator is missing", "one of = != =~ !~")
        self._take()
        if self.now.kind != "text":
            raise refuse(self.now.position, "a quoted text is missing", 'such as "web-1"')
        if "~" in operator.text and (problem := check_pattern(_unquoted(self.now.text))):
            raise refuse(self.now.position, problem, "such as web-.*")
        self._take()

    def _range(self) -> None:
        opened = self.now
        self._take()
        self._duration()
        if self.now.text == ":":
            self._fail_subquery(opened)
        self._close("]", opened)

    def _duration(self) -> None:
        if self.now.kind != "duration":
            raise refuse(self.now.position, "a duration is missing", "such as 30s, 5m or 1h30m")
        self._take()

    def _refuse_subquery(self) -> None:
        if self.now.text == "[":
            self._fail_subquery(self.now)
        if self.now.text == "@":
            raise refuse(self.now.position, "@ is not supported", "use offset, or another range")
        if self.now.word == "offset":
            raise refuse(
                self.now.position,
                "offset belongs directly behind a selector",
                "such as rate(requests[5m] offset 1h)",
            )

    def _close(self, wanted: str, opened: Token) -> None:
        if self.now.text == wanted:
            self._take()
            return
        if self.now.kind == "end":
            raise refuse(opened.position, f"this bracket has no closing {wanted}", f"add {wanted}")
        self._fail_after()

    def _take(self, piece: str | None = None) -> None:
        self.found.pieces.append(self.now.text if piece is None else piece)
        self.at += 1

    def _fail_subquery(self, token: Token) -> NoReturn:
        raise refuse(
            token.position,
            "subqueries are not supported",
            "a range stands directly behind a selector: max_over_time(cpu[1h])",
        )

    def _fail_function(self, token: Token) -> NoReturn:
        known = (*functions.FUNCTIONS, *functions.AGGREGATIONS)
        near = difflib.get_close_matches(token.word, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
        raise refuse(token.position, f"there is no function {token.text} here", hint)

    def _fail_operand(self, token: Token) -> NoReturn:
        what = "a metric, a number or a function is missing"
        hint = 'such as cpu_usage, {"system.cpu"} or rate(requests[5m])'
        if token.kind == "duration":
            what, hint = "a duration stands alone", "such as requests[5m] or requests offset 5m"
        raise refuse(token.position, what, hint)

    def _fail_after(self) -> NoReturn:
        token = self.now
        if token.kind == "end":
            raise refuse(token.position, "the query ends too early", "something must follow")
        hint = "put an operator between two operands, such as a + b"
        if token.text in ("=", "=~", "!~"):
            hint = 'conditions on tags stand in braces: cpu{host="a"}; == compares values'
        raise refuse(token.position, f"{token.text} can't follow here", hint)


def _quote_dotted(text: str) -> str:
    return f'"{text}"' if "." in text and text[0] not in "\"'`" else text


def _unquoted(text: str) -> str:
    return text[1:-1] if text[0] == "`" else re.sub(r"\\(.)", r"\1", text[1:-1])
