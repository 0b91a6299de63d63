"""From the texts that a query found to the options of a variable, and what is chosen of them."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pulseboard.contracts.errors import ErrorDetail
from pulseboard.contracts.variables import ChosenValues, Variable, VariableOption, VariableSort
from pulseboard.core import patterns
from pulseboard.core.exceptions import InvalidRequest

ALL = ("$__all", "All")
_DIGITS = re.compile(r"(\d++)")
_NUMBER = re.compile(r"-?\d++(?:\.\d++)?")


def options_of(
    found: Iterable[str], variable: Variable, *, regex: str | None = None
) -> list[VariableOption]:
    """The options in the variable's order, each value once.

    `regex` is the variable's, filled in. Raises InvalidRequest when it can't be read.
    """
    convert = _converted(regex) if regex else lambda text: VariableOption(text=text, value=text)
    options: dict[str, VariableOption] = {}
    for text in found:
        option = convert(text)
        if option is not None and option.value and option.value not in options:
            options[option.value] = option
    return _sorted(list(options.values()), variable.sort)


def _converted(regex: str) -> Callable[[str], VariableOption | None]:
    """How a text becomes an option: the groups `text` and `value`, or the first, or all of it."""
    flags, pattern = "", regex
    written = re.fullmatch(r"/(.*+)", regex, re.DOTALL)
    if written and "/" in written[1]:
        pattern, _, flags = written[1].rpartition("/")
    else:
        # As in Grafana: without slashes it has to match all of the text.
        pattern = f"^(?:{regex})$"
    if "i" in flags:
        pattern = f"(?i){pattern}"
    pattern = re.sub(r"\(\?<(?=[a-zA-Z])", "(?P<", pattern)
    try:
        compiled = patterns.compiled(pattern)
    except ValueError as problem:
        raise InvalidRequest(
            f"The variable's pattern can't be read: {problem}.",
            details=[ErrorDetail(field="regex", message=str(problem), hint="such as /web-.*/")],
        ) from None
    groups = set(compiled.groupindex)

    def convert(text: str) -> VariableOption | None:
        match = compiled.search(text)
        if match is None:
            return None
        if groups & {"text", "value"}:
            value = (match["value"] if "value" in groups else None) or match["text"]
            shown = (match["text"] if "text" in groups else None) or value
            return VariableOption(text=shown or "", value=value or "")
        value = match[1] if compiled.groups else text
        return VariableOption(text=value or "", value=value or "")

    return convert


def _natural(text: str) -> list[tuple[bool, int, str]]:
    parts = _DIGITS.split(text.lower())
    return [_part(part) for part in parts if part]


def _part(part: str) -> tuple[bool, int, str]:
    # Digits are `\d`, not the likes of ²; thousands of them are more than `int` takes.
    if not part.isdecimal():
        return True, 0, part
    whole = part.lstrip("0")
    return False, len(whole), whole


def _numeric(text: str) -> tuple[bool, float]:
    found = _NUMBER.search(text)
    return (found is None, float(found[0]) if found else 0.0)


_ORDERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "number": _numeric,
    "textIgnoreCase": str.lower,
    "natural": _natural,
}


def _sorted(options: list[VariableOption], sort: VariableSort) -> list[VariableOption]:
    order = _ORDERS.get(sort.value.removesuffix("Desc"))
    if order is None:
        return options
    return sorted(
        options, key=lambda option: order(option.text), reverse=sort.value.endswith("Desc")
    )


def choose(
    variable: Variable,
    options: Sequence[VariableOption],
    wanted: ChosenValues | None,
    *,
    depends: bool,
) -> ChosenValues:
    """What is chosen: what the viewer wants, else the default, else all, else the first option.

    Defaults that don't exist are ignored, and, where the variable depends on others (`depends`),
    also what is wanted: it belonged to what was chosen before.
    """
    known = {option.value for option in options}
    asked = [] if wanted is None else [*(ALL[:1] if wanted.all else ()), *wanted.values]
    if depends and known:
        asked = [value for value in asked if value in known or value in ALL]
    if not asked:
        asked = [v for v in variable.default if not known or v in known or v in ALL]
    wants_all = ALL[0] in asked or (ALL[1] in asked and ALL[1] not in known)
    values = [v for v in asked if v != ALL[0] and not (v == ALL[1] and wants_all)]
    if variable.include_all and (wants_all or not values):
        return ChosenValues(
            name=variable.name, values=[option.value for option in options], all=True
        )
    some = values or [option.value for option in options[:1]]
    return ChosenValues(name=variable.name, values=some if variable.multi else some[:1])
