"""OpenTelemetry metrics over HTTP: https://opentelemetry.io/docs/specs/otlp/#otlphttp.

    Content-Type              read as
    application/x-protobuf    ExportMetricsServiceRequest in protocol buffers
    application/json          the same in JSON
    any other, or none        415

Bodies may be compressed by gzip, zstd or deflate. Responses are in the request's encoding: an
ExportMetricsServiceResponse, or a google.rpc.Status. Traces and logs are 404, which senders do not
retry.
"""

from collections.abc import Callable, Coroutine
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic_core import to_json

from pulseboard.auth.access import AgentWriter
from pulseboard.core.exceptions import NotFound, PulseboardError, UnsupportedMediaType
from pulseboard.core.settings import settings
from pulseboard.ingest.concurrency_limiter import IngestBody
from pulseboard.ingest.decoders import otlp
from pulseboard.ingest.decoders.otlp_origins import TARGET_INFO
from pulseboard.ingest.decoders.protobuf_wire import encoded_text, encoded_varint
from pulseboard.ingest.otlp_origins_store import StoredOrigins
from pulseboard.ingest.write_path import limits, now, series_memo, store
from pulseboard.web.body import inflate_any
from pulseboard.web.content_type import check_encoding, media_type
from pulseboard.web.error_formats import note_formatted
from pulseboard.web.errors import headers_of

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_DECODERS = {PROTOBUF: otlp.from_protobuf, JSON: otlp.from_json_text}
# Status codes of gRPC: https://grpc.github.io/grpc/core/md_doc_statuscodes.html
_INTERNAL = 13
_SHOWN_NOTES = 3
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 409: 10, 413: 3, 415: 3, 429: 8, 503: 14}


class OtlpRoute(APIRoute):
    """A route whose known errors are google.rpc.Status, those of its dependencies too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await inner(request)
            except PulseboardError as error:
                note_formatted(request, error)
                return _status(request, error)

        return handle


router = APIRouter(tags=["metrics"], route_class=OtlpRoute)


@router.post("/v1/metrics", include_in_schema=False)
def export_metrics(caller: AgentWriter, request: Request, body: IngestBody) -> Response:
    """Store an ExportMetricsServiceRequest; what can't be stored is a partial success.

    A message without a number of refused points is a warning, as the specification has it.
    """
    encoding, _ = media_type(request)
    decode = _DECODERS.get(encoding)
    if decode is None:
        raise UnsupportedMediaType(
            f'OpenTelemetry metrics are {PROTOBUF} or {JSON}, not "{encoding[:80]}".'
        )
    check_encoding(request, ["gzip", "zstd", "deflate"])
    origins = StoredOrigins()
    batch = decode(
        inflate_any(body, limit=settings().ingest_max_inflated_bytes),
        now=now(),
        limits=limits(),
        choice=_choice(),
        series_memo=series_memo("otlp"),
        origins=origins,
    )
    refused, before = batch.rejected, list(zip(batch.positions, batch.series, strict=True))
    store(batch, key_id=caller.key_id, protocol="otlp")
    if batch.rejected > refused:
        points = {index for index, key in before if key.name != TARGET_INFO}
        refused += len(points.difference(batch.positions))
    notes = [*batch.notes[:_SHOWN_NOTES], *([origins.note] if origins.note else [])]
    message = "; ".join([*_reasons(batch.issues), *notes])
    return Response(_response(encoding, refused, message), media_type=encoding)


@router.post("/v1/traces", include_in_schema=False)
@router.post("/v1/logs", include_in_schema=False)
def refuse_what_is_no_metric(request: Request) -> Response:
    """404 with the reason, also without a key: a Collector logs it."""
    signal = request.url.path.rpartition("/")[2]
    raise NotFound(
        f"Pulseboard accepts metrics (at /v1/metrics), not {signal}: name this exporter in the "
        "metrics pipelines only."
    )


@lru_cache(maxsize=1)
def _choice_for(attributes: str, scope: bool, info_tags: int) -> otlp.AttributeChoice:
    names = dict.fromkeys(name.strip() for name in attributes.split(",") if name.strip())
    return otlp.AttributeChoice(tuple(names), scope, info_tags)


def _choice() -> otlp.AttributeChoice:
    configured = settings()
    return _choice_for(
        configured.otlp_resource_attributes, configured.otlp_scope, configured.otlp_info_tags
    )


def _reasons(issues: list[Any]) -> list[str]:
    return list(dict.fromkeys(issue.message for issue in issues))[:3]


def _response(encoding: str, rejected: int, reason: str) -> bytes:
    if encoding == JSON:
        # 64-bit integers are text in protocol buffers' JSON.
        partial = {"rejectedDataPoints": str(rejected), "errorMessage": reason}
        return to_json({"partialSuccess": partial} if rejected or reason else {})
    if not (rejected or reason):
        return b""
    return encoded_text(1, encoded_varint(1, rejected) + encoded_text(2, reason.encode()))


def _status(request: Request, error: PulseboardError) -> Response:
    encoding = JSON if media_type(request)[0] == JSON else PROTOBUF
    code = _CODES.get(error.status, _INTERNAL)
    content = (
        to_json({"code": code, "message": error.message})
        if encoding == JSON
        else encoded_varint(1, code) + encoded_text(2, error.message.encode())
    )
    return Response(
        content, status_code=error.status, media_type=encoding, headers=headers_of(error)
    )
