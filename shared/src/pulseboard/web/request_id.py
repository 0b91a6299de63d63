"""The id that links a response to its log lines."""

import re
from uuid import uuid4

from starlette.requests import Request

_SAFE = re.compile(r"^[A-Za-z0-9=_+/-]{1,100}$")


def request_id(request: Request) -> str:
    """API Gateway's id of this request, or a new one."""
    known: str | None = getattr(request.state, "request_id", None)
    if known:
        return known
    context = request.scope.get("aws.event", {}).get("requestContext", {})
    candidate = str(context.get("requestId") or "")
    chosen = candidate if _SAFE.match(candidate) else uuid4().hex
    request.state.request_id = chosen
    return chosen
