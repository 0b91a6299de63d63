"""Responses as bytes: JSON, gzipped, bounded in size.

The libraries are chosen for speed: a result of some 10,000 numbers would otherwise take longer
here than in the database, half of it in zlib. See docs/adr/0089-fast-responses.md.
"""

import orjson
from fastapi import Request, Response
from isal import igzip_lib

from pulseboard.core.exceptions import PulseboardError
from pulseboard.core.settings import settings
from pulseboard.query import limits
from pulseboard.query.engine import PlanResult
from pulseboard.web.errors import error_body

WORTH_COMPRESSING = 1024
"""Bytes; below, gzip's header costs more than it saves."""
_SMALL = 1024
"""Bytes of a content that an error would not make smaller."""
LEVEL = 1
"""Of ISA-L's four levels: smaller than zlib's level 1, in a third of the time."""


def encode(result: PlanResult) -> bytes:
    """A result as the contract QueryResult; missing values, NaN and infinities are null."""
    return orjson.dumps(
        {
            "data": {
                "timestamps": result.timestamps(),
                "series": [
                    {"name": line.name, "tags": line.tags, "values": line.values.tolist()}
                    for line in result.lines
                ],
            },
            "meta": result.meta.model_dump(mode="json", by_alias=True),
        }
    )


def single(request: Request, result: PlanResult) -> Response:
    """The response to one query. Raises InvalidRequest when it is too large to be sent."""
    body, headers = compressed(request, encode(result))
    if len(body) > settings().query_max_response_bytes:
        raise limits.response_too_large(len(body))
    return Response(body, media_type="application/json", headers=headers)


def batch(
    request: Request, ids: list[str], outcomes: list[PlanResult | PulseboardError]
) -> Response:
    """The response to a batch: when it is too large, the largest results become errors."""
    contents = _contents(request, outcomes)
    configured = settings()
    sizes = list(map(len, contents))
    _remove_largest(request, contents, sizes, most=configured.query_max_result_bytes)
    body, headers = compressed(request, _joined(ids, contents))
    most = left = configured.query_max_response_bytes
    while len(body) > most and left > 1:
        # Compressed one by one they are about as large as together.
        sizes = [len(compressed(request, content)[0]) for content in contents]
        _remove_largest(request, contents, sizes, most=left)
        body, headers = compressed(request, _joined(ids, contents))
        left //= 2
    return Response(body, media_type="application/json", headers=headers)


def _contents(request: Request, outcomes: list[PlanResult | PulseboardError]) -> list[bytes]:
    """Each outcome as JSON; equal queries share theirs."""
    encoded: dict[int, bytes] = {}
    for outcome in outcomes:
        if id(outcome) not in encoded:
            encoded[id(outcome)] = _content(request, outcome)
    return [encoded[id(outcome)] for outcome in outcomes]


def _joined(ids: list[str], contents: list[bytes]) -> bytes:
    items = (
        b'{"id":' + orjson.dumps(query_id) + b"," + content + b"}"
        for query_id, content in zip(ids, contents, strict=True)
    )
    return b'{"data":[' + b",".join(items) + b'],"meta":null}'


def _remove_largest(
    request: Request, contents: list[bytes], sizes: list[int], *, most: int
) -> None:
    """Put errors in place of the largest contents, until the `sizes` of those that are left are at
    most `most`. Small contents, such as errors, do not count: they hardly take space together.
    """
    large = [index for index, content in enumerate(contents) if len(content) >= _SMALL]
    total = sum(sizes[index] for index in large)
    for index in sorted(large, key=lambda index: sizes[index], reverse=True):
        if total <= most:
            break
        total -= sizes[index]
        contents[index] = _content(request, limits.response_too_large(sizes[index]))


def _content(request: Request, outcome: PlanResult | PulseboardError) -> bytes:
    """`"result": …, "error": …`, one of them null."""
    if isinstance(outcome, PlanResult):
        return b'"result":' + encode(outcome) + b',"error":null'
    error = error_body(outcome, request).model_dump(mode="json", by_alias=True)
    return b'"result":null,"error":' + orjson.dumps(error)


def compressed(request: Request, body: bytes) -> tuple[bytes, dict[str, str]]:
    """A body as the caller takes it, with its headers: gzip where that is worth it."""
    headers = {"Vary": "Accept-Encoding"}
    if len(body) > WORTH_COMPRESSING and "gzip" in request.headers.get("accept-encoding", ""):
        body = igzip_lib.compress(body, level=LEVEL, flag=igzip_lib.COMP_GZIP)
        headers["Content-Encoding"] = "gzip"
    return body, headers
