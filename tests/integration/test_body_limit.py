"""A large body is read only for a caller who is known."""

import pytest
from fastapi.testclient import TestClient

from pulseboard.auth.access import SESSION_COOKIE
from pulseboard.web.body_limit import ANONYMOUS_LIMIT

pytestmark = pytest.mark.integration

LARGE = 4 * ANONYMOUS_LIMIT
ROUTES = ("/api/v1/query", "/api/v1/dashboards", "/api/v1/metrics", "/api/v1/auth/password")


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(
    "header",
    [
        {"Authorization": "Bearer pb_made_up"},
        {"Cookie": f"{SESSION_COOKIE}=made-up"},
        {"Cookie": "other=1"},
    ],
)
def test_made_up_credentials_are_refused_before_the_body_is_read(
    client: TestClient, header: dict[str, str], path: str, declared: bool
) -> None:
    headers = {**header, "Content-Type": "application/json"}
    body = b" " * LARGE
    response = client.post(path, content=body if declared else iter([body]), headers=headers)
    assert response.status_code == 401, response.text
    assert response.json()["code"] == "UNAUTHORIZED"


def test_known_callers_may_send_more(admin: TestClient, agent: TestClient) -> None:
    for caller in (admin, agent):
        response = caller.post("/api/v1/query", content=b'{"query":1}' + b" " * LARGE)
        assert response.status_code == 400, response.text
