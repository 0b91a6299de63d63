"""Answers as bytes: JSON, gzipped, bounded.

By the quickest libraries there are: an answer of some 10,000 numbers would spend more time here
than in the database, half of it in zlib. See docs/adr/0089-fast-responses.md.
"""

import orjson
from fastapi import Request, Response
from isal import igzip_lib

from pulseboard.core.exceptions import PulseboardError
from pulseboard.core.settings import settings
from pulseboard.query import limits
from pulseboard.query.engine import Answer
from pulseboard.web.errors import error_body

WORTH_COMPRESSING = 1024
"""Bytes; below, gzip's header costs more than it saves."""
LEVEL = 1
"""Of ISA-L's four: smaller than zlib's own first, in a third of its time."""


def result(answer: Answer) -> bytes:
    """An answer as a QueryResult; gaps and numbers that JSON has not are null."""
    return orjson.dumps(
        {
            "data": {
                "timestamps": answer.plan.timestamps(),
                "series": [
                    {"name": line.name, "tags": line.tags, "values": line.values.tolist()}
                    for line in answer.lines
                ],
            },
            "meta": answer.meta.model_dump(mode="json", by_alias=True),
        }
    )


def single(request: Request, answer: Answer) -> Response:
    """The response of one question. Raises InvalidRequest when it is too large to be sent."""
    body, headers = _packed(request, result(answer))
    if len(body) > settings().query_max_response_bytes:
        raise limits.too_large(len(body))
    return Response(body, media_type="application/json", headers=headers)


def batch(request: Request, ids: list[str], outcomes: list[Answer | PulseboardError]) -> Response:
    """The response of a batch: when it is too large, the largest answers become errors."""
    parts = [_part(request, *pair) for pair in zip(ids, outcomes, strict=True)]
    most = settings().query_max_response_bytes
    while True:
        body, headers = _packed(request, b'{"data":[' + b",".join(parts) + b"]}")
        largest = max(range(len(parts)), key=lambda number: len(parts[number]))
        if len(body) <= most or not isinstance(outcomes[largest], Answer):
            return Response(body, media_type="application/json", headers=headers)
        outcomes = [*outcomes]
        outcomes[largest] = limits.too_large(len(body))
        parts[largest] = _part(request, ids[largest], outcomes[largest])


def _part(request: Request, name: str, outcome: Answer | PulseboardError) -> bytes:
    if isinstance(outcome, Answer):
        return b'{"id":' + orjson.dumps(name) + b',"result":' + result(outcome) + b"}"
    failure = error_body(outcome, request)
    shown = failure.model_dump(mode="json", by_alias=True, exclude_none=True)
    return orjson.dumps({"id": name, "error": shown})


def _packed(request: Request, body: bytes) -> tuple[bytes, dict[str, str]]:
    headers = {"Vary": "Accept-Encoding"}
    if len(body) > WORTH_COMPRESSING and "gzip" in request.headers.get("accept-encoding", ""):
        body = igzip_lib.compress(body, level=LEVEL, flag=igzip_lib.COMP_GZIP)
        headers["Content-Encoding"] = "gzip"
    return body, headers
