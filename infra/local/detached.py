"""`python -m infra.local.detached up`, `down`: what `make local` and `make local-down` run.

`up` leaves one process behind, which holds all the others and a lock on the folder; `down` ends it.
`run` is that process, in the foreground.
"""

import argparse
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from infra.config import ROOT
from infra.deploy import DeployError
from infra.local.__main__ import interruptible
from infra.local.deployed import UP, Deployed, Ports
from infra.local.localstack import DeployedToLocalStack
from infra.local.services import ServiceError

STOP_SECONDS = 180.0
"""The parts have ten seconds each, and a busy disk may take a minute to delete what they leave."""


def run(data: Path) -> int:
    """Start the stack and supervise it until interrupted; 1 when a part can't start."""
    interruptible()
    data.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(data):
            kind = DeployedToLocalStack if os.environ.get("LOCALSTACK") else Deployed
            kind(
                data=data,
                ports=Ports(
                    emulator=int(os.environ.get("AWS_PORT") or Ports.emulator),
                    database=int(os.environ.get("DB_PORT") or Ports.database),
                    redis=int(os.environ.get("REDIS_PORT") or Ports.redis),
                ),
                context=os.environ.get("LOCAL_CONTEXT", "").split(),
            ).run()
    except KeyboardInterrupt:
        print("\nStopped.", flush=True)
    except (ServiceError, DeployError, ValueError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


def up(data: Path) -> int:
    """Start `run` in the background and show what it says until it is up; its exit code if not."""
    data.mkdir(parents=True, exist_ok=True)
    output = data / "output"
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.detached", "run", "--data", str(data)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    shown = 0
    try:
        while True:
            ended = process.poll()
            text = output.read_text(encoding="utf-8", errors="replace")
            print(text[shown:], end="", flush=True)
            shown = len(text)
            if ended is not None:
                return ended or 1
            if f"\n{UP}" in text and text.endswith("\n\n"):
                return 0
            time.sleep(0.1)
    except KeyboardInterrupt:
        process.terminate()
        return process.wait()


def down(data: Path) -> int:
    """Stop what `up` has started; 1 when it does not end."""
    holder = _holder(data)
    if holder is None:
        print("Nothing is running.")
        return 0
    with suppress(psutil.NoSuchProcess):
        supervisor = psutil.Process(holder)
        # The lock is free shortly before its process is gone, and so may be a part's own parts.
        all_of_it = [supervisor, *supervisor.children(recursive=True)]
        supervisor.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        while left := [process.pid for process in all_of_it if not _ended(process)]:
            if time.monotonic() > deadline:
                them = ", ".join(map(str, left))
                print(f"Not ended after {STOP_SECONDS:.0f} s: process {them}.", file=sys.stderr)
                return 1
            time.sleep(0.05)
    print("Stopped. The data stays in .local/.")
    return 0


def _ended(process: psutil.Process) -> bool:
    try:
        # A zombie has ended: only its parent has not waited for it yet.
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    with (data / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ServiceError("It is up already: make local-down stops it.") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _holder(data: Path) -> int | None:
    """Which process holds the lock, or None when none does: its id alone could be another's."""
    try:
        with (data / "lock").open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return int(lock.read() or 0) or None
    except FileNotFoundError:
        pass
    return None


def main() -> int:
    """The exit code of the command."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.detached", description=__doc__)
    parser.add_argument("command", choices=["up", "down", "run"])
    parser.add_argument("--data", type=Path, default=ROOT / ".local" / "deployed")
    options = parser.parse_args()
    # What it prints, and so writes, holds the first password.
    os.umask(0o077)
    return {"up": up, "down": down, "run": run}[options.command](options.data.resolve())


if __name__ == "__main__":
    sys.exit(main())
