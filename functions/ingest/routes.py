"""Samples in, and the catalogue of metrics."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from pulseboard.contracts.envelope import ApiResponse
from pulseboard.contracts.metrics import IngestResult, MetricInfo, TagInfo
from pulseboard.http.access import Ingester, Reader

router = APIRouter(prefix="/api/v1", tags=["metrics"])


@router.post(
    "/metrics",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/IngestBody"}}
            },
        }
    },
)
def ingest_metrics(caller: Ingester, request: Request) -> ApiResponse[IngestResult]:
    """Store samples: one point, an array, or `{"points": […]}`; gzip accepted.

    Good points of a partly bad batch are stored, the bad ones named.
    """
    raise NotImplementedError


@router.get("/metrics")
def list_metrics(
    caller: Reader,
    prefix: Annotated[str, Query(max_length=200)] = "",
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(ge=1, le=1000, alias="pageSize")] = 50,
) -> ApiResponse[list[MetricInfo]]:
    """Metrics whose name begins with `prefix`, by name."""
    raise NotImplementedError


@router.get("/metrics/{name}/tags")
def get_metric_tags(
    caller: Reader,
    name: str,
    limit: Annotated[int, Query(ge=1, le=1000, description="Values a key.")] = 100,
) -> ApiResponse[list[TagInfo]]:
    """Tag keys of a metric with their values and series counts."""
    raise NotImplementedError
