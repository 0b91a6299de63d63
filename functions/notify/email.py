"""Sends email by SES.

boto3 is part of Lambda's own runtime, and is imported where mail is set up.
"""

import contextlib
import threading
from typing import Any

from pulseboard.alerts.notifications import Outgoing, SendResult
from pulseboard.core.settings import Settings


def prepare(configured: Settings) -> None:
    """Make the clients while the function starts, not with the first mail."""
    with contextlib.suppress(Exception):
        if configured.alert_email_from:
            _client(configured.alert_send_timeout)


_clients: dict[float, Any] = {}
_lock = threading.Lock()


def _client(timeout: float) -> Any:
    """The one client: making one takes long, and is not safe in several threads."""
    import boto3
    from botocore.config import Config

    with _lock:
        if timeout not in _clients:
            limits = Config(
                connect_timeout=timeout, read_timeout=timeout, retries={"max_attempts": 1}
            )
            _clients[timeout] = boto3.client("sesv2", config=limits)
        return _clients[timeout]


def send(claim: Outgoing, *, configured: Settings) -> SendResult:
    """Send a mail; without a sender it fails permanently and says what to set."""
    if not configured.alert_email_from:
        return SendResult(
            id=claim.id,
            ok=False,
            permanent=True,
            error="no email is set up: set PULSEBOARD_ALERT_EMAIL_FROM (SES)",
        )
    try:
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectTimeoutError,
            ReadTimeoutError,
        )
    except ImportError:
        return SendResult(id=claim.id, ok=False, permanent=True, error="boto3 is not installed")
    try:
        _by_ses(_client(configured.alert_send_timeout), claim, configured)
    except (ConnectTimeoutError, ReadTimeoutError):
        seconds = configured.alert_send_timeout
        return SendResult(
            id=claim.id, ok=False, error=f"timeout: no response of SES within {seconds:g} s"
        )
    except (BotoCoreError, ClientError) as error:
        return SendResult(id=claim.id, ok=False, error=str(error)[:300])
    return SendResult(id=claim.id, ok=True)


def _by_ses(client: Any, claim: Outgoing, configured: Settings) -> None:
    client.send_email(
        FromEmailAddress=configured.alert_email_from,
        Destination={"ToAddresses": claim.to},
        Content={
            "Simple": {
                "Subject": {"Data": claim.subject, "Charset": "UTF-8"},
                "Body": {"Text": {"Data": claim.body, "Charset": "UTF-8"}},
            }
        },
    )
