"""One panel of Grafana as a panel of ours."""

import re
from typing import Any

from pydantic_core import to_json

from pulseboard.contracts.base import INTERVAL_PATTERN
from pulseboard.contracts.dashboards import (
    WITHOUT_QUERY,
    Calculation,
    CreatePanel,
    PanelLink,
    PanelOptions,
    PanelQuery,
    PanelType,
    Position,
    SeriesOverride,
    Threshold,
    Transformation,
)
from pulseboard.dashboards.grafana import field_config, queries
from pulseboard.dashboards.grafana.field_config import web_address as web_address
from pulseboard.dashboards.grafana.json_access import dig, mapping, number, objects, text
from pulseboard.dashboards.grafana.report import ImportReport

_TYPES = {
    "timeseries": PanelType.LINE,
    "graph": PanelType.LINE,
    "trend": PanelType.LINE,
    "barchart": PanelType.BAR_CHART,
    "bargauge": PanelType.BAR_GAUGE,
    "gauge": PanelType.GAUGE,
    "stat": PanelType.STAT,
    "singlestat": PanelType.STAT,
    "grafana-singlestat-panel": PanelType.STAT,
    "table": PanelType.TABLE,
    "table-old": PanelType.TABLE,
    "heatmap": PanelType.HEATMAP,
    "histogram": PanelType.HISTOGRAM,
    "piechart": PanelType.PIE,
    "grafana-piechart-panel": PanelType.PIE,
    "state-timeline": PanelType.STATE_TIMELINE,
    "natel-discrete-panel": PanelType.STATE_TIMELINE,
    "status-history": PanelType.STATUS_HISTORY,
    "flant-statusmap-panel": PanelType.STATUS_HISTORY,
    "xychart": PanelType.XY,
    "text": PanelType.TEXT,
    "alertlist": PanelType.ALERT_LIST,
    "dashlist": PanelType.DASHBOARD_LIST,
}
_NEAREST = {
    "grafana-polystat-panel": PanelType.STAT,
    "vonage-status-panel": PanelType.STAT,
    "candlestick": PanelType.LINE,
    "canvas": PanelType.STAT,
}
MOST_SOURCE = 200_000
"""Bytes of the JSON that is kept of a panel that is not drawn."""
_NULLS = {"connected": "connect", "null as zero": "zero"}
_OVER_TIME = (PanelType.LINE, PanelType.AREA, PanelType.BAR)
_PLAIN_TITLE = 200


def panel(
    source: dict[str, Any], *, position: Position, location: str, report: ImportReport
) -> CreatePanel:
    """The panel at `position`. One that can't be drawn keeps its place and its JSON."""
    kind = text(source.get("type"))
    chosen = _TYPES.get(kind) or _NEAREST.get(kind)
    if mapping(source.get("libraryPanel")) and not kind:
        report.dropped(location, "a library panel, which the file does not hold: its place is kept")
        return _kept(source, position)
    if chosen is None:
        report.dropped(
            location, f'panels of type "{kind or "none"}" are not drawn: place and JSON are kept'
        )
        return _kept(source, position)
    found = (
        [] if chosen in WITHOUT_QUERY else queries.queries(source, location=location, report=report)
    )
    if not found and chosen not in WITHOUT_QUERY:
        report.dropped(location, "no query is for Prometheus: place and JSON are kept")
        return _kept(source, position)
    if kind in _NEAREST:
        report.changed(location, f'the type "{kind}" is unknown, it is drawn as {chosen.value}')
    if kind in ("timeseries", "graph"):
        chosen = _drawn(source)
    _report_left_out(source, location=location, report=report)
    report.imported(location, f"{chosen.value} with {len(found)} queries")
    return CreatePanel(
        title=queries.variables(text(source.get("title")))[:_PLAIN_TITLE],
        type=chosen,
        queries=_stepped(source, found, chosen),
        options=_options(source, chosen, location=location, report=report),
        position=position,
    )


