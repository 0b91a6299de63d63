"""Exceptions become HTTP here and nowhere else."""

import json
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import psycopg
import redis
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from redis.exceptions import RedisClusterException
from starlette.exceptions import HTTPException
from starlette.routing import Match

from pulseboard.contracts.errors import ApiError, ErrorCode, ErrorDetail
from pulseboard.core import storable
from pulseboard.core.exceptions import (
    InvalidRequest,
    Overloaded,
    PulseboardError,
    RateLimited,
    Unavailable,
)
from pulseboard.core.observability import logger
from pulseboard.web.prometheus_errors import is_below_prefix, prometheus_error
from pulseboard.web.request_id import request_id

MAX_DETAILS = 100
ANYWHERE = "/{path:path}"
"""The path of the route that serves the app's pages locally, below all others."""
_CODES = {
    400: ErrorCode.VALIDATION_ERROR,
    401: ErrorCode.UNAUTHORIZED,
    403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.NOT_FOUND,
    413: ErrorCode.PAYLOAD_TOO_LARGE,
    415: ErrorCode.UNSUPPORTED_MEDIA_TYPE,
}


class _ErrorResponse(JSONResponse):
    """An error may repeat what was sent: half of a surrogate pair has no UTF-8, and is escaped."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


def error_body(error: PulseboardError, request: Request | None = None) -> ApiError:
    """The wire form of an error."""
    return ApiError(
        error=error.message,
        code=error.code,
        details=error.details,
        request_id=request_id(request) if request else None,
    )


def respond(
    request: Request, status: int, body: ApiError, *, headers: dict[str, str] | None = None
) -> JSONResponse:
    """An error as a response; what is unknown is null in it, as the contract says. Prometheus' API
    has its own shape.
    """
    if is_below_prefix(request.url.path):
        content: object = prometheus_error(status, body.error)
    else:
        content = body.model_dump(mode="json", by_alias=True)
    return _ErrorResponse(content, status_code=status, headers=headers)


def headers_of(error: PulseboardError) -> dict[str, str]:
    """What an error says in headers."""
    headers = {}
    if isinstance(error, RateLimited | Overloaded | Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return headers


def _detail(problem: Mapping[str, Any]) -> ErrorDetail:
    path = [str(part) for part in problem["loc"]]
    if problem["type"] == "json_invalid":
        reason = problem["ctx"]["error"]
        position = int(problem["loc"][-1])
        return ErrorDetail(
            field="body",
            message=f"this is not JSON from character {position + 1} on: {reason}",
            position=position,
        )
    return ErrorDetail(
        field=".".join(path[1:]) or path[0],
        message=str(problem["msg"]).removeprefix("Value error, "),
    )


def _methods_at(request: Request) -> list[str]:
    """What is possible at a request's path: by all its routes, where Starlette names one's only."""
    methods: set[str] = set()
    for route in request.app.router.routes:
        candidates = getattr(getattr(route, "original_router", None), "routes", [route])
        for each in candidates:
            if getattr(each, "path", "") == ANYWHERE:
                continue
            match, _ = each.matches({**request.scope, "path_params": {}})
            if match is not Match.NONE:
                methods |= getattr(each, "methods", None) or set()
    return sorted(methods)


def _unstorable_values(request: Request) -> list[ErrorDetail]:
    """Where a request's parameters and body have what the database refuses."""
    # Starlette keeps the body of a request whose route has read it.
    body = getattr(request, "_body", b"")
    with suppress(ValueError, RecursionError):
        tree = {**request.query_params, **request.path_params, **_members(json.loads(body or "{}"))}
        found = islice(storable.problems(tree), MAX_DETAILS)
        return [ErrorDetail(field=storable.written(path), message=why) for path, why in found]
    return []


def _members(tree: Any) -> dict[str, Any]:
    return tree if isinstance(tree, dict) else {"body": tree}


def install(app: FastAPI) -> None:
    """Register the handlers on an app."""

    @app.exception_handler(PulseboardError)
    def _known(request: Request, error: PulseboardError) -> JSONResponse:
        body = error_body(error, request)
        return respond(request, error.status, body, headers=headers_of(error))

    @app.exception_handler(RedisClusterException)
    @app.exception_handler(redis.RedisError)
    def _no_cache(request: Request, error: Exception) -> JSONResponse:
        logger().warning("cache unavailable", exc_info=error)
        return _known(request, Unavailable("The cache is not responding. Try again in a moment."))

    @app.exception_handler(psycopg.DataError)
    def _unstorable(request: Request, error: psycopg.DataError) -> JSONResponse:
        # A NUL in a text, a page beyond 64 bits: contracts do not forbid them in every field.
        logger().warning("the database refused a value", exc_info=error)
        details = _unstorable_values(request)
        sentence = (
            f"{details[0].field}: {details[0].message}, and can't be stored."
            if details
            else "A value of this request can't be stored or looked up: "
            "a text with a NUL character, or a number that is too large."
        )
        return _known(request, InvalidRequest(sentence, details=details))

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        details = [_detail(problem) for problem in error.errors()[:MAX_DETAILS]]
        first = details[0] if details else None
        sentence = f"{first.field}: {first.message}" if first else "The request makes no sense."
        return respond(
            request,
            400,
            ApiError(
                error=sentence,
                code=ErrorCode.VALIDATION_ERROR,
                details=details,
                request_id=request_id(request),
            ),
        )

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 405 and not _methods_at(request):
            # Only the pages of the app are everywhere: by any other method nothing is there.
            error = HTTPException(404)
        code = _CODES.get(error.status_code, ErrorCode.INTERNAL_ERROR)
        sentence = {
            404: f"There is nothing at {request.method} {request.url.path}.",
            405: f"{request.method} is not possible at {request.url.path}.",
        }.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_methods_at(request))
        return respond(
            request,
            error.status_code,
            ApiError(error=sentence, code=code, request_id=request_id(request)),
            headers=headers,
        )

    @app.exception_handler(Exception)
    def _unknown(request: Request, error: Exception) -> JSONResponse:
        logger().error(
            "unhandled error",
            exc_info=error,
            extra={"request_id": request_id(request), "path": request.url.path},
        )
        return respond(
            request,
            500,
            ApiError(
                error="Something went wrong on our side. The request id names it in the logs.",
                code=ErrorCode.INTERNAL_ERROR,
                request_id=request_id(request),
            ),
        )
