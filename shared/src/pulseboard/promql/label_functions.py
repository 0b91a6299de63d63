"""Functions of the labels of series: label_replace, label_join, and the labels of absent ones."""

import math
import re
from collections.abc import Sequence
from typing import Any

from pulseboard.core.patterns import compiled
from pulseboard.promql.ast import NAME, Expr, Select
from pulseboard.promql.budget import Budget
from pulseboard.promql.series import Labels
from pulseboard.promql.vector import Vector, distinct, evaluation_error

_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)


def labels_of_absent(argument: Expr) -> Labels:
    """The labels of a series that is absent: those that exactly one matcher `=` gives."""
    labels: Labels = {}
    if not isinstance(argument, Select):
        return labels
    given: set[str] = set()
    for matcher in argument.matchers:
        if matcher.key == NAME:
            continue
        if matcher.operator == "=" and matcher.key not in given:
            given.add(matcher.key)
            labels[matcher.key] = matcher.value
        else:
            labels.pop(matcher.key, None)
    return {key: value for key, value in labels.items() if value}


def label_replace(vector: Vector, texts: Sequence[str], position: int, budget: Budget) -> Vector:
    """Set a label from another one by a pattern, of the series that match it."""
    target, replacement, source, pattern = texts
    check_label(target, position)
    replacing = compiled(pattern)
    labels = []
    for each in vector.labels:
        matched = replacing.fullmatch(each.get(source, ""))
        value = _expanded(replacement, matched, budget) if matched else None
        labels.append(each if value is None else _with(each, target, value))
    return distinct(Vector(labels, vector.values, vector.present), position)


def label_join(vector: Vector, texts: Sequence[str], position: int, budget: Budget) -> Vector:
    """Set a label to the values of others, with a separator between them."""
    target, separator, *sources = texts
    for label in (target, *sources):
        check_label(label, position)
    labels = []
    for each in vector.labels:
        parts = [each.get(source, "") for source in sources]
        budget.add_label_bytes(sum(map(len, parts)) + len(separator) * len(parts))
        labels.append(_with(each, target, separator.join(parts)))
    return distinct(Vector(labels, vector.values, vector.present), position)


def check_label(label: str, position: int) -> None:
    """Raise InvalidRequest for what can't be the key of a label."""
    try:
        valid = bool(label.encode())
    except UnicodeEncodeError:
        valid = False
    if not valid:
        raise evaluation_error(position, f"{label!r} is not a tag key", "name a tag, such as host")


def _with(labels: Labels, target: str, value: str) -> Labels:
    changed = {key: each for key, each in labels.items() if key != target}
    if value:
        changed[target] = value
    return changed


def _expanded(template: str, matched: Any, budget: Budget) -> str:
    """Replace `$1`, `${1}` and `${name}` by what the group matched; an unknown group is empty."""

    def group(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if name is None:
            return "$"
        text = referenced(name)
        # Before the parts are joined: a long template of a long label is longer than memory.
        budget.add_label_bytes(len(text))
        return text

    def referenced(name: str) -> str:
        if not name.isdigit():
            return (matched[name] or "") if name in matched.re.groupindex else ""
        # There are no groups of more digits, and `int` refuses thousands of them.
        place = int(name) if len(name) < 10 else math.inf
        return (matched[place] or "") if place <= matched.re.groups else ""

    budget.add_label_bytes(len(template))
    return _REFERENCE.sub(group, template)
