"""What is stored, who sends it and what it costs; deletion of series."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from pulseboard.auth.access import Editor, Reader
from pulseboard.catalogue.selector import parse
from pulseboard.contracts.envelope import ApiResponse, PageMeta
from pulseboard.contracts.usage import (
    DeletedSeries,
    KeyReceived,
    MetricDetail,
    MetricOrder,
    MetricUsage,
    RefusedReason,
    SeriesOrder,
    SeriesUsage,
    TagUsage,
    UsageOverview,
)
from pulseboard.db import database
from pulseboard.ingest import received_store
from pulseboard.usage import deletion_store, received_queries
from pulseboard.usage import report as usage_report
from pulseboard.usage import store as usage_store

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])

Page = Annotated[int, Query(ge=1)]
PageSize = Annotated[int, Query(ge=1, le=200, alias="pageSize")]
SelectorText = Annotated[
    str, Query(max_length=4000, description='A metric, optionally with tags: cpu{host="a"}.')
]


@router.get("")
def get_usage(caller: Reader) -> ApiResponse[UsageOverview]:
    """Stored data by API key, with the limits. Up to a minute old."""
    owner_id = None if caller.is_admin else caller.user_id
    with database.connection() as connection:
        return ApiResponse(data=usage_report.overview(connection, owner_id=owner_id))


@router.get("/metrics")
def get_usage_by_metric(
    caller: Reader,
    search: Annotated[str, Query(max_length=200)] = "",
    order: MetricOrder = MetricOrder.SERIES,
    page: Page = 1,
    page_size: PageSize = 50,
) -> ApiResponse[list[MetricUsage]]:
    """Metrics whose name contains `search`, the largest first. Up to a minute old."""
    with database.connection() as connection:
        _, parts = usage_store.counts(connection)
    found = usage_report.by_metric(parts, search=search, order=order)
    begin = (page - 1) * page_size
    return ApiResponse(
        data=found[begin : begin + page_size],
        meta=PageMeta(total=len(found), page=page, page_size=page_size),
    )


@router.get("/tags")
def get_usage_by_tag(caller: Reader) -> ApiResponse[list[TagUsage]]:
    """Tag keys of all metrics, those with the most values first. Up to a minute old."""
    with database.connection() as connection:
        return ApiResponse(data=usage_store.tags(connection, metric=None))


@router.get("/metrics/{name:path}")
def get_metric_usage(caller: Reader, name: str) -> ApiResponse[MetricDetail]:
    """One metric: its amounts, and its tags with their most used values. Up to a minute old."""
    with database.connection() as connection:
        tags = usage_store.tags(connection, metric=name)
        _, parts = usage_store.counts(connection)
    return ApiResponse(data=MetricDetail(usage=usage_report.metric(parts, name), tags=tags))


@router.get("/series")
def get_series_usage(
    caller: Reader,
    selector: SelectorText,
    order: SeriesOrder = SeriesOrder.NEWEST,
    page: Page = 1,
    page_size: PageSize = 50,
) -> ApiResponse[list[SeriesUsage]]:
    """Series that a selector matches, ordered by creation or by their last sample."""
    with database.connection() as connection:
        found, total = usage_store.list_series(
            connection, selector=parse(selector), order=order, page=page, page_size=page_size
        )
    return ApiResponse(data=found, meta=PageMeta(total=total, page=page, page_size=page_size))


@router.delete("/series")
def delete_series(
    caller: Editor,
    selector: SelectorText,
    dry_run: Annotated[
        bool, Query(alias="dryRun", description="Change nothing; return what would be deleted.")
    ] = False,
    expect: Annotated[
        int | None,
        Query(ge=0, description="The expected number of series; 409 when the number differs."),
    ] = None,
) -> ApiResponse[DeletedSeries]:
    """Delete series with their samples, for good; a bare name deletes the whole metric.

    No further query finds them, but charts may show them for five minutes from the cache. Their
    samples leave the disk within minutes.
    """
    with database.connection() as connection:
        deleted = deletion_store.delete(
            connection, selector=parse(selector), dry_run=dry_run, expect=expect
        )
    return ApiResponse(data=deleted)


@router.get("/keys/{key_id}/received")
def get_key_received(caller: Editor, key_id: UUID) -> ApiResponse[KeyReceived]:
    """What was received with one of your keys; an admin may choose any key."""
    owner_id = None if caller.is_admin else caller.user_id
    with database.connection() as connection:
        found = received_queries.by_key(connection, key_id=key_id, owner_id=owner_id)
    counted = received_store.read(key_id)
    return ApiResponse(data=_with_counts(found, counted))


def _with_counts(stored: KeyReceived, counted: received_store.Received | None) -> KeyReceived:
    if counted is None:
        return stored.model_copy(update={"counted": False})
    newest = counted.newest
    return KeyReceived(
        last_used_at=stored.last_used_at,
        series_count=stored.series_count,
        metrics=counted.metrics or stored.metrics,
        recent_samples=counted.recent,
        newest_sample_at=(
            datetime.fromtimestamp(newest / 1000, UTC) if newest else stored.newest_sample_at
        ),
        day_samples=counted.accepted,
        day_refused=counted.refused,
        refused=[
            RefusedReason(
                reason=one.reason,
                count=one.count,
                example=one.example,
                last_at=datetime.fromtimestamp(one.at, UTC),
            )
            for one in counted.reasons
        ],
    )
