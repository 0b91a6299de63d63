"""Regular expressions over texts that users send take time in proportion to the text."""

import importlib
import inspect
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

import functions
import pulseboard
from pulseboard import promql
from pulseboard.catalogue.selector import parse as parse_selector
from pulseboard.contracts.vocabulary import Aggregation
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.patterns import check_pattern, matches
from pulseboard.query.plan import _parsed as parse_query

LENGTH = 3_000
"""Characters: a quadratic pattern takes some 50 ms for so many, a linear one far below 1 ms."""
SUSPICIOUS = 0.005
"""CPU seconds; what takes less is not measured again."""
STARTS = ("", "{", "a", "label_values(", "query_result(")
FRAGMENTS = (
    *(" ", "a", "1", "a=", "a ", "a,", "a{", "a:", "1m", "0x", "1.", ",", "="),
    *("{{", "{{a", "{{ ", "[[a:", "[[a", "${a", "$a", "#", "\n", "/", "(", "}"),
    *("\\", '\\"', '"', "'", "`", 'a="', "create ", "https://a", "rgba(1", "now-1"),
)
ENDS = ("", "!", "\x00!")
Match = Callable[[str], object]
Pattern = re.Pattern[str] | re.Pattern[bytes]


def _patterns() -> Iterator[tuple[str, Pattern, bool]]:
    """The patterns of all modules, and whether each is searched for, from every place of a text."""
    known: set[object] = set()
    for package in (pulseboard, functions):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if found.name.endswith(("__main__", ".handler")):
                continue
            module = importlib.import_module(found.name)
            for name, value in vars(module).items():
                if isinstance(value, re.Pattern) and value not in known:
                    known.add(value)
                    used = rf"\b{name}\.(search|sub|findall|finditer|split)\b"
                    searched = re.search(used, inspect.getsource(module)) is not None
                    yield f"{found.name}.{name}", value, searched


def _cpu_seconds(match: Match, text: str) -> float:
    began = time.process_time()
    match(text)
    return time.process_time() - began


def _grows_faster_than_its_text(match: Match) -> str | None:
    """A text whose double takes more than three times as long; None: there is none."""
    for start in STARTS:
        for fragment in FRAGMENTS:
            for end in ENDS:
                text = start + fragment * (LENGTH // len(fragment)) + end
                if _cpu_seconds(match, text) < SUSPICIOUS:
                    continue
                double = start + fragment * (2 * LENGTH // len(fragment)) + end
                once = min(_cpu_seconds(match, text) for _ in range(3))
                if min(_cpu_seconds(match, double) for _ in range(3)) > 3 * once:
                    return f"{start}{fragment}…{end}"
    return None


def _use(pattern: Any, searched: bool, text: str) -> None:
    read = text.encode() if isinstance(pattern.pattern, bytes) else text
    pattern.fullmatch(read)
    if searched:
        pattern.sub(read[:0], read)


@pytest.mark.parametrize(("name", "pattern", "searched"), list(_patterns()))
def test_our_own_patterns_are_linear(name: str, pattern: Pattern, searched: bool) -> None:
    assert _grows_faster_than_its_text(partial(_use, pattern, searched)) is None, name


def _refused_or_not(parse: Match, text: str) -> None:
    try:
        parse(text)
    except InvalidRequest:
        return


@pytest.mark.parametrize(
    "parse",
    [
        parse_selector,
        promql.parse,
        lambda text: parse_query.__wrapped__(text, (), Aggregation.AVG, None),
    ],
)
def test_what_is_no_query_is_refused_in_linear_time(parse: Match) -> None:
    assert _grows_faster_than_its_text(partial(_refused_or_not, parse)) is None


@pytest.mark.parametrize("pattern", ["(a|a)*b", "(a?){60}a{60}", ".*.*.*.*.*.*.*b", "(a*)*b"])
def test_patterns_of_users_are_linear(pattern: str) -> None:
    assert check_pattern(pattern) is None

    def match(text: str) -> bool:
        return matches.__wrapped__(pattern, text)

    assert _grows_faster_than_its_text(match) is None
