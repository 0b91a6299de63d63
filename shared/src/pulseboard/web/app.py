"""The app factory: every function, and the local server, is some routers in one of these."""

from collections.abc import Awaitable, Callable, Sequence

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute

from pulseboard import __version__
from pulseboard.contracts.errors import ApiError
from pulseboard.core import telemetry
from pulseboard.web import body_limit, errors, headers
from pulseboard.web.access_log import AccessLog, EdgeOnly
from pulseboard.web.telemetry_middleware import TelemetryMiddleware


def _operation_id(route: APIRoute) -> str:
    """The SDK's method name: the route function's name in camelCase."""
    first, *rest = route.name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def create_app(
    routers: Sequence[APIRouter],
    *,
    write_telemetry: Callable[[telemetry.TelemetryBatch], None],
    is_known: Callable[[Request], Awaitable[bool]],
    title: str = "Pulseboard",
) -> FastAPI:
    """An ASGI app of these routers, with errors, request ids and headers as everywhere.

    `write_telemetry` stores Pulseboard's own metrics when they are due; `is_known` tells whether a
    request has a valid session or key.
    Needs no environment: settings are read when the first request comes.
    """
    app = FastAPI(
        title=title,
        version=__version__,
        description="Metrics monitoring with no server to run.",
        generate_unique_id_function=_operation_id,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses={
            status: {"model": ApiError, "description": description}
            for status, description in {
                400: "The request makes no sense; `details` say where.",
                401: "Nobody is signed in, or the key is unknown.",
                403: "The caller may not do this.",
                503: "The database or the cache does not respond; see Retry-After.",
            }.items()
        },
    )
    errors.install(app)
    body_limit.install(app, is_known)
    headers.install(app)
    app.add_middleware(TelemetryMiddleware, write=write_telemetry)
    app.add_middleware(EdgeOnly)
    app.add_middleware(AccessLog)
    for router in routers:
        app.include_router(router)
    return app
