"""Regular expressions that users write: RE2's syntax, and its linear time whatever the pattern.

As in Prometheus a pattern has to match the whole text, and `.` matches line breaks too
(https://prometheus.io/docs/prometheus/latest/querying/basics/).
"""

from functools import lru_cache
from typing import Any

import re2

_COMPILED = 256
"""Patterns that are kept compiled. Each takes some kilobytes, and a hostile one `_MOST_BYTES`."""
_MOST_BYTES = 4 * 1024 * 1024
"""Memory of one pattern: more than the longest alternation that fits in a query."""
_RESULTS = 50_000
"""Results that are cached: a tag has few values compared with the series that have it."""


def _options() -> Any:
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    options.max_mem = _MOST_BYTES
    return options


@lru_cache(maxsize=_COMPILED)
def compiled(pattern: str) -> Any:
    """The pattern, compiled. Raises ValueError, with what is wrong, where it is none."""
    try:
        return re2.compile(pattern, _options())
    except UnicodeEncodeError as error:
        raise ValueError("it holds half of a surrogate pair") from error
    except re2.error as error:
        reason = error.args[0]
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from error


@lru_cache(maxsize=_RESULTS)
def matches(pattern: str, text: str) -> bool:
    """Whether the pattern matches the whole text. Raises ValueError where it is none."""
    # Of bytes the binding counts no characters: twice as fast.
    return compiled(pattern).fullmatch(text.encode()) is not None


def check_pattern(pattern: str) -> str | None:
    """What is wrong with a pattern, or None."""
    try:
        compiled(pattern)
    except ValueError as error:
        return f"the pattern is not valid in RE2, as in Prometheus: {error}"
    return None