def _kept(source: dict[str, Any], position: Position) -> CreatePanel:
    small = len(to_json(source)) <= MOST_SOURCE
    return CreatePanel(
        title=queries.variables(text(source.get("title")))[:_PLAIN_TITLE],
        type=PanelType.UNKNOWN,
        queries=[],
        options=PanelOptions(
            source=source if small else None,
            source_id=_identity(source),
            description=text(source.get("description"))[:2000] or None,
            repeat=text(source.get("repeat"))[:50] or None,
        ),
        position=position,
    )


def _identity(source: dict[str, Any]) -> int | None:
    found = number(source.get("id"))
    return int(found) if found is not None and abs(found) < 2**31 else None


def _stepped(
    source: dict[str, Any], found: list[PanelQuery], chosen: PanelType
) -> list[PanelQuery]:
    # Grafana's old tables and stats queried one point only, where the file says so.
    if chosen is PanelType.TABLE and source.get("type") == "table-old":
        return [query.model_copy(update={"format": "table"}) for query in found]
    return found


def _drawn(source: dict[str, Any]) -> PanelType:
    custom = mapping(dig(source, "fieldConfig", "defaults", "custom"))
    if custom.get("drawStyle") == "bars" or (source.get("bars") and not source.get("lines")):
        return PanelType.BAR
    filled = number(custom.get("fillOpacity")) or (
        number(source.get("fill")) if source.get("type") == "graph" else None
    )
    return PanelType.AREA if filled else PanelType.LINE


def _options(
    source: dict[str, Any], chosen: PanelType, *, location: str, report: ImportReport
) -> PanelOptions:
    config = mapping(source.get("fieldConfig"))
    defaults = mapping(config.get("defaults"))
    custom = mapping(defaults.get("custom"))
    axes = objects(source.get("yaxes"))
    axis = axes[0] if axes else {}
    lowest = _first(defaults.get("min"), axis.get("min"), dig(source, "gauge", "minValue"))
    highest = _first(defaults.get("max"), axis.get("max"), dig(source, "gauge", "maxValue"))
    if lowest is not None and highest is not None and lowest >= highest:
        report.dropped(location, f"a scale from {lowest:g} to {highest:g}")
        lowest = highest = None
    decimals = _first(defaults.get("decimals"), source.get("decimals"))
    base, steps = _thresholds(source, chosen)
    fixed = (
        field_config.color(dig(defaults, "color", "fixedColor"))
        if dig(defaults, "color", "mode") in ("fixed", "shades")
        else None
    )
    if fixed is not None:
        base, steps = fixed, [] if chosen not in _OVER_TIME else steps
    return PanelOptions(
        unit=field_config.unit(
            defaults.get("unit") or axis.get("format") or source.get("format"),
            location=location,
            report=report,
        ),
        decimals=int(decimals) if decimals is not None and 0 <= decimals <= 10 else None,
        color=fixed,
        base_color=base,
        thresholds=steps,
        threshold_mode="percent"
        if dig(defaults, "thresholds", "mode") == "percentage"
        else "absolute",
        mappings=field_config.mappings(source, location=location, report=report),
        no_value=text(defaults.get("noValue"))[:100] or None,
        min=lowest,
        max=highest,
        scale="log" if _is_log(custom, axis) else "linear",
        overrides=[
            *field_config.overrides(config, location=location, report=report),
            *_alias_styles(source, location=location, report=report),
        ][:100],
        links=_links(source, location=location, report=report),
        field_links=field_config.field_links(
            defaults.get("links") or dig(source, "options", "dataLinks")
        ),
        description=text(source.get("description"))[:2000] or None,
        repeat=text(source.get("repeat"))[:50] or None,
        repeat_direction="down" if source.get("repeatDirection") == "v" else "right",
        repeat_max=_between(source.get("maxPerRow"), 1, 12),
        transformations=_transformations(source),
        source_id=_identity(source),
        **_looks(source, custom),
        **_values(source, chosen, custom, location=location, report=report),
        **_of_kind(source, chosen),
    )


def _between(value: Any, least: int, most: int) -> int | None:
    found = number(value)
    return None if found is None else min(most, max(least, int(found)))


