"""The child processes of a local stack: supervised, and stopped in reverse order."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from infra.local import services
from infra.local.services import Child, ServiceError

LONGEST_BACKOFF = 30.0
STABLE_SECONDS = 60.0
"""A part that ran this long, in seconds, is restarted at once the next time."""
VALKEY_PATIENCE = 60.0
DATABASE_PATIENCE = 60.0
"""Seconds without a response and without work, after which the embedded database hangs."""
LONGEST_STATEMENT = 1800.0
"""Seconds that the embedded database may work without a response; it has one backend."""
AGENT_INTERVAL = 10
AGENT_PATIENCE = 60.0
PROBE_EVERY = 2.0
"""Seconds between two checks whether a part responds."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether a part responds, and for how many seconds it may fail to before it counts as hung.

    `responds` may block: each part has its own thread for it.
    """

    responds: Callable[[], bool]
    patience: float


@dataclass
class _Supervised:
    child: Child
    restart: bool = True
    failures: int = 0
    started: float = field(default_factory=time.monotonic)
    restart_at: float | None = None
    probe: Probe | None = None
    responded: float = 0.0

    def hangs(self, now: float) -> bool:
        """Whether it runs and has not responded for too long."""
        if self.probe is None or not self.child.running:
            return False
        return now - max(self.started, self.responded) > self.probe.patience


@dataclass
class Working:
    """Whether a part responds, or at least works: its processor time grows.

    For a part that does one thing at a time. One that works for longer than `longest` seconds
    without a response counts as hung all the same.
    """

    child: Child
    responds: Callable[[], bool]
    longest: float
    _waiting: threading.Thread | None = None
    _responded: float = field(default_factory=time.monotonic)
    _process: int = 0
    _used: float = 0.0

    def __call__(self) -> bool:
        """The check of a `Probe`."""
        if self._waiting is None or not self._waiting.is_alive():
            # It may block for as long as the part hangs.
            self._waiting = threading.Thread(target=self._ask, daemon=True)
            self._waiting.start()
        self._waiting.join(PROBE_EVERY)
        if not self._waiting.is_alive() and self._responded >= time.monotonic() - 2 * PROBE_EVERY:
            return True
        return self._works() and time.monotonic() - self._responded < self.longest

    def _ask(self) -> None:
        with contextlib.suppress(Exception):
            if self.responds():
                self._responded = time.monotonic()

    def _works(self) -> bool:
        if self.child.process is None:
            return False
        process = self.child.process.pid
        times = psutil.Process(process).cpu_times()
        used, before = times.user + times.system, self._used
        known, self._process, self._used = self._process == process, process, used
        # A process that waits wakes up now and then.
        return known and used - before > PROBE_EVERY / 10


class Parts:
    """The parts of one local stack, with their data and logs in `data`."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.began = time.monotonic()
        self._supervised: list[_Supervised] = []
        self._needed: dict[Path, str] = {}
        self._stopped = threading.Event()

    def log(self, name: str) -> Path:
        """Where a part's output goes."""
        return self.data / "logs" / f"{name}.log"

    def supervise(self, child: Child, *, restart: bool = True, probe: Probe | None = None) -> None:
        """Start it, and again whenever it ends or hangs; without `restart`, all ends with it."""
        child.start()
        each = _Supervised(child, restart, probe=probe)
        self._supervised.append(each)
        if probe is not None:
            threading.Thread(target=self._probe, args=(each, probe), daemon=True).start()

    def start_data(self, *, database_port: int | None, redis_port: int | None) -> None:
        """Start the embedded database and cache, the ones that have a port, and wait for them."""
        database = cache = None
        if database_port:
            database = services.timescaledb_child(
                port=database_port, data=self.data / "timescaledb", log=self.log("timescaledb")
            )
            responds = partial(services.timescaledb_responds, database_port)
            working = Working(database, responds, LONGEST_STATEMENT)
            self.supervise(database, probe=Probe(working, DATABASE_PATIENCE))
        if redis_port:
            cache = services.valkey_child(
                port=redis_port, data=self.data / "valkey", log=self.log("valkey")
            )
            self.supervise(
                cache, probe=Probe(lambda: services.valkey_responds(redis_port), VALKEY_PATIENCE)
            )
        if cache and redis_port:
            with self.step("Valkey, embedded"):
                services.wait_for_valkey(cache, redis_port)
        if database:
            with self.step("TimescaleDB, embedded"):
                services.wait_for_timescaledb(database)
            directory = self.data / "timescaledb"
            # It goes on with the files that it has open, and is empty at its next start.
            self._needed[directory / "pgdata" / "PG_VERSION"] = (
                f"The files of the embedded database ({directory}) were deleted while it ran, and "
                "with them all that it held; everything is stopped. Start again: it begins with "
                "an empty database. `pulseboard restore` brings a backup back."
            )

    def start_agent(self, *, url: str, key: str) -> None:
        """The host agent, pushing this machine's metrics."""
        command = [sys.executable, "-m", "pulseboard.agent.cli", "agent"]
        options = ["--url", url, "--interval", str(AGENT_INTERVAL)]
        # A queue of this stack's own: an agent refuses to share one, and what waits in it is
        # meant for this stack's database.
        queue = self.data / "agent"
        options += ["--queue-dir", str(queue)]
        child = Child("agent", [*command, *options], self.log("agent"), {"PULSEBOARD_API_KEY": key})

        def measures() -> bool:
            return time.time() - (queue / ".lock").stat().st_mtime < 3 * AGENT_INTERVAL

        self.supervise(child, probe=Probe(measures, AGENT_PATIENCE))

    def watch(self) -> None:
        """Look after all of them until interrupted. Raises ServiceError when one that is not
        started again has ended, or when somebody has deleted the database's files.
        """
        while True:
            self.check_files()
            for each in self._supervised:
                self._check(each, time.monotonic())
            time.sleep(0.5)

    def check_files(self) -> None:
        """Raises ServiceError with what to do when a file is gone that a part can't be without."""
        for path, sentence in self._needed.items():
            if not path.exists():
                raise ServiceError(sentence)

    def stop(self) -> None:
        """End all of them, the last one first."""
        self._stopped.set()
        for each in reversed(self._supervised):
            each.child.stop()

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Print the step, and then how long it took."""
        start = time.monotonic()
        print(f"  {what} …", end="", flush=True)
        yield
        print(f" {time.monotonic() - start:.1f} s", flush=True)

    def _probe(self, each: _Supervised, probe: Probe) -> None:
        while not self._stopped.wait(PROBE_EVERY):
            # A part may fail in any way; what counts is that it responds again.
            with contextlib.suppress(Exception):
                if probe.responds():
                    each.responded = time.monotonic()

    def _check(self, each: _Supervised, now: float) -> None:
        if each.hangs(now):
            print(f"  {each.child.name} does not respond: it is ended ({each.child.log})")
            each.child.stop(timeout=2.0)
        if each.child.running:
            return
        if not each.restart:
            raise ServiceError(
                f"{each.child.name} ended ({each.child.exit_code}): {each.child.log}"
            )
        if each.restart_at is None:
            each.failures = 0 if now - each.started > STABLE_SECONDS else each.failures + 1
            delay = min(LONGEST_BACKOFF, 2.0 ** (each.failures - 1)) if each.failures else 0.0
            each.restart_at = now + delay
            print(f"  {each.child.name} ended; again in {delay:.0f} s ({each.child.log})")
        elif now >= each.restart_at:
            each.child.start()
            each.started, each.restart_at = now, None


def check_ports(wanted: list[tuple[str, int, str]], *, command: str) -> None:
    """Raises ServiceError for the first (what, port, variable) that is in use."""
    for what, port, variable in wanted:
        if not services.port_is_free(port):
            raise ServiceError(
                f"Port {port}, for {what}, is in use (is another `{command}` running?). "
                f"Choose another: {command} {variable}={port + 1}"
            )
