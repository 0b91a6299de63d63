"""Cold starts: each function from the start of its process until it asks for its first event.

Under Amazon's own runtime client, with nothing on its path but what Lambda has: the runtime's
packages, the two layers, and the function's code.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from infra.local import runtime_api
from layers import build

GOAL_MS = 700
ROUNDS = 9
ROOT = Path(__file__).parents[1]


def run(database_url: str, redis_url: str, *, quick: bool = False) -> None:
    """Print the time of each, without SnapStart, and what the operating system counted as work."""
    names = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
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
        print(f"cold start                   init      CPU  goal: {GOAL_MS} ms of CPU")
        # Turn by turn: what else the machine does comes and goes, and can only add to the times.
        turns = [
            {name: _measure(name, path, interpreter) for name in names}
            for _ in range(2 if quick else ROUNDS)
        ]
    for name in names:
        waited = min(turn[name].waited for turn in turns)
        worked = min(turn[name].worked for turn in turns)
        met = "met" if worked <= GOAL_MS else "MISSED"
        print(f"{name:24} {waited:6.0f} ms {worked:5.0f} ms  {met}")


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
    """Milliseconds until it asked for its first event, and of work."""

    waited: float
    worked: float


def _measure(name: str, path: Sequence[Path], interpreter: str) -> _Times:
    with runtime_api.running(name, path=path, alone=True, python=interpreter) as function:
        return _Times(function.wait() * 1000, function.cpu_seconds() * 1000)
