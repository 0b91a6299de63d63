"""A database that is moved to another: closed to writers, copied, and nothing left behind."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import sql
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from pulseboard.agent.cli import app
from pulseboard.db.backup import BackupError
from pulseboard.db.move import close, move, reopen
from tests.integration.test_backup import populate, rows

pytestmark = pytest.mark.integration
SERVER = os.environ.get("DATABASE_URL")
"""A real server; fixtures set the variable too."""


@pytest.fixture
def closed(plain_database: str) -> Iterator[str]:
    """A real server's database, of its own, with a table that somebody is writing into."""
    name = "to_be_closed"
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    url = make_conninfo(plain_database, dbname=name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create table written (n int)")
    yield url
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def test_a_closed_database_serves_reads_takes_no_writes_and_ends_those_that_run(
    closed: str,
) -> None:
    with psycopg.connect(closed) as writer, psycopg.connect(closed, autocommit=True) as idle:
        writer.execute("insert into written values (1)")
        close(closed)
        with pytest.raises(psycopg.OperationalError):
            writer.commit()
        # A pool's connection that was there before: it would write on for hours.
        with pytest.raises(psycopg.OperationalError):
            idle.execute("insert into written values (2)")
    with psycopg.connect(closed, autocommit=True) as later:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            later.execute("insert into written values (3)")
        assert later.execute("select count(*) from written").fetchone() == (0,)
    close(closed)
    reopen(closed)
    with psycopg.connect(closed, autocommit=True) as again:
        again.execute("insert into written values (4)")


def test_no_write_that_was_committed_is_missing_once_it_is_closed(closed: str) -> None:
    """What writers were promised until the end is there when the copy begins."""

    def write(first: int) -> list[int]:
        promised = list[int]()
        try:
            with psycopg.connect(closed, autocommit=True) as connection:
                for number in range(first, first + 1_000_000):
                    connection.execute("insert into written values (%s)", (number,))
                    promised.append(number)
        except psycopg.Error:
            return promised
        return promised

    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, n * 1_000_000) for n in range(3)]
        with psycopg.connect(closed, autocommit=True) as watching:
            count = "select count(*) >= 300 from written"
            while watching.execute(count).fetchone() != (True,):
                pass
        close(closed)
        with psycopg.connect(closed, autocommit=True) as reader:
            copied = {n for (n,) in reader.execute("select n from written")}
    promised = {number for writer in writers for number in writer.result()}
    assert len(promised) >= 300
    assert promised - copied == set()


def test_when_the_copy_fails_the_source_takes_writes_again(closed: str) -> None:
    # It is no database of Pulseboard.
    with pytest.raises(psycopg.errors.UndefinedTable):
        move(closed, closed)
    with psycopg.connect(closed, autocommit=True) as connection:
        connection.execute("insert into written values (1)")


def test_everything_is_in_the_other_database(
    admin: TestClient, ingest_key: str, database_url: str
) -> None:
    if not SERVER:
        # All connections of the embedded one are one session: it says so, and stays open.
        with pytest.raises(BackupError, match="embedded"):
            move(database_url, database_url)
        assert admin.post("/api/v1/metrics", json={"name": "open", "value": 1}).is_success
        return
    populate(database_url, admin, ingest_key)
    before, name = rows(database_url), sql.Identifier(f"moved_{os.getpid()}")
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(name))
    target = make_conninfo(SERVER, dbname=f"moved_{os.getpid()}")
    try:
        command = ["move", "--from", database_url, "--to", target]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        after = rows(target)
        for part, found in before.items():
            assert after[part] == found, part
        again = CliRunner().invoke(app, command)
        assert again.exit_code != 0
        assert "in use" in again.output
    finally:
        reopen(database_url)
        with psycopg.connect(SERVER, autocommit=True) as connection:
            connection.execute(sql.SQL("drop database {} with (force)").format(name))
