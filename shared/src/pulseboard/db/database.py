"""Connections to TimescaleDB: one lazy pool a process, behind a circuit breaker.

Connections may pass pgBouncer or an embedded server with one backend: nothing is prepared, no
session state is set, limits are `SET LOCAL` inside a transaction.
"""

import math
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import psycopg
import pybreaker
from psycopg.abc import PQGen
from psycopg_pool import ConnectionPool, PoolTimeout

from pulseboard.core import telemetry
from pulseboard.core.exceptions import Unavailable
from pulseboard.core.process_state import on_reset
from pulseboard.core.retry_gate import RetryGate
from pulseboard.core.settings import settings
from pulseboard.db import database_url
from pulseboard.db.circuit_breaker import SharedBreakerState
from pulseboard.db.connection_deadlines import DeadlineExceeded, cut_after, cut_when

# https://www.postgresql.org/docs/current/errcodes-appendix.html, one by one: a class also holds
# errors of single statements, such as 53400 (a limit of the configuration) or 58P01 (no such file).
_OUTAGE = frozenset(
    {
        *("08000", "08001", "08003", "08004", "08006", "08007", "08P01"),  # the connection
        "53300",  # too many connections
        *("57P01", "57P02", "57P03", "57P05"),  # shut down, crashed, starting, closed when idle
    }
)
_LACKING = frozenset({"53000", "53100", "53200", "58000", "58030"})
"""Resources, disk space, memory; errors of the operating system and of its disks."""

CHECK_AFTER_IDLE = 5.0
"""Seconds of idling after which a connection is always checked before use."""


Purpose = Literal["read", "write"]
"""What a connection is for. `write`: to store samples, which must not close the way to reads."""


_Result = TypeVar("_Result")


class _Connection(psycopg.Connection[Any]):
    """A connection with the time of its last use, in seconds since 1970, and a deadline for each
    statement: `deadline` seconds, after which `due` (monotonic) has passed.
    """

    last_used = 0.0
    deadline = math.inf
    due = math.inf

    def wait(
        self, gen: PQGen[_Result], interval: float = 0.1, timeout: float | None = None
    ) -> _Result:
        """What psycopg calls for each round trip to the server."""
        self.due = time.monotonic() + self.deadline
        try:
            return super().wait(gen, interval, timeout)
        finally:
            self.due = math.inf


class _OpenCounter(pybreaker.CircuitBreakerListener):
    """Counts how often this process opened the breaker."""

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        """Called for state changes by this process."""
        if new_state.name == pybreaker.STATE_OPEN:
            telemetry.count("pulseboard_breaker_opened")


_lock = threading.Lock()
_pool: ConnectionPool[_Connection] | None = None
_breakers: dict[Purpose, pybreaker.CircuitBreaker] = {}
_retry_gate: RetryGate | None = None
_check_timeout = threading.local()
_in_use = 0


def pool() -> ConnectionPool[_Connection]:
    """The pool of this process, opened on first use.

    Connections are checked when acquired, since a Lambda may have been frozen in between.
    """
    global _pool
    with _lock:
        if _pool is None:
            configured = settings()
            _pool = ConnectionPool(
                database_url.resolve,
                connection_class=_Connection,
                min_size=0,
                max_size=configured.database_pool_size,
                timeout=configured.database_connect_timeout,
                # The pool's own retries back off for minutes, in which no caller starts another.
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
    """Raise OperationalError for a dead connection. A recently used one costs no round trip:
    a server that went away has closed its side, so the socket is readable.
    """
    idle = time.time() - connection.last_used
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    if 0 <= idle < CHECK_AFTER_IDLE and not poller.poll(0):
        return
    seconds = getattr(_check_timeout, "seconds", settings().database_connect_timeout)
    with cut_after(connection, seconds):
        ConnectionPool.check_connection(connection)


def breaker(purpose: Purpose = "read") -> pybreaker.CircuitBreaker:
    """The circuit breaker around the database, one for each purpose; its state is shared by all
    processes.

    Work that we cut short ourselves does not count: it may be a lock that others do not wait for.
    """
    with _lock:
        if purpose not in _breakers:
            configured = settings()
            _breakers[purpose] = pybreaker.CircuitBreaker(
                fail_max=configured.breaker_failures,
                reset_timeout=configured.breaker_reset,
                exclude=[_is_no_outage],
                listeners=[_OpenCounter()],
                state_storage=SharedBreakerState(
                    "database" if purpose == "read" else f"database-{purpose}"
                ),
            )
        return _breakers[purpose]


def _is_no_outage(error: BaseException) -> bool:
    return not is_outage(error) or _is_busy(error) or isinstance(error, DeadlineExceeded)


def is_outage(error: BaseException) -> bool:
    """Whether the database can't be reached, as opposed to a statement that it refuses.

    A connection that breaks without an SQLSTATE is one: the server never responded.
    """
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, psycopg.OperationalError):
        return False
    return error.sqlstate is None or error.sqlstate in _OUTAGE


