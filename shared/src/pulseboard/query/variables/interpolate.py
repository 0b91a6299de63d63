"""Fills variables into the queries of other variables, as the app does in panels.

`$name`, `${name}`, `${name:format}` and `[[name]]` are known. Without a format, several values are
alternatives of a regular expression, one value is itself.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

REFERENCE = re.compile(
    r"\$\{([a-zA-Z_]\w*+)(?::([\w:]++))?\}|\$([a-zA-Z_]\w*+)|\[\[([a-zA-Z_]\w*+)(?::(\w++))?\]\]"
)
_SPECIAL = re.compile(r"[\\^$.*+?()\[\]{}|]")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The chosen values of a variable; all known ones when `all` is set."""

    values: tuple[str, ...]
    all: bool = False
    all_value: str | None = None


def references(text: str) -> set[str]:
    """The names of the variables that a text refers to."""
    return {found[1] or found[3] or found[4] for found in REFERENCE.finditer(text)}


def fill(text: str, scope: Mapping[str, Chosen]) -> str:
    """The text with all known variables replaced; unknown ones stay."""

    def value(found: re.Match[str]) -> str:
        chosen = scope.get(found[1] or found[3] or found[4])
        if chosen is None:
            return found[0]
        form = (found[2] or found[5] or "").split(":")[0]
        return _FORMATS.get(form, _pattern)(chosen)

    return REFERENCE.sub(value, text)


def _escaped(value: str) -> str:
    # Once for the pattern, once for the quotes that it stands in.
    return _SPECIAL.sub(lambda found: "\\\\" + found[0], value)


def _pattern(chosen: Chosen) -> str:
    if chosen.all and chosen.all_value is not None:
        return chosen.all_value
    if chosen.all and not chosen.values:
        return ".*"
    if len(chosen.values) > 1 or chosen.all:
        return "(" + "|".join(_escaped(value) for value in chosen.values) + ")"
    value = chosen.values[0] if chosen.values else ""
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _listed(join: str, write: Callable[[str], str] = str) -> Callable[[Chosen], str]:
    def written(chosen: Chosen) -> str:
        if chosen.all and chosen.all_value is not None:
            return chosen.all_value
        return join.join(write(value) for value in chosen.values)

    return written


def _quoted(quotes: str) -> Callable[[str], str]:
    return lambda value: quotes + value.replace(quotes, "\\" + quotes) + quotes


_FORMATS: Mapping[str, Callable[[Chosen], str]] = {
    "csv": _listed(","),
    "raw": _listed(","),
    "text": _listed(" + "),
    "pipe": _listed("|"),
    "regex": _pattern,
    "json": lambda chosen: json.dumps(list(chosen.values)),
    "glob": lambda chosen: (
        _listed(",")(chosen) if len(chosen.values) < 2 else "{" + _listed(",")(chosen) + "}"
    ),
    "singlequote": _listed(",", _quoted("'")),
    "doublequote": _listed(",", _quoted('"')),
    "percentencode": _listed(",", lambda value: quote(value, safe="")),
}
