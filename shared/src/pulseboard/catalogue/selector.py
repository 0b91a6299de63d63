"""Reads a query text: a metric name, optionally with tag matchers.

    cpu_usage            system.load.1            cpu{host="a", env!="dev"}
    {"system.cpu", host=~"web-.*"}     {"mem%", "k8s-app"="x"}

Names and keys with other characters are quoted, as in Prometheus 3.
Operators and their meaning are those of Prometheus selectors
(https://prometheus.io/docs/prometheus/latest/querying/basics/): a missing tag equals the empty
text, and regular expressions (RE2's) match the whole value.
"""

import re
import sys
from dataclasses import dataclass
from typing import cast

from pulseboard.catalogue.series_key import NAME
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.matchers import Matcher as Matcher  # for those who look series up
from pulseboard.core.matchers import Operator as Operator
from pulseboard.core.patterns import check_pattern

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:.]*")
_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")
_OPERATOR = re.compile(r"=~|!~|!=|=")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'|`([^`]*)`')
_QUOTES = ('"', "'", "`")
_SPACE = re.compile(r"\s*")
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U(0[0-9a-fA-F]{7})|([0-7]{3})|(.))", re.DOTALL
)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric, and conditions on its series' tags."""

    name: str
    matchers: tuple[Matcher, ...] = ()

    def normalised(self) -> str:
        """The same text for the same meaning, whatever its spaces and order."""
        inside = ",".join(sorted(f"{m.key}{m.operator}{_quote(m.value)}" for m in self.matchers))
        return f"{self.name}{{{inside}}}"


def _unescaped(escape: re.Match[str]) -> str:
    """The character that an escape of PromQL stands for."""
    hexadecimal = escape[1] or escape[2] or escape[3]
    if hexadecimal or escape[4]:
        code = int(hexadecimal, 16) if hexadecimal else int(escape[4], 8)
        return chr(code) if code <= sys.maxunicode else "\ufffd"
    return _ESCAPES.get(escape[5], escape[5])


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def parse(text: str) -> Selector:
    """Read a query text. Raises InvalidRequest with the position of what is wrong."""
    return _Reader(text).selector()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def selector(self) -> Selector:
        self._take(_SPACE)
        name = self._take(_NAME)
        matchers: list[Matcher] = []
        self._take(_SPACE)
        if self.text.startswith("{", self.at):
            self.at += 1
            name, matchers = self._inside(name)
        self._take(_SPACE)
        if self.at < len(self.text):
            raise self._refuse(
                "nothing can follow here",
                'a query is a metric name, optionally with tags: cpu_usage{host="web-1"}',
            )
        if not name:
            raise self._refuse("a metric name is missing", 'such as cpu_usage or {"system.cpu"}')
        return Selector(name=name, matchers=tuple(matchers))

    def _inside(self, name: str | None) -> tuple[str | None, list[Matcher]]:
        matchers: list[Matcher] = []
        while True:
            self._take(_SPACE)
            if self.text.startswith("}", self.at):
                self.at += 1
                return name, matchers
            began = self.at
            quoted = self._quoted() if self.text[self.at : self.at + 1] in _QUOTES else None
            self._take(_SPACE)
            if quoted is None or self.text.startswith(("=", "!"), self.at):
                matcher = self._matcher(quoted)
                if (matcher.key, matcher.operator) != (NAME, "="):
                    matchers.append(matcher)
                    quoted = None
                else:
                    quoted = matcher.value
            if quoted is not None:
                if name:
                    self.at = began
                    raise self._refuse("the metric has a name already", "leave out the second")
                name = quoted
            self._take(_SPACE)
            if self.text.startswith(",", self.at):
                self.at += 1
            elif not self.text.startswith("}", self.at):
                raise self._refuse("a comma or } is missing", 'such as {host="a", env="b"}')

    def _matcher(self, quoted: str | None) -> Matcher:
        key = self._take(_KEY) if quoted is None else quoted
        if not key:
            raise self._refuse("a tag key is missing", 'such as {host="web-1"}')
        self._take(_SPACE)
        operator = self._take(_OPERATOR)
        if not operator:
            raise self._refuse("an operator is missing", "one of = != =~ !~")
        self._take(_SPACE)
        began = self.at
        value = self._quoted()
        if operator in ("=~", "!~"):
            self._check_pattern(value, began)
        return Matcher(key=key, operator=cast("Operator", operator), value=value)

    def _check_pattern(self, pattern: str, began: int) -> None:
        problem = check_pattern(pattern)
        if problem:
            self.at = began
            raise self._refuse(problem, "such as web-.*")

    def _quoted(self) -> str:
        match = _QUOTED.match(self.text, self.at)
        if not match:
            raise self._refuse("a quoted text is missing", 'such as "web-1"')
        text = match[3]
        if text is None:
            text = _ESCAPE.sub(_unescaped, match[1] if match[1] is not None else match[2])
        if _UNSTORABLE.search(text):
            raise self._refuse("NUL and what is no UTF-8 are in no label", "leave it out")
        self.at = match.end()
        return text

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self.text, self.at)
        if not match:
            return None
        self.at = match.end()
        return match[0]

    def _refuse(self, message: str, hint: str) -> InvalidRequest:
        return InvalidRequest(
            f"The query can't be read at character {self.at + 1}: {message}.",
            details=[ErrorDetail(field="query", message=message, hint=hint, position=self.at)],
        )
