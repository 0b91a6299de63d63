"""A whole database in one file, and back: relational tables, raw samples, rollups older than them.

The file is a zip of one text COPY a table and `manifest.json`. It needs no server tools, so the
embedded database can be backed up too. Everything is read in one transaction, and so is consistent.
Rollups that raw samples still cover are computed again by the restore, which also moves
TimescaleDB's watermark.
"""

import json
import time
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from pulseboard.db.rollups import ROLLUPS, stored_in

REFRESH_WAIT = 300.0
"""Seconds that a restore waits for another refresh of a tier."""
FORMAT = 1
RAW = "metrics_raw"
_LEFT_OUT = ("schema_migrations", "job_runs", "rollup_moves")
_SAMPLES = ("time", "series_id", "value")


class BackupError(Exception):
    """The file or the database does not fit; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Written:
    """Rows by table, and the file's size in bytes."""

    rows: dict[str, int]
    size: int


def backup(url: str, file: Path) -> Written:
    """Write the database behind a libpq URL into a new file.

    Raises BackupError when the file is there already, psycopg.Error when the database fails.
    """
    if file.exists():
        raise BackupError(f"{file} is there already: name a new file")
    rows: dict[str, int] = {}
    partial = file.with_name(f"{file.name}.part")
    try:
        with (
            psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection,
            zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive,
            connection.transaction(),
        ):
            connection.execute("set transaction isolation level repeatable read")
            cut = _cut(connection)
            tables = {name: _columns(connection, name) for name in _tables(connection)}
            for name, columns in tables.items():
                rows[name] = _dump(connection, archive, name, columns, sql.SQL("true"))
            rows[RAW] = _dump(connection, archive, RAW, list(_SAMPLES), sql.SQL("true"))
            for tier in ROLLUPS:
                older = sql.SQL("bucket < {}").format(sql.Literal(cut))
                rows[tier] = _dump(connection, archive, tier, _columns(connection, tier), older)
            manifest = {
                "format": FORMAT,
                "at": _one(connection, "select now()").isoformat(),
                "cut": cut.isoformat(),
                "migrations": [
                    name
                    for (name,) in connection.execute(
                        "select name from schema_migrations order by number"
                    )
                ],
                "columns": {
                    **tables,
                    RAW: list(_SAMPLES),
                    **{tier: _columns(connection, tier) for tier in ROLLUPS},
                },
                "rows": rows,
            }
            archive.writestr("manifest.json", json.dumps(manifest, indent=2))
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)
    return Written(rows=rows, size=file.stat().st_size)


