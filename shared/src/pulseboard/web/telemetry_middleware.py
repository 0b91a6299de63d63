"""Counts requests, and writes Pulseboard's telemetry when it is due.

No background thread writes it, since a Lambda environment is frozen between requests: a request
that finds it due writes it after its own work. It takes a few milliseconds every ten seconds.
"""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pulseboard.core import telemetry


class TelemetryMiddleware:
    """Wraps the whole app and counts each request by its function and its status class."""

    def __init__(self, app: ASGIApp, write: Callable[[telemetry.TelemetryBatch], None]) -> None:
        self.app = app
        self.write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to the app, then write the telemetry that is due."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def record_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, record_status)
        finally:
            function = _function(scope)
            if function:
                telemetry.count(
                    "pulseboard_requests", function=function, status=f"{status // 100}xx"
                )
            batch = telemetry.drain()
            if batch:
                await run_in_threadpool(self.write, batch)


def _function(scope: Scope) -> str | None:
    """The name of the Lambda function that the route belongs to."""
    module = getattr(scope.get("endpoint"), "__module__", "")
    root, _, rest = module.partition(".")
    return rest.partition(".")[0] if root == "functions" and "." in rest else None
