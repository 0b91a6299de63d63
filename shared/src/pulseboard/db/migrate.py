"""Brings a database to the newest schema: numbered SQL files, each once, in order.

All of a run is one transaction under one advisory lock, so concurrent deploys are safe and a
failed migration leaves nothing behind. The lock is transaction-level: it works through pgBouncer.
Each run also applies the retention settings to TimescaleDB's policies.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg

from pulseboard.core.settings import settings
from pulseboard.db import retention_policies

LOCK_ID = 7_052_026
"""The advisory lock of migrations: any fixed number that nothing else uses."""

OLDEST_TIMESCALEDB = (2, 20)
_FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+(\.timeseries)?\.sql$")


class MigrationError(Exception):
    """The database can't be brought to this version; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    text: str
    timeseries: bool

    @property
    def checksum(self) -> str:
        """SHA-256 of the text: an applied file must never change."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def available() -> list[Migration]:
    """The migrations of this version, in order.

    Raises MigrationError when two files have the same number.
    """
    found: list[Migration] = []
    for entry in resources.files("pulseboard.db.migrations").iterdir():
        match = _FILE_NAME.match(entry.name)
        if match:
            found.append(
                Migration(
                    number=int(match[1]),
                    name=entry.name.removesuffix(".sql"),
                    text=entry.read_text(encoding="utf-8"),
                    timeseries=match[2] is not None,
                )
            )
    found.sort(key=lambda migration: migration.number)
    numbers = [migration.number for migration in found]
    if len(set(numbers)) != len(numbers):
        raise MigrationError(f"two migrations have the same number: {numbers}")
    return found


def migrate(
    database_url: str,
    *,
    timeseries: bool = True,
    migrations: Sequence[Migration] | None = None,
) -> list[str]:
    """Apply missing migrations and the retention settings; return the names of the migrations.

    `timeseries=False` leaves out the files that need TimescaleDB, for race tests on a plain
    PostgreSQL. Raises MigrationError with one clear sentence when TSL features are missing, an
    applied file has changed, the database is newer than this version, or the retention settings
    contradict each other.
    """
    wanted = [m for m in (migrations or available()) if timeseries or not m.timeseries]
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        if timeseries:
            # In a transaction of its own under the same lock: of deploys at once one creates it.
            with connection.transaction():
                connection.execute("select pg_advisory_xact_lock(%s)", (LOCK_ID,))
                _create_extension(connection)
            _require_timescaledb(connection)
        with connection.transaction():
            connection.execute("select pg_advisory_xact_lock(%s)", (LOCK_ID,))
            connection.execute(
                """
                create table if not exists schema_migrations (
                  number integer primary key,
                  name text not null,
                  checksum text not null,
                  applied_at timestamptz not null default now()
                )
                """
            )
            applied = _applied(connection)
            _check_history(wanted, applied)
            missing = [m for m in wanted if m.number not in applied]
            for migration in missing:
                _apply(connection, migration)
            if timeseries:
                _apply_retention(connection)
    return [migration.name for migration in missing]


def _applied(connection: psycopg.Connection[Any]) -> dict[int, tuple[str, str]]:
    rows = connection.execute("select number, name, checksum from schema_migrations").fetchall()
    return {number: (name, checksum) for number, name, checksum in rows}


def _check_history(wanted: Sequence[Migration], applied: dict[int, tuple[str, str]]) -> None:
    known = {migration.number: migration for migration in wanted}
    newest = max(known, default=0)
    for number, (name, checksum) in applied.items():
        if number > newest:
            raise MigrationError(
                f"the database has migration {name}, which this version does not know: "
                "it is older than the database; deploy a newer version"
            )
        if number in known and known[number].checksum != checksum:
            raise MigrationError(
                f"migration {name} was applied in another wording: applied files never change; "
                "put the change in a new file"
            )


def _apply(connection: psycopg.Connection[Any], migration: Migration) -> None:
    try:
        # The files come with the package: their text is as trusted as the code.
        connection.execute(migration.text.encode())
    except psycopg.Error as error:
        raise MigrationError(f"migration {migration.name} failed: {error}") from error
    connection.execute(
        "insert into schema_migrations (number, name, checksum) values (%s, %s, %s)",
        (migration.number, migration.name, migration.checksum),
    )


def _apply_retention(connection: psycopg.Connection[Any]) -> None:
    try:
        wanted = retention_policies.plan(settings())
        retention_policies.apply(connection, wanted=wanted)
    except retention_policies.RetentionError as error:
        raise MigrationError(str(error)) from error


def _create_extension(connection: psycopg.Connection[Any]) -> None:
    row = connection.execute(
        "select default_version from pg_available_extensions where name = 'timescaledb'"
    ).fetchone()
    if row is None:
        raise MigrationError(
            "this PostgreSQL has no TimescaleDB: use Tiger Cloud, the timescale/timescaledb image "
            "or the packages of Timescale (RDS and Aurora do not offer it)"
        )
    try:
        connection.execute("create extension if not exists timescaledb")
    except psycopg.errors.InsufficientPrivilege as error:
        raise MigrationError(
            "this role may not create the extension timescaledb: have a superuser run "
            "`create extension timescaledb` in this database once"
        ) from error
    except psycopg.Error as error:
        if "preload" in str(error):
            raise MigrationError(
                "TimescaleDB is installed but not loaded: add timescaledb to "
                "shared_preload_libraries in postgresql.conf and restart the server"
            ) from error
        reason = str(error).strip().partition("\n")[0]
        raise MigrationError(f"the extension timescaledb can't be created: {reason}") from error


def _require_timescaledb(connection: psycopg.Connection[Any]) -> None:
    row = connection.execute(
        "select extversion from pg_extension where extname = 'timescaledb'"
    ).fetchone()
    version = str(row[0]) if row else "?"
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST_TIMESCALEDB:
        raise MigrationError(f"TimescaleDB {version} is too old: 2.20 or later is needed")
    licence = connection.execute("show timescaledb.license").fetchone()
    if licence is None or licence[0] != "timescale":
        raise MigrationError(
            "this TimescaleDB is the Apache build, without continuous aggregates, columnstore and "
            "retention policies (Debian's package is): install the community edition of Timescale"
        )
