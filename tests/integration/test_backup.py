"""Back up a populated database and restore it into a new one with the same contents."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from infra.local import services
from pulseboard.agent.cli import app
from pulseboard.db.backup import RAW, BackupError, _refresh_tier, backup, restore
from pulseboard.db.migrate import migrate
from pulseboard.db.rollups import ROLLUPS

pytestmark = pytest.mark.integration

COUNTED = ("users", "api_keys", "metric_definitions", "metric_series", "dashboards", "panels",
           "alert_rules", RAW, *ROLLUPS)  # fmt: skip


@pytest.fixture
def other(tmp_path: Path) -> Iterator[str]:
    """Another database, empty and migrated."""
    with services.timescaledb(data=tmp_path / "data", log=tmp_path / "log") as url:
        migrate(url)
        yield url


def rows(url: str) -> dict[str, list[Any]]:
    """Counts, and what each tier holds at each age."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        counts = [
            connection.execute(f"select count(*) from {table}".encode()).fetchone()
            for table in COUNTED
        ]
        tiers = {
            tier: connection.execute(
                f"select bucket, series_id, round(avg_value::numeric, 6), min_value, max_value,"
                f" sample_count, last_value, first_time, last_time, increase_by_resets, resets,"
                f" changes, round(squared_deviations::numeric, 6) from {tier}"
                " order by 1, 2".encode()
            ).fetchall()
            for tier in ROLLUPS
        }
        raw = connection.execute("select * from metrics_raw order by 1, 2").fetchall()
        tags = connection.execute(
            "select * from metric_points order by 1, 2, 3, tags::text"
        ).fetchall()
    return {"counts": counts, **tiers, "raw": raw, "tags": tags}


def populate(url: str, admin: TestClient, ingest_key: str) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    points = [
        {
            "name": name,
            "tags": {"host": host, "odd": "a \\ backslash, é"},
            "timestamp": int((now - timedelta(hours=n)).timestamp() * 1000),
            "value": n * 1.5,
        }
        for name in ("cpu", "memory")
        for host in ("a", "b")
        for n in range(1, 30)
    ]
    response = admin.post("/api/v1/metrics", json=points)
    assert response.status_code == 200, response.text
    assert response.json()["data"]["rejected"] == 0
    board = {"name": "Kept", "panels": []}
    assert admin.post("/api/v1/dashboards", json=board).status_code == 201
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        # Samples that raw has dropped: minutes of 20 days ago, hours of 200.
        for days in (20, 200):
            connection.execute(
                "insert into metrics_raw select now() - make_interval(days => %s)"
                " + make_interval(mins => n), s.id, n from metric_series s, generate_series(1, 90)"
                " n",
                (days,),
            )
        for tier in ROLLUPS:
            connection.execute(
                f"call refresh_continuous_aggregate('{tier}', now() - interval '201 days',"
                " now() - interval '2 hours')".encode()
            )
            connection.execute(f"select compress_chunk(c) from show_chunks('{tier}') c".encode())
        connection.execute("select drop_chunks('metrics_raw', interval '7 days')")


def test_a_restored_database_returns_the_same_results(
    admin: TestClient, ingest_key: str, database_url: str, other: str, tmp_path: Path
) -> None:
    populate(database_url, admin, ingest_key)
    before = rows(database_url)
    assert len(before["metrics_1hour"]) > 100
    file = tmp_path / "pulseboard.backup"
    result = CliRunner().invoke(app, ["backup", str(file), "--database-url", database_url])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(app, ["restore", str(file), "--database-url", other])
    assert result.exit_code == 0, result.output
    after = rows(other)
    for part, found in before.items():
        assert after[part] == found, part
    with psycopg.connect(other, autocommit=True, prepare_threshold=None) as connection:
        # Identity columns go on, and do not begin again.
        created = connection.execute(
            "insert into metric_definitions (name) values ('new') returning id"
        ).fetchone()
        assert created == (3,)
    with pytest.raises(BackupError, match="in use"):
        restore(other, file)
    with pytest.raises(BackupError, match="there already"):
        backup(database_url, file)
    nothing = tmp_path / "nothing"
    nothing.write_text("x")
    with pytest.raises(BackupError, match="no backup"):
        restore(other, nothing)


class Busy:
    """A connection on which a tier is being refreshed by another for the first few calls."""

    def __init__(self, error: type[psycopg.Error], times: int) -> None:
        self.error, self.left, self.calls = error, times, 0

    def execute(self, statement: object) -> None:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error("the tier is being refreshed")


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.LockNotAvailable,
        psycopg.errors.DeadlockDetected,
        psycopg.errors.SerializationFailure,
    ],
)
def test_a_restore_waits_for_the_refresh_of_another(error: type[psycopg.Error]) -> None:
    assert psycopg.errors.LockNotAvailable.sqlstate == "55P03"
    connection: Any = Busy(error, times=2)
    _refresh_tier(connection, "metrics_1min", datetime.now(UTC))
    assert connection.calls == 3


def test_a_restore_does_not_repeat_another_error() -> None:
    connection: Any = Busy(psycopg.errors.UndefinedTable, times=1)
    with pytest.raises(psycopg.errors.UndefinedTable):
        _refresh_tier(connection, "metrics_1min", datetime.now(UTC))
    assert connection.calls == 1
