"""Datadog's intake, as its Agent, its client libraries and Vector send to it.

    Content-Type                 /series         /sketches  /distribution_points  /metrics/v3/…
    application/json             JSON            400        JSON                  400
    anything else, body `{…`     JSON            400        JSON                  400
    anything else                MetricPayload   sketches   400                   Payload

Bodies may be compressed by deflate, gzip or zstd, whatever the headers say. Events are stored as
events, the states of service checks as samples. Metadata of hosts is acknowledged and dropped,
since the Agent would send it again otherwise. A
wrong key is 403, as at Datadog: the Agent retries after 401. Unsupported routes are 404 with the
reason, which the Agent logs before it drops the body.
"""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from pulseboard.auth.access import AgentWriter, KeyChecker, refuse_keys_in_url
from pulseboard.core.exceptions import NotFound, PulseboardError
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest import events_store
from pulseboard.ingest.batch import Batch
from pulseboard.ingest.concurrency_limiter import IngestBody
from pulseboard.ingest.decoders import events
from pulseboard.ingest.decoders.datadog.json_series import decode_json
from pulseboard.ingest.decoders.datadog.protobuf import decode_series, decode_sketches
from pulseboard.ingest.decoders.datadog.service_checks import decode_checks
from pulseboard.ingest.decoders.datadog.version3 import decode_version3
from pulseboard.ingest.write_path import limits, now, series_memo, store
from pulseboard.web.body import inflate_any
from pulseboard.web.content_type import media_type
from pulseboard.web.error_formats import error_format_route

_SHOWN_ISSUES = 10


def _format_error(error: PulseboardError) -> Response:
    status = 403 if error.status == 401 else error.status
    # `error` is read by `datadog-agent flare`.
    return JSONResponse({"errors": [error.message], "error": error.message}, status_code=status)


router = APIRouter(
    tags=["datadog"], route_class=error_format_route(_format_error), include_in_schema=False
)
submissions = APIRouter(
    route_class=error_format_route(_format_error),
    include_in_schema=False,
    dependencies=[Depends(refuse_keys_in_url)],
)


@router.get("/api/v1/validate")
def validate_key(caller: KeyChecker) -> JSONResponse:
    """Whether the key may send; 403 otherwise."""
    return JSONResponse({"valid": True})


@submissions.post("/api/v1/series")
@submissions.post("/api/v1/distribution_points")
def submit_series_v1(caller: AgentWriter, request: Request, body: IngestBody) -> JSONResponse:
    """Store series of version 1."""
    return _respond(_store_series(caller, request, body), {"status": "ok"})


@submissions.post("/api/v2/series")
def submit_series_v2(caller: AgentWriter, request: Request, body: IngestBody) -> JSONResponse:
    """Store series of version 2."""
    return _respond(_store_series(caller, request, body), {"errors": []})


@submissions.post("/api/intake/metrics/v3/series")
@submissions.post("/api/intake/metrics/v3/sketches")
@submissions.post("/api/intake/metrics/v3beta/series")
@submissions.post("/api/intake/metrics/v3beta/sketches")
def submit_version3(caller: AgentWriter, body: IngestBody) -> JSONResponse:
    """Store series and sketches of version 3; the body says which it holds.

    The Agent sends the same samples as version 2 too when it uses the beta routes: stored once.
    """
    batch = decode_version3(
        _inflated(body), now=now(), limits=limits(), series_memo=series_memo("datadog")
    )
    store(batch, key_id=caller.key_id, protocol="datadog")
    return _respond(batch, {"errors": []})


@submissions.post("/api/beta/sketches")
def submit_sketches(caller: AgentWriter, body: IngestBody) -> JSONResponse:
    """Store count, sum, min, max and avg of the Agent's distributions."""
    batch = decode_sketches(
        _inflated(body), now=now(), limits=limits(), series_memo=series_memo("datadog")
    )
    store(batch, key_id=caller.key_id, protocol="datadog")
    return _respond(batch, {"status": "ok"})


@submissions.post("/api/v1/check_run")
@submissions.post("/api/v2/service_checks")
def submit_service_checks(caller: AgentWriter, body: IngestBody) -> JSONResponse:
    """Store the state of each check as a sample of `{check}.status`."""
    batch = decode_checks(
        _inflated(body), now=now(), limits=limits(), series_memo=series_memo("datadog")
    )
    store(batch, key_id=caller.key_id, protocol="datadog")
    return _respond(batch, {"status": "ok"})


@submissions.post("/api/v2/events")
def submit_event(caller: AgentWriter, body: IngestBody) -> JSONResponse:
    """Store an event of version 2; those of version 1 have the path of our own."""
    event = events.parse_version2(_inflated(body), limits=limits())
    with database.connection(purpose="write") as connection:
        [stored] = events_store.create(connection, events=[event], now=now())
    data = {"id": str(stored.id), "type": "event", "attributes": {"title": stored.title}}
    return JSONResponse({"data": data}, status_code=202)


@submissions.post("/intake")
@submissions.post("/intake/")
def submit_events_of_agent(caller: AgentWriter, body: IngestBody) -> JSONResponse:
    """Store the events of the Agent; its metadata, which comes here too, is not kept."""
    found = events.parse_intake(_inflated(body), limits=limits())
    if found is None:
        return drop_metadata(caller)
    valid, refused = found
    if valid:
        with database.connection(purpose="write") as connection:
            events_store.create(connection, events=valid, now=now())
    if refused:
        status = 202 if valid else 400
        return JSONResponse({"status": "ok", "errors": refused[:_SHOWN_ISSUES]}, status_code=status)
    return JSONResponse({"status": "ok"}, status_code=202)


@submissions.post("/api/v1/metadata")
@submissions.post("/api/v2/host_metadata")
def drop_metadata(caller: AgentWriter) -> JSONResponse:
    """Acknowledge and discard what describes a host: the Agent would send it again."""
    return JSONResponse({"status": "ok"}, status_code=202)


router.include_router(submissions)


@router.post("/support/flare")
@router.post("/support/flare/{case}")
def refuse_flare() -> Response:
    """404: flares are for Datadog's support."""
    raise NotFound("Flares go to Datadog's support; Pulseboard does not accept them.")


def _store_series(caller: AgentWriter, request: Request, body: bytes) -> Batch:
    content = _inflated(body)
    # A MetricPayload can't begin with `{`: that would be a field of an unknown wire type.
    is_json = media_type(request)[0] == "application/json" or content.startswith(b"{")
    decode = decode_json if is_json else decode_series
    batch = decode(content, now=now(), limits=limits(), series_memo=series_memo("datadog"))
    store(batch, key_id=caller.key_id, protocol="datadog")
    return batch


def _inflated(body: bytes) -> bytes:
    return inflate_any(body, limit=settings().ingest_max_inflated_bytes)


def _respond(batch: Batch, success: dict[str, Any]) -> JSONResponse:
    if not batch.rejected:
        return JSONResponse(success, status_code=202)
    messages = [f"series {issue.index} {issue.message}" for issue in batch.issues[:_SHOWN_ISSUES]]
    if batch.rejected > _SHOWN_ISSUES:
        messages.append(f"and {batch.rejected - _SHOWN_ISSUES} more")
    status = 202 if batch.accepted else 400
    return JSONResponse({**success, "errors": messages}, status_code=status)
