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
LEVEL = 1
"""Of ISA-L's four levels: smaller than zlib's level 1, in a third of the time."""


def encode(result: PlanResult) -> bytes:
    """A result as the contract QueryResult; missing values, NaN and infinities are null."""
    return orjson.dumps(
        {
            "data": {
                "timestamps": result.plan.timestamps(),
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
    body, headers = _compressed(request, encode(result))
    if len(body) > settings().query_max_response_bytes:
        raise limits.response_too_large(len(body))
    return Response(body, media_type="application/json", headers=headers)


def batch(
    request: Request, ids: list[str], outcomes: list[PlanResult | PulseboardError]
) -> Response:
    """The response to a batch: when it is too large, the largest results become errors."""
    items = [_item(request, *pair) for pair in zip(ids, outcomes, strict=True)]
    most = settings().query_max_response_bytes
    while True:
        body, headers = _compressed(request, b'{"data":[' + b",".join(items) + b"]}")
        largest = max(range(len(items)), key=lambda index: len(items[index]))
        if len(body) <= most or not isinstance(outcomes[largest], PlanResult):
            return Response(body, media_type="application/json", headers=headers)
        outcomes = [*outcomes]
        outcomes[largest] = limits.response_too_large(len(body))
        items[largest] = _item(request, ids[largest], outcomes[largest])


def _item(request: Request, query_id: str, outcome: PlanResult | PulseboardError) -> bytes:
    if isinstance(outcome, PlanResult):
        return b'{"id":' + orjson.dumps(query_id) + b',"result":' + encode(outcome) + b"}"
    error = error_body(outcome, request).model_dump(mode="json", by_alias=True, exclude_none=True)
    return orjson.dumps({"id": query_id, "error": error})


def _compressed(request: Request, body: bytes) -> tuple[bytes, dict[str, str]]:
    headers = {"Vary": "Accept-Encoding"}
    if len(body) > WORTH_COMPRESSING and "gzip" in request.headers.get("accept-encoding", ""):
        body = igzip_lib.compress(body, level=LEVEL, flag=igzip_lib.COMP_GZIP)
        headers["Content-Encoding"] = "gzip"
    return body, headers
