"""Cold starts: each function from the start of its process until it asks for its first event.

Under Amazon's own runtime client, with nothing on its path but what Lambda has: the runtime's
packages, the two layers, and the function's code.
"""

import statistics
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from infra.local import runtime_api
from layers import build

GOAL_MS = 700
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
        print(f"\ncold start                   init      CPU  goal: {GOAL_MS} ms of CPU")
        for name in names:
            _measure(name, path, times=2 if quick else 5)


def _measure(name: str, path: Sequence[Path], *, times: int) -> None:
    waited, worked = [], []
    for _ in range(times):
        with runtime_api.running(name, path=path, alone=True) as function:
            waited.append(function.wait() * 1000)
            worked.append(function.cpu_seconds() * 1000)
    cpu = statistics.median(worked)
    print(
        f"{name:24} {statistics.median(waited):6.0f} ms {cpu:5.0f} ms  "
        f"{'met' if cpu <= GOAL_MS else 'MISSED'}",
        flush=True,
    )
