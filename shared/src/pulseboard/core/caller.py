"""Who calls: directly, or by CloudFront, which proves itself by a secret that both know."""

from hmac import compare_digest
from typing import TYPE_CHECKING

from pulseboard.core.settings import settings

if TYPE_CHECKING:
    from starlette.requests import Request


def by_cloudfront(request: "Request") -> bool:
    """Whether the request carries the secret that CloudFront and this function share."""
    shared = settings().edge_secret
    sent = request.headers.get("x-pulseboard-edge", "")
    return shared is not None and compare_digest(sent.encode(), shared.get_secret_value().encode())


def client_address(request: "Request") -> str:
    """The caller's address as API Gateway saw it, or the peer's.

    Behind CloudFront these are the edge's: its own header is trusted when the request is
    CloudFront's; no other header ever is.
    """
    viewer = request.headers.get("x-pulseboard-viewer")
    if viewer and by_cloudfront(request):
        return viewer
    context = request.scope.get("aws.event", {}).get("requestContext", {})
    seen = context.get("http", {}).get("sourceIp") or context.get("identity", {}).get("sourceIp")
    return str(seen or (request.client.host if request.client else "unknown"))
