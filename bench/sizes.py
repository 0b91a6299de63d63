"""What a cold start loads: how long each handler takes to import, how large the layers are."""

import subprocess
import sys
import tempfile
from pathlib import Path

from layers import build

ROOT = Path(__file__).parents[1]


def run(database_url: str, redis_url: str, *, quick: bool = False) -> None:
    """Print both. The layers are built for AWS's target, which `quick` leaves out."""
    print()
    for handler in sorted((ROOT / "functions").glob("*/handler.py")):
        _import_time(f"functions.{handler.parent.name}.handler")
    if quick:
        return
    with tempfile.TemporaryDirectory() as out:
        try:
            layers = build.build(
                python="3.13",
                platform="aarch64-manylinux_2_28",
                out=Path(out),
                uv=build.find_uv(),
            )
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"layers: not built ({error})")
            return
        for layer in layers:
            print(
                f"layer {layer.path.name}: {layer.zipped / 1e6:.1f} MB zipped, "
                f"{layer.unzipped / 1e6:.1f} MB unzipped"
            )


def _import_time(name: str) -> None:
    code = (
        "import time; t = time.perf_counter(); "
        f"import {name}; print(round((time.perf_counter() - t) * 1000))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    shown = f"{ran.stdout.strip()} ms" if ran.returncode == 0 else "can't be imported"
    print(f"import {name:32} {shown}")
