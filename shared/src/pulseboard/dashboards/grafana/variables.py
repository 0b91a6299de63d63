"""Grafana's template variables as ours."""

import re
from typing import Any

from pulseboard.contracts.base import INTERVAL_PATTERN
from pulseboard.contracts.dashboards import Variable, VariableType
from pulseboard.dashboards.grafana.json_access import dig, mapping, objects, text
from pulseboard.dashboards.grafana.report import ImportReport

MOST_VALUES = 500
_NAME = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_]{0,49}$")
_TAG = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC = re.compile(r"^[a-zA-Z_:][a-zA-Z0-9_:.]*")
_QUERY_RESULT = re.compile(r"^query_result\((?P<inner>.+)\)$", re.DOTALL)
_CAPTURED_LABEL = re.compile(r"""(?<!\w)(\w++)=\\?"\(""")
_SELECTOR = re.compile(r"(?<![\w:])([a-zA-Z_:][\w:]*+(?:\{[^{}]*+\})?+)\s*+(?=[)\[]|$)")
_NO_FILTER = ("", ".*", "(.*)", "/.*/", "/(.*)/", "/^(.*)$/")
_ALL = ("$__all", "All")


def variables(source: Any, *, report: ImportReport) -> list[Variable]:
    """The variables of `templating.list` that can be imported."""
    found = []
    for entry in objects(source):
        name = text(entry.get("name"))
        location = f"variable {name or '?'}"
        if not _NAME.match(name):
            report.dropped(location, "its name is none that can be used")
            continue
        variable = _variable(entry, name, location=location, report=report)
        if variable is not None:
            found.append(variable)
    if len(found) > 30:
        report.dropped("variables", f"{len(found) - 30} of them: a dashboard has 30 at most")
    return found[:30]


def _variable(
    entry: dict[str, Any], name: str, *, location: str, report: ImportReport
) -> Variable | None:
    common: dict[str, Any] = {
        "name": name,
        "label": text(entry.get("label"))[:100] or None,
        "multi": entry.get("multi") is True,
        "include_all": entry.get("includeAll") is True,
        "default": _current(entry),
    }
    kind = text(entry.get("type"))
    if kind == "datasource":
        report.dropped(location, "it chose a data source: there is one")
        return None
    if kind == "query":
        return _by_query(entry, common, location=location, report=report)
    if kind in ("custom", "constant", "textbox", "interval"):
        return _by_list(entry, common, kind, location=location, report=report)
    report.dropped(location, f'variables of type "{kind}" are unknown')
    return None


def _by_query(
    entry: dict[str, Any], common: dict[str, Any], *, location: str, report: ImportReport
) -> Variable | None:
    query_text = text(dig(entry, "query", "query")) or text(entry.get("query"))
    query_text = query_text or text(entry.get("definition"))
    tag, selector = _source(query_text, text(entry.get("regex")))
    metric = _METRIC.match(selector)
    if metric is None:
        values = common["default"]
        if not values:
            report.dropped(location, f"its values come from {query_text or 'nothing'}"[:300])
            return None
        report.changed(
            location, f"its values came from {query_text}: it is a list of the last one"[:300]
        )
        return Variable(type=VariableType.LIST, values=values, **common)
    if not re.fullmatch(r"\{\s*\}|", selector.removeprefix(metric[0]).strip()):
        report.changed(location, f"values of all {metric[0]}, not only of {selector}"[:300])
    if text(entry.get("regex")) not in _NO_FILTER and not _QUERY_RESULT.match(query_text):
        report.changed(location, f"its filter {text(entry['regex'])} is not imported"[:300])
    report.imported(location, f"values of {tag} in {metric[0]}")
    return Variable(type=VariableType.TAG, metric=metric[0][:200], tag=tag, **common)


def _source(query_text: str, regex: str) -> tuple[str, str]:
    """The tag, and the selector of the metric, whose values a variable lists; empty if unknown."""
    called = query_text.strip()
    if called.startswith("label_values(") and called.endswith(")"):
        metric, _, tag = called[len("label_values(") : -1].rpartition(",")
        if _TAG.fullmatch(tag.strip()):
            return tag.strip(), metric.strip()
    # The other way to write it: all series as text, of which a regex extracts one label.
    result, label = _QUERY_RESULT.match(query_text), _CAPTURED_LABEL.search(regex)
    names = _SELECTOR.findall(result["inner"]) if result else []
    return (label[1], names[-1]) if label and names else ("", "")


def _by_list(
    entry: dict[str, Any], common: dict[str, Any], kind: str, *, location: str, report: ImportReport
) -> Variable | None:
    written = text(entry.get("query"))
    parts = [written] if kind in ("constant", "textbox") else _split(written)
    values = [value for value in dict.fromkeys(parts) if value and value != "auto"]
    if kind == "interval":
        values = [value for value in values if re.fullmatch(INTERVAL_PATTERN, value)]
    values = [value[:200] for value in values[:MOST_VALUES]]
    if not values:
        report.dropped(location, "it has no values")
        return None
    if kind in ("constant", "textbox"):
        report.changed(location, f"a {kind} became a list of one")
    else:
        report.imported(location, f"{len(values)} values")
    chosen = [value for value in common["default"] if value in values]
    common = {**common, "default": chosen}
    type_ = VariableType.INTERVAL if kind == "interval" else VariableType.LIST
    return Variable(type=type_, values=values, **common)


def _split(written: str) -> list[str]:
    # `label : value` is a named value in Grafana; a comma in a value is escaped.
    parts = [part.replace("\\,", ",").strip() for part in re.split(r"(?<!\\),", written)]
    return [part.rsplit(" : ", 1)[-1].strip() for part in parts]


def _current(entry: dict[str, Any]) -> list[str]:
    value = mapping(entry.get("current")).get("value")
    values = value if isinstance(value, list) else [value]
    return [chosen[:200] for chosen in map(text, values) if chosen and chosen not in _ALL][
        :MOST_VALUES
    ]
