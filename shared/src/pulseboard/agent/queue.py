"""A bounded queue on disk: unsent samples survive a restart and a long outage.

Each batch is a gzip file, written whole or not at all (temporary name, fsync, rename), and read
oldest first. When the queue is full the oldest batches are dropped: recent samples matter more.
"""

import fcntl
import gzip
import itertools
import logging
import os
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("pulseboard.agent")


class QueueBusy(Exception):
    """Another agent uses this directory; the message says what to do."""


@dataclass(frozen=True, slots=True)
class QueuedBatch:
    """The body of one request, gzipped, and its file."""

    path: Path
    body: bytes


def default_directory() -> Path:
    """`pulseboard/agent` in the user's state directory (systemd's, XDG's or ~/.local/state)."""
    base = os.environ.get("STATE_DIRECTORY") or os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "pulseboard" / "agent"


class Queue:
    """First in, first out, at most `max_bytes` of files. Safe for one writer and one reader."""

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        """Lock the directory for this process. Raises QueueBusy or OSError."""
        self.directory = directory
        self.max_bytes = max_bytes
        self._lock = threading.Lock()
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Two agents on one directory would send each other's samples with their own key.
        self._owner = os.open(directory / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._owner)
            raise QueueBusy(
                f"another agent uses the queue in {directory}; give this one its own --queue-dir"
            ) from error
        for leftover in directory.glob("*.tmp"):
            leftover.unlink(missing_ok=True)
        self._files = {path: path.stat().st_size for path in sorted(directory.glob("*.json.gz"))}
        last = max(
            (int(p.name.split("-")[0]) for p in self._files if p.name[:1].isdigit()), default=0
        )
        # The counter starts again at 0: a later millisecond keeps order and unique names.
        self._last = last + 1
        self._numbers = itertools.count()

    def close(self) -> None:
        """Unlock the directory."""
        os.close(self._owner)

    def __len__(self) -> int:
        return len(self._files)

    @property
    def size(self) -> int:
        """Bytes of its files."""
        with self._lock:
            return sum(self._files.values())

    def put(self, payload: bytes) -> None:
        """Add a batch (JSON); drops the oldest when full. Raises OSError when the disk fails.

        The time of the file `.lock` says when the agent last measured, for what supervises it.
        """
        os.utime(self._owner)
        body = gzip.compress(payload, compresslevel=6, mtime=0)
        with self._lock:
            # Never before an existing file, even when the clock was set back.
            self._last = max(self._last, time.time_ns() // 1_000_000)
            path = self.directory / f"{self._last:015d}-{next(self._numbers):08d}.json.gz"
            temporary = path.with_suffix(".tmp")
            self._make_room(len(body))
            try:
                with temporary.open("wb") as file:
                    file.write(body)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.rename(path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
            self._files[path] = len(body)
            directory = os.open(self.directory, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

    def oldest(self) -> QueuedBatch | None:
        """The batch to send next; a file whose content is damaged is set aside as `.corrupt`.

        Raises OSError when a file can't be read now: that says nothing about its content.
        """
        return next(self.all(), None)

    def all(self) -> Iterator[QueuedBatch]:
        """All batches, oldest first, as `oldest` does."""
        with self._lock:
            paths = list(self._files)
        for path in paths:
            with self._lock:
                if path not in self._files:
                    continue
                try:
                    body = path.read_bytes()
                except FileNotFoundError:
                    self._files.pop(path)
                    log.error("a queue file is gone: %s", path.name)
                    continue
                try:
                    gzip.decompress(body)
                except (gzip.BadGzipFile, EOFError, zlib.error):
                    path.rename(path.with_suffix(".corrupt"))
                    self._files.pop(path)
                    log.error("set aside a damaged queue file: %s", path.name)
                    continue
            yield QueuedBatch(path=path, body=body)

    def remove(self, batch: QueuedBatch) -> None:
        """Delete a batch that was delivered or refused for good."""
        with self._lock:
            self._files.pop(batch.path, None)
            batch.path.unlink(missing_ok=True)

    def _make_room(self, wanted: int) -> None:
        dropped = 0
        while self._files and sum(self._files.values()) + wanted > self.max_bytes:
            path = next(iter(self._files))
            self._files.pop(path)
            path.unlink(missing_ok=True)
            dropped += 1
        if dropped:
            log.error(
                "QUEUE FULL: dropped the %d oldest batch(es); raise --queue-max-mb",
                dropped,
            )
