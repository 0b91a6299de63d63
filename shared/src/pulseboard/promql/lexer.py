"""Splits the text of an expression into tokens, and reads numbers, durations and quoted texts.

Names may have dots, which PromQL allows in quotes only. Keywords are told from names by their
place, so a metric may be called `offset` or `bool`.
"""

import math
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.promql import functions

_DURATION = r"(?:\d++(?:ms|[smhdwy]))++(?![A-Za-z0-9_])"
_TOKEN = re.compile(
    rf"""(?P<space>\s+|\#[^\n]*)
    |(?P<duration>{_DURATION})
    |(?P<number>0[xX][0-9a-fA-F_]++|0[bB][01_]++|0[oO][0-7_]++
        |(?:\d[\d_]*+(?:\.[\d_]*+)?|\.\d[\d_]*+)(?:[eE][+-]?\d[\d_]*+)?)
    |(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*(?:\.[a-zA-Z0-9_:]+)*)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<symbol>=~|!~|==|!=|>=|<=|[-+*/%^<>=(){{}}\[\],@:])""",
    re.VERBOSE,
)
_UNITS = {
    **{"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800},
    "y": 365 * 86_400,
}
_PART = re.compile(r"(?<!\d)(\d++)(ms|[smhdwy])")
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL
)
_ESCAPES = {
    **{"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"},
    **{"\\": "\\", "'": "'", '"': '"'},
}
NUMBER_NAMES = ("inf", "nan")
Kind = Literal["duration", "number", "name", "text", "symbol", "end"]


class Token(NamedTuple):
    """A piece of the text, at character `position` from 0.

    A text may have thousands: a dataclass would take three times as long to create.
    """

    kind: Kind
    text: str
    position: int

    @property
    def word(self) -> str:
        """The text in lower case, since keywords are case-insensitive."""
        return self.text.lower() if self.kind in ("name", "symbol") else ""


def syntax_error(position: int, message: str, hint: str) -> InvalidRequest:
    """The error for an expression at a character, counted from 0."""
    return InvalidRequest(
        f"The query can't be read at character {position + 1}: {message}.",
        details=[ErrorDetail(field="query", message=message, hint=hint, position=position)],
    )


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a text without its spaces and comments; the last one is of the kind `end`.

    Raises InvalidRequest at the first character that begins none.
    """
    index = 0
    ranged = False
    while index < len(text):
        match = _TOKEN.match(text, index)
        if match is None:
            raise _unreadable(text, index)
        index = match.end()
        if match.lastgroup == "space":
            continue
        kind: Kind = match.lastgroup  # type: ignore[assignment]  # the groups are the kinds
        token = Token(kind, match[0], match.start())
        if ranged and kind == "name" and token.text.startswith(":"):
            # In a range it separates the step: no name can begin there.
            token, index = Token("symbol", ":", match.start()), match.start() + 1
        ranged = token.text == "[" or (ranged and token.text != "]")
        yield token
    yield Token("end", "", len(text))


def _unreadable(text: str, index: int) -> InvalidRequest:
    if text[index] in "\"'`":
        return syntax_error(index, "the quoted text is not closed", "end it with the same quote")
    if text[index] == "$":
        return syntax_error(index, "a variable has no value", "choose one for it on the dashboard")
    return syntax_error(
        index, f"{text[index]!r} has no meaning here", "quote names with unusual characters"
    )


def number(token: Token) -> float:
    """The value of a number. As in Go `0x1f`, `0b11`, `0o17`, `017` and `1_000` are whole ones."""
    text = token.text.lower()
    if text.startswith("0") and (whole := _whole(text)) is not None:
        try:
            return float(whole)
        except OverflowError:
            # As a decimal number that is too large.
            return math.inf
    try:
        return float(text)
    except ValueError:
        raise syntax_error(token.position, f"{token.text} is no number", "such as 1.5") from None


def _whole(text: str) -> int | None:
    octal = text[1:2].isdigit() and text.isdigit()
    try:
        return int(text[1:], 8) if octal else int(text, 0)
    except ValueError:
        # Such as 089 or 0.5, which are decimal.
        return None


def seconds(token: Token) -> float:
    """A duration, or a number of seconds. Raises InvalidRequest for more than 100 years."""
    if token.kind == "duration":
        found = sum(float(count) * _UNITS[unit] for count, unit in _PART.findall(token.text))
    elif token.kind == "number":
        found = number(token)
    else:
        raise syntax_error(token.position, "a duration is missing", "such as 30s, 5m or 1h30m")
    if found > functions.MAX_DURATION:
        raise syntax_error(token.position, "the duration is longer than 100 years", "shorten it")
    return found


def unquoted(token: Token) -> str:
    """The text inside quotes, with the escapes of Go; in back quotes there are none.

    A NUL is refused: no label holds one, since the database can't store it.
    """
    text = _unescaped(token)
    if "\0" in text:
        raise syntax_error(
            token.position, "the text holds a NUL character", "leave it out: no label can hold it"
        )
    return text


def _unescaped(token: Token) -> str:
    inner = token.text[1:-1]
    if token.text[0] == "`" or "\\" not in inner:
        return inner

    def escape(match: re.Match[str]) -> str:
        if match[1] or match[4]:
            byte = int(match[1], 16) if match[1] else int(match[4], 8)
            if byte < 0x100:
                # The bytes of a character may be given one by one.
                return bytes([byte]).decode(errors="surrogateescape")
        elif code := match[2] or match[3]:
            point = int(code, 16)
            if point <= 0x10FFFF and not 0xD800 <= point < 0xE000:
                return chr(point)
        elif match[5] in _ESCAPES:
            return _ESCAPES[match[5]]
        raise syntax_error(
            token.position + 1 + match.start(),
            f"{match[0]} is no escape",
            r"write \\ for a backslash, or put the text in back quotes",
        )

    escaped = _ESCAPE.sub(escape, inner)
    try:
        return escaped.encode(errors="surrogateescape").decode()
    except UnicodeDecodeError:
        raise syntax_error(
            token.position, "the text is not UTF-8", "write characters as they are, or as \\u00e4"
        ) from None
