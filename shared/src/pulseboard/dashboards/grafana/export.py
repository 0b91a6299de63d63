"""A dashboard of ours as Grafana's classic JSON.

What was imported and not changed since comes back as it was in the file: a panel, a variable or
the whole board is compared with what its file gives when it is read again. The rest is written
anew.
"""

from copy import deepcopy
from typing import Any

from pulseboard.contracts.dashboards import (
    CreatePanel,
    DashboardDocument,
    PanelOptions,
    PanelType,
    Position,
    SeriesOverride,
    ValueMapping,
)
from pulseboard.contracts.variables import Variable, VariableSort, VariableType
from pulseboard.dashboards.grafana import board, field_config
from pulseboard.dashboards.grafana.json_access import mapping, objects, text

_Json = dict[str, Any]

_TYPES = {
    PanelType.LINE: "timeseries", PanelType.AREA: "timeseries", PanelType.BAR: "timeseries",
    PanelType.STAT: "stat", PanelType.GAUGE: "gauge", PanelType.TABLE: "table",
    PanelType.BAR_GAUGE: "bargauge", PanelType.PIE: "piechart", PanelType.HEATMAP: "heatmap",
    PanelType.HISTOGRAM: "histogram", PanelType.STATE_TIMELINE: "state-timeline",
    PanelType.STATUS_HISTORY: "status-history", PanelType.BAR_CHART: "barchart",
    PanelType.XY: "xychart", PanelType.TEXT: "text", PanelType.ALERT_LIST: "alertlist",
    PanelType.DASHBOARD_LIST: "dashlist", PanelType.ROW: "row", PanelType.UNKNOWN: "text",
}  # fmt: skip
_UNITS = {ours: theirs for theirs, ours in reversed(field_config.UNITS.items())}
_CALCULATIONS = {
    "last": "lastNotNull", "avg": "mean", "min": "min", "max": "max", "sum": "sum",
    "first": "firstNotNull", "count": "count", "range": "range", "difference": "diff",
}  # fmt: skip
_DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def export(document: DashboardDocument, *, source: _Json | None) -> _Json:
    """The classic JSON. `source` is the classic board that it was imported from, if it was."""
    if source is None:
        return _written(document, {}, DashboardDocument(name=document.name))
    former, _ = board.parse(source)
    former = former.model_copy(update={"panels": sorted(former.panels, key=_place)})
    if document == former.model_copy(update={"name": document.name}):
        return {**deepcopy(source), "title": document.name}
    return _written(document, source, former)


def _place(panel: CreatePanel) -> tuple[int, int, str]:
    return panel.position.y, panel.position.x, panel.title


def _written(document: DashboardDocument, source: _Json, former: DashboardDocument) -> _Json:
    kept = {key: value for key, value in deepcopy(source).items() if key not in ("rows", "panels")}
    settings, before = document.settings, former.settings
    variables = {entry.name: entry for entry in before.variables}
    files = {
        text(entry.get("name")): entry
        for entry in objects(mapping(kept.get("templating")).get("list"))
    }
    found: _Json = {
        "schemaVersion": 39,
        **kept,
        "title": document.name,
        "templating": {
            "list": [
                files[each.name]
                if each.name in files and variables.get(each.name) == each
                else _variable(each)
                for each in settings.variables
            ]
        },
        "panels": _panels(document, source, former),
    }
    if document.description or "description" in kept:
        found["description"] = document.description
    if settings.time_range != before.time_range or "time" not in kept:
        found["time"] = {"from": f"now-{settings.time_range}", "to": "now"}
    if settings.refresh != before.refresh or "refresh" not in kept:
        found["refresh"] = settings.refresh or ""
    if settings.timezone != before.timezone or "timezone" not in kept:
        found["timezone"] = settings.timezone
    return found


