"""Whatever came before, a result from the cache is the result of reading everything now.

What comes before is any order of batches of queries of which some fail, of late samples, of late
stale markers, and of refreshes of the rollups, on a clock that the test moves.
"""

import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from types import SimpleNamespace
from typing import Any
from unittest import mock

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core.exceptions import PulseboardError
from pulseboard.ingest import late_marks_store, samples_store
from pulseboard.ingest.batch import Batch
from pulseboard.query import engine
from pulseboard.query.reader import PlanReader
from pulseboard.query.result_cache import store as result_cache
from pulseboard.query.result_cache.key import SpanKey
from pulseboard.query.result_cache.store import Cached

pytestmark = pytest.mark.integration
MINUTE = 60
BETWEEN = 20.0
"""Seconds between two events: cached points that were read within ten are used in any case."""
REFRESHED = 100.0
"""Seconds after which rollups have late samples at the latest; `query_grace_rollup` is more."""
TEXTS = ("{}", "sum({})", "max_over_time({}[7m])", "count({}) + 0", "sum by (host) (rate({}[5m]))")
QUERIES = [(text, tier) for text in TEXTS for tier in (Tier.RAW, Tier.MINUTE)]
_numbers = count(1)

queried = st.tuples(
    st.just("query"),
    st.lists(st.integers(0, len(QUERIES) - 1), min_size=2, max_size=5, unique=True),
    st.integers(0, 40),
    st.integers(5, 80),
    st.none() | st.tuples(st.integers(0, 4), st.sampled_from(["database", "bug"])),
)
sent = st.tuples(
    st.sampled_from(["sample", "stale marker"]),
    st.sampled_from("ab"),
    st.integers(0, 89),
    st.integers(1, 59),
)
events = st.lists(queried | sent, min_size=3, max_size=8)


class World:
    """One metric, and a clock that events move."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.metric = f"load_{next(_numbers)}"
        self.now = time.time() // 3600 * 3600 + 1
        self.start = self.now - 1 - 3 * 3600
        self.late_since: float | None = None
        keys = [SeriesKey.of(self.metric, {"host": host}) for host in "ab"]
        times = [round(self.start + n * 30 + 7) * 1000 for n in range(180)]
        self.store(Batch([key for key in keys for _ in times], times * 2, [1.0] * 2 * len(times)))
        self.refresh()
        self.now += 600

    def store(self, batch: Batch) -> None:
        with mock.patch.object(samples_store, "time", return_value=self.now):
            samples_store.write(batch)

    def refresh(self) -> None:
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            connection.execute(
                "call refresh_continuous_aggregate('metrics_1min', %s, %s)",
                [datetime.fromtimestamp(self.start + n, UTC) for n in (-3600, 2 * 3600)],
            )
        self.late_since = None

    def pass_time(self) -> None:
        self.now += BETWEEN
        if self.late_since is not None and self.now - self.late_since > REFRESHED - BETWEEN:
            self.refresh()

    def send_late(self, kind: str, host: str, minute: int, second: int) -> None:
        key, at = SeriesKey.of(self.metric, {"host": host}), self.start + minute * MINUTE + second
        milliseconds = round(at) * 1000
        if kind == "sample":
            self.store(Batch([key], [milliseconds], [500.0 + minute]))
        else:
            self.store(Batch(stale_markers=[(key, milliseconds)]))
        if self.late_since is None:
            self.late_since = self.now

    def execute(self, chosen: Sequence[int], first: int, length: int) -> list[Any]:
        start = self.start + first * MINUTE
        params = [
            QueryParams.model_validate(
                {
                    "query": QUERIES[each][0].format(self.metric),
                    "start": start * 1000,
                    "end": (start + length * MINUTE) * 1000,
                    "step": "1m",
                    "tier": QUERIES[each][1],
                }
            )
            for each in chosen
        ]
        return engine.execute_batch(params, now=datetime.fromtimestamp(self.now, UTC))


@contextmanager
def failing(where: tuple[int, str] | None) -> Iterator[list[int]]:
    """Of the plans that are read, the one with this number fails; the list counts those read."""
    original, read = PlanReader.read, [0]

    def fail(reader: PlanReader, *args: Any) -> Any:
        read[0] += 1
        if where is not None and read[0] == where[0] + 1:
            if where[1] == "database":
                reader.connection.execute("select 1 / 0").fetchone()
            raise RuntimeError("nobody expects this")
        return original(reader, *args)

    with mock.patch.object(PlanReader, "read", fail):
        yield read


@contextmanager
def nothing_cached() -> Iterator[None]:
    """Queries neither find anything in the cache nor put anything there."""

    def get(wanted: Sequence[SpanKey], **_: Any) -> Any:
        return [Cached() for _ in wanted], {}

    with (
        mock.patch.object(result_cache, "get", get),
        mock.patch.object(result_cache, "put", return_value=None),
    ):
        yield


def lines(result: Any) -> dict[str, list[float | None]]:
    def values(of_line: "array[float]") -> list[float | None]:
        return [None if each != each else round(each, 9) for each in of_line]

    return {f"{each.name}{sorted(each.tags.items())}": values(each.values) for each in result.lines}


@hypothesis_settings(
    max_examples=12,
    derandomize=True,
    deadline=None,
    database=None,
    # Shrinking would read the database hundreds of times.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(happened=events)
def test_what_is_cached_equals_what_is_stored(
    stack: None, database_url: str, happened: list[tuple[Any, ...]]
) -> None:
    world = World(database_url)
    # Marks are stored, and read, by the clock that the events move.
    with mock.patch.object(late_marks_store, "time", SimpleNamespace(time=lambda: world.now)):
        _check(world, happened)


def _check(world: World, happened: list[tuple[Any, ...]]) -> None:
    for kind, *event in happened:
        world.pass_time()
        if kind != "query":
            world.send_late(kind, *event)
            continue
        chosen, first, length, where = event
        with failing(where) as read:
            results = world.execute(chosen, first, length)
        failed = [isinstance(each, PulseboardError) for each in results]
        assert sum(failed) == (where is not None and read[0] > where[0])
        with nothing_cached():
            expected = world.execute(chosen, first, length)
        for each, (result, whole) in enumerate(zip(results, expected, strict=True)):
            if not failed[each]:
                assert lines(result) == lines(whole), QUERIES[chosen[each]]
        # What was put beside a failure is right, and what failed can be read at once.
        again = world.execute(chosen, first, length)
        for each, (result, whole) in enumerate(zip(again, expected, strict=True)):
            assert not isinstance(result, PulseboardError)
            assert lines(result) == lines(whole), QUERIES[chosen[each]]
