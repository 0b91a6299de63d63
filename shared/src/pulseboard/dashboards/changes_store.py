"""Changes of a dashboard: each locks it, increments its version and adds the state to its history.

`expected` is the version that the caller has read. A change in between raises Conflict; None
skips this check.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from pulseboard.contracts.dashboards import (
    STORED,
    CreatePanel,
    Dashboard,
    DashboardVersion,
    PanelLayout,
    PlacedPanel,
    UpdateDashboard,
    UpdatePanel,
)
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import Conflict, InvalidRequest, NotFound
from pulseboard.core.settings import settings
from pulseboard.dashboards import layout as layouts
from pulseboard.dashboards import store


class _Edit:
    """A change in progress: `saved` is the dashboard after it."""

    saved: Dashboard


@contextmanager
def _changing(
    connection: psycopg.Connection[Any],
    *,
    dashboard_id: UUID,
    author_id: UUID,
    expected: int | None,
    change: str,
) -> Iterator[_Edit]:
    edit = _Edit()
    with connection.transaction():
        # The row lock makes concurrent changes wait for each other. Served by the primary key.
        row = connection.execute(
            """
            update dashboards set version = version + 1, updated_at = now()
            where id = %s returning version - 1
            """,
            (dashboard_id,),
        ).fetchone()
        if row is None:
            raise NotFound("There is no such dashboard.")
        if expected is not None and row[0] != expected:
            message = f"the dashboard has version {row[0]}, version {expected} was read"
            raise Conflict(
                "Somebody else has changed this dashboard.",
                details=[
                    ErrorDetail(field="version", message=message, hint="reload, then change it")
                ],
            )
        yield edit
        edit.saved = store.save_version(
            connection, dashboard_id=dashboard_id, author_id=author_id, change=change
        )


def update(
    connection: psycopg.Connection[Any],
    *,
    dashboard_id: UUID,
    author_id: UUID,
    body: UpdateDashboard,
) -> Dashboard:
    """Change the given fields; layout and panels are replaced as a whole.

    Raises Conflict, InvalidRequest, NotFound.
    """
    given = {name for name in body.model_fields_set if getattr(body, name) is not None}
    change = {
        frozenset({"version", "layout"}): store.LAYOUT_CHANGED,
        frozenset({"version", "panels"}): store.PANELS_CHANGED,
    }.get(frozenset(given), "settings changed")
    with _changing(
        connection,
        dashboard_id=dashboard_id,
        author_id=author_id,
        expected=body.version,
        change=change,
    ) as edit:
        connection.execute(
            """
            update dashboards set
              name = coalesce(%s, name),
              description = coalesce(%s, description),
              is_public = coalesce(%s, is_public),
              layout = coalesce(%s, layout)
            where id = %s
            """,
            (
                body.name,
                body.description,
                body.is_public,
                Jsonb(body.settings.model_dump(mode="json")) if body.settings else None,
                dashboard_id,
            ),
        )
        if body.layout is not None:
            _write_layout(connection, dashboard_id=dashboard_id, layout=body.layout)
        if body.panels is not None:
            _write_panels(connection, dashboard_id=dashboard_id, panels=body.panels)
    return edit.saved


def _write_layout(
    connection: psycopg.Connection[Any], *, dashboard_id: UUID, layout: Sequence[PanelLayout]
) -> None:
    rows = connection.execute(
        "select id from panels where dashboard_id = %s", (dashboard_id,)
    ).fetchall()
    layouts.check(layout, panels={row[0] for row in rows})
    # Served by the primary key.
    connection.execute(
        """
        update panels set position = w.position, updated_at = now()
        from unnest(%s::uuid[], %s::jsonb[]) as w (id, position)
        where panels.id = w.id and panels.position <> w.position
        """,
        (
            [item.i for item in layout],
            [Jsonb(item.model_dump(mode="json", exclude={"i"})) for item in layout],
        ),
    )


def _write_panels(
    connection: psycopg.Connection[Any], *, dashboard_id: UUID, panels: Sequence[PlacedPanel]
) -> None:
    """Make these the panels: known ids are updated, new ones inserted, all others deleted."""
    most = settings().dashboard_max_panels
    if len(panels) > most:
        raise InvalidRequest(f"A dashboard holds {most} panels at most.")
    layout = [PanelLayout(i=panel.id, **panel.position.model_dump()) for panel in panels]
    layouts.check(layout, panels={panel.id for panel in panels})
    # Both served by panels_dashboard and the primary key.
    connection.execute(
        "delete from panels where dashboard_id = %s and id <> all(%s)",
        (dashboard_id, [panel.id for panel in panels]),
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into panels (id, dashboard_id, title, type, queries, options, position)
            values (%s, %s, %s, %s, %s, %s, %s)
            on conflict (id) do update set
              title = excluded.title, type = excluded.type, queries = excluded.queries,
              options = excluded.options, position = excluded.position, updated_at = now()
            where panels.dashboard_id = excluded.dashboard_id
            """,
            [
                (
                    panel.id,
                    dashboard_id,
                    panel.title,
                    panel.type,
                    Jsonb([query.model_dump(mode="json") for query in panel.all_queries()]),
                    Jsonb(panel.options.model_dump(mode="json")),
                    Jsonb(panel.position.model_dump(mode="json")),
                )
                for panel in panels
            ],
        )
        if panels and cursor.rowcount != len(panels):
            raise InvalidRequest("A new panel's id is in use. Give each new panel a fresh one.")


