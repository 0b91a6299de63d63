"""Sends email by SES, or by an SNS topic where SES is not set up.

boto3 is part of Lambda's own runtime, and is imported where mail is set up.
"""

import contextlib
import threading
from collections.abc import Callable
from typing import Any

from pulseboard.alerts.notifications import Outgoing, SendResult
from pulseboard.core.settings import Settings


def prepare(configured: Settings) -> None:
    """Make the clients while the function starts, not with the first mail."""
    with contextlib.suppress(Exception):
        if configured.alert_email_from:
            _client("sesv2", configured.alert_send_timeout)
        elif configured.alert_email_topic:
            _client("sns", configured.alert_send_timeout)


_clients: dict[tuple[str, float], Any] = {}
_lock = threading.Lock()


def _client(service: str, timeout: float) -> Any:
    """The one client of a service: making one takes long, and is not safe in several threads."""
    import boto3
    from botocore.config import Config

    with _lock:
        key = (service, timeout)
        if key not in _clients:
            limits = Config(
                connect_timeout=timeout, read_timeout=timeout, retries={"max_attempts": 1}
            )
            _clients[key] = boto3.client(service, config=limits)
        return _clients[key]


def send(claim: Outgoing, *, configured: Settings) -> SendResult:
    """Send a mail; without a sender it fails permanently and says what to set."""
    if configured.alert_email_from:
        way: Callable[[Any, Outgoing, Settings], None] = _by_ses
    elif configured.alert_email_topic:
        way = _by_sns
    else:
        return SendResult(
            id=claim.id,
            ok=False,
            permanent=True,
            error="no email is set up: set PULSEBOARD_ALERT_EMAIL_FROM (SES)"
            " or PULSEBOARD_ALERT_EMAIL_TOPIC (SNS)",
        )
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        return SendResult(id=claim.id, ok=False, permanent=True, error="boto3 is not installed")
    try:
        way(lambda name: _client(name, configured.alert_send_timeout), claim, configured)
    except (BotoCoreError, ClientError) as error:
        return SendResult(id=claim.id, ok=False, error=str(error)[:300])
    return SendResult(id=claim.id, ok=True)


def _by_ses(client: Any, claim: Outgoing, configured: Settings) -> None:
    client("sesv2").send_email(
        FromEmailAddress=configured.alert_email_from,
        Destination={"ToAddresses": claim.to},
        Content={
            "Simple": {
                "Subject": {"Data": claim.subject, "Charset": "UTF-8"},
                "Body": {"Text": {"Data": claim.body, "Charset": "UTF-8"}},
            }
        },
    )


def _by_sns(client: Any, claim: Outgoing, configured: Settings) -> None:
    client("sns").publish(
        TopicArn=configured.alert_email_topic,
        # SNS accepts a subject of 100 printable ASCII characters.
        Subject=claim.subject.encode("ascii", "replace").decode()[:100],
        Message=claim.body,
    )
