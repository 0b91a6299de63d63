"""The table that API Gateway routes by is the application's own."""

from functions import dev
from infra.routes import API_PATHS, Route, routes


def test_every_route_of_the_application_is_in_the_table_under_its_function() -> None:
    application = {
        Route(
            path=route.path_format.rstrip("/"),
            method=method,
            function=route.endpoint.__module__.split(".")[1],
        )
        for route in dev.api_routes(dev.api().routes)
        for method in set(route.methods or ()) - {"HEAD", "OPTIONS"}
    }
    assert len(application) > 15
    assert set(routes()) == application, "run: make openapi"


def test_cloudfront_leads_every_route_to_the_api() -> None:

    prefixes = tuple(path.rstrip("*") for path in API_PATHS)
    strays = [route.path for route in routes() if not route.path.startswith(prefixes)]
    assert not strays, "add their prefix to API_PATHS in infra/routes.py"
