"""Migrations on a real TimescaleDB."""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from functions.maintain.handler import handler as maintain
from functions.migrate.handler import handler
from infra.local import services
from pulseboard.db import timescale_jobs
from pulseboard.db.migrate import MigrationError, _create_extension, available, migrate

pytestmark = pytest.mark.integration


def test_a_second_run_applies_nothing(stack: None, database_url: str) -> None:
    assert handler({}, None) == {"applied": [], "empty": True}


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
    assert policies["policy_compression"] == 3


def test_maintain_runs_what_is_due_once(stack: None, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("truncate job_runs")
        first = maintain({}, None)
        assert first["failed"] == []
        # A busy machine may have taken a minute for it, after which some are due again.
        connection.execute("update job_runs set started_at = clock_timestamp()")
        assert maintain({}, None)["ran"] == []
        if timescale_jobs.server_runs_jobs(connection):
            # When they run, and whether they meet a test's `truncate`, is up to the server.
            assert first["ran"] == []
        else:
            assert first["late"] == []
            assert len(first["ran"]) == len(timescale_jobs.statuses(connection))


def test_no_tier_has_many_chunks(database_url: str) -> None:
    """A refresh plans its delete over all of them: with 177 that took longer than all the rest."""
    with psycopg.connect(database_url, prepare_threshold=None) as connection:
        chunks = connection.execute(
            """
            select h.table_name, extract(epoch from (j.config->>'drop_after')::interval)
              / extract(epoch from d.time_interval)
            from timescaledb_information.jobs j
            join _timescaledb_catalog.hypertable h on h.id = (j.config->>'hypertable_id')::int
            join timescaledb_information.dimensions d
              on (d.hypertable_schema, d.hypertable_name) = (h.schema_name, h.table_name)
            where j.proc_name = 'policy_retention'
            """
        ).fetchall()
    assert len(chunks) == 3
    assert max(number for _, number in chunks) < 45, chunks


def _plain_postgres() -> Path | None:
    return max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=None)


@pytest.mark.skipif(_plain_postgres() is None, reason="no plain PostgreSQL is installed")
def test_a_postgres_without_timescaledb_is_refused_in_one_sentence() -> None:
    initdb = _plain_postgres()
    assert initdb is not None
    # PostgreSQL refuses to run as root.
    other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    # Not below pytest's own folder, which another user can't enter.
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o777)
        data, port = f"{directory}/data", services.free_port()
        options = f"-p {port} -k {directory} -c listen_addresses=127.0.0.1 -c fsync=off"
        control = [*other, str(initdb.with_name("pg_ctl")), "-D", data, "-w"]
        setup = [*other, str(initdb), "-D", data, "-U", "postgres", "-A", "trust"]
        subprocess.run(setup, cwd="/", check=True, stdout=subprocess.DEVNULL)
        log = f"{directory}/log"
        start = [*control, "-l", log, "-o", options, "start"]
        subprocess.run(start, cwd="/", check=True, stdout=subprocess.DEVNULL)
        try:
            with pytest.raises(MigrationError, match=r"has no TimescaleDB|Apache build|too old"):
                migrate(f"postgresql://postgres@127.0.0.1:{port}/postgres")
        finally:
            stop = [*control, "-m", "immediate", "stop"]
            subprocess.run(stop, cwd="/", check=True, stdout=subprocess.DEVNULL)


@pytest.mark.race
def test_four_deploys_at_once_make_one_schema(plain_database: str) -> None:
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute("create database fresh")
    url = make_conninfo(plain_database, dbname="fresh")
    program = "import sys; from pulseboard.db.migrate import migrate; "
    program += "print(len(migrate(sys.argv[1], timeseries=False)))"
    try:
        running = [
            subprocess.Popen([sys.executable, "-c", program, url], stdout=subprocess.PIPE)
            for _ in range(4)
        ]
        applied = sorted(int(process.communicate(timeout=60)[0]) for process in running)
        assert [process.returncode for process in running] == [0] * 4
        assert applied[:3] == [0, 0, 0]
        assert applied[3] == sum(not migration.timeseries for migration in available())
    finally:
        with psycopg.connect(plain_database, autocommit=True) as connection:
            connection.execute("drop database fresh with (force)")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (psycopg.errors.InsufficientPrivilege("permission denied"), "have a superuser run"),
        (
            psycopg.errors.InternalError_(
                'extension "timescaledb" must be preloaded\nHINT: edit postgresql.conf'
            ),
            "shared_preload_libraries",
        ),
        (
            psycopg.OperationalError('FATAL: extension "timescaledb" must be preloaded'),
            "shared_preload_libraries",
        ),
        (psycopg.errors.UndefinedFile("could not open control file"), "can't be created: could"),
    ],
)
def test_an_extension_that_cannot_be_created_is_a_sentence(
    error: psycopg.Error, sentence: str
) -> None:
    class Refusing:
        def execute(self, statement: str) -> object:
            if statement.startswith("create"):
                raise error
            return self

        def fetchone(self) -> tuple[str]:
            return ("2.23.0",)

    with pytest.raises(MigrationError, match=sentence):
        _create_extension(Refusing())  # type: ignore[arg-type]


def test_two_first_deploys_at_once_create_the_extension_once() -> None:
    """Needs a server of several processes that has TimescaleDB."""
    server = os.environ.get("DATABASE_URL")
    if not server:
        pytest.skip("the embedded database is one process")
    name = f"pulseboard_first_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        try:
            url = make_conninfo(server, dbname=name)
            with ThreadPoolExecutor(4) as all_at_once:
                applied = list(all_at_once.map(migrate, [url] * 4))
            assert sorted(map(len, applied))[:3] == [0, 0, 0]
        finally:
            connection.execute(f"drop database {name} with (force)".encode())
