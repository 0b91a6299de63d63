"""Rollups of an older version: no row is lost, and none is out of sight while they are moved."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.local import services
from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core import process_state
from pulseboard.db import cache, rollups
from pulseboard.db.migrate import available, migrate
from pulseboard.query import engine

pytestmark = pytest.mark.integration

Connection = psycopg.Connection[Any]
NEW = "first_time, last_time, increase_by_resets, resets, changes, squared_deviations"


@pytest.fixture
def older(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Connection]]:
    """A database of the version before, with samples of minutes, days, weeks and months ago."""
    process_state.reset()
    with services.timescaledb(data=tmp_path / "data", log=tmp_path / "log") as url:
        migrate(url, migrations=[one for one in available() if one.number < 200])
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("REDIS_URL", redis_url)
        process_state.reset()
        with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
            connection.execute(
                "with metric as (insert into metric_definitions (name) values ('old_total')"
                " returning id) insert into metric_series (metric_id, tags, tags_hash, created_at)"
                " select id, jsonb_build_object('n', n::text), decode(md5(n::text), 'hex'),"
                " now() - interval '1 year' from metric, generate_series(1, 2) n"
            )
            for days in (0, 5, 20, 200):
                # A counter that is reset every ninth time, from three hours before.
                connection.execute(
                    "insert into metrics_raw select now() - make_interval(days => %s)"
                    " - n * interval '17 seconds', s.id, mod(1000000 - n, 9)"
                    " from metric_series s, generate_series(1, 640) n",
                    (days,),
                )
            for rollup in rollups.ROLLUPS:
                connection.execute(f"call refresh_continuous_aggregate('{rollup}', null, null)")
            connection.execute("select drop_chunks('metrics_raw', interval '7 days')")
            connection.execute("select drop_chunks('metrics_1min', interval '30 days')")
            yield url, connection
        process_state.reset()


def _rows(connection: Connection) -> dict[str, list[Any]]:
    return {
        rollup: connection.execute(
            "select bucket, series_id, avg_value, min_value, max_value, sum_value, sample_count,"
            f" first_value, last_value from {rollup} order by 1, 2"
        ).fetchall()
        for rollup in rollups.ROLLUPS
    }


def _number(connection: Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row
    return int(row[0])


def test_rows_are_moved_out_of_sight(older: tuple[str, Connection]) -> None:
    url, connection = older
    before = _rows(connection)
    assert len(before["metrics_1min"]) > 250
    migrate(url)
    assert _rows(connection) == before
    assert rollups.move(connection, seconds=0) == 2
    steps = 0
    while left := _number(connection, "select count(*) from rollup_moves"):
        rollups._move_stretch(connection, "metrics_1min" if left == 2 else "metrics_1hour")
        assert _rows(connection) == before
        steps += 1
    assert steps > 6
    assert rollups.move(connection, seconds=1) == 0
    assert not _number(
        connection,
        "select count(*) from timescaledb_information.continuous_aggregates"
        " where view_name not in ('metrics_1min', 'metrics_1hour')",
    )
    # What raw still holds has the new columns, the rest does not.
    for rollup in rollups.ROLLUPS:
        recent = f"select count(*) from {rollup} where bucket > now() - interval '6 days'"
        assert _number(connection, recent) > 0
        assert _number(connection, f"{recent} and num_nulls({NEW}) > 0") == 0
        past = f"select count(*) from {rollup} where bucket < now() - interval '7 days'"
        assert _number(connection, past) > 0
        assert _number(connection, f"{past} and num_nonnulls({NEW}) > 0") == 0
    # Later refreshes and the columnstore take them as any other rows.
    for rollup in rollups.ROLLUPS:
        connection.execute(f"select compress_chunk(c) from show_chunks('{rollup}') c")
        connection.execute(
            f"call refresh_continuous_aggregate('{rollup}', now() - interval '6 days', null)"
        )
    assert _rows(connection) == before


def test_rates_of_rows_without_the_columns_are_estimated(older: tuple[str, Connection]) -> None:
    url, connection = older
    migrate(url)
    now = datetime.now(UTC)

    def lines(text: str, days: int, tier: Tier) -> tuple[list[list[float]], list[str]]:
        end = now - timedelta(days=days)
        params = QueryParams.model_validate(
            {
                "query": text,
                "start": int((end - timedelta(hours=3)).timestamp() * 1000),
                "end": int(end.timestamp() * 1000),
                "step": "1h",
                "tier": tier,
            }
        )
        cache.client().flushall()
        outcome = engine.execute(params, now=now)
        found = [[each for each in line.values if each == each] for line in outcome.lines]
        return found, [note for note in outcome.meta.notes if "estimated" in note]

    for moved in (False, True):
        if moved:
            while rollups.move(connection, seconds=60):
                pass
        found, notes = lines("rate(old_total[1h])", 20, Tier.MINUTE)
        assert notes
        # One sample in 17 s, one up each time but for the ninth.
        assert [line[-1] for line in found] == pytest.approx([8 / 9 / 17] * 2, rel=0.02)
        found, notes = lines("rate(old_total[1h])", 200, Tier.HOUR)
        assert found
        assert notes
        found, notes = lines("rate(old_total[1h])", 0, Tier.MINUTE)
        assert bool(notes) is not moved
