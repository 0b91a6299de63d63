"""Bodies are bounded before they are read, and are inflated in time linear in their length."""

import gzip
import zlib
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from functions.dev import api
from pulseboard.contracts.dashboards import STORED, DashboardLink, FieldLink, PanelLink
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.dashboards.grafana.field_config import web_address
from pulseboard.web import body, body_limit


class Counting:
    """Stands in for zlib, and counts the bytes that it is handed."""

    def __init__(self) -> None:
        self.bytes = 0

    def decompressobj(self, window: int) -> "Counting.Member":
        return Counting.Member(self, window)

    class Member:
        def __init__(self, owner: "Counting", window: int) -> None:
            self.owner, self.inner = owner, zlib.decompressobj(window)

        def decompress(self, piece: bytes, most: int) -> bytes:
            self.owner.bytes += len(piece)
            return self.inner.decompress(piece, most)

        def __getattr__(self, name: str) -> object:
            return getattr(self.inner, name)

    error = zlib.error


def test_many_empty_members_are_refused_and_few_are_read_in_linear_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    empty = gzip.compress(b"")
    with pytest.raises(InvalidRequest, match="members"):
        body.inflate(empty * 209_000, limit=1_000)
    worked = []
    for members in (2_000, 4_000):
        counting = Counting()
        monkeypatch.setattr(body, "zlib", counting)
        assert body.inflate(empty * members, limit=1_000) == b""
        worked.append(counting.bytes)
    # Doubled input, doubled work.
    assert worked[1] < 2.5 * worked[0]


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 100_000, 5_000_000])
def test_members_are_joined(size: int) -> None:
    parts = [b"a" * size, b"", b"b" * size]
    packed = b"".join(map(gzip.compress, parts))
    assert body.inflate(packed, limit=2 * size) == b"".join(parts)
    if size:
        with pytest.raises(PayloadTooLarge):
            body.inflate(packed, limit=2 * size - 1)
    with pytest.raises(InvalidRequest, match="complete"):
        body.inflate(packed[:-1], limit=2 * size)


LOGIN = "/api/v1/auth/login"


@pytest.mark.parametrize("path", [LOGIN, "/api/v1/dashboards", "/api/v1/metrics", "/nowhere"])
def test_without_credentials_a_large_body_is_refused_unread(path: str) -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        for _ in range(1_000):
            read += 65_536
            yield b"x" * 65_536

    with TestClient(api(), base_url="http://testserver") as anyone:
        declared = anyone.post(path, content=b"x" * (body_limit.ANONYMOUS_LIMIT + 1))
        chunked = anyone.post(path, content=endless())
    assert declared.status_code == 413, declared.text
    assert declared.json()["code"] == "PAYLOAD_TOO_LARGE"
    assert "without a key" in declared.json()["error"]
    assert declared.headers["x-request-id"]
    assert chunked.status_code in (401, 404, 413), chunked.text


def test_with_credentials_the_limit_is_that_of_ingest() -> None:
    headers = {"Authorization": "Bearer pb_unknown"}
    with TestClient(api(), base_url="http://testserver", headers=headers) as agent:
        response = agent.post("/api/v1/dashboards", content=b"x" * (4 * 1024 * 1024 + 1))
    assert response.status_code == 413


@pytest.mark.parametrize(
    "url", ["/dashboards/1?x=//y", "/", "/a\\b", "https://example.com/a", "http://example.com"]
)
def test_a_link_is_a_path_or_an_address(url: str) -> None:
    assert PanelLink(title="here", url=url).url == url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("//evil.example/a", "https://evil.example/a"),
        ("/\\evil.example/a", "https://evil.example/a"),
        ("///evil.example", "https://evil.example"),
        ("/\\/evil.example", "https://evil.example"),
    ],
)
def test_a_path_that_leads_to_another_host_is_refused(url: str, shown: str) -> None:
    link = {"title": "here", "url": url}
    for model in (PanelLink, FieldLink, DashboardLink):
        with pytest.raises(ValidationError, match="a path starts with one slash"):
            model.model_validate(link)
        stored = model.model_validate(link, context=STORED)
        assert isinstance(stored, PanelLink | FieldLink | DashboardLink)
        assert stored.url == shown
    assert web_address(url) is None
