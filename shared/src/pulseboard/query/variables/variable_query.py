"""What a variable's query lists.

    label_values(up{job="$job"}, instance)    label_values(instance)    label_names()
    metrics(node_.*)                          query_result(topk(5, up))

These are the functions that dashboards of Grafana use with Prometheus.
"""

import re
from dataclasses import dataclass

from pulseboard.catalogue.selector import Matcher
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.patterns import check_pattern
from pulseboard.promql import parse
from pulseboard.promql.ast import Select

_CALL = re.compile(r"\s*+(\w++)\s*+\(", re.DOTALL)
_LABEL = re.compile(r"""["']?([a-zA-Z_][\w.]*+)["']?""")
_FUNCTIONS = "label_values, label_names, metrics or query_result"


@dataclass(frozen=True, slots=True)
class LabelValues:
    """The values of a label, of all series or of those of a selector."""

    label: str
    name: str | None = None
    matchers: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelNames:
    """The names of all labels, or of those of a selector's series."""

    name: str | None = None
    matchers: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricNames:
    """The names of the metrics that match, anywhere in their name."""

    pattern: str


@dataclass(frozen=True, slots=True)
class QuerySeries:
    """The series of an expression's newest values, as text."""

    expression: str


VariableQuery = LabelValues | LabelNames | MetricNames | QuerySeries


def parse_query(text: str) -> VariableQuery:
    """Parse a query whose variables are filled in. Raises InvalidRequest that says what is wrong.

    A text that is no call is an expression whose series are listed, as in Grafana.
    """
    called = _CALL.match(text)
    stripped = text.rstrip()
    name = called[1] if called else ""
    inner = stripped[called.end() : -1].strip() if called and stripped.endswith(")") else None
    if inner is not None:
        if name == "label_values":
            return _label_values(inner)
        if name == "label_names":
            return LabelNames(*_selector(inner)) if inner else LabelNames()
        if name == "metrics":
            pattern = inner.strip("\"'")
            problem = check_pattern(pattern)
            if problem:
                raise _refused(f"the pattern can't be read: {problem}")
            return MetricNames(pattern)
        if name == "query_result":
            return QuerySeries(inner)
    if not text.strip():
        raise _refused("the query is empty")
    return QuerySeries(text.strip())


def _label_values(inner: str) -> LabelValues:
    before, comma, after = inner.rpartition(",")
    # A comma inside the braces of a selector separates no label.
    if comma and after.count("}") > after.count("{"):
        raise _refused("label_values needs a label: label_values(up, instance)")
    label = _LABEL.fullmatch(after.strip())
    if label is None:
        raise _refused(f"{after.strip()!r} is no label: label_values(up, instance)")
    if not comma or not before.strip():
        return LabelValues(label[1])
    return LabelValues(label[1], *_selector(before.strip()))


def _selector(text: str) -> tuple[str | None, tuple[Matcher, ...]]:
    if re.fullmatch(r"\{\s*+\}", text):
        return None, ()
    tree = parse(text)
    if not isinstance(tree, Select):
        raise _refused(f'{text[:100]!r} is no selector such as up{{job="node"}}')
    return tree.name, tree.matchers


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(
        f"This variable's query can't be used: {message}.",
        details=[ErrorDetail(field="query", message=message, hint=f"use {_FUNCTIONS}")],
    )
