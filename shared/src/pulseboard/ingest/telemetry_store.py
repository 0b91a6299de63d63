"""Telemetry: stored beside all other metrics, and written for CloudWatch."""

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


def note(values: Mapping[str, float]) -> None:
    """Write these as of now, and what else there is to tell."""
    told = telemetry.drain(force=True) or TelemetryBatch({}, {})
    _record(told)
    _store(told.samples | {(name, ()): float(value) for name, value in values.items()})


def write(told: TelemetryBatch) -> None:
    """Write what one process has added up."""
    _record(told)
    _store(told.samples)


def _store(figures: Mapping[Key, float]) -> None:
    """They are worth less than the work they tell of: no error is raised, and nobody waits for a
    database that is away."""
    # It brings numpy, an eighth of a cold start, and the first figures are written much later.
    from pulseboard.ingest import samples_store

    batch = Batch(
        series=[SeriesKey.of(name, dict(tags)) for name, tags in figures],
        times=[int(time.time() * 1000)] * len(figures),
        values=list(figures.values()),
    )
    try:
        if database.breaker().current_state == pybreaker.STATE_CLOSED:
            samples_store.write_or_fail_fast(batch, key_id=None)
    except (PulseboardError, psycopg.Error) as error:
        logger().warning("own metrics were not written", exc_info=error)


def _record(told: TelemetryBatch) -> None:
    """Into the log, in CloudWatch's format: it needs no database."""
    answers = told.total("pulseboard_query_answers")
    values: dict[str, float | list[float]] = {
        "SamplesAccepted": told.total("pulseboard_samples_accepted"),
        "SamplesRefused": told.total("pulseboard_samples_refused"),
        "IngestLagSeconds": told.total("pulseboard_ingest_lag_seconds"),
        "QuerySeconds": told.times.get("pulseboard_query_seconds", []),
        "BreakerOpened": told.total("pulseboard_breaker_opened"),
    }
    if answers:
        cached = told.total("pulseboard_query_answers", source="cache")
        values["CacheHitPercent"] = 100 * cached / answers
    record(**{name: value for name, value in values.items() if value})
