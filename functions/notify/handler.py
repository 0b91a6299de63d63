"""Sends what `evaluate` claimed, and returns the results, for `evaluate` to acknowledge.

It runs outside the VPC: it reaches the internet and neither database nor cache.
"""

from functions import bootstrap

bootstrap.before_imports()

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from functions.notify import email, http
from pulseboard.alerts.notifications import Outgoing, SendResult
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings

_AT_ONCE = 64
_PER_HOST = 8
"""Notifications sent to one host at once."""
_PER_ADDRESS = 2
"""Notifications sent to one address at once: one that hangs keeps no more of its host busy."""

http.tls_context()
email.prepare(settings())


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Send `event["claims"]`, many at once, within `alert_notify_deadline`: what a slow receiver
    has not taken by then has failed, and everything else is acknowledged.
    """
    claims, refused = _parse(event.get("claims", []))
    batch = _Batch(time.monotonic() + settings().alert_notify_deadline)
    if claims:
        hosts = _hosts(claims)
        # The first for each host come first.
        workers = [lanes for n in range(_PER_HOST) for lanes in hosts if n < len(lanes)]
        pool = ThreadPoolExecutor(min(_AT_ONCE, len(workers)))
        tasks = [pool.submit(_work, lanes, batch) for lanes in workers]
        wait(tasks, timeout=max(0.0, batch.deadline - time.monotonic()))
        pool.shutdown(wait=False, cancel_futures=True)
    outcomes = batch.end(claims)
    for claim, sent in zip(claims, outcomes, strict=True):
        if not sent.ok:
            logger().warning(
                "notification failed",
                extra={"notification": claim.id, "reason": sent.error, "for_good": sent.permanent},
            )
    results = [
        # Without what is as always: an `evaluate` of before knows no newer fields.
        sent.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for sent in [*outcomes, *refused]
    ]
    return {"action": "acknowledge", "results": results}


class _Batch:
    """What is sent at once, and what has become of it. Used by several threads."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self._lock = Lock()
        self._results: dict[str, SendResult] = {}
        self._begun: dict[str, float] = {}
        self._over = False

    def begin(self, claim: Outgoing) -> float | None:
        """Seconds left for this one; None when there are none, and it must not be sent."""
        with self._lock:
            now = time.monotonic()
            if self._over or now >= self.deadline:
                return None
            self._begun[claim.id] = now
            return self.deadline - now

    def done(self, result: SendResult) -> None:
        """Take a result, which may come too late."""
        with self._lock:
            self._results[result.id] = result

    def end(self, claims: Sequence[Outgoing]) -> list[SendResult]:
        """The results; nothing is begun from now on."""
        with self._lock:
            self._over = True
            now = time.monotonic()
            return [self._results.get(one.id) or self._too_late(one, now) for one in claims]

    def _too_late(self, claim: Outgoing, now: float) -> SendResult:
        begun = self._begun.get(claim.id)
        if begun is not None:
            error = f"timeout: no response within {now - begun:.1f} s"
            return SendResult(id=claim.id, ok=False, error=error)
        error = "timeout: not sent, since notifications before it took all the time"
        return SendResult(id=claim.id, ok=False, error=error, sent=False)


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


_Lanes = deque[list[Outgoing]]
"""What goes to one host: in each lane one is sent after the other."""


def _hosts(claims: Sequence[Outgoing]) -> list[_Lanes]:
    """The claims by host, those of each address in a few lanes. First those whose receivers have
    not failed before, so that others at the same host do not wait for one that hangs."""
    by_host: dict[str, dict[str, list[Outgoing]]] = {}
    for claim in claims:
        by_host.setdefault(_host(claim), {}).setdefault(claim.url, []).append(claim)
    found = []
    for by_address in by_host.values():
        lanes = [
            lane
            for mine in by_address.values()
            for lane in (mine[start::_PER_ADDRESS] for start in range(_PER_ADDRESS))
            if lane
        ]
        found.append(deque(sorted(lanes, key=lambda lane: min(one.failures for one in lane))))
    return found


def _work(lanes: _Lanes, batch: _Batch) -> None:
    """Send what goes to a host, lane by lane, beside others that do."""
    while True:
        try:
            lane = lanes.popleft()
        except IndexError:
            return
        for claim in lane:
            left = batch.begin(claim)
            if left is None:
                return
            batch.done(_send(claim, left))


def _send(claim: Outgoing, left: float) -> SendResult:
    configured = settings()
    if claim.not_after is not None and time.time() >= claim.not_after:
        error = "not sent: its claim had ended"
        return SendResult(id=claim.id, ok=False, error=error, sent=False)
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
