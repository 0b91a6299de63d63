"""Sends what `evaluate` claimed, and returns the results, for `evaluate` to acknowledge.

It runs outside the VPC: it reaches the internet and neither database nor cache.
"""

from functions import bootstrap

bootstrap.before_imports()

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from functions.notify import email, http
from pulseboard.alerts.notifications import Outgoing, SendResult
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings

_AT_ONCE = 16


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Send `event["claims"]`, many at once: a slow receiver delays none of the others."""
    claims = [Outgoing.model_validate(claim) for claim in event.get("claims", [])]
    if not claims:
        return {"action": "acknowledge", "results": []}
    with ThreadPoolExecutor(min(_AT_ONCE, len(claims))) as pool:
        results = list(pool.map(_send, claims))
    for claim, sent in zip(claims, results, strict=True):
        if not sent.ok:
            logger().warning(
                "notification failed",
                extra={"notification": claim.id, "reason": sent.error, "for_good": sent.permanent},
            )
    return {
        "action": "acknowledge",
        "results": [sent.model_dump(mode="json", by_alias=True) for sent in results],
    }


def _send(claim: Outgoing) -> SendResult:
    configured = settings()
    try:
        if claim.kind == "email":
            return email.send(claim, configured=configured)
        return http.send(
            claim,
            timeout=configured.alert_send_timeout,
            allow_private=configured.alert_allow_private,
        )
    except Exception as error:  # noqa: BLE001 - one notification must never stop the others
        logger().exception("notification failed", extra={"notification": claim.id})
        return SendResult(id=claim.id, ok=False, error=f"{type(error).__name__} while it was sent")


bootstrap.after_imports()
