"""Cold starts: each function from the start of its process until it requests its first event.

Under Amazon's own runtime client, with nothing on its path but what Lambda has: the runtime's
packages, the two layers, and the function's code. Functions with HTTP then handle their sample
event, so that work that is merely deferred to the first request does not count as a gain.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psycopg

from bench import keys
from infra.local import invoke, runtime_api
from layers import build
from pulseboard.contracts.vocabulary import Scope

GOAL_MS = 700
ROUNDS = 9
ROOT = Path(__file__).parents[1]


def run(database_url: str, redis_url: str, *, quick: bool = False) -> None:
    """Print the time of each, without SnapStart, and what the operating system counted as work."""
    names = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
    with psycopg.connect(database_url) as connection:
        key = keys.make(connection, Scope.INGEST, Scope.READ)
    python, platform = build.this_machine()
    with tempfile.TemporaryDirectory(prefix="pulseboard-cold-") as scratch:
        home = Path(scratch)
        layers = build.build(
            python=python, platform=platform, out=home / "layers", uv=build.find_uv()
        )
        path = [home / layer.path.stem / "python" for layer in layers]
        for layer, folder in zip(layers, path, strict=True):
            with zipfile.ZipFile(layer.path) as archive:
                archive.extractall(folder.parent)
        interpreter = _interpreter(python)
        print(f"\n{interpreter}")
        environment = {
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "PULSEBOARD_METRICS": "true",
            "PULSEBOARD_SPILL_DIR": str(home / "spill"),
        }
        print(
            "cold start                   init      CPU  with first request  "
            f"goal: {GOAL_MS} ms of CPU for init"
        )
        # In turns: other load on the machine varies, and can only add to the times.
        turns = [
            {name: _measure(name, path, interpreter, environment, key) for name in names}
            for _ in range(2 if quick else ROUNDS)
        ]
    for name in names:
        waited = min(turn[name].waited for turn in turns)
        worked = min(turn[name].worked for turn in turns)
        responded = min(turn[name].responded or 0.0 for turn in turns)
        shown = f"{responded:5.0f} ms" if responded else ""
        met = "met" if worked <= GOAL_MS else "MISSED"
        print(f"{name:24} {waited:6.0f} ms {worked:5.0f} ms  {shown:18}  {met}")


def _interpreter(version: str) -> str:
    """The quickest Python of this version: Lambda's is built with all optimisations.

    One without them (pyenv's default) takes more than half again as long for the same work.
    """
    system = shutil.which(f"python{version}", path="/usr/local/bin:/usr/bin")
    timed = "import timeit; print(min(timeit.repeat('for i in range(10**6): i + i', number=1)))"
    return min(
        filter(None, [sys.executable, system]),
        key=lambda python: float(subprocess.check_output([python, "-S", "-c", timed])),
    )


class _Times(NamedTuple):
    """Milliseconds until it requested its first event, of work until then, and of work until it
    had responded to a request, of those that serve any."""

    waited: float
    worked: float
    responded: float | None


def _measure(
    name: str, path: Sequence[Path], interpreter: str, environment: Mapping[str, str], key: str
) -> _Times:
    with runtime_api.running(
        name, path=path, alone=True, python=interpreter, environment=environment
    ) as function:
        waited, worked = function.wait() * 1000, function.cpu_seconds() * 1000
        event = invoke.event(name, key=key)
        if "rawPath" not in event:
            return _Times(waited, worked, None)
        response = function.invoke(event)
        if response["statusCode"] >= 400:
            raise RuntimeError(f"{name} returned {response}")
        return _Times(waited, worked, function.cpu_seconds() * 1000)
