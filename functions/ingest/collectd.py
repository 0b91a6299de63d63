"""The JSON of collectd's plugin write_http."""

from fastapi import APIRouter, Depends

from pulseboard.auth.access import AgentWriter, refuse_keys_in_url
from pulseboard.contracts.envelope import ApiResponse
from pulseboard.contracts.ingest import IngestResult
from pulseboard.core.settings import settings
from pulseboard.ingest.concurrency_limiter import IngestBody
from pulseboard.ingest.decoders import collectd
from pulseboard.ingest.decoders.json_points import nothing_valid
from pulseboard.ingest.write_path import limits, now, series_memo, store
from pulseboard.web.body import inflate

router = APIRouter(prefix="/api/v1", tags=["metrics"])


@router.post("/collectd", dependencies=[Depends(refuse_keys_in_url)], include_in_schema=False)
def ingest_collectd(caller: AgentWriter, body: IngestBody) -> ApiResponse[IngestResult]:
    """Store value lists: 200 also for a partly bad body, since collectd sends nothing again."""
    batch = collectd.decode(
        inflate(body, limit=settings().ingest_max_inflated_bytes),
        now=now(),
        limits=limits(),
        series_memo=series_memo("collectd"),
    )
    store(batch, key_id=caller.key_id, protocol="collectd")
    if batch.rejected and not batch.accepted:
        raise nothing_valid(batch, counted=True)
    return ApiResponse(
        data=IngestResult(accepted=batch.accepted, rejected=batch.rejected, errors=batch.issues)
    )
