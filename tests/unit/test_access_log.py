"""The log of requests, and the address that is closed beside a web ACL."""

import logging
from collections.abc import Iterator

import pytest
from fastapi import APIRouter, HTTPException, Request
from fastapi.testclient import TestClient

from pulseboard.core.caller import client_address
from pulseboard.core.observability import logger
from pulseboard.core.settings import settings
from pulseboard.web.app import create_app

EDGE = {"x-pulseboard-edge": "shared", "x-pulseboard-viewer": "203.0.113.7"}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """An app behind CloudFront that logs what fails."""
    monkeypatch.setenv("PULSEBOARD_EDGE_SECRET", "shared")
    monkeypatch.setenv("PULSEBOARD_ACCESS_LOG", "errors")
    settings.cache_clear()
    router = APIRouter()

    @router.get("/things/{name}")
    def get_thing(name: str, request: Request) -> dict[str, str]:
        if name == "missing":
            raise HTTPException(404, "none")
        return {"ip": client_address(request)}

    async def is_known(request: Request) -> bool:
        return False

    yield TestClient(create_app([router], write_telemetry=lambda _: None, is_known=is_known))
    settings.cache_clear()


class _Lines(logging.Handler):
    """What was logged of requests."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Called for each record."""
        if record.msg == "request":
            self.all.append(dict(record.__dict__))

    def statuses(self) -> list[object]:
        """The status of each request, in order."""
        return [line["status"] for line in self.all]


@pytest.fixture
def lines() -> Iterator[_Lines]:
    """Lines as they are written."""
    handler = _Lines()
    written = logging.getLogger("pulseboard")
    logger()
    written.addHandler(handler)
    yield handler
    written.removeHandler(handler)


def test_what_failed_is_logged_with_the_callers_address_and_no_query(
    client: TestClient, lines: _Lines
) -> None:
    assert client.get("/things/a", headers=EDGE).json() == {"ip": "203.0.113.7"}
    assert lines.all == []
    client.get("/things/missing?api_key=pb_secret", headers=EDGE)
    (line,) = lines.all
    assert (line["ip"], line["method"], line["route"], line["status"]) == (
        "203.0.113.7", "GET", "/things/{name}", 404,
    )  # fmt: skip
    assert line["requestId"]
    assert "pb_secret" not in repr(line)
    assert "missing" not in repr(line)


def test_every_request_is_logged_where_that_is_chosen(
    client: TestClient, lines: _Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_ACCESS_LOG", "all")
    settings.cache_clear()
    client.get("/things/a", headers=EDGE)
    assert lines.statuses() == [200]


def test_beside_a_web_acl_only_cloudfront_is_let_in(
    client: TestClient, lines: _Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_EDGE_ONLY", "true")
    settings.cache_clear()
    assert client.get("/things/a", headers=EDGE).status_code == 200
    for headers in ({}, {**EDGE, "x-pulseboard-edge": "guessed"}):
        refused = client.get("/things/a", headers=headers)
        assert refused.status_code == 403
        assert "closed" in refused.json()["error"]
    assert lines.statuses() == [403, 403]
