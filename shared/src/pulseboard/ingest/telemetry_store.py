"""Pulseboard's own metrics: stored with all others, and logged in CloudWatch's format."""

import time
from collections.abc import Mapping

import psycopg
import pybreaker

from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core import telemetry
from pulseboard.core.exceptions import PulseboardError
from pulseboard.core.observability import logger, record
from pulseboard.core.telemetry import Key, TelemetryBatch
from pulseboard.db import database
from pulseboard.ingest.batch import Batch


def write_values(values: Mapping[str, float]) -> None:
    """Write these values as of now, together with the telemetry of this process."""
    drained = telemetry.drain(force=True) or TelemetryBatch({}, {})
    _record(drained)
    _store(drained.samples | {(name, ()): float(value) for name, value in values.items()})


def write(drained: TelemetryBatch) -> None:
    """Write the telemetry of a process."""
    _record(drained)
    _store(drained.samples)


def _store(samples: Mapping[Key, float]) -> None:
    """Store the values. Telemetry is optional: this raises no error, and it skips the write while
    the circuit breaker is open."""
    # Imported late: numpy is an eighth of a cold start, and the first values come much later.
    from pulseboard.ingest import samples_store

    batch = Batch(
        series=[SeriesKey.of(name, dict(tags)) for name, tags in samples],
        times=[int(time.time() * 1000)] * len(samples),
        values=list(samples.values()),
    )
    try:
        if database.breaker("write").current_state == pybreaker.STATE_CLOSED:
            samples_store.write_or_fail_fast(batch, key_id=None)
    except (PulseboardError, psycopg.Error) as error:
        logger().warning("telemetry not written", exc_info=error)


def _record(drained: TelemetryBatch) -> None:
    """Log the values in CloudWatch's format, which needs no database."""
    queries = drained.total("pulseboard_query_answers")
    values: dict[str, float | list[float]] = {
        "SamplesAccepted": drained.total("pulseboard_samples_accepted"),
        "SamplesRefused": drained.total("pulseboard_samples_refused"),
        "IngestLagSeconds": drained.total("pulseboard_ingest_lag_seconds"),
        "QuerySeconds": drained.times.get("pulseboard_query_seconds", []),
        "BreakerOpened": drained.total("pulseboard_breaker_opened"),
    }
    written = {name: value for name, value in values.items() if value}
    if queries:
        # Zero is a value here, unlike in counts.
        cached = drained.total("pulseboard_query_answers", source="cache")
        written["CacheHitPercent"] = 100 * cached / queries
    record(**written)
