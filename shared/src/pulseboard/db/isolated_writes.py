"""Writes many things by one statement, and each by itself where that is refused."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import psycopg

from pulseboard.core.observability import logger
from pulseboard.db import database

T = TypeVar("T")


def write_isolated(
    connection: psycopg.Connection[Any],
    items: Sequence[T],
    write: Callable[[Sequence[T]], object],
) -> list[tuple[T, Exception]]:
    """Write all of these, or where that fails each in a savepoint of its own.

    Returns those that can't be written, each with its error; all others are. Raises an outage of
    the database, which is the error of none of them.
    """
    if not items:
        return []
    try:
        with connection.transaction():
            write(items)
        return []
    except Exception as error:
        if database.is_outage(error):
            raise
        logger().warning("written one by one", extra={"count": len(items)}, exc_info=error)
        if len(items) == 1:
            return [(items[0], error)]
    failed: list[tuple[T, Exception]] = []
    for item in items:
        try:
            with connection.transaction():
                write([item])
        except Exception as error:
            if database.is_outage(error):
                raise
            failed.append((item, error))
    return failed
