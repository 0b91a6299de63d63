"""The one way in for samples, whatever protocol they came by."""

from functools import cache
from time import time

from pulseboard.domain.batch import Batch, Limits
from pulseboard.domain.protocols.recognised import Recognised
from pulseboard.exceptions import Unavailable
from pulseboard.http.access import Principal
from pulseboard.http.own_metrics import counted
from pulseboard.observability import logger
from pulseboard.settings import settings
from pulseboard.stores import samples, spill


def limits() -> Limits:
    """The bounds of one request, from the settings."""
    configured = settings()
    return Limits(
        points=configured.ingest_max_points,
        tags=configured.ingest_max_tags,
        errors=configured.ingest_max_errors,
        max_age=configured.ingest_max_age,
        max_ahead=configured.ingest_max_ahead,
    )


@cache
def recognised(protocol: str) -> Recognised:
    """The series of a protocol that this process knows by their bytes."""
    return Recognised(settings().series_recognised_bytes)


def now() -> int:
    """The time of arrival, in milliseconds since 1970."""
    return int(time() * 1000)


@counted
def store(batch: Batch, *, caller: Principal) -> None:
    """Store a decoded batch. Series beyond the limits are moved to the batch's refusals.

    When this returns, the samples that the batch still counts as accepted will not be lost.
    They are in the database, or spilled on a durable place when it does not take them in time.
    Raises Unavailable, which agents answer by sending again, when there is no such place either.
    """
    if spill.place() is None:
        samples.write(batch, key_id=caller.key_id)
        return
    arrived = now()
    try:
        samples.write_or_fail_fast(batch, key_id=caller.key_id)
    except Unavailable as error:
        if batch.accepted == 0:
            raise
        logger().warning("batch spilled", extra={"why": error.message, "samples": batch.accepted})
        spill.keep(batch, key_id=caller.key_id, arrived=arrived, before=samples.finished())
