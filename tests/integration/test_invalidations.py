"""What a batch makes the next refresh of the rollups redo."""

import time
from itertools import pairwise

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.db import database
from pulseboard.ingest import samples_store
from pulseboard.ingest.batch import Batch

pytestmark = pytest.mark.integration
HOUR = 3_600


def invalidated(url: str) -> list[tuple[float, float]]:
    """The ranges of time in seconds that the next refresh of the minutes redoes."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        rows = connection.execute(
            """
            select lowest_modified_value, greatest_modified_value
            from _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log
            """
        ).fetchall()
    # In microseconds since 1970.
    return [(lowest / 1e6, greatest / 1e6) for lowest, greatest in rows]


def test_an_old_and_a_current_sample_do_not_invalidate_what_lies_between(
    stack: None, database_url: str
) -> None:
    now = time.time() // 60 * 60
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        # Only what lies before the end of the last refresh is logged.
        connection.execute(
            "call refresh_continuous_aggregate('metrics_1min', null, to_timestamp(%s))", (now,)
        )
        connection.execute(
            "delete from _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log"
        )
    old, current = now - 30 * HOUR, now - 90
    times = [current, old, old + 120, now - 3 * HOUR, current + 30]
    key = SeriesKey.of("cpu", {"host": "a"})
    for _ in range(2):
        samples_store.write(
            Batch(
                series=[key] * len(times),
                times=[round(at * 1000) for at in times],
                values=[1.0] * len(times),
            )
        )
    ranges = invalidated(database_url)
    assert len(ranges) >= 3
    assert all(greatest - lowest <= 600 for lowest, greatest in ranges), ranges
    with database.connection() as connection:
        row = connection.execute("select count(*) from metrics_raw").fetchone()
    assert row == (len(times),)


@given(st.lists(st.integers(0, 6 * 86_400), min_size=1, max_size=60))
def test_runs_hold_each_sample_once_and_are_few(seconds: list[int]) -> None:
    times = np.array(seconds, np.int64) * 1000
    rows = samples_store._Rows(np.arange(len(times)), times, times.astype(np.float64))
    runs = samples_store._runs(rows)
    assert 1 <= len(runs) <= samples_store.MOST_RUNS
    assert sorted(each for run in runs for each in run.series.tolist()) == list(range(len(times)))
    spans = [(run.times.min(), run.times.max()) for run in runs]
    for (first, _), (_, last) in pairwise(spans):
        assert first - last > samples_store.RUN_GAP
    if len(runs) < samples_store.MOST_RUNS:
        for run in runs:
            assert (np.diff(np.sort(run.times)) <= samples_store.RUN_GAP).all()
