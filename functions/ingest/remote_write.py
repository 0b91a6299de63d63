"""Prometheus remote write 1.0 and 2.0: https://prometheus.io/docs/specs/prw/remote_write_spec/.

    Content-Type                                                  what becomes of it
    application/x-protobuf                                        read as 1.0
    application/x-protobuf;proto=prometheus.WriteRequest          read as 1.0
    application/x-protobuf;proto=io.prometheus.write.v2.Request   read as 2.0
    none                                                          read as 1.0
    any other                                                     415

Responses to 2.0 say how much was stored, also those that refuse a part.

Never 429: Prometheus drops samples after it. After 503 it retries.
"""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from pulseboard.auth.access import AgentWriter
from pulseboard.core.exceptions import UnsupportedMediaType
from pulseboard.core.settings import settings
from pulseboard.ingest.concurrency_limiter import IngestBody
from pulseboard.ingest.decoders import remote_write as remote_write_1
from pulseboard.ingest.decoders import remote_write2
from pulseboard.ingest.decoders.remote_write import refusals
from pulseboard.ingest.write_path import limits, now, series_memo, store
from pulseboard.web.content_type import check_encoding, media_type

router = APIRouter(prefix="/api/v1", tags=["metrics"])
_TYPES = frozenset({"", "application/x-protobuf"})
_VERSION_2 = "io.prometheus.write.v2.Request"
_MESSAGES = frozenset({"", "prometheus.WriteRequest", _VERSION_2})


@router.post("/write", include_in_schema=False)
def remote_write(caller: AgentWriter, request: Request, body: IngestBody) -> Response:
    """Store a request: 204, or 400 with the reasons when some samples can't be stored."""
    reading: dict[str, Any] = {
        "now": now(),
        "limits": limits(),
        "inflated": settings().ingest_max_inflated_bytes,
        "series_memo": series_memo("remote write"),
    }
    if _message(request) == _VERSION_2:
        batch, written = remote_write2.decode(body, **reading)
    else:
        batch, written = remote_write_1.decode(body, **reading), None
    store(batch, key_id=caller.key_id, protocol="remote_write")
    headers = _written(*written.of(batch)) if written else {}
    if batch.rejected:
        return PlainTextResponse(refusals(batch), status_code=400, headers=headers)
    return Response(status_code=204, headers=headers)


def _written(samples: int, histograms: int) -> dict[str, str]:
    counts = {"Samples": samples, "Histograms": histograms, "Exemplars": 0}
    return {
        f"X-Prometheus-Remote-Write-{kind}-Written": str(count) for kind, count in counts.items()
    }


def _message(request: Request) -> str:
    """The name of the message. Raises UnsupportedMediaType."""
    kind, parameters = media_type(request)
    message = parameters.get("proto", "")
    if kind not in _TYPES:
        raise UnsupportedMediaType(
            f'Remote write is application/x-protobuf, not "{kind[:80]}". For OpenTelemetry use '
            "/v1/metrics."
        )
    if message not in _MESSAGES:
        raise UnsupportedMediaType(
            f"Of remote write, prometheus.WriteRequest and {_VERSION_2} are read, not "
            f'"{message[:80]}": set protobuf_message to one of them.'
        )
    check_encoding(request, ["snappy"])
    return message
