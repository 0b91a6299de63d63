"""Spilled batches as files of a directory, for where there is no S3: on disk before it is said."""

import os
from pathlib import Path
from threading import get_ident

from pulseboard.ingest.spill_file import arrival_of

WAITING, DEAD, REASON = "waiting", "dead", ".reason.txt"


class Directory:
    """`waiting/` holds what is to be written, `dead/` what can't be, each beside its reason."""

    def __init__(self, home: Path) -> None:
        self._waiting = home / WAITING
        self._dead = home / DEAD
        for folder in (self._waiting, self._dead):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def __repr__(self) -> str:
        return f"<Directory {self._waiting.parent}>"

    def put(self, name: str, data: bytes) -> None:
        """Keep a batch. When this returns it survives a loss of power. Raises OSError."""
        _write(self._waiting / name, data)

    def waiting(self) -> list[tuple[str, int]]:
        """Name and size of each batch, in no order."""
        return _list(self._waiting)

    def dead(self) -> int:
        """How many batches were set aside."""
        return len(_list(self._dead))

    def read(self, name: str) -> bytes | None:
        """A batch, or None when it is gone."""
        try:
            return (self._waiting / name).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Forget a batch; that it is gone already is no error."""
        (self._waiting / name).unlink(missing_ok=True)

    def bury(self, name: str, data: bytes, reason: str) -> None:
        """Keep a batch, or what is left of it, among the dead."""
        _write(self._dead / f"{name}{REASON}", f"{reason}\n".encode())
        _write(self._dead / name, data)


def _list(folder: Path) -> list[tuple[str, int]]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if arrival_of(entry.name) is None:
                continue
            try:
                found.append((entry.name, entry.stat().st_size))
            except FileNotFoundError:
                # Drained since it was listed.
                continue
    return found


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, and durable: the file's content first, then its name."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{get_ident()}")
    try:
        with unfinished.open("wb") as file:
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
