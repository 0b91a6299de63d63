"""The write path of samples, shared by all protocols."""

from functools import cache
from time import time
from uuid import UUID

from pulseboard.core import telemetry
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.observability import logger
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings
from pulseboard.ingest import received_store, samples_store, spill
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders.series_memo import SeriesMemo


def limits() -> BatchLimits:
    """The limits of one request, from the settings."""
    configured = settings()
    return BatchLimits(
        points=configured.ingest_max_points,
        tags=configured.ingest_max_tags,
        errors=configured.ingest_max_errors,
        max_age=configured.ingest_max_age,
        max_ahead=configured.ingest_max_ahead,
        parts=configured.ingest_max_parts,
        histogram_scale=configured.ingest_histogram_scale,
        histogram_buckets=configured.ingest_histogram_buckets,
    )


@cache
def series_memo(protocol: str) -> SeriesMemo:
    """The series memo of a protocol, one per process."""
    return SeriesMemo(settings().series_recognised_bytes)


on_reset(series_memo.cache_clear)


def now() -> int:
    """The time of arrival, in milliseconds since 1970."""
    return int(time() * 1000)


def store(batch: Batch, *, key_id: UUID | None, protocol: str) -> None:
    """Store a decoded batch. Series beyond the limits are removed from it and become its issues.

    When this returns, the samples that the batch still counts as accepted are durable: in the
    database, or spilled when the database does not accept them in time. Raises Unavailable, after
    which agents retry, when they can't be spilled either.
    """
    newest = max(batch.times, default=None)
    if newest is not None:
        lag = max(0.0, time() - newest / 1000)
        telemetry.observe_max("pulseboard_ingest_lag_seconds", lag)
    _write(batch, key_id=key_id)
    received_store.note(batch, key_id=key_id)
    telemetry.count("pulseboard_samples_accepted", batch.accepted, protocol=protocol)
    telemetry.count("pulseboard_samples_refused", batch.rejected, protocol=protocol)


def _write(batch: Batch, *, key_id: UUID | None) -> None:
    if spill.backend() is None:
        samples_store.write(batch, key_id=key_id)
        return
    arrived = now()
    try:
        samples_store.write_or_fail_fast(batch, key_id=key_id)
    except Unavailable as error:
        if batch.accepted == 0:
            raise
        logger().warning("batch spilled", extra={"why": error.message, "samples": batch.accepted})
        spill.put(batch, key_id=key_id, arrived=arrived)
