"""The committed API document, and who may call what."""

import subprocess
import sys
from pathlib import Path

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from functions import dev
from functions.alerts.channels import router as alert_channels_router
from functions.alerts.routes import router as alert_rules_router
from functions.auth.routes import router as auth_router
from functions.dashboards.routes import router as dashboards_router
from functions.ingest.collectd import router as collectd_router
from functions.ingest.datadog import router as datadog_router
from functions.ingest.influx import router as influx_router
from functions.ingest.otlp import router as otlp_router
from functions.ingest.remote_write import router as remote_write_router
from functions.ingest.routes import router as ingest_router
from functions.query.routes import router as query_router
from pulseboard.http.access import require, require_agent

OPEN = {"get_health", "get_influx_health", "get_ping", "login", "login_with_token"}
ROOT = Path(__file__).parents[2]


def _requires_access(dependant: Dependant) -> bool:
    return any(
        inner.call in (require, require_agent) or _requires_access(inner)
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
    routers = (
        auth_router,
        dashboards_router,
        ingest_router,
        remote_write_router,
        otlp_router,
        influx_router,
        datadog_router,
        collectd_router,
        query_router,
        alert_rules_router,
        alert_channels_router,
    )
    routes = [r for router in routers for r in router.routes if isinstance(r, APIRoute)]
    assert len(routes) > 15
    open_routes = {route.name for route in routes if not _requires_access(route.dependant)}
    assert open_routes == OPEN
