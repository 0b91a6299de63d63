"""A dashboard as a file: stable, without ids and times, so that diffs are readable."""

from typing import Any

from pydantic import ValidationError

from pulseboard.contracts.dashboards import (
    CreateDashboard,
    CreatePanel,
    Dashboard,
    DashboardDocument,
    ImportNote,
    Panel,
)
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core import storable
from pulseboard.core.exceptions import InvalidRequest

FORMAT = "pulseboard/dashboard/1"


def export(board: Dashboard) -> DashboardDocument:
    """The file of a dashboard, its panels from top to bottom and left to right."""
    ordered = sorted(
        board.panels, key=lambda each: (each.position.y, each.position.x, each.title, str(each.id))
    )
    return DashboardDocument(
        name=board.name,
        description=board.description,
        settings=board.settings,
        panels=[panel(source) for source in ordered],
    )


def panel(source: Panel) -> CreatePanel:
    """A panel as it would be created."""
    return CreatePanel(
        title=source.title,
        type=source.type,
        queries=source.queries,
        options=source.options,
        position=source.position,
    )


def to_create(document: DashboardDocument, *, name: str | None = None) -> CreateDashboard:
    """The request that creates a file's dashboard, under another name if one is given."""
    return CreateDashboard(
        name=name or document.name,
        description=document.description,
        settings=document.settings,
        panels=document.panels,
    )


def replace_unstorable(document: dict[str, Any]) -> list[ImportNote]:
    """Replace in a file what can't be stored, and say where: the rest of it is imported."""
    notes = []
    for path, why in storable.replace(document):
        where = storable.written(path)
        if title := _panel_title(document, path):
            where = f'"{title}": {where}'
        becomes = "left out" if "number" in why else "stored with \ufffd in its place"
        message = f"{why}: {becomes}"
        notes.append(
            ImportNote(outcome="changed", place=where, message=message, reason="can't be stored")
        )
    return notes


def _panel_title(document: dict[str, Any], path: storable.Path) -> str:
    """The title of the innermost panel that a path leads into."""
    title, before = "", ""
    inner: Any = document
    for part in path:
        # A key that was replaced leads nowhere.
        inner = inner[int(part)] if isinstance(inner, list) else inner.get(part)
        if not isinstance(inner, dict | list):
            break
        if before in ("panels", "elements") and isinstance(inner, dict):
            title = str(inner.get("title") or title)
        before = str(part)
    return title


def grafana_source(document: dict[str, Any]) -> dict[str, Any] | None:
    """The classic board of a file of Grafana; None for one of ours."""
    if document.get("format") == FORMAT:
        return None
    from pulseboard.dashboards.grafana import board as grafana

    return grafana.classic(document)


def to_grafana(board: Dashboard, *, source: dict[str, Any] | None) -> dict[str, Any]:
    """A dashboard as Grafana's classic JSON; `source` is the classic board it comes from."""
    # Likewise.
    from pulseboard.dashboards.grafana import export as grafana

    return grafana.export(export(board), source=source)


def parse(document: dict[str, Any]) -> tuple[DashboardDocument, list[ImportNote]]:
    """A parsed file, and the report of what changed or was dropped.

    Raises InvalidRequest that names each wrong field, as `document.…`.
    """
    if document.get("format") != FORMAT:
        # It imports the PromQL parser, which few requests need.
        from pulseboard.dashboards.grafana import board as grafana

        if grafana.is_grafana(document):
            return grafana.parse(document)
        raise InvalidRequest(
            "This is no dashboard file that can be read.",
            details=[
                ErrorDetail(
                    field="document",
                    message=f'its "format" is not "{FORMAT}", nor is it a dashboard of Grafana',
                )
            ],
        )
    try:
        return DashboardDocument.model_validate(document), []
    except ValidationError as error:
        raise InvalidRequest(
            "This dashboard file has mistakes.",
            details=[
                ErrorDetail(
                    field=".".join(["document", *(str(part) for part in problem["loc"])]),
                    message=problem["msg"].removeprefix("Value error, "),
                )
                for problem in error.errors(include_url=False)[:100]
            ],
        ) from None
