"""Counts requests, and writes Pulseboard's own figures when they are due.

No thread does it, since a Lambda has none between requests: the request that finds them due
writes them after its own work, a few milliseconds every ten seconds in each process.
"""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pulseboard.core import telemetry


class TelemetryMiddleware:
    """Around the whole app: each request counts under its function and its class of status."""

    def __init__(self, app: ASGIApp, write: Callable[[telemetry.Told], None]) -> None:
        self.app = app
        self.write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does, then tell what is due."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            function = _function(scope)
            if function:
                telemetry.count(
                    "pulseboard_requests", function=function, status=f"{status // 100}xx"
                )
            told = telemetry.take()
            if told:
                await run_in_threadpool(self.write, told)


def _function(scope: Scope) -> str | None:
    """The function of the route that answered, as deployments know it."""
    module = getattr(scope.get("endpoint"), "__module__", "")
    root, _, rest = module.partition(".")
    return rest.partition(".")[0] if root == "functions" and "." in rest else None