def is_unavailable(error: BaseException) -> bool:
    """Whether the same statement may succeed later: an outage, or something that the server lacks.

    What it lacks for one statement it may have for others, so that only an outage counts for the
    circuit breaker.
    """
    return is_outage(error) or is_lacking(error)


def is_lacking(error: BaseException | None) -> bool:
    """Whether the server lacks something that a statement needs, such as disk space."""
    return isinstance(error, psycopg.Error) and error.sqlstate in _LACKING


def _is_busy(error: BaseException | None) -> bool:
    """Whether waiting for a connection timed out while others of this process are in use.

    Then this process has too many callers, and nothing is wrong with the database.
    """
    return isinstance(error, PoolTimeout) and _in_use > 0


@on_reset
def close() -> None:
    """Close all connections and drop the breakers: before a snapshot, and between tests."""
    global _pool, _retry_gate
    with _lock:
        closing, _pool, _retry_gate = _pool, None, None
        _breakers.clear()
    if closing is not None:
        closing.close()


@contextmanager
def connection(
    *, wait: float | None = None, purpose: Purpose = "read", deadline: float | None = None
) -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit mode; use `connection.transaction()` for more than a statement.

    Raises Unavailable when the database does not respond (within `wait` seconds, by default
    `database_connect_timeout`), when one statement takes longer than `deadline` (by default
    `database_deadline`), or when the breaker of this purpose is open.
    """
    _check_timeout.seconds = wait or settings().database_connect_timeout
    try:
        with breaker(purpose).calling(), pool().connection(timeout=wait) as acquired:
            _count_in_use(1)
            acquired.deadline = deadline or settings().database_deadline
            try:
                with cut_when(acquired, lambda: acquired.due):
                    yield acquired
            finally:
                acquired.deadline = math.inf
                _count_in_use(-1)
                acquired.last_used = time.time()
    except pybreaker.CircuitBreakerError as error:
        raise Unavailable(
            "The database is not responding; it is tried again shortly.",
            retry_after=settings().breaker_reset,
        ) from error
    except (psycopg.OperationalError, PoolTimeout) as error:
        if not is_unavailable(error):
            raise
        raise Unavailable("The database is not responding. Try again in a moment.") from error


def _did_respond(error: BaseException | None) -> bool:
    """Whether the server itself ended a statement: by a timeout for a lock, say."""
    return isinstance(error, psycopg.Error) and error.sqlstate is not None and not is_outage(error)


def _count_in_use(change: int) -> None:
    global _in_use
    with _lock:
        _in_use += change


def retry_gate() -> RetryGate:
    """Whether callers with a fallback should try the database."""
    global _retry_gate
    with _lock:
        if _retry_gate is None:
            _retry_gate = RetryGate(settings().spill_pause)
        return _retry_gate


@contextmanager
def fail_fast_connection() -> Iterator[psycopg.Connection[Any]]:
    """A connection for callers with a fallback: a short wait, and none after a recent failure.

    Work that takes longer than `spill_write_timeout` is cut off, whatever it waits for: a lock,
    a stalled disk, a peer that is gone. Raises Unavailable.
    """
    configured, gate = settings(), retry_gate()
    if not gate.allows(time.time()):
        raise Unavailable("The database did not respond recently. Try again shortly.")
    try:
        with (
            connection(wait=configured.spill_wait, purpose="write") as acquired,
            cut_after(acquired, configured.spill_write_timeout),
        ):
            yield acquired
    except Unavailable as error:
        if _did_respond(error.__cause__):
            gate.succeeded()
        elif not _is_busy(error.__cause__):
            gate.failed(time.time())
        raise
    except BaseException:
        # The database did respond, though with an error.
        gate.succeeded()
        raise
    gate.succeeded()
