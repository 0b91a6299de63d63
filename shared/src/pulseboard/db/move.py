"""Move everything to another database while agents go on sending.

    close the source to writers ─▶ backup ─▶ restore ─▶ the caller leads the functions to the target

While the source is closed, boards are served from it and ingest spills: what it has acknowledged
meanwhile is written to whatever database the functions are led to next. So nothing is lost, and the
source holds nothing that the target lacks.
"""

import tempfile
import time
from pathlib import Path

import psycopg
from psycopg import sql

from pulseboard.db.backup import BackupError, Written, backup, restore
from pulseboard.db.migrate import migrate

ENDING_SECONDS = 60.0
"""How long connections may take to end; a rollback of much takes a while."""
_SETTING = "default_transaction_read_only"


def close(url: str) -> None:
    """Let nobody write into the database any more: new transactions are read-only, and those that
    run are ended. Superusers can still override it. Closing twice is closing.

    Raises BackupError where the server doesn't heed it, psycopg.Error for a role that may not:
    the database's owner may, and may end connections of roles that it is a member of.
    """
    _set(url, "on")
    with _connected(url) as connection:
        # Not waited for to end by themselves: pools keep connections, and their defaults, for
        # hours. What one of them commits until it has ended belongs to what is copied.
        before = connection.execute(
            "select pid, pg_terminate_backend(pid) from pg_stat_activity where datname ="
            " current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"
        ).fetchall()
        deadline = time.monotonic() + ENDING_SECONDS
        while connection.execute(
            "select from pg_stat_activity where pid = any(%s) and backend_type = 'client backend'"
            " limit 1",
            ([pid for pid, _ in before],),
        ).fetchone():
            if time.monotonic() > deadline:
                reopen(url)
                raise BackupError(
                    f"connections to the database did not end within {ENDING_SECONDS:.0f} s"
                )
            time.sleep(0.1)
    with _connected(url) as connection:
        row = connection.execute(f"show {_SETTING}".encode()).fetchone()
        if row != ("on",):
            reopen(url)
            raise BackupError(
                "this server does not close itself to writers (the embedded database serves all "
                "connections in one session): stop what writes into it, then use backup and restore"
            )


def reopen(url: str) -> None:
    """Take writes again."""
    _set(url, "off")


def move(source: str, target: str) -> Written:
    """Copy all of `source` into `target`, which must be empty, and leave `source` closed.

    When it fails, `source` takes writes again. Raises BackupError, MigrationError, psycopg.Error.
    """
    close(source)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "all"
            backup(source, file)
            migrate(target)
            return restore(target, file)
    except BaseException:
        reopen(source)
        raise


def _set(url: str, value: str) -> None:
    with _connected(url) as connection:
        name = connection.info.dbname
        # In the session too: a closed database lets nobody change its own settings.
        connection.execute(f"set {_SETTING} = off".encode())
        connection.execute(
            sql.SQL("alter database {} set {} = {}").format(
                sql.Identifier(name), sql.Identifier(_SETTING), sql.SQL(value)
            )
        )


def _connected(url: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(url, autocommit=True, prepare_threshold=None)
