"""Sends a batch over HTTP and maps the response to an outcome for the batch."""

import email.utils
import gzip
import json
import random
from dataclasses import dataclass, field
from enum import Enum, auto
from time import time
from types import TracebackType
from typing import Any

import httpx

_REFUSING = frozenset({400, 413, 422})
"""Statuses by which Pulseboard refuses a batch for good. From anything else, such as a proxy or a
sign-in page, no status says anything about the batch: it is kept."""
MAX_WAIT = 300.0


class PushOutcome(Enum):
    """What to do with the batch."""

    SENT = auto()
    RETRY = auto()
    DENIED = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class PushResult:
    """`retry_after` is in seconds; `rejected` maps a metric's name to why it was refused."""

    outcome: PushOutcome
    message: str = ""
    retry_after: float | None = None
    rejected: dict[str, str] = field(default_factory=dict)


class Sender:
    """Posts batches to one server. The key appears in no message and no repr."""

    def __init__(self, url: str, key: str, *, timeout: float = 10.0) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/metrics"
        self._client = httpx.Client(
            timeout=timeout,
            headers={
                "Authorization": f"Bearer {key}",
                # Some gateways mangle a gzipped body with a text type, so the type is binary.
                "Content-Type": "application/octet-stream",
                "Content-Encoding": "gzip",
                "User-Agent": "pulseboard-agent",
            },
        )

    def __enter__(self) -> "Sender":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def send(self, body: bytes) -> PushResult:
        """Post a gzipped body once. A network error is a result too, never an exception."""
        try:
            response = self._client.post(self._url, content=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return PushResult(PushOutcome.RETRY, f"can't reach the server ({type(error).__name__})")
        return _result_of(response, body)


def _result_of(response: httpx.Response, body: bytes) -> PushResult:
    status = response.status_code
    ours = _is_ours(response)
    if response.is_success and ours:
        return PushResult(PushOutcome.SENT, rejected=_rejected(response, body))
    if status in (401, 403):
        hint = (
            "the key is unknown or revoked: make a new one under API keys"
            if status == 401
            else "the key may not write: it needs the ingest scope"
        )
        return PushResult(
            PushOutcome.DENIED, f"{status}: {hint}, set PULSEBOARD_API_KEY and restart"
        )
    # Too large is too large, whoever says so: the batch would stand in the way of all others.
    if status == 413 or (ours and status in _REFUSING):
        return PushResult(
            PushOutcome.REFUSED,
            f"the server responded {status}: {_reason(response)}",
            rejected=_rejected(response, body),
        )
    wait = parse_retry_after(response.headers.get("Retry-After"), now=time())
    message = f"the server responded {status}"
    if status < 500 and status not in (408, 425, 429):
        message += "; is --url the address of Pulseboard?"
    return PushResult(PushOutcome.RETRY, message, retry_after=wait)


def _is_ours(response: httpx.Response) -> bool:
    """Whether Pulseboard responded: its successes have data, its failures an error and a code."""
    try:
        content: Any = response.json()
    except ValueError:
        return False
    if not isinstance(content, dict):
        return False
    return "data" in content if response.is_success else {"error", "code"} <= content.keys()


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])[:300]
    except (ValueError, KeyError, TypeError):
        return "the batch is too large"


def _rejected(response: httpx.Response, body: bytes) -> dict[str, str]:
    """Names of the refused points, from `data.errors[].index` or `details[].field`."""
    try:
        content: Any = response.json()
        issues = (content.get("data") or {}).get("errors") or content.get("details") or []
        if not issues:
            return {}
        points = json.loads(gzip.decompress(body))["points"]
        named: dict[str, str] = {}
        for issue in issues:
            index = issue.get("index")
            known = isinstance(index, int) and 0 <= index < len(points)
            name = points[index]["name"] if known else str(issue.get("field", "?"))
            named.setdefault(name, str(issue.get("message", "refused")))
        return named
    except (ValueError, AttributeError, KeyError, TypeError):
        return {}


def parse_retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds to wait by a Retry-After header (seconds or an HTTP date), 0 to MAX_WAIT."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - now
        except ValueError:
            return None
    return float(min(MAX_WAIT, max(0.0, seconds))) if seconds == seconds else None


def backoff(failures: int, *, first: float = 1.0, most: float = 60.0) -> float:
    """Seconds before the next attempt: doubling, with jitter so that agents do not synchronize."""
    return float(min(most, first * 2 ** min(failures - 1, 16)) * random.uniform(0.5, 1.0))
