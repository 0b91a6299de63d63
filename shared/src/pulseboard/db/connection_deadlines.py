"""Client-side deadlines: cuts connections whose work takes too long.

A server's own timeout does not help when the server is what hangs: on a stalled disk, behind a
lock, or as a peer that is gone. One thread watches all connections, since one started for each
would cost more than the statement it watches.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import psycopg

_STEP = 0.1
"""Seconds between two checks: a cut is late by this much at most."""

_lock = threading.Lock()
_numbers = count()
_watched: dict[int, tuple[Callable[[], float], psycopg.Connection[Any]]] = {}
_work = threading.Event()
_thread: threading.Thread | None = None


_cut_ones: set[int] = set()


class DeadlineExceeded(psycopg.OperationalError):
    """We broke the connection ourselves: the work took too long. The server may well respond."""


@contextmanager
def cut_after(connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Break the connection, as a network failure would, when the block takes longer than this.

    Raises DeadlineExceeded then.
    """
    until = time.monotonic() + seconds
    with _watching(connection, lambda: until) as number:
        try:
            yield
        except psycopg.Error as error:
            if number in _cut_ones:
                raise DeadlineExceeded(f"not done within {seconds:g} s") from error
            raise


@contextmanager
def cut_when(connection: psycopg.Connection[Any], due: Callable[[], float]) -> Iterator[None]:
    """Break the connection when the monotonic clock passes `due()`, which may change meanwhile.

    To the caller it is a connection that the network broke.
    """
    with _watching(connection, due):
        yield


@contextmanager
def _watching(connection: psycopg.Connection[Any], due: Callable[[], float]) -> Iterator[int]:
    global _thread
    number = next(_numbers)
    with _lock:
        _watched[number] = (due, connection)
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_watch, name="deadlines", daemon=True)
            _thread.start()
    _work.set()
    try:
        yield number
    finally:
        with _lock:
            _watched.pop(number, None)
            _cut_ones.discard(number)


def _watch() -> None:
    while True:
        _work.wait()
        time.sleep(_STEP)
        with _lock:
            now = time.monotonic()
            due = [number for number, (until, _) in _watched.items() if until() <= now]
            # Under the lock: whoever is done can't close the connection for another meanwhile.
            for number in due:
                _cut_ones.add(number)
                _cut(_watched.pop(number)[1])
            if not _watched:
                _work.clear()


def _cut(connection: psycopg.Connection[Any]) -> None:
    # The descriptor is duplicated, so that none is closed twice.
    with (
        suppress(OSError, psycopg.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as wire,
    ):
        wire.shutdown(socket.SHUT_RDWR)
