"""Sends what `evaluate` claimed, and returns the results, for `evaluate` to acknowledge.

It runs outside the VPC: it reaches the internet and neither database nor cache.
"""

from functions import bootstrap

bootstrap.before_imports()

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from functions.notify import email, http
from pulseboard.alerts.notifications import Outgoing, SendResult
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings

_AT_ONCE = 64
_PER_HOST = 2
"""Notifications sent to one host at once: one that hangs takes no more of the time of others."""

http.tls_context()
email.prepare(settings())


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Send `event["claims"]`, many at once, within `alert_notify_deadline`: what a slow receiver
    has not taken by then has failed, and everything else is acknowledged.
    """
    claims, refused = _parse(event.get("claims", []))
    results: dict[str, SendResult] = {}
    if claims:
        deadline = time.monotonic() + settings().alert_notify_deadline
        lanes = _lanes(claims)
        pool = ThreadPoolExecutor(min(_AT_ONCE, len(lanes)))
        tasks = [pool.submit(_send_all, lane, deadline, results) for lane in lanes]
        wait(tasks, timeout=max(0.0, deadline - time.monotonic()))
        pool.shutdown(wait=False, cancel_futures=True)
    # A copy: what is still being sent may end while this is read.
    done = dict(results)
    outcomes = [done.get(claim.id) or _too_late(claim) for claim in claims]
    for claim, sent in zip(claims, outcomes, strict=True):
        if not sent.ok:
            logger().warning(
                "notification failed",
                extra={"notification": claim.id, "reason": sent.error, "for_good": sent.permanent},
            )
    return {
        "action": "acknowledge",
        "results": [sent.model_dump(mode="json", by_alias=True) for sent in [*outcomes, *refused]],
    }


def _parse(claims: Sequence[dict[str, Any]]) -> tuple[list[Outgoing], list[SendResult]]:
    """The claims that can be sent, and the failures of those that can't be read: one that an
    older `evaluate` rendered, or that is damaged, must not keep the others from their receivers.
    """
    parsed: list[Outgoing] = []
    refused: list[SendResult] = []
    for claim in claims:
        try:
            parsed.append(Outgoing.model_validate(claim))
        except ValidationError as error:
            claim_id = str(claim.get("id", "")) if isinstance(claim, dict) else ""
            # The fields alone: a claim's values may hold the receiver's secret.
            fields = ", ".join(".".join(map(str, part["loc"])) for part in error.errors())
            logger().error(
                "notification can't be read", extra={"notification": claim_id, "fields": fields}
            )
            if claim_id:
                reason = f"the notification can't be read: {fields}"
                refused.append(SendResult(id=claim_id, ok=False, error=reason))
    return parsed, refused


def _host(claim: Outgoing) -> str:
    """The host that a claim goes to; where the address can't be read, the address itself."""
    try:
        return urlsplit(claim.url).netloc or claim.kind
    except ValueError:
        return claim.url


def _too_late(claim: Outgoing) -> SendResult:
    return SendResult(id=claim.id, ok=False, error="not sent within the time for all of them")


def _lanes(claims: Sequence[Outgoing]) -> list[list[Outgoing]]:
    """The claims of each host in a few lanes, in which one is sent after the other."""
    by_host: dict[str, list[Outgoing]] = {}
    for claim in claims:
        by_host.setdefault(_host(claim), []).append(claim)
    return [
        lane
        for mine in by_host.values()
        for lane in (mine[start::_PER_HOST] for start in range(_PER_HOST))
        if lane
    ]


def _send_all(lane: Sequence[Outgoing], deadline: float, results: dict[str, SendResult]) -> None:
    for claim in lane:
        left = deadline - time.monotonic()
        if left <= 0:
            return
        results[claim.id] = _send(claim, left)


def _send(claim: Outgoing, left: float) -> SendResult:
    configured = settings()
    if claim.not_after is not None and time.time() >= claim.not_after:
        return SendResult(id=claim.id, ok=False, error="not sent: its claim had ended")
    try:
        if claim.kind == "email":
            return email.send(claim, configured=configured)
        return http.send(
            claim,
            timeout=min(configured.alert_send_timeout, left),
            allow_private=configured.alert_allow_private,
        )
    except Exception as error:  # noqa: BLE001 - one notification must never stop the others
        logger().exception("notification failed", extra={"notification": claim.id})
        return SendResult(id=claim.id, ok=False, error=f"{type(error).__name__} while it was sent")


bootstrap.after_imports()
