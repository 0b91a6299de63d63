"""Refuses bodies that are too large before they are read, whatever the route.

Routes with a JSON body read it before they know who calls. So a request without any credentials may
send little: what signing in needs. More is read only for a session or a key that is valid.
"""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pulseboard.contracts.errors import ApiError, ErrorCode
from pulseboard.core.settings import settings
from pulseboard.web.errors import respond
from pulseboard.web.request_id import request_id

ANONYMOUS_LIMIT = 65_536
"""Bytes of a body without credentials."""
_UNKNOWN = f"More than {ANONYMOUS_LIMIT} bytes are read only with a valid key or session."
_CREDENTIALS = ("authorization", "cookie", "dd-api-key")


class BodyLimit:
    """A plain ASGI middleware: by the declared length, and by counting while bytes arrive."""

    def __init__(self, app: ASGIApp, is_known: Callable[[Request], Awaitable[bool]]) -> None:
        self.app = app
        self.is_known = is_known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with 413."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        known = any(request.headers.get(name) for name in _CREDENTIALS)
        if known:
            limit, who = settings().ingest_max_body_bytes, "."
        else:
            limit, who = ANONYMOUS_LIMIT, " without a key or a session."
        sentence = f"The body is larger than the {limit} bytes that are accepted{who}"
        declared = request.headers.get("content-length", "")
        long = len(declared) > 18
        too_long = declared.isascii() and declared.isdigit() and (long or int(declared) > limit)
        if too_long and not known:
            body = ApiError(
                error=sentence, code=ErrorCode.PAYLOAD_TOO_LARGE, request_id=request_id(request)
            )
            await respond(request, 413, body)(scope, receive, send)
            return
        received = 0
        # A body that is too long is refused without asking who sends it.
        checked = not known

        async def check(size: int) -> None:
            nonlocal checked
            if size > ANONYMOUS_LIMIT and not checked:
                checked = True
                if not await self.is_known(request):
                    raise HTTPException(401, _UNKNOWN, {"WWW-Authenticate": "Bearer"})

        async def counted() -> Message:
            nonlocal received
            if too_long:
                # Raised where the route reads, so that its errors have the shape of its protocol.
                raise HTTPException(413, sentence)
            await check(int(declared) if declared.isascii() and declared.isdigit() else 0)
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413, sentence)
            await check(received)
            return message

        await self.app(scope, counted, send)


def install(app: FastAPI, is_known: Callable[[Request], Awaitable[bool]]) -> None:
    """Put the middleware on an app. `is_known`: whether a request has a valid session or key."""
    app.add_middleware(BodyLimit, is_known=is_known)
