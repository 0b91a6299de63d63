"""Connections to TimescaleDB: one lazy pool a process, behind a circuit breaker.

Connections may pass pgBouncer or an embedded server with one backend: nothing is prepared, no
session state is set, limits are `SET LOCAL` inside a transaction.
"""

import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pybreaker
from psycopg_pool import ConnectionPool, PoolTimeout

from pulseboard.core import telemetry
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.process_state import on_reset
from pulseboard.core.retry_gate import Gate
from pulseboard.core.settings import settings
from pulseboard.db import database_url
from pulseboard.db.circuit_breaker import SharedState
from pulseboard.db.connection_deadlines import cut_after

IDLE = 5.0
"""Seconds after which a connection is asked whether it lives before it is used."""


class _Connection(psycopg.Connection[Any]):
    """A connection that knows when it was given back, in seconds since 1970."""

    used = 0.0


class _Opened(pybreaker.CircuitBreakerListener):
    """Counts how often this process opened the breaker."""

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        """A change of state that this process made."""
        if new_state.name == pybreaker.STATE_OPEN:
            telemetry.count("pulseboard_breaker_opened")


_lock = threading.Lock()
_pool: ConnectionPool[_Connection] | None = None
_breaker: pybreaker.CircuitBreaker | None = None
_gate: Gate | None = None
_patience = threading.local()
_in_use = 0


def pool() -> ConnectionPool[_Connection]:
    """The pool of this process, opened on first use.

    Connections are checked when taken, since a Lambda may have been frozen since the last request.
    """
    global _pool
    with _lock:
        if _pool is None:
            configured = settings()
            _pool = ConnectionPool(
                database_url.database_url,
                connection_class=_Connection,
                min_size=0,
                max_size=configured.database_pool_size,
                timeout=configured.database_connect_timeout,
                # Its own tries back off for minutes, during which no caller starts a new one.
                reconnect_timeout=configured.database_connect_timeout,
                kwargs={
                    "autocommit": True,
                    "prepare_threshold": None,
                    "connect_timeout": max(1, round(configured.database_connect_timeout)),
                },
                check=_check,
                open=True,
            )
        return _pool


def _check(connection: _Connection) -> None:
    """Raise OperationalError for a dead connection; one that was just used costs no round trip.

    A server that went away has closed its side, which shows as something to read.
    """
    idle = time.time() - connection.used
    something = select.poll()
    something.register(connection, select.POLLIN)
    if 0 <= idle < IDLE and not something.poll(0):
        return
    seconds = getattr(_patience, "seconds", settings().database_connect_timeout)
    with cut_after(connection, seconds):
        ConnectionPool.check_connection(connection)


def breaker() -> pybreaker.CircuitBreaker:
    """The circuit breaker around the database; its state is every process's."""
    global _breaker
    with _lock:
        if _breaker is None:
            configured = settings()
            _breaker = pybreaker.CircuitBreaker(
                fail_max=configured.breaker_failures,
                reset_timeout=configured.breaker_reset,
                exclude=[lambda error: not is_outage(error) or _is_busy(error)],
                listeners=[_Opened()],
                state_storage=SharedState("database"),
            )
        return _breaker


def is_outage(error: BaseException) -> bool:
    """Whether this means that the database is away or overloaded, and not that a request was bad.

    By SQLSTATE: connection exceptions, insufficient resources, shutdown; none at all when the
    server never answered. https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, psycopg.OperationalError):
        return False
    return error.sqlstate is None or error.sqlstate.startswith(("08", "53", "57P", "58"))


def _is_busy(error: BaseException | None) -> bool:
    """Whether a connection was waited for in vain while others of this process have theirs.

    Then there are too many of us and nothing is wrong with the database.
    """
    return isinstance(error, PoolTimeout) and _in_use > 0


@on_reset
def close() -> None:
    """Close all connections and forget the breaker: before a snapshot, and between tests."""
    global _pool, _breaker, _gate
    with _lock:
        closing, _pool, _breaker, _gate = _pool, None, None, None
    if closing is not None:
        closing.close()


@contextmanager
def connection(*, wait: float | None = None) -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit mode; use `connection.transaction()` for more than a statement.

    Raises Unavailable when the database does not answer (within `wait` seconds, by default
    `database_connect_timeout`) or the breaker is open.
    """
    _patience.seconds = wait or settings().database_connect_timeout
    try:
        with breaker().calling(), pool().connection(timeout=wait) as taken:
            _count(1)
            try:
                yield taken
            finally:
                _count(-1)
                taken.used = time.time()
    except pybreaker.CircuitBreakerError as error:
        raise Unavailable(
            "The database is not answering; it is tried again shortly.",
            retry_after=settings().breaker_reset,
        ) from error
    except (psycopg.OperationalError, PoolTimeout) as error:
        if not is_outage(error):
            raise
        raise Unavailable("The database is not answering. Try again in a moment.") from error


def _count(change: int) -> None:
    global _in_use
    with _lock:
        _in_use += change


def gate() -> Gate:
    """Whether those who can do without the database should try it."""
    global _gate
    with _lock:
        if _gate is None:
            _gate = Gate(settings().spill_pause)
        return _gate


@contextmanager
def hurried() -> Iterator[psycopg.Connection[Any]]:
    """A connection for who has another way: a short wait, and none after a recent failure.

    What takes longer than `spill_write_timeout` is cut off, whatever it waits for: a lock, a
    stalled disk, a peer that is gone. Raises Unavailable.
    """
    configured, turn = settings(), gate()
    if not turn.admits(time.monotonic()):
        raise Unavailable("The database did not answer a moment ago. Try again shortly.")
    try:
        with (
            connection(wait=configured.spill_wait) as taken,
            cut_after(taken, configured.spill_write_timeout),
        ):
            yield taken
    except Unavailable as error:
        if not _is_busy(error.__cause__):
            turn.failed(time.monotonic())
        raise
    except BaseException:
        # It did answer, if not as was hoped.
        turn.passed()
        raise
    turn.passed()
