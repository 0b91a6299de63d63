"""Reading a request's body within bounds, and inflating it within others."""

import zlib
from typing import Annotated

from fastapi import Depends, Request
from starlette.requests import ClientDisconnect

from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.core.settings import settings

_GZIP_MAGIC = b"\x1f\x8b"
# What is left of it when a gateway decoded the body as text.
_GZIP_AS_TEXT = "\x1f\ufffd".encode()
_GZIP_WINDOW = 31
MAX_MEMBERS = 10_000
"""Concatenated gzip streams in one body."""
_PIECE = 16_384
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


async def read_body(request: Request) -> bytes:
    """The body as received, at most `ingest_max_body_bytes`.

    A declared length is believed when it is too much; otherwise bytes are counted while they
    come. Raises PayloadTooLarge, or InvalidRequest when the sender goes away.
    """
    limit = settings().ingest_max_body_bytes
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise _too_large(limit)
    received = bytearray()
    try:
        async for chunk in request.stream():
            if len(received) + len(chunk) > limit:
                raise _too_large(limit)
            received += chunk
    except ClientDisconnect:
        raise InvalidRequest("The body ended before it was complete.") from None
    return bytes(received)


RawBody = Annotated[bytes, Depends(read_body)]


def inflate(body: bytes, *, limit: int) -> bytes:
    """The body, decompressed if it is gzip, which its first bytes show.

    Headers are ignored: gateways drop Content-Encoding, and agents send gzip as
    `application/octet-stream`. Stops at `limit` bytes. Raises PayloadTooLarge beyond it,
    InvalidRequest for broken gzip.
    """
    if body.startswith(_GZIP_MAGIC):
        return _inflate_zlib(body, limit, _GZIP_WINDOW, "gzip")
    if body.startswith(_GZIP_AS_TEXT):
        raise InvalidRequest(
            "The gzip body was decoded as text on its way here: send it as Content-Type: "
            "application/octet-stream, or without compression."
        )
    if len(body) > limit:
        raise _inflates_too_much(limit)
    return body


def inflate_any(body: bytes, *, limit: int) -> bytes:
    """The same, also for deflate (zlib) and zstd: for bodies that can't begin like one of them."""
    if body.startswith(_ZSTD_MAGIC):
        return _inflate_zstd(body, limit)
    # RFC 1950: the method and window, and with the next byte a multiple of 31.
    if body[:1] == b"\x78" and int.from_bytes(body[:2], "big") % 31 == 0:
        return _inflate_zlib(body, limit, zlib.MAX_WBITS, "deflate")
    return inflate(body, limit=limit)


def _inflate_zlib(body: bytes, limit: int, window: int, name: str) -> bytes:
    parts: list[bytes] = []
    room, position, members = limit, 0, 0
    view = memoryview(body)
    try:
        while position < len(body):
            members += 1
            if members > MAX_MEMBERS:
                raise InvalidRequest(f"The {name} body has more than {MAX_MEMBERS} members.")
            member = zlib.decompressobj(window)
            # In pieces: what follows a member is copied, and there may be many members.
            while not member.eof:
                piece = view[position : position + _PIECE]
                if not piece:
                    raise InvalidRequest(f"The {name} body ends before it is complete.")
                part = member.decompress(piece, room + 1)
                if len(part) > room:
                    raise _inflates_too_much(limit)
                parts.append(part)
                room -= len(part)
                position += len(piece) - len(member.unused_data)
    except zlib.error as error:
        raise InvalidRequest(f"The body is broken {name}: {error}.") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _inflate_zstd(body: bytes, limit: int) -> bytes:
    from cramjam import DecompressionError, zstd

    room = bytearray(limit + 1)
    try:
        used = zstd.decompress_into(body, room)
    except DecompressionError as error:
        if "whole buffer" in str(error):
            raise _inflates_too_much(limit) from None
        raise InvalidRequest(f"The body is broken zstd: {error}.") from None
    if used > limit:
        raise _inflates_too_much(limit)
    return bytes(memoryview(room)[:used])


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body is larger than the {limit} bytes that are accepted.")


def _inflates_too_much(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body inflates to more than the {limit} bytes that are accepted.")
