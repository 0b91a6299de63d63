"""Prometheus remote write 1.0: https://prometheus.io/docs/specs/prw/remote_write_spec/.

    Content-Type                                                  what becomes of it
    application/x-protobuf                                        read
    application/x-protobuf;proto=prometheus.WriteRequest          read
    application/x-protobuf;proto=io.prometheus.write.v2.Request   415: Prometheus is to send 1.0
    none                                                          read
    any other                                                     415

Never 429: Prometheus drops samples after it. After 503 it retries.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from pulseboard.auth.access import AgentWriter
from pulseboard.core.exceptions import UnsupportedMediaType
from pulseboard.core.settings import settings
from pulseboard.ingest.decoders.remote_write import decode, refusals
from pulseboard.ingest.write_path import limits, now, series_memo, store
from pulseboard.web.body import RawBody
from pulseboard.web.content_type import check_encoding, media_type

router = APIRouter(prefix="/api/v1", tags=["metrics"])
_TYPES = frozenset({"", "application/x-protobuf"})
_MESSAGES = frozenset({"", "prometheus.WriteRequest"})


@router.post("/write", include_in_schema=False)
def remote_write(caller: AgentWriter, request: Request, body: RawBody) -> Response:
    """Store a WriteRequest: 204, or 400 with the reasons when some samples can't be stored."""
    _check_type(request)
    batch = decode(
        body,
        now=now(),
        limits=limits(),
        inflated=settings().ingest_max_inflated_bytes,
        series_memo=series_memo("remote write"),
    )
    store(batch, key_id=caller.key_id, protocol="remote_write")
    if batch.rejected:
        return PlainTextResponse(refusals(batch), status_code=400)
    return Response(status_code=204)


def _check_type(request: Request) -> None:
    kind, parameters = media_type(request)
    message = parameters.get("proto", "")
    if kind not in _TYPES:
        raise UnsupportedMediaType(
            f'Remote write is application/x-protobuf, not "{kind[:80]}". For OpenTelemetry use '
            "/v1/metrics."
        )
    if message not in _MESSAGES:
        raise UnsupportedMediaType(
            f'Of remote write, version 1.0 is read, not "{message[:80]}": set protobuf_message to '
            "prometheus.WriteRequest, which is the default."
        )
    check_encoding(request, ["snappy"])
