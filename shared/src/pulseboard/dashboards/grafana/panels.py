"""One panel of Grafana as a panel of ours."""

from typing import Any

from pulseboard.contracts.dashboards import (
    Calculation,
    CreatePanel,
    PanelLink,
    PanelOptions,
    PanelType,
    Position,
    SeriesOverride,
    Threshold,
)
from pulseboard.dashboards.grafana import field_config, queries
from pulseboard.dashboards.grafana.json_access import dig, mapping, number, objects, text
from pulseboard.dashboards.grafana.report import ImportReport

_TYPES = {
    "timeseries": PanelType.LINE,
    "graph": PanelType.LINE,
    "barchart": PanelType.BAR,
    "bargauge": PanelType.BAR,
    "gauge": PanelType.GAUGE,
    "stat": PanelType.STAT,
    "singlestat": PanelType.STAT,
    "table": PanelType.TABLE,
    "table-old": PanelType.TABLE,
}
_NEAREST = {
    "heatmap": PanelType.LINE,
    "state-timeline": PanelType.LINE,
    "status-history": PanelType.LINE,
    "histogram": PanelType.BAR,
    "piechart": PanelType.BAR,
    "grafana-piechart-panel": PanelType.BAR,
    "trend": PanelType.LINE,
}
_NULLS = {"connected": "connect", "null as zero": "zero"}
_OVER_TIME = (PanelType.LINE, PanelType.AREA, PanelType.BAR)


def panel(
    source: dict[str, Any], *, position: Position, location: str, report: ImportReport
) -> CreatePanel | None:
    """The panel at `position`, or None with the reason in the report."""
    kind = text(source.get("type"))
    chosen = _TYPES.get(kind) or _NEAREST.get(kind)
    if chosen is None:
        report.dropped(location, f'panels of type "{kind or "none"}" are unknown')
        return None
    panel_queries = queries.queries(source, location=location, report=report)
    if not panel_queries:
        report.dropped(location, "it has no query that can be imported")
        return None
    if kind in _NEAREST:
        report.changed(location, f'the type "{kind}" is unknown: it is drawn as {chosen}')
    if kind in ("timeseries", "graph"):
        chosen = _drawn(source)
    _report_left_out(source, location=location, report=report)
    report.imported(
        location,
        f"{chosen} with {len(panel_queries)} {'query' if len(panel_queries) == 1 else 'queries'}",
    )
    return CreatePanel(
        title=(queries.variables(text(source.get("title"))) or "Panel")[:200],
        type=chosen,
        queries=panel_queries,
        options=_options(source, chosen, location=location, report=report),
        position=position,
    )


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
    if len(axes) > 1 and axes[1].get("show") and _uses_right_axis(source):
        report.changed(location, "the right axis: all series share the left one")
    legend = mapping(dig(source, "options", "legend")) or mapping(source.get("legend"))
    decimals = _first(defaults.get("decimals"), source.get("decimals"))
    calculation = field_config.calculation(
        dig(source, "options", "reduceOptions", "calcs") or source.get("valueName"),
        location=location,
        report=report,
    )
    return PanelOptions(
        unit=field_config.unit(
            defaults.get("unit") or axis.get("format") or source.get("format"),
            location=location,
            report=report,
        ),
        decimals=int(decimals) if decimals is not None and 0 <= decimals <= 10 else None,
        color=field_config.color(dig(defaults, "color", "fixedColor"))
        if dig(defaults, "color", "mode") == "fixed"
        else None,
        show_legend=_legend_shown(legend),
        legend="table" if _legend_is_table(legend) else "list",
        thresholds=_thresholds(source, chosen, lowest, highest, location=location, report=report),
        mappings=field_config.mappings(source, location=location, report=report),
        calculation=calculation or Calculation.LAST,
        min=lowest,
        max=highest,
        stacked=_stacked(source, custom, location=location, report=report),
        nulls="connect"
        if custom.get("spanNulls")
        else _NULLS.get(text(source.get("nullPointMode")), "gap"),
        scale="log" if _is_log(custom, axis) else "linear",
        sparkline=dig(source, "options", "graphMode") != "none"
        and dig(source, "sparkline", "show") is not False,
        overrides=[
            *field_config.overrides(config, location=location, report=report),
            *_alias_colors(source, location=location, report=report),
        ][:100],
        links=_links(source, location=location, report=report),
        description=text(source.get("description"))[:2000] or None,
        repeat=text(source.get("repeat"))[:50] or None,
    )


