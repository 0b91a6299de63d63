"""InfluxDB's line protocol, as Telegraf and the clients of InfluxDB 1, 2 and 3 send it."""

import re
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from pulseboard import __version__
from pulseboard.auth.access import AgentWriter, refuse_keys_in_url
from pulseboard.core.exceptions import InvalidRequest, PulseboardError
from pulseboard.core.settings import settings
from pulseboard.ingest.batch import Batch
from pulseboard.ingest.concurrency_limiter import IngestBody
from pulseboard.ingest.decoders import influx
from pulseboard.ingest.write_path import limits, now, series_memo, store
from pulseboard.web.body import RawBody, inflate
from pulseboard.web.error_formats import error_format_route

_CODES = {
    401: "unauthorized",
    403: "forbidden",
    413: "request too large",
    429: "too many requests",
    503: "unavailable",
}
_SHOWN_ISSUES = 10
_MAX_SHOWN_LINE = 1000
_MAX_STATEMENT_BYTES = 10_000
# Statements that clients of InfluxDB 1 send before they write, with their results.
_EMPTY_RESULT: dict[str, Any] = {"statement_id": 0}
_STATEMENTS = (
    (re.compile(r"(?:create|alter)\s+(?:database|retention\s+policy)\s", re.I), _EMPTY_RESULT),
    (
        re.compile(r"show\s+databases\b", re.I),
        {"statement_id": 0, "series": [{"name": "databases", "columns": ["name"]}]},
    ),
)


def _error(status: int, message: str, *, line: int | None = None) -> JSONResponse:
    # `message` is read by clients of InfluxDB 2, `error` by those of 1.
    content: dict[str, Any] = {"code": _CODES.get(status, "invalid"), "message": message}
    if line is not None:
        content["line"] = line
    return JSONResponse({**content, "error": message}, status_code=status)


def _format_error(error: PulseboardError) -> Response:
    return _error(error.status, error.message)


router = APIRouter(
    tags=["influx"], route_class=error_format_route(_format_error), include_in_schema=False
)


@router.post("/api/v2/write", dependencies=[Depends(refuse_keys_in_url)])
@router.post("/write", dependencies=[Depends(refuse_keys_in_url)])
def write_lines(
    caller: AgentWriter, body: IngestBody, precision: str = Query(default="ns")
) -> Response:
    """Store the fields of lines: 204, or 400 with the lines that were refused.

    Organisation, bucket, database and retention policy are ignored.
    """
    batch = influx.decode(
        inflate(body, limit=settings().ingest_max_inflated_bytes),
        now=now(),
        limits=limits(),
        precision=influx.Precision(precision),
        series_memo=series_memo("influx"),
    )
    store(batch, key_id=caller.key_id, protocol="influx")
    response = _partial(batch) if batch.rejected else Response(status_code=204)
    if batch.skipped:
        response.headers["X-Pulseboard-Skipped"] = str(batch.skipped)
    return response


def _format_version3(error: PulseboardError) -> Response:
    return JSONResponse({"error": error.message, "data": None}, status_code=error.status)


version3 = APIRouter(
    tags=["influx"], route_class=error_format_route(_format_version3), include_in_schema=False
)


@version3.post("/api/v3/write_lp", dependencies=[Depends(refuse_keys_in_url)])
def write_lines_version3(
    caller: AgentWriter,
    body: IngestBody,
    precision: str = Query(default="auto"),
    accept_partial: str = Query(default="true"),
) -> Response:
    """Store the fields of lines as clients of InfluxDB 3 send them: 204, or 400 with each line.

    With `accept_partial=false` nothing is stored when a line can't be. The database and `no_sync`
    are ignored.
    """
    if accept_partial not in ("true", "false"):
        raise InvalidRequest("accept_partial is true or false.")
    lines = inflate(body, limit=settings().ingest_max_inflated_bytes)
    batch = influx.decode(
        lines,
        now=now(),
        limits=limits(),
        precision=influx.Precision(precision),
        series_memo=series_memo("influx"),
    )
    if batch.rejected and accept_partial == "false":
        first = min(batch.issues, key=lambda issue: issue.index)
        return JSONResponse(
            {
                "error": "parsing failed for write_lp endpoint",
                "data": _line_error(lines, first.index, first.message),
            },
            status_code=400,
        )
    store(batch, key_id=caller.key_id, protocol="influx")
    if batch.rejected:
        response: Response = _partial_version3(lines, batch)
    else:
        response = Response(status_code=204)
    if batch.skipped:
        response.headers["X-Pulseboard-Skipped"] = str(batch.skipped)
    return response


def _line_error(lines: bytes, number: int, message: str) -> dict[str, Any]:
    line = lines.split(b"\n", number)[number - 1 :][:1] if number else []
    shown = b"".join(line)[:_MAX_SHOWN_LINE].decode(errors="replace")
    return {"original_line": shown, "line_number": number, "error_message": message}


def _partial_version3(lines: bytes, batch: Batch) -> JSONResponse:
    issues = sorted(batch.issues, key=lambda issue: issue.index)
    found = [_line_error(lines, issue.index, f"line {issue.message}") for issue in issues]
    if batch.rejected > len(issues):
        more = f"and {batch.rejected - len(issues)} more that are not stored"
        found.append(_line_error(lines, 0, more))
    # Clients know a partial write by this sentence.
    return JSONResponse(
        {"error": "partial write of line protocol occurred", "data": found}, status_code=400
    )


def _partial(batch: Batch) -> JSONResponse:
    # "partial write" keeps Telegraf's older output from retrying the whole batch.
    issues = sorted(batch.issues, key=lambda issue: issue.index)
    named = "; ".join(f"line {issue.index} {issue.message}" for issue in issues[:_SHOWN_ISSUES])
    more = f"; and {batch.rejected - _SHOWN_ISSUES} more" if batch.rejected > _SHOWN_ISSUES else ""
    return _error(
        400,
        f"partial write: {batch.rejected} left out, {batch.accepted} samples stored: {named}{more}",
        line=issues[0].index if issues else None,
    )


@router.get("/query", dependencies=[Depends(refuse_keys_in_url)])
@router.post("/query", dependencies=[Depends(refuse_keys_in_url)])
def answer_preparation(caller: AgentWriter, request: Request, body: RawBody) -> JSONResponse:
    """Acknowledge the statements by which clients of InfluxDB 1 create their database.

    Telegraf's output sends them before its first write. Queries are 400 with a hint.
    """
    form = parse_qs(body[:_MAX_STATEMENT_BYTES].decode(errors="replace"))
    statement = (request.query_params.get("q") or form.get("q", [""])[0]).strip()
    for pattern, result in _STATEMENTS:
        if pattern.match(statement):
            return JSONResponse({"results": [result]})
    raise InvalidRequest(
        "InfluxQL is not supported, except CREATE DATABASE. Query with PromQL: POST /api/v1/query."
    )


@router.get("/ping")
def get_ping() -> Response:
    """Liveness check for clients of InfluxDB."""
    return Response(status_code=204, headers={"X-Influxdb-Version": f"pulseboard-{__version__}"})


@router.get("/health")
def get_influx_health() -> JSONResponse:
    """Liveness check for clients of InfluxDB 2."""
    return JSONResponse({"name": "pulseboard", "status": "pass", "version": __version__})


router.include_router(version3)
