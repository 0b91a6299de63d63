"""A whole dashboard of Grafana as a document of ours."""

import re
from collections.abc import Iterator
from typing import Any

from pulseboard.contracts.base import INTERVAL_PATTERN, interval_seconds
from pulseboard.contracts.dashboards import (
    GRID_COLUMNS,
    CreatePanel,
    DashboardDocument,
    DashboardLink,
    DashboardSettings,
    ImportNote,
    PanelOptions,
    PanelType,
    Position,
)
from pulseboard.dashboards import layout
from pulseboard.dashboards.grafana import panels, queries, resource, variables
from pulseboard.dashboards.grafana.json_access import mapping, number, objects, text
from pulseboard.dashboards.grafana.report import ImportReport

MOST_PANELS = 500
_COLUMNS = 24
_ROW = 38 / 48
"""A row of Grafana's grid is 30 pixels and 8 between, one of ours 36 and 12."""
ROWS_OF_OURS = 48 / 38
"""Rows of Grafana's grid in one of ours."""
_HEIGHT = 8
_LOW = 3
_LOW_MOST = 6
"""Rows of Grafana's grid: a section with a panel below the first and none above the second is low.
"""
_RANGE = re.compile(r"^now-([0-9]+(?:s|m|h|d|w))$")

_Placed = tuple[dict[str, Any], str, tuple[float, float, float, float]]
"""A panel, its name in the report, and left, top, right and bottom in Grafana's grid."""


def is_grafana(document: dict[str, Any]) -> bool:
    """Whether this is a dashboard of Grafana, as a file or as its API returns it."""
    inner = _unwrapped(document)
    return (
        resource.is_resource(inner)
        or "schemaVersion" in inner
        or any(isinstance(inner.get(key), list) for key in ("panels", "rows"))
    )


def classic(document: dict[str, Any]) -> dict[str, Any]:
    """The board in the classic format, whichever it is in."""
    board = _unwrapped(document)
    return resource.to_classic(board) if resource.is_resource(board) else board


def parse(document: dict[str, Any]) -> tuple[DashboardDocument, list[ImportNote]]:
    """The document, and what was taken, changed and dropped, worst first."""
    board = classic(document)
    report = ImportReport()
    settings = _settings(board, report=report)
    created: list[CreatePanel] = []
    standing: list[Position] = []
    # From top to bottom: each panel moves up to those above it, over the gaps that rows leave.
    for source, location, edges in _with_ends(_scaled(_placed(board))):
        if len(created) == MOST_PANELS:
            report.dropped(location, f"a dashboard has {MOST_PANELS} panels at most")
            continue
        position = _position(edges)
        if source.get("type") == "row":
            panel = _row(source, location=location, report=report)
        else:
            panel = panels.panel(source, position=position, location=location, report=report)
        position = layout.under(standing, panel.position if panel.type == "row" else position)
        standing = [*standing, position] if panel.type != "row" else [position]
        created.append(panel.model_copy(update={"position": position}))
    _report_left_out(board, report=report)
    return (
        DashboardDocument(
            name=(text(board.get("title")) or "Imported dashboard")[:200],
            description=text(board.get("description"))[:2000],
            settings=settings,
            panels=created,
        ),
        report.sorted(),
    )


def _row(source: dict[str, Any], *, location: str, report: ImportReport) -> CreatePanel:
    identity = number(source.get("id"))
    if source.keys() != {"type"}:
        report.imported(location, "a row")
    return CreatePanel(
        title=queries.variables(text(source.get("title")))[:200],
        type=PanelType.ROW,
        queries=[],
        options=PanelOptions(
            collapsed=source.get("collapsed") is True,
            section="tab" if source.get("tab") is True else "row",
            repeat=text(source.get("repeat"))[:50] or None,
            source_id=int(identity) if identity is not None else None,
        ),
        position=Position(x=0, y=0, w=GRID_COLUMNS, h=1),
    )


def _unwrapped(document: dict[str, Any]) -> dict[str, Any]:
    # The API returns `{dashboard, meta}`; files carry the board itself.
    inner = document.get("dashboard")
    return inner if isinstance(inner, dict) else document


def _settings(board: dict[str, Any], *, report: ImportReport) -> DashboardSettings:
    found = DashboardSettings(
        variables=variables.variables(mapping(board.get("templating")).get("list"), report=report)
    )
    changes: dict[str, Any] = {"links": list(_links(board, report=report))}
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


