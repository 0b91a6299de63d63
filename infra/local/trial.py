"""The whole local stack for a while, in a folder of its own: for tests and benchmarks."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local.deployed import Ports

ROOT = Path(__file__).parents[2]
START_SECONDS = 170
DEPLOY_SECONDS = 540


def free_port() -> int:
    """A port that nobody listens on, low enough for Valkey's bus beside it."""
    while True:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port: int = taken.getsockname()[1]
        if port < 55_000:
            return port


@contextmanager
def running(data: Path) -> Iterator[dict[str, str]]:
    """`make up` with its data in `data`; what it wrote to state.json, and its sign-in `link`.

    Raises RuntimeError with the stack's output when it does not start.
    """
    ports = {name: free_port() for name in ("PORT", "DB_PORT", "REDIS_PORT")}
    output = data / "output"
    with output.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local", "--data", str(data)],
            cwd=ROOT,
            env=_environment(ports),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while "Ctrl-C" not in output.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"the local stack did not start:\n{output.read_text()}\n{_ends(data)}"
                )
            time.sleep(0.2)
        state: dict[str, str] = json.loads((data / "state.json").read_text())
        link = next(word for word in output.read_text().split() if "#token=" in word)
        yield {**state, "link": link}
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


@contextmanager
def deployed(data: Path, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """`make local` with its data in `data`, then `make local-down`: as above, with its `ports` and
    `data`. `environment` is put over this process's own.

    Raises RuntimeError with the stack's output when it does not start.
    """
    ports = {name: free_port() for name in ("AWS_PORT", "DB_PORT", "REDIS_PORT")}
    own = {**_environment(ports), **environment}
    try:
        done = _detached("up", data, own)
        if done.returncode:
            raise RuntimeError(
                f"the stack did not start:\n{done.stdout}\n{done.stderr}\n{_ends(data)}"
            )
        state = json.loads((data / "state.json").read_text())
        link = next(word for word in done.stdout.split() if "#token=" in word)
        yield {**state, "link": link, "data": data, "ports": Ports(*ports.values())}
    finally:
        take_down(data, own)


def take_down(data: Path, environment: Mapping[str, str]) -> None:
    """`make local-down`. Raises RuntimeError when something does not end."""
    done = _detached("down", data, environment)
    if done.returncode:
        raise RuntimeError(f"{done.stdout}\n{done.stderr}")


def _detached(
    command: str, data: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "infra.local.detached", command, "--data", str(data)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEPLOY_SECONDS,
    )


def _environment(ports: Mapping[str, int]) -> dict[str, str]:
    """This process's, with the embedded parts on these ports."""
    given = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
    return given | {name: str(port) for name, port in ports.items()}


def _ends(data: Path) -> str:
    """The last lines of each log: a test's folder is gone when somebody reads the failure."""
    return "\n".join(
        "\n".join([f"--- {log.name}", *log.read_text(errors="replace").splitlines()[-25:]])
        for log in sorted((data / "logs").glob("*.log"))
    )
