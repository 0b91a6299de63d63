"""Every router in one ASGI app: the fast local server, and the source of the OpenAPI document."""

from functions import bootstrap

bootstrap.before_imports()

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from functions import openapi_responses
from functions.alerts.channels import router as alert_channels
from functions.alerts.prometheus import router as prometheus_rules
from functions.alerts.recordings import router as recordings
from functions.alerts.routes import router as alert_rules
from functions.auth.routes import router as auth
from functions.dashboards.routes import router as dashboards
from functions.http_app import http_app
from functions.ingest.collectd import router as collectd
from functions.ingest.datadog import router as datadog
from functions.ingest.events import router as events
from functions.ingest.influx import router as influx
from functions.ingest.otlp import router as otlp
from functions.ingest.remote_write import router as remote_write
from functions.ingest.routes import router as ingest
from functions.query.prometheus import router as prometheus
from functions.query.routes import router as query
from functions.query.usage import router as usage
from functions.query.variables import router as variables
from pulseboard.contracts.events import CreateEvent
from pulseboard.contracts.points import IngestBody
from pulseboard.core.settings import settings
from pulseboard.web.errors import ANYWHERE
from pulseboard.web.headers import SPA_HEADERS

OPENAPI_FILE = Path(__file__).parents[1] / "shared" / "openapi.json"

_ALSO_PUBLISHED: dict[str, Any] = {
    "IngestBody": IngestBody,
    "CreateEvent": CreateEvent,
}
"""Models that no route uses, published for the generated types."""


def api() -> FastAPI:
    """The whole API."""
    return http_app(
        [
            auth,
            ingest,
            remote_write,
            otlp,
            influx,
            datadog,
            collectd,
            events,
            query,
            usage,
            variables,
            prometheus,
            prometheus_rules,
            dashboards,
            alert_rules,
            recordings,
            alert_channels,
        ]
    )


def local() -> FastAPI:
    """The whole API and, when `static_dir` is set, the SPA on the same origin."""
    app = api()
    bootstrap.after_imports()
    directory = settings().static_dir
    if directory is not None:
        _serve_spa(app, directory.resolve())
    return app


def _serve_spa(app: FastAPI, directory: Path) -> None:
    prefixes = {route.path.split("/")[1] for route in api_routes(app.routes)}

    @app.api_route(ANYWHERE, methods=["GET", "HEAD"], include_in_schema=False)
    def _file(path: str) -> FileResponse:
        # No page for a sender, which would take it for a success.
        if path.split("/")[0] in prefixes:
            raise HTTPException(404)
        file = _file_at(directory, path)
        hashed = path.startswith("assets/")
        if file is None:
            if hashed:
                raise HTTPException(404)
            # A path of the SPA's own router.
            file = directory / "index.html"
        cache = "public, max-age=31536000, immutable" if hashed else "no-cache"
        return FileResponse(file, headers={**SPA_HEADERS, "Cache-Control": cache})


def _file_at(directory: Path, path: str) -> Path | None:
    """The file of a path inside the directory; None where no file can be."""
    try:
        file = (directory / path).resolve()
        return file if file.is_relative_to(directory) and file.is_file() else None
    except (OSError, ValueError):
        # A NUL, half of a surrogate pair, or a name longer than the file system takes.
        return None


def _plainly_named(document: dict[str, Any]) -> dict[str, Any]:
    """`X-Output` becomes `X`, `X-Input` `XInput`: a shape's name does not change when it is also
    sent, where defaults make its fields optional."""
    schemas = document["components"]["schemas"]
    names = {
        name: name.removesuffix("-Output").replace("-Input", "Input")
        for name in schemas
        if name.endswith(("-Output", "-Input"))
    }

    def rename(node: Any) -> Any:
        if isinstance(node, dict):
            return {names.get(key, key): rename(value) for key, value in node.items()}
        if isinstance(node, str) and node.startswith("#/components/schemas/"):
            # A `$ref`, or an entry in a discriminator's mapping.
            return _renamed_reference(node, names)
        return [rename(part) for part in node] if isinstance(node, list) else node

    renamed: dict[str, Any] = rename(document)
    return renamed


def _renamed_reference(reference: str, names: dict[str, str]) -> str:
    prefix, _, name = reference.rpartition("/")
    return f"{prefix}/{names.get(name, name)}"


def openapi() -> dict[str, Any]:
    """The OpenAPI document. Needs no environment."""
    app = api()
    document = _plainly_named(app.openapi())
    _name_functions(app, document)
    openapi_responses.link(document)
    document["components"]["securitySchemes"] = openapi_responses.SCHEMES
    schemas = document["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for name, shape in _ALSO_PUBLISHED.items():
        schema = TypeAdapter(shape).json_schema(ref_template="#/components/schemas/{model}")
        for inner_name, inner in schema.pop("$defs", {}).items():
            schemas.setdefault(inner_name, inner)
        schemas.setdefault(name, schema)
    return document


def _name_functions(app: FastAPI, document: dict[str, Any]) -> None:
    """Note on each operation which Lambda function serves it: deployments route by this."""
    unpublished = []
    for route in api_routes(app.routes):
        # functions.<name>.routes, or a module beside it
        function = route.endpoint.__module__.split(".")[1]
        for method in sorted(set(route.methods or ()) - {"HEAD", "OPTIONS"}):
            if route.include_in_schema:
                operation = document["paths"][route.path_format][method.lower()]
                operation["x-function"] = function
                openapi_responses.describe(route, method, operation)
            else:
                # API Gateway knows no path that ends in a slash, and leads such a request to the
                # path without it.
                path = route.path_format.rstrip("/")
                entry = {"path": path, "method": method, "function": function}
                if entry not in unpublished:
                    unpublished.append(entry)
    if unpublished:
        document["x-unpublished"] = unpublished


def api_routes(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """Every route, those of included routers too, which FastAPI keeps as they are."""
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from api_routes(route.original_router.routes)


def export_openapi() -> str:
    """The document as it is committed."""
    return json.dumps(openapi(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    OPENAPI_FILE.write_text(export_openapi(), encoding="utf-8")
