"""What dashboards were imported from: the file and the report of the import."""

from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from pulseboard.contracts.dashboards import DashboardImport, ImportNote
from pulseboard.core.exceptions import NotFound


def put(
    connection: psycopg.Connection[Any],
    *,
    dashboard_id: UUID,
    source: dict[str, Any],
    report: list[ImportNote],
) -> None:
    """Store the file and the report of a dashboard that was just imported."""
    connection.execute(
        """
        insert into dashboard_imports (dashboard_id, source, report) values (%s, %s, %s)
        on conflict (dashboard_id) do update
        set source = excluded.source, report = excluded.report, imported_at = now()
        """,
        (dashboard_id, Jsonb(source), Jsonb([note.model_dump(mode="json") for note in report])),
    )


def copy(connection: psycopg.Connection[Any], *, dashboard_id: UUID, to: UUID) -> None:
    """Give a copy of a dashboard the same file and report, where there are any."""
    connection.execute(
        """
        insert into dashboard_imports (dashboard_id, source, report, imported_at)
        select %s, source, report, imported_at from dashboard_imports where dashboard_id = %s
        """,
        (to, dashboard_id),
    )


def get_source(connection: psycopg.Connection[Any], *, dashboard_id: UUID) -> dict[str, Any] | None:
    """The file, or None for a dashboard that was not imported. Served by the primary key."""
    row = connection.execute(
        "select source from dashboard_imports where dashboard_id = %s", (dashboard_id,)
    ).fetchone()
    return row[0] if row else None


def get_import(connection: psycopg.Connection[Any], *, dashboard_id: UUID) -> DashboardImport:
    """When it was imported, and the report. Raises NotFound. Served by the primary key."""
    row = connection.execute(
        "select report, imported_at from dashboard_imports where dashboard_id = %s",
        (dashboard_id,),
    ).fetchone()
    if row is None:
        raise NotFound("This dashboard was not imported.")
    return DashboardImport(
        report=[ImportNote.model_validate(note) for note in row[0]], imported_at=row[1]
    )
