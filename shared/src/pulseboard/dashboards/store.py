"""Dashboards and their panels."""

from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from pulseboard.contracts.dashboards import (
    STORED,
    CreateDashboard,
    CreatePanel,
    Dashboard,
    DashboardOrder,
    DashboardSettings,
    DashboardSummary,
    Panel,
)
from pulseboard.core.exceptions import NotFound
from pulseboard.core.settings import settings
from pulseboard.dashboards import layout as layouts

LAYOUT_CHANGED = "layout changed"
PANELS_CHANGED = "panels changed"
# Saved by an editor at each pause, so many times in a minute.
GROUPED_CHANGES = (LAYOUT_CHANGED, PANELS_CHANGED)


def create_dashboard(
    connection: psycopg.Connection[Any], *, owner_id: UUID, body: CreateDashboard
) -> Dashboard:
    """Add a dashboard with its panels, all or nothing, as its own first version."""
    with connection.transaction():
        row = connection.execute(
            """
            insert into dashboards
              (name, description, owner_id, is_public, layout, created_at, updated_at)
            values (%s, %s, %s, %s, %s, clock_timestamp(), clock_timestamp()) returning id
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
        places = layouts.apart([panel.position for panel in body.panels])
        for panel, place in zip(body.panels, places, strict=True):
            insert_panel(
                connection,
                dashboard_id=row[0],
                panel=panel.model_copy(update={"position": place}),
            )
        return save_version(connection, dashboard_id=row[0], author_id=owner_id, change="created")


def insert_panel(
    connection: psycopg.Connection[Any], *, dashboard_id: UUID, panel: CreatePanel
) -> UUID:
    """Add a panel and return its id; the dashboard's version is not touched."""
    row = connection.execute(
        """
        insert into panels (dashboard_id, title, type, queries, options, position)
        values (%s, %s, %s, %s, %s, %s) returning id
        """,
        (
            dashboard_id,
            panel.title,
            panel.type,
            Jsonb([query.model_dump(mode="json") for query in panel.all_queries()]),
            Jsonb(panel.options.model_dump(mode="json")),
            Jsonb(panel.position.model_dump(mode="json")),
        ),
    ).fetchone()
    assert row is not None, "an insert without a conflict clause returns its row"
    return UUID(str(row[0]))


def save_version(
    connection: psycopg.Connection[Any], *, dashboard_id: UUID, author_id: UUID, change: str
) -> Dashboard:
    """Add the dashboard's state to its history, and drop the oldest beyond a limit.

    What one person moves and edits within a minute is one entry: the last state of that minute.
    Both deletions are served by the history's primary key.
    """
    board = get_dashboard(connection, dashboard_id=dashboard_id)
    if change in GROUPED_CHANGES:
        connection.execute(
            """
            delete from dashboard_versions
            where dashboard_id = %s
              and version = (
                select max(version) from dashboard_versions where dashboard_id = %s
              )
              and author_id = %s and change = any(%s)
              and date_trunc('minute', created_at) = date_trunc('minute', now())
            """,
            (board.id, board.id, author_id, list(GROUPED_CHANGES)),
        )
    connection.execute(
        """
        insert into dashboard_versions (dashboard_id, version, document, author_id, change)
        values (%s, %s, %s, %s, %s)
        """,
        (board.id, board.version, Jsonb(board.model_dump(mode="json")), author_id, change),
    )
    connection.execute(
        """
        delete from dashboard_versions
        where dashboard_id = %s and version <= (
          select version from dashboard_versions where dashboard_id = %s
          order by version desc offset %s limit 1
        )
        """,
        (board.id, board.id, settings().dashboard_versions),
    )
    return board


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
    return Dashboard(
        **{name: value for name, value in board.items() if name != "layout"},
        settings=DashboardSettings.model_validate(board["layout"], context=STORED),
        panels=[Panel.model_validate(panel, context=STORED) for panel in panels],
    )


_ORDERS = {
    DashboardOrder.UPDATED: "d.updated_at desc, d.id",
    DashboardOrder.NAME: "lower(d.name), d.id",
    DashboardOrder.VIEWED: "v.viewed_at desc nulls last, d.updated_at desc, d.id",
}


def list_dashboards(
    connection: psycopg.Connection[Any],
    *,
    reader_id: UUID,
    everything: bool,
    search: str,
    page: int,
    page_size: int,
    order: DashboardOrder = DashboardOrder.UPDATED,
    favourites: bool = False,
) -> tuple[list[DashboardSummary], int]:
    """A page of the reader's own and public dashboards (`everything`: all), and the total.

    Served by dashboards_owner, dashboards_public and the primary key of dashboard_visits.
    """
    pattern = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    wanted = {
        "reader": reader_id,
        "everything": everything,
        "favourites": favourites,
        "pattern": f"%{pattern}%",
        "limit": page_size,
        "offset": (page - 1) * page_size,
    }
    found = """
        from dashboards d
        join users u on u.id = d.owner_id
        left join dashboard_visits v on v.dashboard_id = d.id and v.user_id = %(reader)s
        where (%(everything)s or d.owner_id = %(reader)s or d.is_public)
          and (d.name ilike %(pattern)s or d.description ilike %(pattern)s)
          and (not %(favourites)s or v.favourite)
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            f"""
            select d.id, d.name, d.description, d.owner_id, u.email as owner_email, d.is_public,
              (select count(*) from panels p where p.dashboard_id = d.id) as panel_count,
              coalesce(v.favourite, false) as favourite, v.viewed_at,
              d.version, d.created_at, d.updated_at
            {found}
            order by {_ORDERS[order]} limit %(limit)s offset %(offset)s
            """,
            wanted,
        ).fetchall()
        total = cursor.execute(f"select count(*) as total {found}", wanted).fetchone()
    return [DashboardSummary.model_validate(row) for row in rows], total["total"] if total else 0


def note_visit(
    connection: psycopg.Connection[Any],
    *,
    user_id: UUID,
    dashboard_id: UUID,
    favourite: bool | None = None,
) -> None:
    """Store that a user opened a dashboard (None), or whether it is a favourite."""
    connection.execute(
        """
        insert into dashboard_visits (user_id, dashboard_id, favourite, viewed_at)
        values (%(user)s, %(board)s, coalesce(%(favourite)s, false),
          case when %(favourite)s::boolean is null then now() end)
        on conflict (user_id, dashboard_id) do update set
          favourite = coalesce(%(favourite)s, dashboard_visits.favourite),
          viewed_at = coalesce(excluded.viewed_at, dashboard_visits.viewed_at)
        """,
        {"user": user_id, "board": dashboard_id, "favourite": favourite},
    )
