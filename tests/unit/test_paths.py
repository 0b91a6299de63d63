"""Any path has a response: a file, the app's page, or an error of the contract."""

import importlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

from functions import dev
from pulseboard.core.settings import settings
from tests.support.own_thread import with_own_loop

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The API and an app of one page on one address."""
    directory = tmp_path_factory.mktemp("static")
    (directory / "index.html").write_text("the app")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PULSEBOARD_STATIC_DIR", str(directory))
        settings.cache_clear()
        with TestClient(dev.local()) as client:
            yield client
    settings.cache_clear()


@pytest.mark.parametrize(
    "path",
    [
        "/%00",
        "/a/%00/b",
        "/" + "a" * 5_000,
        "/" + "a/" * 3_000,
        "/%ED%A0%80",
        "/..%2f..%2fetc/passwd",
    ],
)
def test_a_path_that_no_file_can_have_is_the_apps_own(http: TestClient, path: str) -> None:
    for address, status in ((path, 200), (f"/assets{path}", 404), (f"/api{path}", 404)):
        response = http.get(address)
        assert response.status_code == status, address
        if status == 200:
            assert response.text == "the app"
        else:
            assert response.json()["code"] == "NOT_FOUND"


PATHS_OF_NOTHING = [
    *("", "/", "//", "/\0", "/api/v1/\0", "/%00", "/%", "/api/v1/%zz", "/../../etc/passwd"),
    *("/\ud800", "/prometheus/\ud800", "/api/v1/variables/\udfff/values", "/x\r\ny: z"),
    *("/" + "a" * 100_000, "/api/v1/" + "a/" * 50_000),
]


@pytest.mark.parametrize("name", ["auth", "dashboards", "ingest"])
def test_a_function_refuses_any_path_and_says_so(name: str) -> None:
    """As API Gateway sends it: decoded, and of any length."""
    handler = importlib.import_module(f"functions.{name}.handler").handler
    event = json.loads((ROOT / "events" / "auth.json").read_text(encoding="utf-8"))
    context = SimpleNamespace(aws_request_id="1")
    for path in PATHS_OF_NOTHING:
        event["rawPath"] = event["requestContext"]["http"]["path"] = path
        response = with_own_loop(partial(handler, event, context))
        assert response["statusCode"] == 404, path[:50]
        body = json.loads(response["body"])
        assert body["error"]
        assert "Traceback" not in response["body"]


@pytest.mark.parametrize(
    "path",
    ["/api/v2/nothing", "/v1/nothing", "/write/nothing", "/query/x", "/ping/x", "/intake/x/y",
     "/support/x", "/prometheus/api/v9", "/api/v3/configure/database", "/nothing"],
)  # fmt: skip
def test_unknown_paths_of_senders_are_404_for_every_method(http: TestClient, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        response = http.request(method, path)
        is_page = path == "/nothing" and method in ("GET", "HEAD")
        assert response.status_code == (200 if is_page else 404), method
        # Below /prometheus errors have Prometheus' shape.
        if not is_page and method != "HEAD" and not path.startswith("/prometheus"):
            assert response.json()["code"] == "NOT_FOUND"
            assert method in response.json()["error"]
    known = http.put("/write")
    assert (known.status_code, known.headers["Allow"]) == (405, "POST")