def _panels(document: DashboardDocument, source: _Json, former: DashboardDocument) -> list[_Json]:
    """Panels and rows from top to bottom; what is below a folded row is in it."""
    files = {each["id"]: each for each in _all_panels(source) if "id" in each}
    before = {each.options.source_id: each for each in former.panels}
    used = {each.options.source_id for each in document.panels} | {None}
    fresh = iter(number for number in range(1, 100_000) if number not in used)
    top: list[_Json] = []
    into = top
    for panel in document.panels:
        number = panel.options.source_id
        old = before.get(number) if number is not None else None
        if old is not None and old.model_copy(update={"position": panel.position}) == panel:
            written = deepcopy(files.get(number, {}))
        else:
            written = _panel(panel)
            written["id"] = number if number is not None else next(fresh)
        if old is None or old.position != panel.position or "gridPos" not in written:
            written["gridPos"] = _grid(panel.position)
        if panel.type is PanelType.ROW and not panel.title and number is None:
            into = top
            continue
        if panel.type is PanelType.ROW:
            written["panels"] = []
            top.append(written)
            into = written["panels"] if panel.options.collapsed else top
        else:
            into.append(written)
    return top


def _all_panels(source: _Json) -> list[_Json]:
    panels = objects(source.get("panels"))
    rows = [*panels, *objects(source.get("rows"))]
    return [*panels, *(inner for row in rows for inner in objects(row.get("panels")))]


def _grid(position: Position) -> _Json:
    return {
        "x": position.x * 2,
        "y": round(position.y * board.ROWS_OF_OURS),
        "w": position.w * 2,
        "h": max(1, round(position.h * board.ROWS_OF_OURS)),
    }


def _without_none(found: _Json) -> _Json:
    return {key: value for key, value in found.items() if value is not None}


def _variable(variable: Variable) -> _Json:
    kinds = {
        VariableType.LIST: "custom", VariableType.INTERVAL: "interval",
        VariableType.TEXT: "textbox", VariableType.CONSTANT: "constant",
        VariableType.DATA_SOURCE: "datasource", VariableType.FILTERS: "adhoc",
    }  # fmt: skip
    query = ",".join(
        f"{variable.texts[v]} : {v}" if v in variable.texts else v.replace(",", "\\,")
        for v in variable.values
    )
    if variable.type is VariableType.TAG:
        query = f"label_values({variable.metric}, {variable.tag})"
    elif variable.type is VariableType.QUERY:
        query = variable.query or ""
    elif variable.type is VariableType.DATA_SOURCE:
        query = "prometheus"
    elif variable.type is VariableType.TEXT:
        query = next(iter(variable.default), "")
    chosen: Any = variable.default if variable.multi else next(iter(variable.default), None)
    return _without_none(
        {
            "name": variable.name,
            "label": variable.label,
            "description": variable.description,
            "type": kinds.get(variable.type, "query"),
            "query": query,
            "regex": variable.regex or "",
            "sort": list(VariableSort).index(variable.sort),
            "refresh": 2 if variable.refresh == "range" else 1,
            "hide": {"none": 0, "label": 1, "variable": 2}[variable.hide],
            "multi": variable.multi,
            "includeAll": variable.include_all,
            "allValue": variable.all_value,
            "auto": variable.auto or None,
            "auto_count": variable.auto_count if variable.auto else None,
            "auto_min": variable.auto_min if variable.auto else None,
            "current": {"text": chosen, "value": chosen} if chosen else {},
        }
    )


def _panel(panel: CreatePanel) -> _Json:
    options = panel.options
    if panel.type is PanelType.UNKNOWN and options.source is not None:
        return {**deepcopy(options.source), "title": panel.title}
    if panel.type is PanelType.ROW:
        return _without_none(
            {
                "type": "row",
                "title": panel.title,
                "collapsed": options.collapsed,
                "repeat": options.repeat,
            }
        )
    return _without_none(
        {
            "type": _TYPES[panel.type],
            "title": panel.title,
            "description": options.description,
            "datasource": _DATA_SOURCE,
            "targets": _targets(panel),
            "fieldConfig": {
                "defaults": _defaults(panel),
                "overrides": [_override(each) for each in options.overrides],
            },
            "options": _display(panel),
            "links": [{"title": link.title, "url": link.url} for link in options.links],
            "transformations": [
                {"id": each.id, "options": each.options} for each in options.transformations
            ],
            "interval": options.min_step,
            "timeFrom": options.time_from,
            "timeShift": options.time_shift,
            "repeat": options.repeat,
            "repeatDirection": "v" if options.repeat_direction == "down" else None,
            "maxPerRow": options.repeat_max,
        }
    )


