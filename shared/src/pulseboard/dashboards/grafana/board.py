"""A whole dashboard of Grafana as a document of ours."""

import re
from collections.abc import Iterator
from typing import Any

from pulseboard.contracts.base import INTERVAL_PATTERN, interval_seconds
from pulseboard.contracts.dashboards import (
    GRID_COLUMNS,
    CreatePanel,
    DashboardDocument,
    DashboardSettings,
    ImportNote,
    Position,
)
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.dashboards import layout
from pulseboard.dashboards.grafana import panels, variables
from pulseboard.dashboards.grafana.json_access import mapping, number, objects, text
from pulseboard.dashboards.grafana.report import ImportReport

MOST_PANELS = 200
_COLUMNS = 24
_ROW = 38 / 48
"""A row of Grafana's grid is 30 pixels and 8 between, one of ours 36 and 12."""
_HEIGHT = 8
_RANGE = re.compile(r"^now-([0-9]+(?:s|m|h|d|w))$")

_Placed = tuple[dict[str, Any], str, tuple[float, float, float, float]]
"""A panel, its name in the report, and left, top, right and bottom in Grafana's grid."""


def is_grafana(document: dict[str, Any]) -> bool:
    """Whether this is a dashboard of Grafana, as a file or as its API returns it."""
    inner = _unwrapped(document)
    return "schemaVersion" in inner or any(
        isinstance(inner.get(key), list) for key in ("panels", "rows")
    )


def parse(document: dict[str, Any]) -> tuple[DashboardDocument, list[ImportNote]]:
    """The document, and what was taken, changed and dropped.

    Raises InvalidRequest for the resource format, which is another one.
    """
    board = _unwrapped(document)
    if mapping(board.get("spec")).get("elements") or mapping(board.get("elements")):
        raise InvalidRequest(
            "This is Grafana's newer resource format.",
            details=[
                ErrorDetail(
                    field="document",
                    message="only the classic dashboard JSON is read",
                    hint='in Grafana choose Export as JSON, model "Classic"',
                )
            ],
        )
    report = ImportReport()
    settings = _settings(board, report=report)
    created: list[CreatePanel] = []
    standing: list[Position] = []
    # From top to bottom: each panel moves up to those above it, over the gaps that rows leave.
    for source, location, edges in sorted(
        _placed(board, report=report), key=lambda entry: (entry[2][1], entry[2][0])
    ):
        if len(created) == MOST_PANELS:
            report.dropped(location, f"a dashboard has {MOST_PANELS} panels at most")
            continue
        position = _position(edges)
        panel = panels.panel(source, position=position, location=location, report=report)
        if panel is not None:
            position = layout.under(standing, position)
            standing.append(position)
            created.append(panel.model_copy(update={"position": position}))
    _report_left_out(board, report=report)
    return (
        DashboardDocument(
            name=(text(board.get("title")) or "Imported dashboard")[:200],
            description=text(board.get("description"))[:2000],
            settings=settings,
            panels=created,
        ),
        report.notes,
    )


def _unwrapped(document: dict[str, Any]) -> dict[str, Any]:
    # The API returns `{dashboard, meta}`; files carry the board itself.
    inner = document.get("dashboard")
    return inner if isinstance(inner, dict) else document


def _settings(board: dict[str, Any], *, report: ImportReport) -> DashboardSettings:
    found = DashboardSettings(
        variables=variables.variables(mapping(board.get("templating")).get("list"), report=report)
    )
    changes: dict[str, Any] = {}
    time = mapping(board.get("time"))
    if time:
        start = _RANGE.match(text(time.get("from")))
        if start and text(time.get("to")) == "now":
            changes["time_range"] = start[1]
        else:
            shown = f"{time.get('from')} to {time.get('to')}"
            report.changed(
                "time range", f"{shown} can't be a default: {found.time_range} is shown first"
            )
    refresh = board.get("refresh")
    if isinstance(refresh, str) and re.fullmatch(INTERVAL_PATTERN, refresh):
        changes["refresh"] = refresh if interval_seconds(refresh) >= 5 else "5s"
    if text(board.get("timezone")) == "utc":
        changes["timezone"] = "utc"
    elif text(board.get("timezone")) not in ("", "browser"):
        report.changed("time zone", f"{text(board['timezone'])}: the browser's own is used")
    return found.model_copy(update=changes)


def _placed(board: dict[str, Any], *, report: ImportReport) -> Iterator[_Placed]:
    if objects(board.get("rows")):
        yield from _of_rows(objects(board["rows"]), report=report)
    for source in objects(board.get("panels")):
        if source.get("type") == "row":
            title = text(source.get("title"))
            report.dropped(f"row {title or '?'}", "rows are not imported; their panels are")
            if text(source.get("repeat")):
                report.dropped(f"row {title or '?'}", f"its repeat by {text(source['repeat'])}")
            for inner in objects(source.get("panels")):
                yield inner, _name(inner), _edges(inner)
            continue
        if mapping(source.get("libraryPanel")) and not source.get("type"):
            report.dropped(_name(source), "a library panel, which the file does not hold")
            continue
        yield source, _name(source), _edges(source)


def _of_rows(rows: list[dict[str, Any]], *, report: ImportReport) -> Iterator[_Placed]:
    """Boards before schema 16: rows of panels, `span` in 12ths, height in pixels."""
    top = 0.0
    for row in rows:
        title = text(row.get("title"))
        if title:
            report.dropped(f"row {title}", "rows are not imported; their panels are")
        height = max(2.0, (_pixels(row.get("height")) or 250) / 38)
        left = 0.0
        for source in objects(row.get("panels")):
            width = 2 * (number(source.get("span")) or 4)
            if left + width > _COLUMNS:
                left, top = 0.0, top + height
            yield source, _name(source), (left, top, left + width, top + height)
            left += width
        top += height


def _pixels(value: Any) -> float | None:
    return number(value.removesuffix("px") if isinstance(value, str) else value)


def _name(source: dict[str, Any]) -> str:
    title = text(source.get("title"))
    identity = source.get("id")
    return f"panel {title}"[:200] if title else f"panel {identity if identity else '?'}"


def _edges(source: dict[str, Any]) -> tuple[float, float, float, float]:
    grid = mapping(source.get("gridPos"))
    left, top = number(grid.get("x")) or 0, number(grid.get("y")) or 0
    width, height = number(grid.get("w")) or _COLUMNS / 2, number(grid.get("h")) or _HEIGHT
    return left, top, left + width, top + height


def _position(edges: tuple[float, float, float, float]) -> Position:
    """The same rectangle in our grid: edges are rounded, so that neighbours stay neighbours."""
    left, top, right, bottom = edges
    scale = GRID_COLUMNS / _COLUMNS
    x = min(GRID_COLUMNS - 1, max(0, round(left * scale)))
    y = min(9_000, max(0, round(top * _ROW)))
    w = max(1, min(GRID_COLUMNS - x, round(right * scale) - x))
    h = max(2, min(50, round(bottom * _ROW) - round(top * _ROW)))
    return Position(x=x, y=y, w=w, h=h)


def _report_left_out(board: dict[str, Any], *, report: ImportReport) -> None:
    for entry in objects(mapping(board.get("annotations")).get("list")):
        if not entry.get("builtIn"):
            report.dropped(f"annotation {text(entry.get('name')) or '?'}", "alerts mark the axis")
    for link in objects(board.get("links")):
        report.dropped(
            f"link {text(link.get('title')) or '?'}", "links stand on panels, not on dashboards"
        )
