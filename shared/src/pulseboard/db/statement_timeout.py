"""The one place that bounds how long a statement may run, or wait for a lock."""

from typing import Any

import psycopg

LOCK_SECONDS = 2.0
"""For a deletion of series, behind which writers of samples wait: it gives up and tries again."""


def set_statement_timeout(connection: psycopg.Connection[Any], *, seconds: float) -> None:
    """Bound each further statement of the current transaction; at least one millisecond.

    A statement that takes longer raises psycopg.errors.QueryCanceled. The setting ends with the
    transaction, so the next user of the connection does not inherit it.
    """
    connection.execute(
        # Compiling a query takes longer than the queries here; servers have it on by default.
        "select set_config('statement_timeout', %s, true), set_config('jit', 'off', true)",
        (f"{max(1, seconds * 1000):.0f}",),
    )


def set_lock_timeout(connection: psycopg.Connection[Any], *, seconds: float) -> None:
    """Bound each wait for a lock in the current transaction; beyond it raises LockNotAvailable."""
    connection.execute(
        "select set_config('lock_timeout', %s, true)", (f"{max(1, seconds * 1000):.0f}",)
    )
