"""Rollups give what raw samples give, for whole buckets, wherever their rows are stored."""

import math
import random
import time
from datetime import UTC, datetime

import psycopg
import pytest

from pulseboard.catalogue import selector
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.db import cache, database, rollups
from pulseboard.ingest import samples_store
from pulseboard.ingest.batch import Batch
from pulseboard.query import engine
from pulseboard.usage import deletion_store

pytestmark = pytest.mark.integration

HOUR = 3_600
FUNCTIONS = (
    *("rate", "increase", "delta", "resets", "changes", "stddev_over_time", "stdvar_over_time"),
    *("first_over_time", "last_over_time", "ts_of_first_over_time", "ts_of_last_over_time"),
    *("avg_over_time", "sum_over_time", "min_over_time", "max_over_time", "count_over_time"),
)


def _values(kind: str, count: int, chance: random.Random) -> list[float]:
    """A course of values."""
    level, found = 0.0, []
    for n in range(count):
        match kind:
            case "counter":
                level = 0.0 if chance.random() < 0.02 else level + chance.random() * 9
            case "often reset":
                level = level + 1 if chance.random() < 0.6 else 0.5
            case "gauge":
                level = 1e6 + chance.random()
            case "steps":
                level = float(chance.randrange(3))
            case "constant":
                level = 0.1
            case "tiny":
                level = chance.choice([5e-324, 1e-310, -1e-200, 0.0])
            case "huge":
                level = chance.choice([1e150, -1e151, 3e152])
            case "largest":
                level = chance.choice([1.7e308, 1e308, -1.6e308])
            case "endless":
                level = chance.choice([math.inf, -math.inf, 1.0, 2.0]) if n % 7 == 0 else 3.0
            case "not a number":
                level = math.nan if chance.random() < 0.1 else float(chance.randrange(4))
        found.append(level)
    return found


KINDS = (
    *("counter", "often reset", "gauge", "steps", "constant", "tiny", "huge", "largest"),
    *("endless", "not a number"),
)


@pytest.fixture
def start(stack: None, database_url: str) -> int:
    """An hour that has passed; from it on six hours of samples with gaps, off whole seconds."""
    begin = int(time.time()) // HOUR * HOUR - 10 * HOUR
    chance = random.Random(8)
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        for kind in KINDS:
            key = SeriesKey.of("course", {"kind": kind})
            times, at = [], begin + 0.3
            while at < begin + 6 * HOUR:
                times.append(at)
                at += 10 if chance.random() < 0.97 else chance.randrange(60, 1500)
            batch = Batch(series=[key], times=[round(times[0] * 1000)], values=[1.0])
            samples_store.write(batch)
            row = connection.execute("select max(id) from metric_series").fetchone()
            assert row
            with (
                connection.cursor() as cursor,
                cursor.copy("copy metrics_raw (time, series_id, value) from stdin") as copy,
            ):
                values = _values(kind, len(times), chance)
                for each, value in zip(times[1:], values[1:], strict=True):
                    copy.write_row((datetime.fromtimestamp(each, UTC), row[0], value))
    return begin


def _refresh(url: str) -> None:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        for rollup in rollups.ROLLUPS:
            connection.execute(
                "call refresh_continuous_aggregate(%s, null, now() - interval '2 hours')",
                (rollup,),
            )


def _compress(url: str) -> None:
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        for rollup in rollups.ROLLUPS:
            connection.execute(
                "select compress_chunk(c, if_not_compressed => true) from show_chunks(%s) c",
                (rollup,),
            )


def _lines(text: str, tier: Tier, *, start: int, step: int, end: int) -> dict[str, list[float]]:
    cache.client().flushall()
    params = QueryParams.model_validate(
        {
            "query": text,
            "start": start * 1000,
            "end": end * 1000,
            "step": f"{step}s",
            "tier": tier,
        }
    )
    outcome = engine.execute(params, now=datetime.now(UTC))
    return {line.tags.get("kind", ""): list(line.values) for line in outcome.lines}


def _same(found: float, wanted: float) -> bool:
    if math.isnan(found) or math.isnan(wanted):
        return math.isnan(found) and math.isnan(wanted)
    return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-12)


Known = dict[str, dict[str, list[float]]]


def _compare(function: str, tier: Tier, begin: int, known: Known) -> list[str]:
    """Where a tier differs from raw, whose lines are remembered in `known`."""
    width = 60 if tier is Tier.MINUTE else HOUR
    wrong = []
    # Of numbers whose sum overflows raw has no sum and no deviation, or another one.
    kinds = set(KINDS) - ({"largest"} if function.startswith(("std", "sum")) else set())
    for window, step in ((width, width), (2 * width, width), (5 * width, 5 * width)):
        text = f"{function}(course[{window}s])"
        ends = {"start": begin + HOUR, "step": step, "end": begin + 6 * HOUR}
        if text not in known:
            known[text] = _lines(text, Tier.RAW, **ends)
        raw, rolled_up = known[text], _lines(text, tier, **ends)
        assert len(raw) == len(KINDS), text
        for kind in kinds:
            wanted = raw[kind]
            found = rolled_up.get(kind, [])
            different = [
                (n, one, two)
                for n, (one, two) in enumerate(zip(found, wanted, strict=False))
                if not _same(one, two)
            ]
            if different or len(found) != len(wanted):
                wrong.append(f"{text} of {kind} from {tier}: {different[:3]}")
    return wrong


def _no_step(url: str) -> None:
    """Rows are computed from raw at once."""


def test_rollups_equal_raw(start: int, database_url: str) -> None:
    """From raw at once, from rows, and from the columnstore."""
    known: Known = {}
    for stored in (_no_step, _refresh, _compress):
        stored(database_url)
        wrong = [
            difference
            for function in FUNCTIONS
            for tier in (Tier.MINUTE, Tier.HOUR)
            for difference in _compare(function, tier, start, known)
        ]
        assert not wrong, "\n".join(wrong)


def test_late_samples_and_deletions_reach_the_columnstore(start: int, database_url: str) -> None:
    _refresh(database_url)
    _compress(database_url)
    late = start + 2 * HOUR + 90
    key = SeriesKey.of("course", {"kind": "constant"})
    # A reset in a bucket whose chunk is closed.
    samples_store.write(
        Batch(series=[key] * 2, times=[late * 1000 + 100, late * 1000 + 200], values=[500.0, 0.25])
    )
    _refresh(database_url)
    for function in ("increase", "resets", "changes", "max_over_time"):
        assert not _compare(function, Tier.MINUTE, start, {})
        assert not _compare(function, Tier.HOUR, start, {})
    with database.connection() as connection:
        deletion_store.delete(
            connection,
            selector=selector.parse('course{kind="counter"}'),
            dry_run=False,
            expect=1,
        )
        assert deletion_store.purge(connection, seconds=60) == 1
        row = connection.execute(
            "select count(*) from metrics_1min m"
            " where not exists (select from metric_series s where s.id = m.series_id)"
        ).fetchone()
        assert row == (0,)
        row = connection.execute("select count(distinct series_id) from metrics_1min").fetchone()
    assert row == (len(KINDS) - 1,)
    _refresh(database_url)
    with database.connection() as connection:
        row = connection.execute("select count(distinct series_id) from metrics_1hour").fetchone()
    assert row == (len(KINDS) - 1,)
