"""Questions to the time series."""

import gzip
import json
from typing import Any

from fastapi import APIRouter, Request, Response

from pulseboard.contracts.envelope import ApiResponse
from pulseboard.contracts.queries import BatchAnswer, QueryBatch, QueryParams, QueryResult
from pulseboard.exceptions import PulseboardError, Unavailable
from pulseboard.http import queries
from pulseboard.http.access import Reader
from pulseboard.http.errors import error_body
from pulseboard.settings import settings

router = APIRouter(prefix="/api/v1", tags=["query"])

WORTH_COMPRESSING = 1024
"""Bytes; below, gzip's header costs more than it saves."""


@router.post("/query", response_model=QueryResult)
def execute_query(caller: Reader, body: QueryParams, request: Request) -> Response:
    """Answer one question, columnar."""
    return _respond(request, queries.to_wire(queries.answer(body)))


@router.post("/query/batch", response_model=ApiResponse[list[BatchAnswer]])
def execute_query_batch(caller: Reader, body: QueryBatch, request: Request) -> Response:
    """Answer all questions of a dashboard; each has its own result or error."""
    answers = []
    away: Unavailable | None = None
    for query in body.queries:
        params = QueryParams.model_construct(
            **{**vars(query), "start": body.start, "end": body.end, "tier": None}
        )
        try:
            if away is not None:
                # One wait for a database that is away is enough.
                raise away
            answers.append({"id": query.id, "result": queries.to_wire(queries.answer(params))})
        except PulseboardError as error:
            away = error if isinstance(error, Unavailable) else None
            failure = error_body(error, request)
            shown = failure.model_dump(mode="json", by_alias=True, exclude_none=True)
            answers.append({"id": query.id, "error": shown})
    return _respond(request, {"data": answers})


def _respond(request: Request, document: dict[str, Any]) -> Response:
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    headers = {"Vary": "Accept-Encoding"}
    if len(body) > WORTH_COMPRESSING and "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, compresslevel=3, mtime=0)
        headers["Content-Encoding"] = "gzip"
    if len(body) > settings().query_max_response_bytes:
        raise queries.too_large(len(body))
    return Response(body, media_type="application/json", headers=headers)
