"""Errors in the shapes that foreign agents read, for the routes of their protocols."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from pulseboard.core.exceptions import PulseboardError
from pulseboard.web.errors import headers_of


def note_formatted(request: Request, error: PulseboardError) -> None:
    """Note that a route class answers with an error: dependencies do not see it as one."""
    request.state.formatted_error = error


def formatted_error(request: Request) -> PulseboardError | None:
    """The error that the route's class has answered with, or None."""
    found: PulseboardError | None = getattr(request.state, "formatted_error", None)
    return found


def error_format_route(to_response: Callable[[PulseboardError], Response]) -> type[APIRoute]:
    """A route class (`APIRouter(route_class=…)`) whose errors have this shape."""

    class FormattedErrorRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def handle_with_format(request: Request) -> Response:
                try:
                    return await handle(request)
                except PulseboardError as error:
                    note_formatted(request, error)
                    response = to_response(error)
                    response.headers.update(headers_of(error))
                    return response

            return handle_with_format

    return FormattedErrorRoute