def _targets(panel: CreatePanel) -> list[_Json]:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [
        _without_none(
            {
                "refId": query.ref or letters[index % 26] * (index // 26 + 1),
                "expr": query.query,
                "legendFormat": query.alias or "__auto",
                "hide": query.hidden or None,
                "instant": query.instant or None,
                "range": not query.instant,
                "format": {"table": "table", "heatmap": "heatmap"}.get(query.format, "time_series"),
                "interval": query.step,
            }
        )
        for index, query in enumerate(panel.all_queries())
    ]


def _defaults(panel: CreatePanel) -> _Json:
    options = panel.options
    steps: list[_Json] = [{"color": options.base_color or "green", "value": None}]
    steps += [{"color": step.color, "value": step.value} for step in options.thresholds]
    color: _Json = {"mode": "palette-classic"}
    if options.color:
        color = {"mode": "fixed", "fixedColor": options.color}
    elif options.color_by == "value" or panel.type in (PanelType.STAT, PanelType.GAUGE):
        color = {"mode": "thresholds"}
    custom: _Json = {}
    if panel.type in (PanelType.LINE, PanelType.AREA, PanelType.BAR):
        custom = _lines(panel)
    elif panel.type is PanelType.TABLE and options.cell:
        custom = {"cellOptions": {"type": _CELLS[options.cell]}}
    return _without_none(
        {
            "unit": _UNITS.get(options.unit or "", options.unit),
            "decimals": options.decimals,
            "min": options.min,
            "max": options.max,
            "noValue": options.no_value,
            "color": color,
            "mappings": [_mapping(each) for each in options.mappings],
            "thresholds": {
                "mode": "percentage" if options.threshold_mode == "percent" else "absolute",
                "steps": steps,
            },
            "links": [{"title": link.title, "url": link.url} for link in options.field_links],
            "custom": custom,
        }
    )


_CELLS = {
    "text": "auto", "color": "color-text", "background": "color-background", "gauge": "gauge",
    "sparkline": "sparkline",
}  # fmt: skip


def _lines(panel: CreatePanel) -> _Json:
    options = panel.options
    stacking = "percent" if options.stack_percent else "normal" if options.stacked else "none"
    fill = options.fill if options.fill is not None else 20 if panel.type is PanelType.AREA else 0
    style = (
        "off"
        if not options.thresholds
        else {"both": "line+area", "none": "off"}.get(
            options.threshold_style, options.threshold_style
        )
    )
    return _without_none(
        {
            "drawStyle": "bars" if panel.type is PanelType.BAR else "line",
            "fillOpacity": fill,
            "lineWidth": options.line_width,
            "lineInterpolation": options.interpolation,
            "lineStyle": {"fill": options.line_style},
            "gradientMode": "opacity" if options.gradient else "none",
            "showPoints": options.points,
            "spanNulls": options.nulls == "connect",
            "stacking": {"mode": stacking, "group": "A"},
            "axisLabel": options.axis_label or "",
            "axisPlacement": "auto" if options.axis == "left" else options.axis,
            "axisSoftMin": options.soft_min,
            "axisSoftMax": options.soft_max,
            "scaleDistribution": {"type": "log", "log": 10}
            if options.scale == "log"
            else {"type": "linear"},
            "thresholdsStyle": {"mode": style},
        }
    )


def _mapping(each: ValueMapping) -> _Json:
    result = _without_none({"text": each.text, "color": each.color})
    if each.special:
        return {"type": "special", "options": {"match": "null+nan", "result": result}}
    if each.pattern:
        return {"type": "value", "options": {each.pattern: result}}
    if each.low == each.high:
        return {"type": "value", "options": {f"{each.low:g}": result}}
    return {"type": "range", "options": {"from": each.low, "to": each.high, "result": result}}


_MATCHERS = {"name": "byName", "pattern": "byRegexp", "query": "byFrameRefID", "type": "byType"}


def _override(each: SeriesOverride) -> _Json:
    by = "byRegexp" if each.by == "name" and "*" in each.match else _MATCHERS[each.by]
    wanted = f"/{each.match.replace('*', '.*')}/" if by != _MATCHERS[each.by] else each.match
    values: _Json = {
        "color": {"mode": "fixed", "fixedColor": each.color} if each.color else None,
        "displayName": each.label,
        "unit": _UNITS.get(each.unit or "", each.unit),
        "decimals": each.decimals,
        "min": each.min,
        "max": each.max,
        "custom.hideFrom": {"viz": True, "legend": True, "tooltip": True} if each.hidden else None,
        "custom.transform": "negative-Y" if each.negative else None,
        "custom.drawStyle": {"bar": "bars", "points": "points"}.get(each.kind, "line")
        if each.kind
        else None,
        "custom.axisPlacement": each.axis,
        "custom.stacking": {"mode": "normal" if each.stack else "none", "group": each.stack}
        if each.stack is not None
        else None,
        "custom.lineWidth": each.line_width,
        "custom.fillOpacity": each.fill,
        "custom.lineStyle": {"fill": each.line_style} if each.line_style else None,
        "custom.lineInterpolation": each.interpolation,
        "custom.showPoints": each.points,
        "custom.width": each.width,
        "custom.align": each.align,
        "custom.cellOptions": {"type": _CELLS[each.cell]} if each.cell else None,
        "mappings": [_mapping(one) for one in each.mappings] if each.mappings else None,
        "links": [{"title": link.title, "url": link.url} for link in each.links]
        if each.links
        else None,
    }
    properties = [{"id": key, "value": value} for key, value in values.items() if value is not None]
    return {"matcher": {"id": by, "options": wanted}, "properties": properties}


def _display(panel: CreatePanel) -> _Json:
    options: PanelOptions = panel.options
    if panel.type is PanelType.TEXT:
        return {"mode": "markdown", "content": options.content or ""}
    modes = {"valueAndName": "value_and_name"}
    found: _Json = {
        "legend": {
            "showLegend": options.show_legend,
            "displayMode": options.legend,
            "placement": options.legend_side,
            "calcs": [_CALCULATIONS[each] for each in options.legend_values],
        },
        "tooltip": {
            "mode": {"all": "multi", "single": "single", "hidden": "none"}[options.tooltip],
            "sort": options.tooltip_sort,
        },
        "reduceOptions": {"calcs": [_CALCULATIONS[options.calculation]], "values": False},
        "orientation": options.orientation,
    }
    if panel.type is PanelType.STAT:
        found |= {
            "colorMode": options.color_mode,
            "graphMode": "area" if options.sparkline else "none",
            "textMode": modes.get(options.text_mode, options.text_mode),
        }
    if panel.type is PanelType.TABLE:
        found = {
            "showHeader": options.column_header,
            "footer": {
                "show": bool(options.footer),
                "reducer": [_CALCULATIONS[each] for each in options.footer],
            },
        }
    if panel.type is PanelType.PIE:
        found["pieType"] = "donut" if options.shape == "donut" else "pie"
    if panel.type is PanelType.BAR_GAUGE:
        found["displayMode"] = {"segments": "lcd", "basic": "basic"}.get(
            options.shape or "", "gradient"
        )
    if panel.type is PanelType.HEATMAP:
        found = {"calculate": not options.buckets, "tooltip": found["tooltip"]}
    return found
