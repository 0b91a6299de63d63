"""How agents of other makes show their key."""

from base64 import b64encode

import pytest
from fastapi import Request

from pulseboard.auth.access import agent_key

KEY = "pb_example"


def asking(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return Request({"type": "http", "headers": raw, "query_string": b"api_key=pb_in_url"})


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
    assert agent_key(asking(**headers)) == KEY


@pytest.mark.parametrize("shown", ["", "Bearer", "Basic !!", "Basic bm9jb2xvbg==", "Digest x"])
def test_anything_else_is_no_key(shown: str) -> None:
    assert agent_key(asking(authorization=shown)) is None
    assert agent_key(asking()) is None
