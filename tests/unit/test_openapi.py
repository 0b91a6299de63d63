"""The committed API document, and who may call what."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.testclient import TestClient

from functions import dev
from pulseboard.auth.access import require, require_agent, require_key_checker, require_prometheus

OPEN = {
    *("get_health", "get_influx_health", "get_ping", "login", "login_with_token"),
    *("get_prometheus_health", "get_prometheus_readiness", "get_prometheus_root"),
    # They say that they take nothing.
    *("refuse_what_is_no_metric", "refuse_flare"),
}
ROOT = Path(__file__).parents[2]


def _requires_access(dependant: Dependant) -> bool:
    return any(
        inner.call in (require, require_agent, require_key_checker, require_prometheus)
        or _requires_access(inner)
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


def _operations() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, methods in dev.openapi()["paths"].items()
        for method, operation in methods.items()
    ]


def test_each_operation_says_who_may_call_it() -> None:
    schemes = dev.openapi()["components"]["securitySchemes"]
    found = {name: operation["security"] for name, operation in _operations()}
    assert found["get /api/v1/dashboards"] == [{"session": []}, {"apiKey": []}]
    assert found["get /api/v1/users"] == [{"session": []}]
    assert {scheme for each in found.values() for entry in each for scheme in entry} == set(schemes)
    # Routes of foreign protocols, and their keys, are not in the document.
    names = {
        operation["operationId"] for _, operation in _operations() if not operation["security"]
    }
    assert names == {"getHealth", "login", "loginWithToken"}


def test_each_operation_declares_the_errors_that_it_gives_and_no_other() -> None:
    for name, operation in _operations():
        declared = set(operation["responses"])
        assert "422" not in declared, name
        assert {"400", "404", "500", "503"} <= declared, name
        if not name.startswith("get "):
            assert {"409", "413", "415"} <= declared, name


def test_an_error_has_each_field_that_the_contract_calls_required() -> None:
    schemas = dev.openapi()["components"]["schemas"]
    with TestClient(dev.api(), base_url="http://testserver") as anyone:
        wrong = anyone.post("/api/v1/auth/login", json={"email": 1})
        unknown = anyone.get("/api/v1/nothing")
    for response, status in ((wrong, 400), (unknown, 404)):
        assert response.status_code == status
        assert set(schemas["ApiError"]["required"]) <= set(response.json())
    for detail in wrong.json()["details"]:
        assert set(schemas["ErrorDetail"]["required"]) <= set(detail)


def test_a_method_that_is_not_possible_names_all_that_are() -> None:
    with TestClient(dev.api(), base_url="http://testserver") as anyone:
        response = anyone.request("OPTIONS", "/api/v1/alerts/rules")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


def test_what_is_created_can_be_followed_by_its_id() -> None:
    created = dev.openapi()["paths"]["/api/v1/alerts/rules"]["post"]["responses"]["201"]
    assert created["links"]["deleteAlertRule"] == {
        "operationId": "deleteAlertRule",
        "parameters": {"rule_id": "$response.body#/data/id"},
    }
