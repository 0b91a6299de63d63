"""What the OpenAPI document says of errors and of access: what the code does, for each route."""

import re
from collections.abc import Iterator
from typing import Any

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from pulseboard.auth.access import SESSION_COOKIE, require, require_prometheus

_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ApiError"}}}
_DESCRIPTIONS = {
    404: "It does not exist, or the caller may not know that it does; or the path is unknown.",
    409: "Somebody else changed it first, or it exists already.",
    413: "The body is larger than a limit.",
    415: "The body is of a type, or compressed in a way, that is not read here.",
    429: "Too many attempts; see Retry-After.",
    500: "An error on our side; the request id names it in the logs.",
}
_RATE_LIMITED = frozenset({"login", "change_password"})
_SESSION, _KEY = "session", "apiKey"
SCHEMES: dict[str, Any] = {
    _SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "A person's session, begun by login.",
    },
    _KEY: {"type": "http", "scheme": "bearer", "description": "An API key (`pb_…`)."},
}


def describe(route: APIRoute, method: str, operation: dict[str, Any]) -> None:
    """Complete an operation: each error that it can give, and who may call it."""
    responses = operation["responses"]
    # FastAPI adds it; what it stands for is answered with 400.
    responses.pop("422", None)
    for status in sorted(_errors_of(route, method)):
        responses.setdefault(str(status), {"description": _DESCRIPTIONS[status], "content": _ERROR})
    operation["responses"] = dict(sorted(responses.items()))
    operation["security"] = [{name: []} for name in _schemes_of(route.dependant)]


def link(document: dict[str, Any]) -> None:
    """Note on each operation that creates something what can be done with its id."""
    paths = document["paths"]
    for path, operations in paths.items():
        created = operations.get("post", {}).get("responses", {}).get("201")
        if created is None:
            continue
        links = {
            target["operationId"]: {
                "operationId": target["operationId"],
                "parameters": {below[1]: "$response.body#/data/id"},
            }
            for other, targets in paths.items()
            if (below := re.match(re.escape(path) + "/{([^{}]*)}", other))
            for target in targets.values()
        }
        if links:
            created["links"] = links


def _errors_of(route: APIRoute, method: str) -> set[int]:
    found = {404, 500}
    if method not in ("GET", "HEAD"):
        found |= {409, 413, 415}
    if route.name in _RATE_LIMITED:
        found.add(429)
    return found


def _schemes_of(dependant: Dependant) -> list[str]:
    scopes = list(_scopes_of(dependant))
    names = []
    if any(scope.startswith("role:") for scope in scopes):
        names.append(_SESSION)
    if any(scope.startswith("key:") for scope in scopes):
        names.append(_KEY)
    return names


def _scopes_of(dependant: Dependant) -> Iterator[str]:
    for inner in dependant.dependencies:
        if inner.call in (require, require_prometheus):
            yield from inner.own_oauth_scopes or ()
        yield from _scopes_of(inner)
