"""What a cold start must not carry; `make bench` has the times (bench/cold.py)."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_functions_that_need_no_arrays_at_first_do_not_import_numpy() -> None:
    names = ["alerts", "auth", "dashboards", "maintain", "migrate", "notify", "query"]
    code = "\n".join(
        ["import sys"]
        + [
            f"import functions.{name}.handler; assert 'numpy' not in sys.modules, '{name}'"
            for name in names
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(done.stderr[-500:])