def _first(*values: Any) -> float | None:
    return next((found for found in map(number, values) if found is not None), None)


def _legend_shown(legend: dict[str, Any]) -> bool:
    shown = legend.get("showLegend", legend.get("show"))
    return shown is not False and legend.get("displayMode") != "hidden"


def _legend_is_table(legend: dict[str, Any]) -> bool:
    return legend.get("displayMode") == "table" or legend.get("alignAsTable") is True


def _is_log(custom: dict[str, Any], axis: dict[str, Any]) -> bool:
    scale = dig(custom, "scaleDistribution", "type")
    return scale in ("log", "symlog") or (number(axis.get("logBase")) or 1) > 1


def _stacked(
    source: dict[str, Any], custom: dict[str, Any], *, location: str, report: ImportReport
) -> bool:
    mode = dig(custom, "stacking", "mode")
    if mode == "percent" or source.get("percentage"):
        report.changed(location, "stacked to 100 %: stacked by value")
    return mode in ("normal", "percent") or source.get("stack") is True


def _uses_right_axis(source: dict[str, Any]) -> bool:
    return any(entry.get("yaxis") == 2 for entry in objects(source.get("seriesOverrides")))


def _thresholds(
    source: dict[str, Any],
    chosen: PanelType,
    lowest: float | None,
    highest: float | None,
    *,
    location: str,
    report: ImportReport,
) -> list[Threshold]:
    defaults = mapping(dig(source, "fieldConfig", "defaults"))
    style = dig(defaults, "custom", "thresholdsStyle", "mode")
    if chosen in _OVER_TIME and source.get("type") == "timeseries" and style in (None, "off"):
        # Grafana writes default steps into every panel and draws none of them.
        return []
    found = field_config.thresholds(
        defaults, lowest=lowest, highest=highest, location=location, report=report
    )
    if not found and text(source.get("thresholds")):
        return _old_thresholds(source)
    return found


def _old_thresholds(source: dict[str, Any]) -> list[Threshold]:
    values = [number(part) for part in text(source.get("thresholds")).split(",")]
    colors = source.get("colors")
    steps = [
        {"value": value, "color": shade}
        for value, shade in zip(
            [0.0, *values], colors if isinstance(colors, list) else [], strict=False
        )
        if value is not None
    ]
    return field_config.thresholds(
        {"thresholds": {"steps": steps}},
        lowest=None,
        highest=None,
        location="",
        report=ImportReport(),
    )


def _alias_colors(
    source: dict[str, Any], *, location: str, report: ImportReport
) -> list[SeriesOverride]:
    found = [
        SeriesOverride(match=name[:200], color=field_config.color(shade))
        for name, shade in mapping(source.get("aliasColors")).items()
        if name and field_config.color(shade)
    ]
    for entry in objects(source.get("seriesOverrides")):
        shown = field_config.color(entry.get("color"))
        alias = text(entry.get("alias"))
        match = field_config.pattern(alias) if alias.startswith("/") else alias
        negative = entry.get("transform") == "negative-Y" or None
        left = sorted(set(entry) - {"alias", "color", "$$hashKey", negative and "transform"})
        supported = match and (shown or negative)
        if match and supported:
            found.append(SeriesOverride(match=match[:200], color=shown, negative=negative))
        if left or not supported:
            report.dropped(
                location, f"of the override of {alias or 'nothing'}: {', '.join(left)}"[:300]
            )
    return found


def _links(source: dict[str, Any], *, location: str, report: ImportReport) -> list[PanelLink]:
    found = []
    for link in objects(source.get("links")):
        url, title = text(link.get("url")), text(link.get("title")) or "Link"
        if url.startswith(("https://", "http://", "/")) and not any(map(str.isspace, url)):
            found.append(PanelLink(title=title[:200], url=url[:2000]))
        else:
            report.dropped(location, f"the link {title[:100]}: it leads to no address of the web")
    return found[:20]


def _report_left_out(source: dict[str, Any], *, location: str, report: ImportReport) -> None:
    if objects(source.get("transformations")):
        names = ", ".join(text(entry.get("id")) for entry in objects(source["transformations"]))
        report.dropped(location, f"transformations: {names}"[:300])
    if mapping(source.get("alert")):
        report.dropped(location, "its alert: make an alert rule of it")
    if text(source.get("timeFrom")) or text(source.get("timeShift")):
        report.dropped(location, "a time range of its own")
