"""The committed API document, and who may call what."""

from collections.abc import Iterator
from typing import Any

import pytest
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


def _requires_access(dependant: Dependant) -> bool:
    return any(
        inner.call in (require, require_agent, require_key_checker, require_prometheus)
        or _requires_access(inner)
        for inner in dependant.dependencies
    )


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """`test_cold_start` holds that the committed one is the same."""
    return dev.openapi()


@pytest.fixture(scope="module")
def anyone() -> Iterator[TestClient]:
    with TestClient(dev.api(), base_url="http://testserver") as client:
        yield client


def test_every_route_but_the_open_ones_declares_access() -> None:
    routes = list(dev.api_routes(dev.api().routes))
    assert len(routes) > 15
    open_routes = {route.name for route in routes if not _requires_access(route.dependant)}
    assert open_routes == OPEN


def _operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_each_operation_says_who_may_call_it(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    found = {name: operation["security"] for name, operation in _operations(document)}
    assert found["get /api/v1/dashboards"] == [{"session": []}, {"apiKey": []}]
    assert found["get /api/v1/users"] == [{"session": []}]
    assert {scheme for each in found.values() for entry in each for scheme in entry} == set(schemes)
    # Routes of foreign protocols, and their keys, are not in the document.
    names = {
        operation["operationId"]
        for _, operation in _operations(document)
        if not operation["security"]
    }
    assert names == {"getHealth", "login", "loginWithToken"}


def test_each_operation_declares_the_errors_that_it_gives_and_no_other(
    document: dict[str, Any],
) -> None:
    for name, operation in _operations(document):
        declared = set(operation["responses"])
        assert "422" not in declared, name
        assert {"400", "404", "500", "503"} <= declared, name
        if not name.startswith("get "):
            assert {"409", "413", "415"} <= declared, name


def test_an_error_has_each_field_that_the_contract_calls_required(
    document: dict[str, Any], anyone: TestClient
) -> None:
    schemas = document["components"]["schemas"]
    wrong = anyone.post("/api/v1/auth/login", json={"email": 1})
    unknown = anyone.get("/api/v1/nothing")
    for response, status in ((wrong, 400), (unknown, 404)):
        assert response.status_code == status
        assert set(schemas["ApiError"]["required"]) <= set(response.json())
    for detail in wrong.json()["details"]:
        assert set(schemas["ErrorDetail"]["required"]) <= set(detail)


def test_a_method_that_is_not_possible_names_all_that_are(anyone: TestClient) -> None:
    response = anyone.request("OPTIONS", "/api/v1/alerts/rules")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


def test_what_is_created_can_be_followed_by_its_id(document: dict[str, Any]) -> None:
    created = document["paths"]["/api/v1/alerts/rules"]["post"]["responses"]["201"]
    assert created["links"]["deleteAlertRule"] == {
        "operationId": "deleteAlertRule",
        "parameters": {"rule_id": "$response.body#/data/id"},
    }
