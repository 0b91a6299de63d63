"""Requests to the app itself: times include the API, but no HTTP client."""

import gzip
import time
from typing import Any

from fastapi import FastAPI
from pydantic_core import from_json, to_json


async def post(app: FastAPI, path: str, body: dict[str, Any], *, key: str) -> tuple[float, Any]:
    """Seconds from the bytes of the request to those of its response, and the decoded response.

    Raises AssertionError for another status than 200.
    """
    sent, parts, status = to_json(body), bytearray(), 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.extend(message.get("body", b""))

    headers = {
        "host": "bench",
        "content-type": "application/json",
        "content-length": str(len(sent)),
        "accept-encoding": "gzip, deflate, br",
        "authorization": f"Bearer {key}",
    }
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("bench", 80),
    }
    began = time.perf_counter()
    await app(scope, receive, send)
    elapsed = time.perf_counter() - began
    response = bytes(parts)
    response = gzip.decompress(response) if response.startswith(b"\x1f\x8b") else response
    if status != 200:
        raise AssertionError(f"{status}: {response[:300]!r}")
    return elapsed, from_json(response)