def _looks(source: dict[str, Any], custom: dict[str, Any]) -> dict[str, Any]:
    """Lines, fill, axis, legend and tooltip."""
    old = source.get("type") == "graph"
    legend = mapping(dig(source, "options", "legend")) or mapping(source.get("legend"))
    tooltip = mapping(dig(source, "options", "tooltip"))
    axis = text(custom.get("axisPlacement"))
    width = _first(custom.get("lineWidth"), source.get("linewidth") if old else None)
    fill = _first(custom.get("fillOpacity"), None)
    if fill is None and old and number(source.get("fill")) is not None:
        fill = (number(source.get("fill")) or 0) * 10
    points = text(custom.get("showPoints"))
    if old and source.get("points") is True:
        points = "always"
    mode = dig(custom, "stacking", "mode")
    label = text(custom.get("axisLabel")) or text(
        (objects(source.get("yaxes")) or [{}])[0].get("label")
    )
    return {
        "show_legend": _legend_shown(legend),
        "legend": "table" if _legend_is_table(legend) else "list",
        "legend_side": "right"
        if legend.get("placement") == "right" or legend.get("rightSide") is True
        else "bottom",
        "legend_values": _legend_values(legend),
        "tooltip": {"multi": "all", "single": "single", "none": "hidden"}.get(
            text(tooltip.get("mode")), "all"
        ),
        "tooltip_sort": text(tooltip.get("sort"))
        if text(tooltip.get("sort")) in ("none", "asc", "desc")
        else "desc",
        "axis": axis if axis in ("left", "right", "hidden") else "left",
        "axis_label": queries.variables(label)[:100] or None,
        "soft_min": number(custom.get("axisSoftMin")),
        "soft_max": number(custom.get("axisSoftMax")),
        "line_width": None if width is None else min(10, max(0, width)),
        "fill": None if fill is None else min(100, max(0, round(fill))),
        "gradient": text(custom.get("gradientMode")) not in ("", "none"),
        "points": points if points in ("auto", "always", "never") else "auto",
        "line_style": field_config.line_style(custom.get("lineStyle")) or "solid",
        "interpolation": field_config.interpolation(custom.get("lineInterpolation"))
        or ("stepAfter" if old and source.get("steppedLine") is True else "linear"),
        "stacked": mode in ("normal", "percent") or source.get("stack") is True,
        "stack_percent": mode == "percent"
        or (source.get("stack") is True and source.get("percentage") is True),
        "nulls": "connect"
        if custom.get("spanNulls")
        else _NULLS.get(text(source.get("nullPointMode")), "gap"),
    }


def _values(
    source: dict[str, Any],
    chosen: PanelType,
    custom: dict[str, Any],
    *,
    location: str,
    report: ImportReport,
) -> dict[str, Any]:
    """How one value is made of a series, and how it is shown."""
    options = mapping(source.get("options"))
    calculation = field_config.calculation(
        dig(options, "reduceOptions", "calcs") or source.get("valueName"),
        location=location,
        report=report,
    )
    color_mode = text(options.get("colorMode")).removesuffix("_solid")
    if source.get("type") == "singlestat":
        color_mode = "none"
        if source.get("colorValue") is True:
            color_mode = "value"
        if source.get("colorBackground") is True:
            color_mode = "background"
    text_modes = {"value": "value", "name": "name", "value_and_name": "valueAndName"}
    intervals = [text(source.get("interval")).lstrip(">=")]
    intervals += [text(target.get("interval")) for target in objects(source.get("targets"))]
    step = next((each for each in intervals if _is_interval(each)), None)
    mode = text(dig(source, "fieldConfig", "defaults", "color", "mode"))
    by_value = mode == "thresholds" and chosen in (PanelType.PIE, PanelType.BAR_CHART, *_OVER_TIME)
    return {
        "calculation": calculation or Calculation.LAST,
        "color_mode": color_mode if color_mode in ("none", "value", "background") else "value",
        "color_by": "value" if by_value or mode.startswith("continuous") else "series",
        "text_mode": text_modes.get(
            text(options.get("textMode")), "none" if options.get("textMode") == "none" else "auto"
        ),
        "orientation": text(options.get("orientation"))
        if text(options.get("orientation")) in ("horizontal", "vertical")
        else "auto",
        "sparkline": options.get("graphMode") != "none"
        and dig(source, "sparkline", "show") is not False,
        "min_step": step,
        "time_from": text(source.get("timeFrom"))[:50] or None,
        "time_shift": text(source.get("timeShift"))[:50] or None,
        "threshold_style": _threshold_style(source, chosen),
        "cell": (
            field_config.cell(custom.get("cellOptions") or custom.get("displayMode")) or "text"
        )
        if chosen is PanelType.TABLE
        else None,
        "column_header": options.get("showHeader") is not False,
        "footer": field_config.calculations(dig(options, "footer", "reducer"))[:5]
        if dig(options, "footer", "show") is True
        else [],
    }


