"""Dashboards and panels."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from pulseboard.contracts.dashboards import Dashboard, DashboardSummary
from pulseboard.contracts.envelope import ApiResponse
from pulseboard.http.access import Reader

router = APIRouter(prefix="/api/v1/dashboards", tags=["dashboards"])


@router.get("")
def get_dashboards(
    caller: Reader,
    search: Annotated[str, Query(max_length=200)] = "",
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(ge=1, le=1000, alias="pageSize")] = 50,
) -> ApiResponse[list[DashboardSummary]]:
    """One's own and public dashboards (all for an admin), last changed first."""
    raise NotImplementedError


@router.get("/{dashboard_id}")
def get_dashboard(caller: Reader, dashboard_id: UUID) -> ApiResponse[Dashboard]:
    """A dashboard with its panels. 404 when it is not there or not for this caller."""
    raise NotImplementedError