def _placed(board: dict[str, Any]) -> Iterator[_Placed]:
    """Rows and panels from top to bottom; the panels of a folded row follow it."""
    if objects(board.get("rows")):
        yield from _of_rows(objects(board["rows"]))
    listed = [(source, _name(source), _edges(source)) for source in objects(board.get("panels"))]
    for entry in sorted(listed, key=_from_the_top):
        yield entry
        if entry[0].get("type") == "row":
            inner = [(s, _name(s), _edges(s)) for s in objects(entry[0].get("panels"))]
            yield from sorted(inner, key=_from_the_top)


def _scaled(placed: Iterator[_Placed]) -> Iterator[_Placed]:
    """The same with heights in rows of ours, by section.

    One of low panels only, such as stats, keeps its numbers of rows: rounded, two low panels would
    be higher than one beside them that is as high as both.
    """
    section: list[_Placed] = []

    def finished() -> Iterator[_Placed]:
        heights = [bottom - top for _, _, (_, top, _, bottom) in section]
        low = bool(heights) and min(heights) < _LOW and max(heights) <= _LOW_MOST
        scale = 1.0 if low else _ROW
        for source, location, (left, top, right, bottom) in section:
            yield source, location, (left, top * scale, right, bottom * scale)

    for entry in placed:
        if entry[0].get("type") == "row":
            yield from finished()
            section = []
            yield entry
        else:
            section.append(entry)
    yield from finished()


def _with_ends(placed: Iterator[_Placed]) -> Iterator[_Placed]:
    """The same, with a head without a title where panels follow a folded row that are not in it:
    with us a row reaches to the next.
    """
    inner: set[int] = set()
    folded = False
    for entry in placed:
        source, _, (left, top, _, _) = entry
        if source.get("type") == "row":
            inner = {id(each) for each in objects(source.get("panels"))}
            folded = source.get("collapsed") is True and bool(inner)
        elif folded and id(source) not in inner:
            folded = False
            yield {"type": "row"}, "row", (left, top, _COLUMNS, top + 1)
        yield entry


def _from_the_top(entry: _Placed) -> tuple[float, float]:
    return entry[2][1], entry[2][0]


def _of_rows(rows: list[dict[str, Any]]) -> Iterator[_Placed]:
    """Boards before schema 16: rows of panels, `span` in 12ths, height in pixels."""
    top = 0.0
    # As in Grafana: where one row has a head, all have.
    heads = any(
        row.get("collapse") or row.get("showTitle") or text(row.get("repeat")) for row in rows
    )
    for row in rows:
        title = text(row.get("title"))
        if heads:
            head = {
                "type": "row",
                "title": title,
                "collapsed": row.get("collapse") is True,
                "repeat": row.get("repeat"),
            }
            yield head, f"row {title or '?'}"[:200], (0, top, _COLUMNS, top + 1)
            top += 1
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
    if source.get("type") == "row":
        return f"row {title or '?'}"[:200]
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
    y = min(9_000, max(0, round(top)))
    w = max(1, min(GRID_COLUMNS - x, round(right * scale) - x))
    h = max(2, min(100, round(bottom) - round(top)))
    return Position(x=x, y=y, w=w, h=h)


def _links(board: dict[str, Any], *, report: ImportReport) -> Iterator[DashboardLink]:
    for link in objects(board.get("links"))[:50]:
        title = text(link.get("title"))
        common = {
            "title": queries.variables(title)[:200],
            "keep_time": link.get("keepTime") is True,
            "keep_variables": link.get("includeVars") is True,
            "new_tab": link.get("targetBlank") is True,
        }
        if link.get("type") == "dashboards":
            tags = link.get("tags")
            first = next(iter(map(text, tags)), "") if isinstance(tags, list) else ""
            search = first or title
            report.changed(f"link {title or '?'}", "dashboards are found by name, not by tag")
            yield DashboardLink(search=search[:100], **common)
            continue
        url = panels.web_address(link.get("url"))
        if url:
            yield DashboardLink(url=url, **common)
        else:
            report.dropped(f"link {title or '?'}", "it leads to no address of the web")


def _report_left_out(board: dict[str, Any], *, report: ImportReport) -> None:
    for entry in objects(mapping(board.get("annotations")).get("list")):
        if not entry.get("builtIn"):
            report.dropped(
                f"annotation {text(entry.get('name')) or '?'}",
                "annotations are not drawn; alerts mark the axis",
            )
