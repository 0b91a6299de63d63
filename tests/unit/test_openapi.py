"""The committed API document, and who may call what."""

import subprocess
import sys
from pathlib import Path

from fastapi.dependencies.models import Dependant

from functions import dev
from pulseboard.auth.access import require, require_agent, require_key_checker

OPEN = {
    *("get_health", "get_influx_health", "get_ping", "login", "login_with_token"),
    # They say that they take nothing.
    *("refuse_what_is_no_metric", "refuse_flare"),
}
ROOT = Path(__file__).parents[2]


def _requires_access(dependant: Dependant) -> bool:
    return any(
        inner.call in (require, require_agent, require_key_checker) or _requires_access(inner)
        for inner in dependant.dependencies
    )


def test_committed_document_is_what_the_code_exports_without_any_environment() -> None:
    code = (
        "import sys; from functions.dev import export_openapi; sys.stdout.write(export_openapi())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"PYTHONPATH": ".", "PYTHONUTF8": "1"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == dev.OPENAPI_FILE.read_text(encoding="utf-8"), "run: make openapi"


def test_every_route_but_the_open_ones_declares_access() -> None:
    routes = list(dev.api_routes(dev.api().routes))
    assert len(routes) > 15
    open_routes = {route.name for route in routes if not _requires_access(route.dependant)}
    assert open_routes == OPEN