def _is_interval(value: str) -> bool:
    return re.fullmatch(INTERVAL_PATTERN, value) is not None


def _of_kind(source: dict[str, Any], chosen: PanelType) -> dict[str, Any]:
    """What only panels of one kind have."""
    options = mapping(source.get("options"))
    if chosen is PanelType.TEXT:
        content = text(options.get("content")) or text(source.get("content"))
        return {"content": queries.variables(content)[:20_000]}
    if chosen is PanelType.PIE:
        donut = "donut" in (options.get("pieType"), source.get("pieType"))
        return {"shape": "donut" if donut else "pie"}
    if chosen is PanelType.BAR_GAUGE:
        shapes = {"lcd": "segments", "gradient": "gradient", "basic": "basic"}
        return {"shape": shapes.get(text(options.get("displayMode")), "gradient")}
    if chosen is PanelType.HEATMAP:
        buckets = source.get("dataFormat") == "tsbuckets" or options.get("calculate") is False
        formats = {text(target.get("format")) for target in objects(source.get("targets"))}
        return {"buckets": buckets or "heatmap" in formats}
    return {}


def _first(*values: Any) -> float | None:
    return next((found for found in map(number, values) if found is not None), None)


def _legend_shown(legend: dict[str, Any]) -> bool:
    shown = legend.get("showLegend", legend.get("show"))
    return shown is not False and legend.get("displayMode") != "hidden"


def _legend_is_table(legend: dict[str, Any]) -> bool:
    return legend.get("displayMode") == "table" or legend.get("alignAsTable") is True


def _legend_values(legend: dict[str, Any]) -> list[Calculation]:
    old = ("min", "max", "avg", "current", "total")
    named = legend.get("calcs") or [name for name in old if legend.get(name) is True]
    return field_config.calculations(named)[:10]


def _is_log(custom: dict[str, Any], axis: dict[str, Any]) -> bool:
    scale = dig(custom, "scaleDistribution", "type")
    return scale in ("log", "symlog") or (number(axis.get("logBase")) or 1) > 1


def _threshold_style(source: dict[str, Any], chosen: PanelType) -> str:
    if chosen not in _OVER_TIME:
        return "line"
    style = text(dig(source, "fieldConfig", "defaults", "custom", "thresholdsStyle", "mode"))
    if source.get("type") == "timeseries" and style in ("", "off"):
        # Grafana writes default steps into every panel and draws none of them.
        return "none"
    return {"area": "area", "line+area": "both"}.get(style, "line")


def _thresholds(source: dict[str, Any], chosen: PanelType) -> tuple[str | None, list[Threshold]]:
    defaults = mapping(dig(source, "fieldConfig", "defaults"))
    base, found = field_config.thresholds(defaults)
    if not found and text(source.get("thresholds")):
        return _old_thresholds(source)
    mode = text(dig(defaults, "color", "mode"))
    if chosen in _OVER_TIME and _threshold_style(source, chosen) == "none" and mode != "thresholds":
        return None, []
    if chosen in _OVER_TIME:
        return None, found
    if mode.startswith("palette"):
        # The colours are those of the series.
        return None, []
    return base, found


def _old_thresholds(source: dict[str, Any]) -> tuple[str | None, list[Threshold]]:
    values = [number(part) for part in text(source.get("thresholds")).split(",")]
    colors = source.get("colors")
    steps = [
        {"value": value, "color": shade}
        for value, shade in zip(
            [None, *values], colors if isinstance(colors, list) else [], strict=False
        )
    ]
    return field_config.thresholds({"thresholds": {"steps": steps}})


