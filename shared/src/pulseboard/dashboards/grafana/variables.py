"""Grafana's template variables as ours."""

import re
from collections.abc import Callable
from typing import Any

from pulseboard.contracts.base import INTERVAL_PATTERN
from pulseboard.contracts.variables import MOST_VALUES, Variable, VariableSort, VariableType
from pulseboard.dashboards.grafana.json_access import dig, mapping, number, objects, text
from pulseboard.dashboards.grafana.report import ImportReport

MOST_VARIABLES = 100
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,49}")
_ALL = ("$__all", "All")
_SORTS = dict(enumerate(VariableSort))
_SORT_NAMES = {
    "disabled": 0, "alphabeticalAsc": 1, "alphabeticalDesc": 2, "numericalAsc": 3,
    "numericalDesc": 4, "alphabeticalCaseInsensitiveAsc": 5, "alphabeticalCaseInsensitiveDesc": 6,
    "naturalAsc": 7, "naturalDesc": 8,
}  # fmt: skip
_HIDDEN = {
    1: "label", 2: "variable", "hideLabel": "label", "hideVariable": "variable"
}  # fmt: skip
_CALLS = ("label_values(", "label_names(", "metrics(", "query_result(")
_NOT_PROMQL = re.compile(r"\s*(select|show|with|from|fetch|buckets)\b", re.IGNORECASE)

_Made = Callable[[dict[str, Any], dict[str, Any], str, ImportReport], Variable | None]


def variables(source: Any, *, report: ImportReport) -> list[Variable]:
    """The variables of `templating.list` that can be imported."""
    found: dict[str, Variable] = {}
    for entry in objects(source):
        name = text(entry.get("name"))
        location = f"variable {name or '?'}"
        if not _NAME.fullmatch(name):
            report.dropped(location, "its name is none that can be used")
            continue
        if name in found:
            report.dropped(location, "there is a variable of this name already")
            continue
        variable = _variable(entry, name, location, report)
        if variable is not None:
            found[name] = variable
    listed = list(found.values())
    if len(listed) > MOST_VARIABLES:
        report.dropped("variables", f"a dashboard has {MOST_VARIABLES} at most")
    return listed[:MOST_VARIABLES]


def _variable(
    entry: dict[str, Any], name: str, location: str, report: ImportReport
) -> Variable | None:
    kind = text(entry.get("type"))
    make = _KINDS.get(kind)
    if make is None:
        report.dropped(location, f'variables of type "{kind}" are unknown')
        return None
    hide = entry.get("hide")
    common: dict[str, Any] = {
        "name": name,
        "label": text(entry.get("label"))[:100] or None,
        "description": text(entry.get("description"))[:500] or None,
        "hide": _HIDDEN.get(hide, "none") if isinstance(hide, (int, str)) else "none",
        "multi": entry.get("multi") is True,
        "include_all": entry.get("includeAll") is True,
        "all_value": text(entry.get("allValue"))[:1000] or None,
        "default": _current(entry),
    }
    return make(entry, common, location, report)


def _by_query(
    entry: dict[str, Any], common: dict[str, Any], location: str, report: ImportReport
) -> Variable | None:
    query = text(dig(entry, "query", "query")) or text(entry.get("query"))
    query = (query or text(entry.get("definition"))).strip()
    called = query.startswith(_CALLS)
    if not query or len(query) > 5000 or (not called and _NOT_PROMQL.match(query)):
        values = common["default"]
        if not values:
            report.dropped(location, f"its values come from another data source: {query}"[:300])
            return None
        report.changed(
            location, f"its values came from another data source, the last is kept: {query}"[:300]
        )
        return Variable(type=VariableType.LIST, values=values, **common)
    sort = entry.get("sort")
    place = _SORT_NAMES.get(sort, 0) if isinstance(sort, str) else int(number(sort) or 0)
    report.imported(location, f"values of {query}"[:300])
    return Variable(
        type=VariableType.QUERY,
        query=query,
        regex=text(entry.get("regex"))[:1000] or None,
        sort=_SORTS.get(place, VariableSort.NONE),
        refresh="range" if entry.get("refresh") in (2, "onTimeRangeChanged") else "load",
        **common,
    )