def add_panel(
    connection: psycopg.Connection[Any],
    *,
    dashboard_id: UUID,
    author_id: UUID,
    body: CreatePanel,
    expected: int | None = None,
) -> tuple[Dashboard, UUID]:
    """Add a panel at its position, or below all others when that position is occupied."""
    with _changing(
        connection,
        dashboard_id=dashboard_id,
        author_id=author_id,
        expected=expected,
        change=f"panel {body.title} added",
    ) as edit:
        board = store.get_dashboard(connection, dashboard_id=dashboard_id)
        most = settings().dashboard_max_panels
        if len(board.panels) >= most:
            raise InvalidRequest(f"A dashboard holds {most} panels at most.")
        position = layouts.below([panel.position for panel in board.panels], body.position)
        panel_id = store.insert_panel(
            connection,
            dashboard_id=dashboard_id,
            panel=body.model_copy(update={"position": position}),
        )
    return edit.saved, panel_id


def update_panel(
    connection: psycopg.Connection[Any],
    *,
    dashboard_id: UUID,
    panel_id: UUID,
    author_id: UUID,
    body: UpdatePanel,
    expected: int | None = None,
) -> Dashboard:
    """Change the given fields of a panel. Raises NotFound.

    When the given position is occupied, the panel goes below all others.
    """
    queries = body.all_queries()
    place = body.position
    with _changing(
        connection,
        dashboard_id=dashboard_id,
        author_id=author_id,
        expected=expected,
        change="panel changed",
    ) as edit:
        if place is not None:
            board = store.get_dashboard(connection, dashboard_id=dashboard_id)
            others = [panel.position for panel in board.panels if panel.id != panel_id]
            place = layouts.below(others, place)
        changed = connection.execute(
            """
            update panels set
              title = coalesce(%s, title),
              type = coalesce(%s, type),
              queries = coalesce(%s, queries),
              options = coalesce(%s, options),
              position = coalesce(%s, position),
              updated_at = now()
            where id = %s and dashboard_id = %s
            """,
            (
                body.title,
                body.type,
                Jsonb([query.model_dump(mode="json") for query in queries]) if queries else None,
                Jsonb(body.options.model_dump(mode="json")) if body.options else None,
                Jsonb(place.model_dump(mode="json")) if place else None,
                panel_id,
                dashboard_id,
            ),
        ).rowcount
        if not changed:
            raise NotFound("There is no such panel on this dashboard.")
    return edit.saved


def delete_panel(
    connection: psycopg.Connection[Any],
    *,
    dashboard_id: UUID,
    panel_id: UUID,
    author_id: UUID,
    expected: int | None = None,
) -> Dashboard:
    """Remove a panel. Raises NotFound."""
    with _changing(
        connection,
        dashboard_id=dashboard_id,
        author_id=author_id,
        expected=expected,
        change="panel removed",
    ) as edit:
        gone = connection.execute(
            "delete from panels where id = %s and dashboard_id = %s", (panel_id, dashboard_id)
        ).rowcount
        if not gone:
            raise NotFound("There is no such panel on this dashboard.")
    return edit.saved


def delete(connection: psycopg.Connection[Any], *, dashboard_id: UUID) -> None:
    """Delete a dashboard with its panels and history; an unknown id is no error."""
    connection.execute("delete from dashboards where id = %s", (dashboard_id,))


def list_versions(
    connection: psycopg.Connection[Any], *, dashboard_id: UUID, public_only: bool = False
) -> list[DashboardVersion]:
    """The versions of a dashboard, newest first. Served by the primary key.

    `public_only` leaves out those from when it was private.
    """
    with connection.cursor(row_factory=class_row(DashboardVersion)) as cursor:
        return cursor.execute(
            """
            select v.version, v.change, u.email as author_email, v.created_at
            from dashboard_versions v left join users u on u.id = v.author_id
            where v.dashboard_id = %s and (not %s or (v.document->>'is_public')::boolean)
            order by v.version desc
            """,
            (dashboard_id, public_only),
        ).fetchall()


def get_version(
    connection: psycopg.Connection[Any],
    *,
    dashboard_id: UUID,
    version: int,
    public_only: bool = False,
) -> Dashboard:
    """A former version. Raises NotFound. Served by the primary key.

    `public_only` knows none from when the dashboard was private.
    """
    row = connection.execute(
        "select document from dashboard_versions where dashboard_id = %s and version = %s",
        (dashboard_id, version),
    ).fetchone()
    if row is None:
        raise NotFound(f"Version {version} of this dashboard is no longer stored.")
    former = Dashboard.model_validate(row[0], context=STORED)
    if public_only and not former.is_public:
        raise NotFound(f"Version {version} of this dashboard is not public.")
    return former


def restore(
    connection: psycopg.Connection[Any],
    *,
    dashboard_id: UUID,
    version: int,
    author_id: UUID,
    expected: int | None = None,
) -> Dashboard:
    """Make a former version the newest. Panels keep their ids; `is_public` does not change."""
    former = get_version(connection, dashboard_id=dashboard_id, version=version)
    with _changing(
        connection,
        dashboard_id=dashboard_id,
        author_id=author_id,
        expected=expected,
        change=f"version {version} restored",
    ) as edit:
        connection.execute(
            "update dashboards set name = %s, description = %s, layout = %s where id = %s",
            (
                former.name,
                former.description,
                Jsonb(former.settings.model_dump(mode="json")),
                dashboard_id,
            ),
        )
        _write_panels(
            connection,
            dashboard_id=dashboard_id,
            panels=[
                PlacedPanel(
                    **panel.model_dump(include={"id", "title", "type", "queries", "options"}),
                    position=panel.position,
                )
                for panel in former.panels
            ],
        )
    return edit.saved