_OLD_STYLES = {
    "linewidth": "line_width", "fill": "fill", "dashes": "line_style", "stack": "stack",
    "yaxis": "axis", "bars": "kind", "points": "points", "steppedLine": "interpolation",
    "color": "color", "transform": "negative", "lines": "kind", "hiddenSeries": "hidden",
}  # fmt: skip
_NO_STYLE = {
    "alias", "$$hashKey", "legend", "zindex", "pointradius", "nullPointMode", "fillBelowTo",
    "hideTooltip", "spaceLength", "dashLength", "fillGradient",
}  # fmt: skip


def _alias_styles(
    source: dict[str, Any], *, location: str, report: ImportReport
) -> list[SeriesOverride]:
    found = [
        SeriesOverride(match=name[:200], color=field_config.color(shade))
        for name, shade in mapping(source.get("aliasColors")).items()
        if name and field_config.color(shade)
    ]
    for entry in objects(source.get("seriesOverrides")):
        alias = text(entry.get("alias"))
        left = sorted(set(entry) - _NO_STYLE - set(_OLD_STYLES))
        if left or not alias:
            report.dropped(location, f"properties of an override: {', '.join(left)}"[:300])
        style = _old_style(entry)
        if alias and style:
            matched = field_config.matcher_of_alias(alias)
            found.append(SeriesOverride.model_validate({**matched, **style}))
    return found


def _old_style(entry: dict[str, Any]) -> dict[str, Any]:
    fill, width = number(entry.get("fill")), number(entry.get("linewidth"))
    kind = None
    if entry.get("bars") is True:
        kind = "bar"
    elif entry.get("lines") is False and entry.get("points") is True:
        kind = "points"
    style = {
        "color": field_config.color(entry.get("color")),
        "negative": entry.get("transform") == "negative-Y" or None,
        "axis": "right" if entry.get("yaxis") == 2 else None,
        "fill": None if fill is None else min(100, max(0, round(fill * 10))),
        "line_width": None if width is None else min(10, max(0, width)),
        "line_style": "dash" if entry.get("dashes") is True else None,
        "interpolation": "stepAfter" if entry.get("steppedLine") is True else None,
        "points": "always" if entry.get("points") is True else None,
        "kind": kind,
        "hidden": entry.get("hiddenSeries") is True or None,
    }
    stack = entry.get("stack")
    if stack is False:
        style["stack"] = ""
    elif stack is True or isinstance(stack, str):
        style["stack"] = (text(stack) or "A")[:50]
    return {key: value for key, value in style.items() if value is not None}


def _links(source: dict[str, Any], *, location: str, report: ImportReport) -> list[PanelLink]:
    found = []
    for link in objects(source.get("links")):
        title = queries.variables(text(link.get("title"))) or "Link"
        url = web_address(link.get("url"))
        if url:
            found.append(PanelLink(title=title[:200], url=url))
        else:
            report.dropped(location, "a link that leads to no address of the web")
    return found[:20]


def _transformations(source: dict[str, Any]) -> list[Transformation]:
    return [
        Transformation(
            id=text(entry.get("id"))[:50],
            disabled=entry.get("disabled") is True,
            options=mapping(entry.get("options")),
        )
        for entry in objects(source.get("transformations"))
        if text(entry.get("id"))
    ][:50]


TRANSFORMATIONS = frozenset({
    "organize", "merge", "joinByField", "seriesToColumns", "groupBy", "filterFieldsByName",
    "filterByValue", "sortBy", "limit", "calculateField", "reduce", "labelsToFields",
    "renameByRegex", "seriesToRows", "rowsToFields", "concatenate", "filterByRefId",
    "groupingToMatrix", "convertFieldType", "transpose", "prepareTimeSeries",
})  # fmt: skip
"""Those that the app carries out; others are kept, and named in the report."""


def _report_left_out(source: dict[str, Any], *, location: str, report: ImportReport) -> None:
    for entry in objects(source.get("transformations")):
        if text(entry.get("id")) not in TRANSFORMATIONS:
            report.dropped(location, f'the transformation "{text(entry.get("id"))}"')
    if mapping(source.get("alert")):
        report.dropped(location, "its alert: make an alert rule of it")
