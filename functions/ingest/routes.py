"""Samples in, and the catalogue of metrics."""

from typing import Annotated

from fastapi import APIRouter, Query

from pulseboard.auth.access import Ingester, Reader
from pulseboard.catalogue import metrics_store
from pulseboard.contracts.envelope import ApiResponse, PageMeta
from pulseboard.contracts.ingest import IngestResult
from pulseboard.contracts.metrics import MetricInfo, TagInfo
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest.concurrency_limiter import IngestBody
from pulseboard.ingest.decoders import json_points
from pulseboard.ingest.write_path import limits, now, store
from pulseboard.web.body import inflate

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
def ingest_metrics(caller: Ingester, body: IngestBody) -> ApiResponse[IngestResult]:
    """Store samples: one point, an array, or `{"points": […]}`; gzip accepted.

    Good points of a partly bad batch are stored, the bad ones named.
    """
    configured = settings()
    batch = json_points.parse(
        inflate(body, limit=configured.ingest_max_inflated_bytes),
        now=now(),
        limits=limits(),
    )
    store(batch, key_id=caller.key_id, protocol="json")
    if batch.accepted == 0:
        raise json_points.nothing_valid(batch, counted=True)
    return ApiResponse(
        data=IngestResult(accepted=batch.accepted, rejected=batch.rejected, errors=batch.issues)
    )


@router.get("/metrics")
def list_metrics(
    caller: Reader,
    prefix: Annotated[str, Query(max_length=200)] = "",
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(ge=1, le=1000, alias="pageSize")] = 50,
) -> ApiResponse[list[MetricInfo]]:
    """Metrics whose name begins with `prefix`, by name."""
    with database.connection() as connection:
        found, total = metrics_store.find(connection, prefix=prefix, page=page, page_size=page_size)
    return ApiResponse(data=found, meta=PageMeta(total=total, page=page, page_size=page_size))


@router.get("/metrics/{name:path}/tags")
def get_metric_tags(
    caller: Reader,
    name: str,
    limit: Annotated[int, Query(ge=1, le=1000, description="The most values of one key.")] = 100,
) -> ApiResponse[list[TagInfo]]:
    """Tag keys of a metric with their values and series counts."""
    with database.connection() as connection:
        found = metrics_store.tags(connection, name=name, limit=limit)
    return ApiResponse(data=found)
