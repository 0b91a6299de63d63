"""Dashboards and their panels."""

from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from pulseboard.contracts.dashboards import (
    CreateDashboard,
    Dashboard,
    DashboardSettings,
    DashboardSummary,
    Panel,
)
from pulseboard.exceptions import NotFound


def create_dashboard(
    connection: psycopg.Connection[Any], *, owner_id: UUID, body: CreateDashboard
) -> Dashboard:
    """Add a dashboard with its panels, all or nothing."""
    with connection.transaction(), connection.cursor() as cursor:
        row = cursor.execute(
            """
            insert into dashboards (name, description, owner_id, is_public, layout)
            values (%s, %s, %s, %s, %s) returning id
            """,
            (
                body.name,
                body.description,
                owner_id,
                body.is_public,
                Jsonb(body.settings.model_dump(mode="json")),
            ),
        ).fetchone()
        assert row is not None, "an insert without a conflict clause returns its row"
        if body.panels:
            cursor.executemany(
                """
                insert into panels (dashboard_id, title, type, queries, options, position)
                values (%s, %s, %s, %s, %s, %s)
                """,
                [
                    (
                        row[0],
                        panel.title,
                        panel.type,
                        Jsonb([query.model_dump(mode="json") for query in panel.all_queries()]),
                        Jsonb(panel.options.model_dump(mode="json")),
                        Jsonb(panel.position.model_dump(mode="json")),
                    )
                    for panel in body.panels
                ],
            )
    return get_dashboard(connection, dashboard_id=row[0])


def get_dashboard(connection: psycopg.Connection[Any], *, dashboard_id: UUID) -> Dashboard:
    """A dashboard with its panels, top to bottom. Raises NotFound.

    Served by the primary key and panels_dashboard.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        board = cursor.execute(
            """
            select id, name, description, owner_id, is_public, layout, version,
              created_at, updated_at
            from dashboards where id = %s
            """,
            (dashboard_id,),
        ).fetchone()
        if board is None:
            raise NotFound("There is no such dashboard.")
        panels = cursor.execute(
            """
            select id, dashboard_id, title, type, queries, options, position,
              created_at, updated_at
            from panels where dashboard_id = %s
            order by (position ->> 'y')::int, (position ->> 'x')::int, id
            """,
            (dashboard_id,),
        ).fetchall()
    settings = DashboardSettings.model_validate(board.pop("layout"))
    return Dashboard(
        **board, settings=settings, panels=[Panel.model_validate(panel) for panel in panels]
    )


def list_dashboards(
    connection: psycopg.Connection[Any],
    *,
    reader_id: UUID,
    everything: bool,
    search: str,
    page: int,
    page_size: int,
) -> tuple[list[DashboardSummary], int]:
    """A page of one's own and public dashboards (`everything`: all), and how many there are.

    Served by dashboards_owner and dashboards_public.
    """
    pattern = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    wanted = {
        "reader": reader_id,
        "everything": everything,
        "pattern": f"%{pattern}%",
        "limit": page_size,
        "offset": (page - 1) * page_size,
    }
    condition = """
        (%(everything)s or d.owner_id = %(reader)s or d.is_public)
        and (d.name ilike %(pattern)s or d.description ilike %(pattern)s)
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"""
            select d.id, d.name, d.description, d.owner_id, u.email as owner_email, d.is_public,
              (select count(*) from panels p where p.dashboard_id = d.id) as panel_count,
              d.version, d.created_at, d.updated_at
            from dashboards d join users u on u.id = d.owner_id
            where {condition}
            order by d.updated_at desc, d.id limit %(limit)s offset %(offset)s
            """,
            wanted,
        ).fetchall()
        total = cursor.execute(
            f"select count(*) as total from dashboards d where {condition}", wanted
        ).fetchone()
    return [DashboardSummary.model_validate(row) for row in rows], total["total"] if total else 0
