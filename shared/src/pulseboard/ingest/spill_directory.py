"""Spilled batches as files of a directory, for installations without S3."""

import os
from pathlib import Path
from threading import get_ident

from pulseboard.ingest.spill_file import arrival_time

WAITING, DEAD, REASON = "waiting", "dead", ".reason.txt"


class SpillDirectory:
    """A spill backend on disk.

    `waiting/` holds the batches to be drained, `dead/` those that can't be written, each with a
    file of its reason. When somebody deletes them while it is in use, they are made again.
    """

    def __init__(self, home: Path) -> None:
        self._waiting = home / WAITING
        self._dead = home / DEAD
        for folder in (self._waiting, self._dead):
            _make(folder)

    def __repr__(self) -> str:
        return f"<SpillDirectory {self._waiting.parent}>"

    def put(self, name: str, data: bytes) -> None:
        """Store a batch. When this returns it survives a loss of power. Raises OSError."""
        _write(self._waiting / name, data)

    def waiting(self) -> list[tuple[str, int]]:
        """Name and size of each batch to be drained, in no order."""
        return _list(self._waiting)

    def dead(self) -> int:
        """How many batches were set aside as dead."""
        return len(_list(self._dead))

    def read(self, name: str) -> bytes | None:
        """A batch, or None when it does not exist any more."""
        try:
            return (self._waiting / name).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Delete a batch; it is no error when it does not exist."""
        (self._waiting / name).unlink(missing_ok=True)

    def set_aside(self, name: str, data: bytes, reason: str) -> None:
        """Store a batch, or the rest of one, among the dead ones."""
        _write(self._dead / f"{name}{REASON}", f"{reason}\n".encode())
        _write(self._dead / name, data)


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _list(folder: Path) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        _make(folder)
        return found
    with entries:
        for entry in entries:
            if arrival_time(entry.name) is None:
                continue
            try:
                found.append((entry.name, entry.stat().st_size))
            except FileNotFoundError:
                # Drained since it was listed.
                continue
    return found


def _write(path: Path, data: bytes) -> None:
    """Write the file atomically and durably: first its content, then its name."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}")
    try:
        try:
            file = unfinished.open("wb")
        except FileNotFoundError:
            _make(path.parent)
            file = unfinished.open("wb")
        with file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
