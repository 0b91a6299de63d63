"""Retention has one source: the settings, which TimescaleDB's policies follow."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from pulseboard.core.settings import Settings, settings
from pulseboard.db import retention_policies
from pulseboard.db.migrate import MigrationError, migrate

pytestmark = pytest.mark.integration

DAY = 86_400


def policies(url: str, procedure: str, field: str) -> dict[str, timedelta]:
    """The interval of each policy, by table."""
    with psycopg.connect(url, prepare_threshold=None) as connection:
        rows: list[tuple[str, timedelta]] = connection.execute(
            """
            select coalesce(a.view_name, j.hypertable_name), (j.config ->> %s)::interval
            from timescaledb_information.jobs j
            left join timescaledb_information.continuous_aggregates a
              on j.hypertable_name in (a.view_name, a.materialization_hypertable_name)
            where j.proc_name = %s
            """,
            (field, procedure),
        ).fetchall()
    return dict(rows)


def retention(url: str) -> dict[str, timedelta]:
    return policies(url, "policy_retention", "drop_after")


def lookback(url: str) -> dict[str, timedelta]:
    return policies(url, "policy_refresh_continuous_aggregate", "start_offset")


def test_policies_hold_what_the_settings_say(stack: None, database_url: str) -> None:
    """The query planner uses a tier up to its retention by the settings."""
    configured = settings()
    assert retention(database_url) == {
        "metrics_raw": timedelta(seconds=configured.retention_raw),
        "metrics_1min": timedelta(seconds=configured.retention_minute),
        "metrics_1hour": timedelta(seconds=configured.retention_hour),
    }
    assert lookback(database_url) == retention_policies.plan(configured).lookback


def test_changed_settings_change_the_policies(
    stack: None, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before: Any = retention(database_url), lookback(database_url)
    monkeypatch.setenv("PULSEBOARD_RETENTION_RAW", str(3 * DAY))
    monkeypatch.setenv("PULSEBOARD_RETENTION_MINUTE", str(7 * DAY))
    monkeypatch.setenv("PULSEBOARD_RETENTION_HOUR", str(100 * DAY))
    monkeypatch.setenv("PULSEBOARD_INGEST_MAX_AGE", str(2 * DAY))
    try:
        settings.cache_clear()
        assert migrate(database_url) == []
        assert retention(database_url) == {
            "metrics_raw": timedelta(days=3),
            "metrics_1min": timedelta(days=7),
            "metrics_1hour": timedelta(days=100),
        }
        looks_back = lookback(database_url)
        assert looks_back["metrics_1min"] < timedelta(days=3)
        assert looks_back["metrics_1hour"] < timedelta(days=7)
    finally:
        monkeypatch.undo()
        settings.cache_clear()
        migrate(database_url)
    assert (retention(database_url), lookback(database_url)) == before


def test_equal_policies_are_left_alone(stack: None, database_url: str) -> None:
    wanted = retention_policies.plan(settings())
    with psycopg.connect(database_url, prepare_threshold=None) as connection:
        assert retention_policies.apply(connection, wanted=wanted) == []


def test_a_contradiction_fails_the_migration(
    stack: None, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = retention(database_url)
    monkeypatch.setenv("PULSEBOARD_RETENTION_RAW", str(3 * DAY))
    settings.cache_clear()
    with pytest.raises(MigrationError, match="lower PULSEBOARD_INGEST_MAX_AGE"):
        migrate(database_url)
    settings.cache_clear()
    assert retention(database_url) == before


def test_a_coarser_tier_is_kept_at_least_as_long() -> None:
    with pytest.raises(retention_policies.RetentionError, match="no shorter for a coarser tier"):
        retention_policies.plan(Settings(retention_minute=6 * DAY))
