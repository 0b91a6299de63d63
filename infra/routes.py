"""Which function serves which route: the one table of the HTTP API and of its REST variant.

It is read from the committed API document, where `functions/dev.py` notes each operation's
function; a test compares it with the application's own routes.
"""

import json
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "shared" / "openapi.json"

API_PATHS = (
    *("/api/*", "/v1/*", "/intake*", "/support/flare*"),
    *("/write", "/query", "/ping", "/health", "/prometheus*"),
)
"""Paths that CloudFront forwards to the API; all others are the SPA. Twelve at most."""


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """One method on one path, `{name}` for a variable part."""

    path: str
    method: str
    function: str


def routes() -> list[Route]:
    """All routes, in the order of their paths."""
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    found = {
        Route(path=path, method=method.upper(), function=operation["x-function"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    hidden = {Route(**route) for route in document.get("x-unpublished", [])}
    return sorted(found | hidden)
