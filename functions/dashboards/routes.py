"""Dashboards and panels."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from pulseboard.contracts.dashboards import Dashboard, DashboardSummary
from pulseboard.contracts.envelope import ApiResponse, PageMeta
from pulseboard.exceptions import NotFound
from pulseboard.http.access import Reader
from pulseboard.stores import dashboards, database

router = APIRouter(prefix="/api/v1/dashboards", tags=["dashboards"])


@router.get("")
def get_dashboards(
    caller: Reader,
    search: Annotated[str, Query(max_length=200)] = "",
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(ge=1, le=1000, alias="pageSize")] = 50,
) -> ApiResponse[list[DashboardSummary]]:
    """One's own and public dashboards (all for an admin), last changed first."""
    with database.connection() as connection:
        found, total = dashboards.list_dashboards(
            connection,
            reader_id=caller.user_id,
            everything=caller.is_admin,
            search=search,
            page=page,
            page_size=page_size,
        )
    return ApiResponse(data=found, meta=PageMeta(total=total, page=page, page_size=page_size))


@router.get("/{dashboard_id}")
def get_dashboard(caller: Reader, dashboard_id: UUID) -> ApiResponse[Dashboard]:
    """A dashboard with its panels. 404 when it is not there or not for this caller."""
    with database.connection() as connection:
        found = dashboards.get_dashboard(connection, dashboard_id=dashboard_id)
    own = found.owner_id == caller.user_id
    if not (own or found.is_public or caller.is_admin):
        # The same answer as for one that is not there: ids of others' boards tell nothing.
        raise NotFound("There is no such dashboard.")
    can_edit = caller.can_write and (own or caller.is_admin)
    return ApiResponse(data=found.model_copy(update={"can_edit": can_edit}))
