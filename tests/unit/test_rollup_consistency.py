"""Rollups against raw samples: late marks while they lag behind, and stale markers."""

from array import array

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pulseboard import promql
from pulseboard.contracts.vocabulary import Tier
from pulseboard.ingest import late_marks
from pulseboard.promql import SeriesSamples
from pulseboard.promql.ast import Select
from pulseboard.query import sql_samples
from pulseboard.query.expression import Expression
from pulseboard.query.plan import Plan
from pulseboard.query.result_cache import invalidation
from pulseboard.query.result_cache.extents import Extent

START = 1_800_000_000
DELAY = 180.0


@given(
    late=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5_000)), max_size=8),
    lags=st.lists(st.integers(1, round(DELAY)), min_size=8, max_size=8),
    reads=st.lists(st.integers(0, 5_000), min_size=1, max_size=5),
    now=st.integers(5_001, 6_000),
    rollup=st.booleans(),
)
def test_what_is_still_valid_equals_what_is_stored_now(
    late: list[tuple[int, int]], lags: list[int], reads: list[int], now: int, rollup: bool
) -> None:
    """Late samples of ten buckets, each in the table some time after it was stored."""
    tier, step = (Tier.MINUTE, 60) if rollup else (Tier.RAW, 10)
    selector = Expression(Select("cpu", (), offset=0.0, window=None), "cpu")
    first = START // step
    planned = Plan(tier, step, range(first, first + 10), selector, {}, (), 0.0)

    def seen_at(time: int) -> list[float]:
        values = [0.0] * 10
        for (bucket, stored), lag in zip(late, lags, strict=False):
            if stored + (lag if rollup else 0) <= time:
                values[bucket] += 1
        return values

    marks: dict[int, float] = {}
    for bucket, stored in late:
        number = (START + bucket * step) // late_marks.BUCKET_SECONDS
        marks[number] = max(float(stored), marks.get(number, 0.0))
    cached = {
        number: Extent(planned.span, {"cpu": array("d", seen_at(read))}, float(read))
        for number, read in enumerate(reads)
    }
    valid = invalidation.still_valid(
        cached,
        plan=planned,
        marks={"cpu": marks},
        rollup_delay=DELAY if rollup else 0.0,
        read_since=float("inf"),
    )
    for extent in valid.values():
        assert extent.lines["cpu"].tolist() == seen_at(now)


@given(
    lives=st.lists(st.tuples(st.integers(1, 400), st.integers(180, 900)), min_size=1, max_size=4),
    interval=st.integers(5, 59),
    grid=st.sampled_from([60, 300]),
)
def test_a_series_is_there_in_minutes_when_it_is_in_raw_samples(
    lives: list[tuple[int, int]], interval: int, grid: int
) -> None:
    """Pods live, end with a stale marker, and come back after three minutes or more."""
    times: list[float] = []
    markers: list[float] = []
    at = START // 300 * 300 + 1
    for length, pause in lives:
        alive = range(at, at + length, interval)
        # Never on the edge of a bucket: there a sample belongs to the bucket that it starts.
        times += [each + 0.5 for each in alive]
        markers.append(alive[-1] + 1.5)
        at = alive[-1] + pause
    raw = SeriesSamples(
        {"__name__": "cpu"}, np.array(times, float), np.ones(len(times)), tuple(markers)
    )
    ends = np.array(sorted({time // 60 * 60 + 60 for time in times}), float)
    ended = sql_samples._of_rollup(tuple(markers), ends, width=60, step=60)
    rolled_up = SeriesSamples(raw.labels, ends - 1e-6, np.ones(len(ends)), ended)
    steps = np.arange(START // 300 * 300, at + 900, grid, dtype=float)
    select = promql.parse("cpu + 0")
    present = []
    for stored in (raw, rolled_up):
        (read,) = promql.selectors(select)
        lines = promql.evaluate(select, times=steps, data={read: [stored]})
        present.append(lines[0].present.tolist() if lines else [False] * len(steps))
    assert present[0] == present[1]
