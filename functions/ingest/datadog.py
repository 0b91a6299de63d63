"""Datadog's intake, as its Agent, its client libraries and Vector send to it.

    Content-Type                 /series         /sketches  /distribution_points  /metrics/v3/…
    application/json             JSON            400        JSON                  400
    anything else, body `{…`     JSON            400        JSON                  400
    anything else                MetricPayload   sketches   400                   Payload

Bodies may be compressed by deflate, gzip or zstd, whatever the headers say. What the Agent also
sends and is no metric (checks, events, metadata) is acknowledged and dropped, for it would be
sent again otherwise. A wrong key is 403, as from Datadog: the Agent retries after 401. What is
not read at all is 404 with the reason, which the Agent logs before it drops the body.
"""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from pulseboard.auth.access import AgentWriter, KeyChecker, refuse_keys_in_url
from pulseboard.core.exceptions import NotFound, PulseboardError
from pulseboard.core.settings import settings
from pulseboard.ingest.batch import Batch
from pulseboard.ingest.decoders.datadog.json_series import decode_json
from pulseboard.ingest.decoders.datadog.protobuf import decode_series, decode_sketches
from pulseboard.ingest.decoders.datadog.version3 import decode_version3
from pulseboard.ingest.write_path import limits, now, series_memo, store
from pulseboard.web.body import RawBody, inflate_any
from pulseboard.web.content_type import media_type
from pulseboard.web.error_formats import error_format_route

_NAMED = 10


def _shape(error: PulseboardError) -> Response:
    status = 403 if error.status == 401 else error.status
    # `error` is read by `datadog-agent flare`.
    return JSONResponse({"errors": [error.message], "error": error.message}, status_code=status)


router = APIRouter(
    tags=["datadog"], route_class=error_format_route(_shape), include_in_schema=False
)
pushing = APIRouter(
    route_class=error_format_route(_shape),
    include_in_schema=False,
    dependencies=[Depends(refuse_keys_in_url)],
)


@router.get("/api/v1/validate")
def validate_key(caller: KeyChecker) -> JSONResponse:
    """That the key is good for sending; 403 otherwise."""
    return JSONResponse({"valid": True})


@pushing.post("/api/v1/series")
@pushing.post("/api/v1/distribution_points")
def submit_series_v1(caller: AgentWriter, request: Request, body: RawBody) -> JSONResponse:
    """Store series of version 1."""
    return _answer(_series(caller, request, body), {"status": "ok"})


@pushing.post("/api/v2/series")
def submit_series_v2(caller: AgentWriter, request: Request, body: RawBody) -> JSONResponse:
    """Store series of version 2."""
    return _answer(_series(caller, request, body), {"errors": []})


@pushing.post("/api/intake/metrics/v3/series")
@pushing.post("/api/intake/metrics/v3/sketches")
@pushing.post("/api/intake/metrics/v3beta/series")
@pushing.post("/api/intake/metrics/v3beta/sketches")
def submit_version3(caller: AgentWriter, body: RawBody) -> JSONResponse:
    """Store series and sketches of version 3, which are told apart by themselves.

    What the Agent sends to the beta routes it has sent as version 2 too: stored once.
    """
    batch = decode_version3(
        _inflated(body), now=now(), limits=limits(), series_memo=series_memo("datadog")
    )
    store(batch, key_id=caller.key_id, protocol="datadog")
    return _answer(batch, {"errors": []})


@pushing.post("/api/beta/sketches")
def submit_sketches(caller: AgentWriter, body: RawBody) -> JSONResponse:
    """Store count, sum, min, max and avg of the Agent's distributions."""
    batch = decode_sketches(
        _inflated(body), now=now(), limits=limits(), series_memo=series_memo("datadog")
    )
    store(batch, key_id=caller.key_id, protocol="datadog")
    return _answer(batch, {"status": "ok"})


@pushing.post("/api/v1/check_run")
@pushing.post("/api/v1/events")
@pushing.post("/api/v1/metadata")
@pushing.post("/api/v2/events")
@pushing.post("/api/v2/host_metadata")
@pushing.post("/api/v2/service_checks")
@pushing.post("/intake")
@pushing.post("/intake/")
def drop_what_is_no_metric(caller: AgentWriter) -> JSONResponse:
    """Acknowledge and drop."""
    return JSONResponse({"status": "ok"}, status_code=202)


router.include_router(pushing)


@router.post("/support/flare")
@router.post("/support/flare/{case}")
def refuse_flare() -> Response:
    """Pulseboard has no support that would read it."""
    raise NotFound("Flares go to Datadog's support; Pulseboard takes none.")


def _series(caller: AgentWriter, request: Request, body: bytes) -> Batch:
    content = _inflated(body)
    # A MetricPayload can't begin with `{`: that would be a field of an unknown kind.
    is_json = media_type(request)[0] == "application/json" or content.startswith(b"{")
    decode = decode_json if is_json else decode_series
    batch = decode(content, now=now(), limits=limits(), series_memo=series_memo("datadog"))
    store(batch, key_id=caller.key_id, protocol="datadog")
    return batch


def _inflated(body: bytes) -> bytes:
    return inflate_any(body, limit=settings().ingest_max_inflated_bytes)


def _answer(batch: Batch, good: dict[str, Any]) -> JSONResponse:
    if not batch.rejected:
        return JSONResponse(good, status_code=202)
    named = [f"series {issue.index} {issue.message}" for issue in batch.issues[:_NAMED]]
    if batch.rejected > _NAMED:
        named.append(f"and {batch.rejected - _NAMED} more")
    status = 202 if batch.accepted else 400
    return JSONResponse({**good, "errors": named}, status_code=status)
