"""The whole API against its own OpenAPI document: schemathesis finds nothing.

Each status, header, content type and body that comes back is one that the document declares; what
the document forbids is refused; nothing is a 5xx. It also follows what one response gives to the
next request (stateful). The run is the same each time; `make fuzz-api SECONDS=…` is a long one with
another seed.
"""

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from pulseboard.auth.access import SESSION_COOKIE
from tests.support.server import serving

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1200)]

ROOT = Path(__file__).parents[2]
SEED = "16"
NOTHING_TESTED = "No test cases were generated"
PHASES = ("coverage", "fuzzing", "stateful")
"""Not `examples`: the document has none, and looking for them takes longer than a short run."""
ENDS_THE_SESSION = ("logout", "changePassword", "updateUser")
"""Operations after which the rest of a run would see 401 only: they have a run of their own."""


def _seconds() -> int:
    """How long `make fuzz-api` goes on; 0 in the gate, where the number of cases is the bound."""
    return int(os.environ.get("FUZZ_API_SECONDS", "0"))


def _arguments(address: str, header: str, report: Path) -> Sequence[str]:
    command = [str(Path(sys.executable).parent / "schemathesis")]
    command += ["--config-file", str(ROOT / "tests/schemathesis.toml"), "run"]
    command += [str(ROOT / "shared/openapi.json"), "--url", address, "--header", header]
    command += ["--no-color", "--report", "ndjson", "--report-ndjson-path", str(report)]
    if seconds := _seconds():
        seed = str(random.randrange(10**9))
        return [*command, "--max-time", str(seconds), "--seed", seed]
    return [*command, "--seed", SEED, "--generation-deterministic"]


def _run(
    address: str,
    header: str,
    directory: Path,
    selected: Sequence[str],
    phases: Sequence[str] = PHASES,
) -> None:
    command = _arguments(address, header, directory / "schemathesis.ndjson")
    done = subprocess.run(
        [*command, "--phases", ",".join(phases), *selected],
        cwd=directory,
        env={**os.environ, "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    assert NOTHING_TESTED not in done.stdout, f"in {_seconds()} s nothing was tested: give it more"
    print(done.stdout[-3_000:])


def _session(signed_in: TestClient) -> str:
    return f"Cookie: {SESSION_COOKIE}={signed_in.cookies[SESSION_COOKIE]}"


def test_by_session(admin: TestClient, tmp_path: Path) -> None:
    excluded = [part for name in ENDS_THE_SESSION for part in ("--exclude-operation-id", name)]
    with serving() as address:
        _run(address, _session(admin), tmp_path, excluded)


@pytest.mark.parametrize("operation", ENDS_THE_SESSION)
def test_what_ends_the_session(admin: TestClient, tmp_path: Path, operation: str) -> None:
    alone = ["--include-operation-id", operation]
    with serving() as address:
        _run(address, _session(admin), tmp_path, alone, PHASES[:2])


def test_by_key(ingest_key: str, tmp_path: Path) -> None:
    with serving() as address:
        # All others refuse a key: in the gate that is left to the tests of who may call what.
        tags = () if _seconds() else ("metrics", "events", "query", "usage")
        selected = [part for tag in tags for part in ("--include-tag", tag)]
        _run(address, f"Authorization: Bearer {ingest_key}", tmp_path, selected)
