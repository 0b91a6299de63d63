"""Migrations on a real TimescaleDB."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest

from functions.maintain.handler import handler as maintain
from functions.migrate.handler import handler
from pulseboard.migrate import MigrationError, available, migrate

pytestmark = pytest.mark.integration


def test_a_second_run_applies_nothing(stack: None, database_url: str) -> None:
    assert handler({}, None) == {"applied": []}


def test_two_at_once_apply_nothing_twice(database_url: str) -> None:
    with ThreadPoolExecutor(2) as both:
        assert list(both.map(migrate, [database_url] * 2)) == [[], []]


def test_a_changed_file_is_refused(database_url: str) -> None:
    first, *others = available()
    changed = [replace(first, text=first.text + "-- changed"), *others]
    with pytest.raises(MigrationError, match="applied files never change"):
        migrate(database_url, migrations=changed)


def test_a_database_that_is_newer_is_refused(database_url: str) -> None:
    with pytest.raises(MigrationError, match="older than the database"):
        migrate(database_url, migrations=available()[:1])


def test_each_tier_has_its_policies(database_url: str) -> None:
    with psycopg.connect(database_url, prepare_threshold=None) as connection:
        rows = connection.execute(
            "select proc_name, count(*) from timescaledb_information.jobs group by 1"
        ).fetchall()
    policies: dict[str, int] = dict(rows)
    assert policies["policy_retention"] == 3
    assert policies["policy_refresh_continuous_aggregate"] == 2
    assert policies["policy_compression"] == 1


def test_maintain_runs_what_is_due_once(stack: None, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("truncate job_runs")
    first = maintain({}, None)
    assert first["failed"] == []
    assert first["late"] == []
    assert maintain({}, None)["ran"] == []
