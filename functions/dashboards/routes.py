"""Dashboards and panels."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

import psycopg
from fastapi import APIRouter, Query

from pulseboard.auth.access import Principal, Reader, SignedIn, Writer
from pulseboard.contracts.dashboards import (
    CopyPanel,
    CreateDashboard,
    CreatePanel,
    Dashboard,
    DashboardDocument,
    DashboardImport,
    DashboardOrder,
    DashboardSummary,
    DashboardVersion,
    DuplicateDashboard,
    ImportDashboard,
    ImportedDashboard,
    SavedPanel,
    SetFavourite,
    UpdateDashboard,
    UpdatePanel,
)
from pulseboard.contracts.envelope import ApiResponse, PageMeta
from pulseboard.core.exceptions import Conflict, Forbidden, NotFound
from pulseboard.dashboards import cache as dashboard_cache
from pulseboard.dashboards import changes_store, imports_store, permissions
from pulseboard.dashboards import document as dashboard_document
from pulseboard.dashboards import store as dashboards_store
from pulseboard.db import database

router = APIRouter(prefix="/api/v1/dashboards", tags=["dashboards"])

Expected = Annotated[
    int | None,
    Query(
        ge=1,
        alias="version",
        description="The version that was read; 409 when it has been changed since.",
    ),
]


def _read(connection: psycopg.Connection[Any], caller: Principal, dashboard_id: UUID) -> Dashboard:
    found = dashboards_store.get_dashboard(connection, dashboard_id=dashboard_id)
    return _readable_by(caller, found)


def _readable_by(caller: Principal, found: Dashboard) -> Dashboard:
    if not permissions.can_read(caller, found):
        # The same response as for an unknown id, so that nobody learns which ids exist.
        raise NotFound("This dashboard does not exist.")
    return found.model_copy(update={"can_edit": permissions.can_edit(caller, found)})


@contextmanager
def _changing(caller: Principal, dashboard_id: UUID) -> Iterator[psycopg.Connection[Any]]:
    """A connection for a change that the caller may make; it invalidates the cache afterwards."""
    try:
        with database.connection() as connection:
            if not _read(connection, caller, dashboard_id).can_edit:
                raise Forbidden("Only its owner or an admin may change this dashboard.")
            yield connection
    except Conflict:
        # The caller has read an old state, perhaps from the cache: it must not be served again.
        dashboard_cache.invalidate(dashboard_id)
        raise
    dashboard_cache.invalidate(dashboard_id)


def _own(saved: Dashboard) -> ApiResponse[Dashboard]:
    return ApiResponse(data=saved.model_copy(update={"can_edit": True}))


def _panel(saved: Dashboard, panel_id: UUID) -> ApiResponse[SavedPanel]:
    panel = next(panel for panel in saved.panels if panel.id == panel_id)
    return ApiResponse(data=SavedPanel(**panel.model_dump(), dashboard_version=saved.version))


@router.get("")
def get_dashboards(
    caller: Reader,
    search: Annotated[str, Query(max_length=200)] = "",
    order: DashboardOrder = DashboardOrder.UPDATED,
    favourites: bool = False,
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(ge=1, le=1000, alias="pageSize")] = 50,
) -> ApiResponse[list[DashboardSummary]]:
    """Your own and public dashboards (all for an admin)."""
    with database.connection() as connection:
        found, total = dashboards_store.list_dashboards(
            connection,
            reader_id=caller.user_id,
            everything=permissions.sees_all(caller),
            search=search,
            order=order,
            favourites=favourites,
            page=page,
            page_size=page_size,
        )
    return ApiResponse(data=found, meta=PageMeta(total=total, page=page, page_size=page_size))


@router.post("", status_code=201)
def create_dashboard(caller: Writer, body: CreateDashboard) -> ApiResponse[Dashboard]:
    """Create a dashboard, with or without panels; one that overlaps another goes below."""
    with database.connection() as connection:
        created = dashboards_store.create_dashboard(connection, owner_id=caller.user_id, body=body)
    return _own(created)


@router.post("/import", status_code=201)
def import_dashboard(caller: Writer, body: ImportDashboard) -> ApiResponse[ImportedDashboard]:
    """Create a dashboard from a file, with a report of what was changed or dropped."""
    replaced = dashboard_document.replace_unstorable(body.document)
    document, report = dashboard_document.parse(body.document)
    report = [*replaced, *report]
    wanted = dashboard_document.to_create(document, name=body.name)
    with database.connection() as connection, connection.transaction():
        created = dashboards_store.create_dashboard(
            connection,
            owner_id=caller.user_id,
            body=wanted.model_copy(update={"is_public": body.is_public}),
        )
        source = dashboard_document.grafana_source(body.document)
        if source is not None:
            imports_store.put(connection, dashboard_id=created.id, source=source, report=report)
    imported = created.model_copy(update={"can_edit": True})
    return ApiResponse(data=ImportedDashboard(dashboard=imported, report=report))


@router.get("/{dashboard_id}")
def get_dashboard(caller: Reader, dashboard_id: UUID) -> ApiResponse[Dashboard]:
    """A dashboard with its panels. 404 when it does not exist or the caller may not see it."""
    cached = dashboard_cache.get(dashboard_id)
    if cached is not None:
        return ApiResponse(data=_readable_by(caller, cached))
    with database.connection() as connection:
        found = dashboards_store.get_dashboard(connection, dashboard_id=dashboard_id)
    dashboard_cache.put(found)
    return ApiResponse(data=_readable_by(caller, found))


@router.put("/{dashboard_id}")
def update_dashboard(
    caller: Writer, dashboard_id: UUID, body: UpdateDashboard
) -> ApiResponse[Dashboard]:
    """Change the given fields; `layout` sets the positions of all panels at once.

    409 when `version` is not the newest.
    """
    with _changing(caller, dashboard_id) as connection:
        saved = changes_store.update(
            connection, dashboard_id=dashboard_id, author_id=caller.user_id, body=body
        )
    return _own(saved)


@router.delete("/{dashboard_id}", status_code=204)
def delete_dashboard(caller: Writer, dashboard_id: UUID) -> None:
    """Delete a dashboard with its panels and its history."""
    with _changing(caller, dashboard_id) as connection:
        changes_store.delete(connection, dashboard_id=dashboard_id)


@router.post("/{dashboard_id}/duplicate", status_code=201)
def duplicate_dashboard(
    caller: Writer, dashboard_id: UUID, body: DuplicateDashboard
) -> ApiResponse[Dashboard]:
    """Copy a visible dashboard. The copy belongs to the caller and is not public."""
    with database.connection() as connection:
        board = _read(connection, caller, dashboard_id)
        copy = dashboard_document.to_create(
            dashboard_document.export(board), name=body.name or f"{board.name[:193]} (copy)"
        )
        created = dashboards_store.create_dashboard(connection, owner_id=caller.user_id, body=copy)
        imports_store.copy(connection, dashboard_id=dashboard_id, to=created.id)
    return _own(created)


@router.get("/{dashboard_id}/import")
def get_dashboard_import(caller: Reader, dashboard_id: UUID) -> ApiResponse[DashboardImport]:
    """What became of each part of the file that a dashboard was imported from.

    404 for a dashboard that was not imported.
    """
    with database.connection() as connection:
        _read(connection, caller, dashboard_id)
        found = imports_store.get_import(connection, dashboard_id=dashboard_id)
    return ApiResponse(data=found)


@router.get("/{dashboard_id}/export/grafana")
def export_dashboard_to_grafana(caller: Reader, dashboard_id: UUID) -> ApiResponse[dict[str, Any]]:
    """The dashboard as Grafana's classic JSON; what was imported and not changed comes back as it
    was in the file.
    """
    with database.connection() as connection:
        board = _read(connection, caller, dashboard_id)
        source = imports_store.get_source(connection, dashboard_id=dashboard_id)
    return ApiResponse(data=dashboard_document.to_grafana(board, source=source))


@router.get("/{dashboard_id}/export")
def export_dashboard(caller: Reader, dashboard_id: UUID) -> ApiResponse[DashboardDocument]:
    """The dashboard as a file for Git: no ids, no times, always in the same order."""
    with database.connection() as connection:
        board = _read(connection, caller, dashboard_id)
    return ApiResponse(data=dashboard_document.export(board))


@router.put("/{dashboard_id}/favourite", status_code=204)
def set_favourite(caller: SignedIn, dashboard_id: UUID, body: SetFavourite) -> None:
    """Add a dashboard to your favourites, or remove it."""
    with database.connection() as connection:
        _read(connection, caller, dashboard_id)
        dashboards_store.note_visit(
            connection, user_id=caller.user_id, dashboard_id=dashboard_id, favourite=body.favourite
        )


@router.post("/{dashboard_id}/visit", status_code=204)
def note_visit(caller: SignedIn, dashboard_id: UUID) -> None:
    """Record that you opened a dashboard, for the list of recent ones."""
    with database.connection() as connection:
        _read(connection, caller, dashboard_id)
        dashboards_store.note_visit(connection, user_id=caller.user_id, dashboard_id=dashboard_id)


@router.get("/{dashboard_id}/versions")
def get_dashboard_versions(
    caller: Reader, dashboard_id: UUID
) -> ApiResponse[list[DashboardVersion]]:
    """What was changed, when and by whom, newest first."""
    with database.connection() as connection:
        board = _read(connection, caller, dashboard_id)
        found = changes_store.list_versions(
            connection,
            dashboard_id=dashboard_id,
            public_only=not permissions.can_read_private_versions(caller, board),
        )
    return ApiResponse(data=found)


@router.get("/{dashboard_id}/versions/{version}")
def get_dashboard_version(
    caller: Reader, dashboard_id: UUID, version: int
) -> ApiResponse[Dashboard]:
    """A former version of a dashboard."""
    with database.connection() as connection:
        board = _read(connection, caller, dashboard_id)
        found = changes_store.get_version(
            connection,
            dashboard_id=dashboard_id,
            version=version,
            public_only=not permissions.can_read_private_versions(caller, board),
        )
    return ApiResponse(data=found)


@router.post("/{dashboard_id}/versions/{restored}/restore")
def restore_dashboard_version(
    caller: Writer, dashboard_id: UUID, restored: int, version: Expected = None
) -> ApiResponse[Dashboard]:
    """Restore a former version as the newest; the history stays complete."""
    with _changing(caller, dashboard_id) as connection:
        saved = changes_store.restore(
            connection,
            dashboard_id=dashboard_id,
            version=restored,
            author_id=caller.user_id,
            expected=version,
        )
    return _own(saved)


@router.post("/{dashboard_id}/panels", status_code=201)
def add_panel(
    caller: Writer, dashboard_id: UUID, body: CreatePanel, version: Expected = None
) -> ApiResponse[SavedPanel]:
    """Add a panel; when its position is occupied, it goes below all others."""
    with _changing(caller, dashboard_id) as connection:
        saved, panel_id = changes_store.add_panel(
            connection,
            dashboard_id=dashboard_id,
            author_id=caller.user_id,
            body=body,
            expected=version,
        )
    return _panel(saved, panel_id)


@router.put("/{dashboard_id}/panels/{panel_id}")
def update_panel(
    caller: Writer,
    dashboard_id: UUID,
    panel_id: UUID,
    body: UpdatePanel,
    version: Expected = None,
) -> ApiResponse[SavedPanel]:
    """Change the given fields of a panel; on an occupied position it goes below all others."""
    with _changing(caller, dashboard_id) as connection:
        saved = changes_store.update_panel(
            connection,
            dashboard_id=dashboard_id,
            panel_id=panel_id,
            author_id=caller.user_id,
            body=body,
            expected=version,
        )
    return _panel(saved, panel_id)


@router.delete("/{dashboard_id}/panels/{panel_id}")
def delete_panel(
    caller: Writer, dashboard_id: UUID, panel_id: UUID, version: Expected = None
) -> ApiResponse[Dashboard]:
    """Remove a panel and return the dashboard without it."""
    with _changing(caller, dashboard_id) as connection:
        saved = changes_store.delete_panel(
            connection,
            dashboard_id=dashboard_id,
            panel_id=panel_id,
            author_id=caller.user_id,
            expected=version,
        )
    return _own(saved)


@router.post("/{dashboard_id}/panels/{panel_id}/copy", status_code=201)
def copy_panel(
    caller: Writer, dashboard_id: UUID, panel_id: UUID, body: CopyPanel
) -> ApiResponse[SavedPanel]:
    """Copy a panel to another dashboard or within the same one."""
    with _changing(caller, body.dashboard_id) as connection:
        board = _read(connection, caller, dashboard_id)
        panel = next((panel for panel in board.panels if panel.id == panel_id), None)
        if panel is None:
            raise NotFound("There is no such panel on this dashboard.")
        copy = dashboard_document.panel(panel)
        saved, created = changes_store.add_panel(
            connection,
            dashboard_id=body.dashboard_id,
            author_id=caller.user_id,
            body=copy.model_copy(update={"title": body.title}) if body.title else copy,
        )
    return _panel(saved, created)
