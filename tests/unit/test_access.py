"""The key and the client's address of a request."""

from base64 import b64encode
from collections.abc import Iterator

import pytest
from fastapi import Request

from pulseboard.auth.access import agent_key
from pulseboard.core.caller import client_address
from pulseboard.core.settings import settings

KEY = "pb_example"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def with_key(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Request({"type": "http", "headers": raw, "query_string": b"api_key=pb_in_url"})


def with_address(**headers: str) -> Request:
    event = {"requestContext": {"http": {"sourceIp": "130.176.0.1"}}}
    raw = [(f"x-pulseboard-{k}".encode(), v.encode()) for k, v in headers.items()]
    return Request({"type": "http", "headers": raw, "aws.event": event})


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"Token {KEY}"},
        {"authorization": f"Token telegraf:{KEY}"},
        {"authorization": "Basic " + b64encode(f"prometheus:{KEY}".encode()).decode()},
        {"dd_api_key": KEY},
    ],
)
def test_a_key_is_found_where_each_make_puts_it(headers: dict[str, str]) -> None:
    assert agent_key(with_key(**headers)) == KEY


@pytest.mark.parametrize("shown", ["", "Bearer", "Basic !!", "Basic bm9jb2xvbg==", "Digest x"])
def test_anything_else_is_no_key(shown: str) -> None:
    assert agent_key(with_key(authorization=shown)) is None
    assert agent_key(with_key()) is None


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
    assert client_address(with_address(**headers)) == address
