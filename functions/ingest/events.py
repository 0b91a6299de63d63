"""Events in and out: ours, and those of Datadog's API, which has the same path."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from pulseboard.auth.access import EventWriter, Reader, refuse_keys_in_url
from pulseboard.contracts.base import UtcTime
from pulseboard.contracts.envelope import ApiResponse, PageMeta
from pulseboard.contracts.events import Event
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest import events_store
from pulseboard.ingest.concurrency_limiter import IngestBody
from pulseboard.ingest.decoders import events
from pulseboard.ingest.write_path import limits, now
from pulseboard.web.body import inflate_any

router = APIRouter(prefix="/api/v1", tags=["events"])
_DEFAULT_RANGE = timedelta(days=7)


@router.post(
    "/events",
    status_code=201,
    dependencies=[Depends(refuse_keys_in_url)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/CreateEvent"}}
            },
        }
    },
)
def create_event(caller: EventWriter, request: Request, body: IngestBody) -> ApiResponse[Event]:
    """Store an event; one that was sent before stays one.

    The shape of Datadog's API is accepted too, and answered as Datadog does to its keys.
    """
    event = events.parse(
        inflate_any(body, limit=settings().ingest_max_inflated_bytes), limits=limits()
    )
    with database.connection(purpose="write") as connection:
        [stored] = events_store.create(connection, events=[event], now=now())
    if "dd-api-key" in request.headers:
        return _as_datadog(stored)  # type: ignore[return-value]
    return ApiResponse(data=stored)


def _as_datadog(event: Event) -> Response:
    content = {
        "status": "ok",
        "event": {
            "id": str(event.id),
            "title": event.title,
            "text": event.text,
            "date_happened": int(event.time.timestamp()),
            "tags": [f"{key}:{value}" for key, value in event.tags.items()],
        },
    }
    return JSONResponse(content, status_code=202)


@router.get("/events")
def list_events(
    caller: Reader,
    start: Annotated[UtcTime | None, Query(description="By default seven days ago.")] = None,
    end: Annotated[UtcTime | None, Query(description="By default now.")] = None,
    tag: Annotated[
        list[str] | None, Query(max_length=20, description="`key:value`, several for all of them.")
    ] = None,
    source: Annotated[str | None, Query(max_length=100)] = None,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=1000, alias="pageSize")] = 100,
) -> ApiResponse[list[Event]]:
    """Events, newest first."""
    until = end or datetime.now(UTC) + timedelta(seconds=1)
    tags = {}
    for text in tag or []:
        key, colon, value = text.partition(":")
        if not (key and colon):
            raise InvalidRequest(f'tag is key:value, not "{text[:100]}".')
        tags[key] = value
    with database.connection() as connection:
        found, total = events_store.list_events(
            connection,
            start=start or until - _DEFAULT_RANGE,
            end=until,
            tags=tags,
            source=source,
            page=page,
            page_size=page_size,
        )
    return ApiResponse(data=found, meta=PageMeta(total=total, page=page, page_size=page_size))