def _by_list(
    entry: dict[str, Any], common: dict[str, Any], location: str, report: ImportReport
) -> Variable | None:
    pairs = [_pair(part) for part in _split(text(entry.get("query")))]
    if not pairs:
        options = objects(entry.get("options"))
        pairs = [(text(each.get("text")), text(each.get("value"))) for each in options]
    texts = {value[:1000]: shown[:1000] for shown, value in pairs if value and value not in _ALL}
    values = list(texts)[:MOST_VALUES]
    if not values:
        report.dropped(location, "it has no values")
        return None
    if len(texts) > MOST_VALUES:
        report.dropped(location, f"values beyond the first {MOST_VALUES}")
    report.imported(location, f"{len(values)} values")
    return Variable(
        type=VariableType.LIST,
        values=values,
        texts={value: texts[value] for value in values if texts[value] != value},
        **common,
    )


def _by_interval(
    entry: dict[str, Any], common: dict[str, Any], location: str, report: ImportReport
) -> Variable | None:
    values = [v for _, v in map(_pair, _split(text(entry.get("query"))))]
    values = [value for value in values if re.fullmatch(INTERVAL_PATTERN, value)][:MOST_VALUES]
    auto = entry.get("auto") is True
    if not values and not auto:
        report.dropped(location, "it has no values")
        return None
    least = text(entry.get("auto_min"))
    report.imported(location, f"{len(values)} intervals")
    default = [value for value in common["default"] if value in values]
    if auto and any(value.startswith("$__auto") for value in common["default"]):
        default = ["auto"]
    return Variable(
        type=VariableType.INTERVAL,
        values=values,
        auto=auto,
        auto_count=min(500, max(1, int(number(entry.get("auto_count")) or 30))),
        auto_min=least if re.fullmatch(INTERVAL_PATTERN, least) else "10s",
        **{**common, "default": default},
    )


def _by_text(
    entry: dict[str, Any], common: dict[str, Any], location: str, report: ImportReport
) -> Variable:
    report.imported(location, "a text")
    default = common["default"] or [text(entry.get("query"))[:1000]]
    return Variable(type=VariableType.TEXT, **{**common, "default": default})


def _by_constant(
    entry: dict[str, Any], common: dict[str, Any], location: str, report: ImportReport
) -> Variable:
    report.imported(location, "a constant")
    value = text(entry.get("query"))[:1000] or next(iter(common["default"]), "")
    return Variable(type=VariableType.CONSTANT, values=[value], **{**common, "default": []})


def _by_switch(
    entry: dict[str, Any], common: dict[str, Any], location: str, report: ImportReport
) -> Variable:
    report.imported(location, "two values")
    values = [text(entry.get("enabledValue")) or "true", text(entry.get("disabledValue"))]
    return Variable(
        type=VariableType.LIST, values=[*dict.fromkeys(v or "false" for v in values)], **common
    )


def _data_source(
    entry: dict[str, Any], common: dict[str, Any], location: str, report: ImportReport
) -> Variable:
    report.imported(location, "the data source, of which there is one")
    return Variable(type=VariableType.DATA_SOURCE, **{**common, "default": [], "multi": False})


def _filters(
    entry: dict[str, Any], common: dict[str, Any], location: str, report: ImportReport
) -> Variable:
    given = [*objects(entry.get("filters")), *objects(entry.get("baseFilters"))]
    default = [
        "|".join(
            [text(each.get("key")), text(each.get("operator")) or "=", text(each.get("value"))]
        )
        for each in given
        if text(each.get("key"))
    ]
    report.imported(location, "filters on every query")
    return Variable(type=VariableType.FILTERS, **{**common, "default": default[:MOST_VALUES]})


_KINDS: dict[str, _Made] = {
    "query": _by_query,
    "custom": _by_list,
    "interval": _by_interval,
    "textbox": _by_text,
    "constant": _by_constant,
    "switch": _by_switch,
    "datasource": _data_source,
    "adhoc": _filters,
}


def _split(written: str) -> list[str]:
    # A comma in a value is escaped.
    parts = (part.replace("\\,", ",").strip() for part in re.split(r"(?<!\\),", written))
    return [part for part in parts if part and part != "auto"]


def _pair(part: str) -> tuple[str, str]:
    """The text and the value of `text : value`."""
    shown, separator, value = part.partition(" : ")
    return (shown.strip(), value.strip()) if separator else (part, part)


def _current(entry: dict[str, Any]) -> list[str]:
    value = mapping(entry.get("current")).get("value")
    values = value if isinstance(value, list) else [value]
    chosen = [
        _ALL[0] if each in _ALL and entry.get("includeAll") is True else each[:1000]
        for each in map(text, values)
        if each and (each not in _ALL or entry.get("includeAll") is True)
    ]
    return chosen[:MOST_VALUES]
