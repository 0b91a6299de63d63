"""Pulseboard's own figures, stored beside everybody's metrics."""

import time
from collections.abc import Mapping

import psycopg

from pulseboard.domain.batch import Batch, SeriesKey
from pulseboard.exceptions import PulseboardError
from pulseboard.observability import logger
from pulseboard.stores import samples


def note(values: Mapping[str, float]) -> None:
    """Write them as of now. They are worth less than the work they tell of: no error is raised."""
    moment = int(time.time() * 1000)
    batch = Batch(
        series=[SeriesKey.of(name, {}) for name in values],
        times=[moment] * len(values),
        values=[float(value) for value in values.values()],
    )
    try:
        samples.write_or_fail_fast(batch, key_id=None)
    except (PulseboardError, psycopg.Error) as error:
        logger().warning("own metrics were not written", exc_info=error)
