"""Whose address a request has: a header is believed only from our own CloudFront."""

from collections.abc import Iterator

import pytest
from fastapi import Request

from pulseboard.auth.access import client_address
from pulseboard.core.settings import settings


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def request(**headers: str) -> Request:
    event = {"requestContext": {"http": {"sourceIp": "130.176.0.1"}}}
    raw = [(f"x-pulseboard-{k}".encode(), v.encode()) for k, v in headers.items()]
    return Request({"type": "http", "headers": raw, "aws.event": event})


@pytest.mark.parametrize(
    ("secret", "headers", "address"),
    [
        (None, {"viewer": "203.0.113.9", "edge": ""}, "130.176.0.1"),
        (None, {"viewer": "203.0.113.9", "edge": "s"}, "130.176.0.1"),
        ("s", {"viewer": "203.0.113.9"}, "130.176.0.1"),
        ("s", {"viewer": "203.0.113.9", "edge": "guess"}, "130.176.0.1"),
        ("s", {"edge": "s"}, "130.176.0.1"),
        ("s", {"viewer": "203.0.113.9", "edge": "s"}, "203.0.113.9"),
    ],
)
def test_the_viewers_address_is_believed_with_the_secret_only(
    monkeypatch: pytest.MonkeyPatch, secret: str | None, headers: dict[str, str], address: str
) -> None:
    if secret:
        monkeypatch.setenv("PULSEBOARD_EDGE_SECRET", secret)
    assert client_address(request(**headers)) == address