def restore(url: str, file: Path) -> Written:
    """Fill a migrated database that holds no people and no series; all or nothing but rollups.

    Raises BackupError when the file is none, is newer than the schema, or the database is in use.
    """
    try:
        archive = zipfile.ZipFile(file)
        manifest = json.loads(archive.read("manifest.json"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise BackupError(f"{file} is no backup of Pulseboard: {error}") from error
    with (
        archive,
        psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection,
    ):
        _check(connection, manifest)
        rows = dict(manifest["rows"])
        with connection.transaction():
            relational = _tables(connection)
            for name in reversed(relational):
                # Rows that migrations put in.
                connection.execute(sql.SQL("delete from {}").format(sql.Identifier(name)))
            for name in [name for name in relational if name in rows]:
                _load(connection, archive, name, sql.Identifier(name), manifest["columns"][name])
                _advance(connection, name)
            # No process has cached ids under it.
            connection.execute("update series_generation set generation = gen_random_uuid()")
            _load(connection, archive, RAW, sql.Identifier(RAW), manifest["columns"][RAW])
            for tier in ROLLUPS:
                target = stored_in(connection, tier)
                _load(connection, archive, tier, target, manifest["columns"][tier])
            for table, count in rows.items():
                rollup = table in ROLLUPS
                where = stored_in(connection, table) if rollup else sql.Identifier(table)
                found = _count(connection, where)
                if found != count:
                    raise BackupError(f"{table}: {count} rows in the backup, {found} restored")
        _refresh(connection, datetime.fromisoformat(manifest["cut"]))
    return Written(rows=rows, size=file.stat().st_size)


def _check(connection: psycopg.Connection[Any], manifest: dict[str, Any]) -> None:
    if manifest.get("format") != FORMAT:
        raise BackupError(f"this backup has format {manifest.get('format')}, known is {FORMAT}")
    known = {name for (name,) in connection.execute("select name from schema_migrations")}
    newer = [name for name in manifest["migrations"] if name not in known]
    if newer:
        raise BackupError(
            f"this backup has migration {newer[0]}, which this version does not know: "
            "restore it with the version that created it, or a newer one"
        )
    for table in ("users", "metric_series"):
        if _count(connection, sql.Identifier(table)):
            raise BackupError(
                f"this database is in use ({table} has rows): restore into a new, empty one"
            )


def _cut(connection: psycopg.Connection[Any]) -> datetime:
    """The first full hour that raw samples cover; now without any. Served by chunk exclusion."""
    found: datetime = _one(
        connection,
        """
        select date_trunc('hour', coalesce(min(time), now()) + interval '1 hour', 'UTC')
        from metrics_raw
        """,
    )
    return found


# Catalogues of a few dozen rows: no index matters.
def _tables(connection: psycopg.Connection[Any]) -> list[str]:
    """Ordinary tables of ours, each after those that it refers to."""
    names = {
        name
        for (name,) in connection.execute(
            """
            select c.relname from pg_class c
            where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
              and not c.relname = any(%s)
            """,
            ([*_LEFT_OUT, RAW],),
        )
    }
    needs: dict[str, set[str]] = {name: set() for name in names}
    for child, parent in connection.execute(
        """
        select c.relname, p.relname from pg_constraint k
        join pg_class c on c.oid = k.conrelid join pg_class p on p.oid = k.confrelid
        where k.contype = 'f' and c.relnamespace = 'public'::regnamespace
        """
    ):
        if child in names and parent in names and child != parent:
            needs[child].add(parent)
    ordered: list[str] = []
    while needs:
        ready = sorted(name for name, parents in needs.items() if not parents - set(ordered))
        if not ready:
            raise BackupError(f"tables refer to each other in a circle: {', '.join(sorted(needs))}")
        ordered += ready
        for name in ready:
            del needs[name]
    return ordered


def _columns(connection: psycopg.Connection[Any], table: str) -> list[str]:
    rows = connection.execute(
        """
        select attname from pg_attribute
        where attrelid = %s::text::regclass and attnum > 0 and not attisdropped
          and attgenerated = ''
        order by attnum
        """,
        (table,),
    )
    return [name for (name,) in rows]


def _names(columns: list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _dump(
    connection: psycopg.Connection[Any],
    archive: zipfile.ZipFile,
    table: str,
    columns: list[str],
    condition: sql.Composable,
) -> int:
    statement = sql.SQL("copy (select {} from {} where {}) to stdout").format(
        _names(columns), sql.Identifier(table), condition
    )
    with (
        archive.open(f"{table}.copy", "w", force_zip64=True) as out,
        connection.cursor() as cursor,
    ):
        with cursor.copy(statement) as copy:
            for part in copy:
                out.write(part)
        return cursor.rowcount


def _load(
    connection: psycopg.Connection[Any],
    archive: zipfile.ZipFile,
    name: str,
    target: sql.Identifier,
    columns: list[str],
) -> None:
    statement = sql.SQL("copy {} ({}) from stdin").format(target, _names(columns))
    with (
        archive.open(f"{name}.copy") as source,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        while part := source.read(1 << 18):
            copy.write(part)


def _advance(connection: psycopg.Connection[Any], table: str) -> None:
    """Let identity columns go on after the highest number that was restored."""
    for (column,) in connection.execute(
        """
        select attname from pg_attribute
        where attrelid = %s::text::regclass and attidentity <> '' and not attisdropped
        """,
        (table,),
    ).fetchall():
        connection.execute(
            sql.SQL(
                "select setval(pg_get_serial_sequence({name}, {column}),"
                " greatest(coalesce(max({field}), 0), 1), max({field}) is not null) from {table}"
            ).format(
                name=sql.Literal(table),
                column=sql.Literal(column),
                field=sql.Identifier(column),
                table=sql.Identifier(table),
            )
        )


def _refresh(connection: psycopg.Connection[Any], cut: datetime) -> None:
    """Compute what raw samples cover, which also moves the mark of what is complete."""
    for tier in ROLLUPS:
        _refresh_tier(connection, tier, cut)


def _refresh_tier(connection: psycopg.Connection[Any], tier: str, cut: datetime) -> None:
    """Refresh one tier; while the server's own job refreshes it, wait and try again.

    Raises BackupError when that takes minutes.
    """
    statement = sql.SQL("call refresh_continuous_aggregate({}, {}, {})").format(
        sql.Literal(tier),
        sql.SQL("{}::timestamptz").format(sql.Literal(cut)),
        sql.SQL("greatest(date_trunc('hour', now()), {}::timestamptz + interval '2 hours')").format(
            sql.Literal(cut)
        ),
    )
    deadline = time.monotonic() + REFRESH_WAIT
    while True:
        try:
            connection.execute(statement)
        except (
            psycopg.errors.DeadlockDetected,
            psycopg.errors.LockNotAvailable,
            psycopg.errors.SerializationFailure,
        ) as error:
            if time.monotonic() > deadline:
                raise BackupError(
                    f"all rows are restored, but {tier} is being refreshed by another. When that "
                    f"has ended, run: {statement.as_string(connection)}"
                ) from error
            time.sleep(0.2)
        else:
            return


def _count(connection: psycopg.Connection[Any], table: sql.Identifier) -> int:
    statement = sql.SQL("select count(*) from {}").format(table)
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0


def _one(connection: psycopg.Connection[Any], statement: str) -> Any:
    row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]
