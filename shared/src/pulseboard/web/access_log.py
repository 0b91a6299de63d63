"""A line in the log for each request, or each that failed; and the closing of API Gateway's own
address where a web ACL guards CloudFront's.

API Gateway's access log can't do it: behind CloudFront it knows the edge's address only, and it
writes a line for every success. Query strings and paths are never in a line: agents may show a key
there (docs/adr/0063-key-in-an-address.md); the route is.
"""

import time

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pulseboard.contracts.errors import ApiError, ErrorCode
from pulseboard.core.caller import by_cloudfront, client_address
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings
from pulseboard.web.errors import respond
from pulseboard.web.request_id import request_id


class AccessLog:
    """The outermost middleware: what all others refuse is in the log too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and log its outcome."""
        wanted = settings().access_log
        if scope["type"] != "http" or wanted == "none":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def see_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, see_status)
        finally:
            if wanted == "all" or status >= 400:
                request = Request(scope)
                logger().info(
                    "request",
                    extra={
                        "ip": client_address(request),
                        "method": request.method,
                        "route": getattr(scope.get("route"), "path", None),
                        "status": status,
                        "seconds": round(time.perf_counter() - began, 4),
                        "requestId": request_id(request),
                    },
                )


class EdgeOnly:
    """Refuses with 403 what did not come by CloudFront, where the settings say so."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it before anything of it is read."""
        if scope["type"] == "http" and settings().edge_only:
            request = Request(scope)
            if not by_cloudfront(request):
                body = ApiError(
                    error="This address is closed: a web ACL guards Pulseboard's own address. "
                    "Send to the one that browsers use.",
                    code=ErrorCode.FORBIDDEN,
                    request_id=request_id(request),
                )
                await respond(request, 403, body)(scope, receive, send)
                return
        await self.app(scope, receive, send)
