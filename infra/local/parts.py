"""The child processes of a local stack: kept running, and stopped in reverse order."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from infra.local import services
from infra.local.services import Child, ServiceError

LONGEST_BACKOFF = 30.0
STEADY = 60.0
"""A part that ran this long, in seconds, is restarted at once the next time."""


@dataclass
class _Kept:
    child: Child
    restart: bool = True
    failures: int = 0
    started: float = field(default_factory=time.monotonic)
    restart_at: float | None = None


class Parts:
    """The parts of one local stack, with their data and logs in `data`."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.began = time.monotonic()
        self._kept: list[_Kept] = []

    def log(self, name: str) -> Path:
        """Where a part's output goes."""
        return self.data / "logs" / f"{name}.log"

    def keep(self, child: Child, *, restart: bool = True) -> None:
        """Start it, and again whenever it ends; without `restart`, all ends with it."""
        child.start()
        self._kept.append(_Kept(child, restart))

    def start_data(self, *, database_port: int | None, redis_port: int | None) -> None:
        """Start the embedded database and cache, the ones that have a port, and wait for them."""
        database = cache = None
        if database_port:
            database = services.timescaledb_child(
                port=database_port, data=self.data / "timescaledb", log=self.log("timescaledb")
            )
            self.keep(database)
        if redis_port:
            cache = services.valkey_child(
                port=redis_port, data=self.data / "valkey", log=self.log("valkey")
            )
            self.keep(cache)
        if cache and redis_port:
            with self.step("Valkey, embedded"):
                services.wait_for_valkey(cache, redis_port)
        if database:
            with self.step("TimescaleDB, embedded"):
                services.wait_for_timescaledb(database)

    def start_agent(self, *, url: str, key: str) -> None:
        """The host agent, pushing this machine's metrics."""
        command = [sys.executable, "-m", "pulseboard.agent.cli", "agent"]
        options = ["--url", url, "--interval", "10"]
        # A queue of this stack's own: an agent refuses to share one, and what waits in it is
        # meant for this stack's database.
        options += ["--queue-dir", str(self.data / "agent")]
        self.keep(
            Child("agent", [*command, *options], self.log("agent"), {"PULSEBOARD_API_KEY": key})
        )

    def watch(self) -> None:
        """Look after all of them until interrupted. Raises ServiceError when one that is not
        started again has ended.
        """
        while True:
            for kept in self._kept:
                self._look_after(kept, time.monotonic())
            time.sleep(0.5)

    def stop(self) -> None:
        """End all of them, the last one first."""
        for kept in reversed(self._kept):
            kept.child.stop()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Say what is done, and then how long it took."""
        start = time.monotonic()
        print(f"  {what} …", end="", flush=True)
        yield
        print(f" {time.monotonic() - start:.1f} s", flush=True)

    def _look_after(self, kept: _Kept, now: float) -> None:
        if kept.child.running:
            return
        if not kept.restart:
            raise ServiceError(
                f"{kept.child.name} ended ({kept.child.exit_code}): {kept.child.log}"
            )
        if kept.restart_at is None:
            kept.failures = 0 if now - kept.started > STEADY else kept.failures + 1
            delay = min(LONGEST_BACKOFF, 2.0 ** (kept.failures - 1)) if kept.failures else 0.0
            kept.restart_at = now + delay
            print(f"  {kept.child.name} ended; again in {delay:.0f} s ({kept.child.log})")
        elif now >= kept.restart_at:
            kept.child.start()
            kept.started, kept.restart_at = now, None


def check_ports(wanted: list[tuple[str, int, str]], *, command: str) -> None:
    """Raises ServiceError for the first (what, port, variable) that is taken."""
    for what, port, variable in wanted:
        if not services.port_is_free(port):
            raise ServiceError(
                f"Port {port}, for {what}, is taken (is another `{command}` running?). "
                f"Choose another: {command} {variable}={port + 1}"
            )
