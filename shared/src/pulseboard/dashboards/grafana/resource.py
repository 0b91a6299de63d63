"""Grafana's resource format (`dashboard.grafana.app/v2…`) as the classic one.

Elements, their layout and variables are named otherwise there, what they hold is the same.
https://grafana.com/docs/grafana/latest/as-code/observability-as-code/schema-v2/
"""

from collections.abc import Iterator
from typing import Any

from pulseboard.dashboards.grafana.json_access import dig, mapping, number, objects, text

_COLUMNS = 24
_ROW_HEIGHTS = {"short": 5, "standard": 9, "tall": 14}
_VARIABLES = {
    "QueryVariable": "query",
    "CustomVariable": "custom",
    "TextVariable": "textbox",
    "ConstantVariable": "constant",
    "DatasourceVariable": "datasource",
    "IntervalVariable": "interval",
    "AdhocVariable": "adhoc",
    "SwitchVariable": "switch",
    "GroupByVariable": "groupby",
}
_DEEPEST = 8
"""Layouts within layouts; the rest of a file that nests more is not read."""


def is_resource(document: dict[str, Any]) -> bool:
    """Whether this is the newer format, as a resource or its `spec` alone."""
    spec = _spec(document)
    return isinstance(spec.get("elements"), dict) and isinstance(spec.get("layout"), dict)


def to_classic(document: dict[str, Any]) -> dict[str, Any]:
    """The classic JSON of the same dashboard. Tabs are rows with `tab`, which classic has not."""
    spec = _spec(document)
    time = mapping(spec.get("timeSettings"))
    panels, _ = _layout(mapping(spec.get("layout")), mapping(spec.get("elements")), 0, 0)
    return {
        "schemaVersion": 42,
        "title": spec.get("title"),
        "description": spec.get("description"),
        "tags": spec.get("tags"),
        "links": spec.get("links"),
        "time": {"from": time.get("from") or "now-6h", "to": time.get("to") or "now"},
        "refresh": time.get("autoRefresh"),
        "timezone": time.get("timezone"),
        "templating": {"list": [_variable(each) for each in objects(spec.get("variables"))]},
        "annotations": {
            "list": [mapping(each.get("spec")) for each in objects(spec.get("annotations"))]
        },
        "panels": panels,
    }


def _spec(document: dict[str, Any]) -> dict[str, Any]:
    inner = document.get("spec")
    return inner if isinstance(inner, dict) else document


def _variable(entry: dict[str, Any]) -> dict[str, Any]:
    kind = text(entry.get("kind"))
    spec = mapping(entry.get("spec"))
    found = {**spec, "type": _VARIABLES.get(kind, kind)}
    query = spec.get("query")
    if isinstance(query, dict):
        inner = mapping(query.get("spec"))
        found["query"] = inner.get("query") or inner.get("__legacyStringValue") or inner.get("expr")
    return found


_Panels = list[dict[str, Any]]


def _layout(
    layout: dict[str, Any], elements: dict[str, Any], top: int, depth: int
) -> tuple[_Panels, int]:
    """The panels of a layout from grid row `top` on, and the row below them."""
    if depth > _DEEPEST:
        return [], top
    kind, spec = text(layout.get("kind")), mapping(layout.get("spec"))
    if kind == "GridLayout":
        found = list(_grid(spec, elements, top))
        return found, max((_bottom(panel) for panel in found), default=top)
    if kind == "AutoGridLayout":
        return _auto_grid(spec, elements, top)
    panels: _Panels = []
    for each in [*objects(spec.get("rows")), *objects(spec.get("tabs"))]:
        section = mapping(each.get("spec"))
        inner, bottom = _layout(mapping(section.get("layout")), elements, top + 1, depth + 1)
        if section.get("hideHeader") is not True:
            panels.append(
                {
                    "type": "row",
                    "title": section.get("title"),
                    "collapsed": section.get("collapse") is True,
                    "repeat": dig(section, "repeat", "value"),
                    "tab": text(each.get("kind")) == "TabsLayoutTab",
                    "gridPos": {"x": 0, "y": top, "w": _COLUMNS, "h": 1},
                    "panels": [],
                }
            )
        panels += inner
        top = max(bottom, top + 1)
    return panels, top


def _bottom(panel: dict[str, Any]) -> int:
    grid = panel["gridPos"]
    return int(grid["y"] + grid["h"])


def _grid(spec: dict[str, Any], elements: dict[str, Any], top: int) -> Iterator[dict[str, Any]]:
    for item in objects(spec.get("items")):
        place = mapping(item.get("spec"))
        y = top + int(number(place.get("y")) or 0)
        if text(item.get("kind")) == "GridLayoutRow":
            yield {
                "type": "row",
                "title": place.get("title"),
                "collapsed": place.get("collapsed") is True,
                "repeat": dig(place, "repeat", "value"),
                "gridPos": {"x": 0, "y": y, "w": _COLUMNS, "h": 1},
                "panels": list(_grid({"items": place.get("elements")}, elements, y + 1)),
            }
            continue
        yield {
            **_element(place, elements),
            "gridPos": {
                "x": int(number(place.get("x")) or 0),
                "y": y,
                "w": int(number(place.get("width")) or 12),
                "h": int(number(place.get("height")) or 8),
            },
        }


def _auto_grid(spec: dict[str, Any], elements: dict[str, Any], top: int) -> tuple[_Panels, int]:
    columns = min(_COLUMNS, max(1, int(number(spec.get("maxColumnCount")) or 3)))
    width = _COLUMNS // columns
    height = _ROW_HEIGHTS.get(text(spec.get("rowHeightMode")), 9)
    panels = [
        {
            **_element(mapping(item.get("spec")), elements),
            "gridPos": {
                "x": index % columns * width,
                "y": top + index // columns * height,
                "w": width,
                "h": height,
            },
        }
        for index, item in enumerate(objects(spec.get("items")))
    ]
    return panels, max((_bottom(panel) for panel in panels), default=top)


def _element(place: dict[str, Any], elements: dict[str, Any]) -> dict[str, Any]:
    element = mapping(elements.get(text(dig(place, "element", "name"))))
    spec = mapping(element.get("spec"))
    repeat = mapping(place.get("repeat"))
    repeated = {
        "repeat": repeat.get("value"),
        "repeatDirection": repeat.get("direction"),
        "maxPerRow": repeat.get("maxPerRow"),
    }
    if text(element.get("kind")) == "LibraryPanel":
        return {"libraryPanel": spec, "title": spec.get("title"), **repeated}
    viz = mapping(spec.get("vizConfig"))
    group = mapping(dig(spec, "data", "spec"))
    options = mapping(group.get("queryOptions"))
    return {
        "id": spec.get("id"),
        "title": spec.get("title"),
        "description": spec.get("description"),
        "links": spec.get("links"),
        "type": viz.get("group") or viz.get("kind"),
        "fieldConfig": dig(viz, "spec", "fieldConfig"),
        "options": dig(viz, "spec", "options"),
        "targets": [_target(mapping(q.get("spec"))) for q in objects(group.get("queries"))],
        "transformations": [
            {"id": each.get("group") or each.get("kind"), **mapping(each.get("spec"))}
            for each in objects(group.get("transformations"))
        ],
        "interval": options.get("interval"),
        "timeFrom": options.get("timeFrom"),
        "timeShift": options.get("timeShift"),
        **repeated,
    }


def _target(query: dict[str, Any]) -> dict[str, Any]:
    return {
        **mapping(dig(query, "query", "spec")),
        "refId": query.get("refId"),
        "hide": query.get("hidden"),
    }
