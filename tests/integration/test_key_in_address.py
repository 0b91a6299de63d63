"""The one route that accepts a key in the URL, called as API Gateway calls it."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient

from functions.ingest.handler import handler
from infra.local import invoke
from tests.support.own_thread import with_own_loop
from tests.support.stored_samples import lose_database

pytestmark = pytest.mark.integration
PATH = "/api/v1/validate"


def call(*, query: str = "", headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """The response of the deployed function: status and body."""
    event = invoke.event("ingest", key="")
    event.update(rawPath=PATH, rawQueryString=query, headers=headers or {}, body=None)
    event["requestContext"]["http"].update(method="GET", path=PATH)
    response = with_own_loop(lambda: handler(event, None))  # type: ignore[arg-type]
    return response["statusCode"], json.loads(response["body"])


@pytest.fixture
def keys(admin: TestClient, ingest_key: str) -> dict[str, str]:
    """A key of each fate, by what the response must be."""

    def make(*scopes: str) -> dict[str, Any]:
        response = admin.post("/api/v1/api-keys", json={"name": "k", "scopes": list(scopes)})
        return dict(response.json()["data"])

    gone = make("ingest")
    assert admin.delete(f"/api/v1/api-keys/{gone['id']}").is_success
    return {
        "good": ingest_key,
        "lacks the scope": str(make("read")["key"]),
        "revoked": str(gone["key"]),
        "unknown": "pb_0123456789abcdef0123456789abcdef",
        "not of our shape": "0123456789abcdef",
    }


def test_the_url_reveals_no_more_than_the_header(keys: dict[str, str]) -> None:
    for fate, key in keys.items():
        by_header = call(headers={"dd-api-key": key})
        assert call(query=f"api_key={key}") == by_header, fate
        assert by_header[0] == (200 if fate == "good" else 403), fate
    # Of two keys the one in the header counts, as everywhere.
    wrong, good = keys["unknown"], keys["good"]
    assert call(query=f"api_key={wrong}", headers={"dd-api-key": good})[0] == 200
    assert call(query=f"api_key={good}", headers={"dd-api-key": wrong})[0] == 403
    assert call(query="api_key=") == call()


@pytest.fixture
def no_keys_table(stack: None, database_url: str) -> Iterator[None]:
    """A database that fails in a way nobody has thought of."""
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute("alter table api_keys rename to api_keys_elsewhere")
        try:
            yield
        finally:
            connection.execute("alter table api_keys_elsewhere rename to api_keys")


def test_a_response_leaves_no_key_in_any_log(
    keys: dict[str, str], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    capfd.readouterr()
    for key in keys.values():
        call(query=f"api_key={key}")
    said = "".join(capfd.readouterr()) + caplog.text
    assert PATH in said
    assert [fate for fate, key in keys.items() if key in said] == []
    assert "api_key=" not in said


def test_a_failure_leaves_no_key_in_any_log(
    no_keys_table: None, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    key = "pb_0123456789abcdef0123456789abcdef"
    assert call(query=f"api_key={key}")[0] == 500
    said = "".join(capfd.readouterr()) + caplog.text
    assert "unhandled error" in said
    assert key not in said


def test_an_outage_leaves_no_key_in_any_log(
    stack: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    lose_database(monkeypatch)
    key = "pb_0123456789abcdef0123456789abcdef"
    assert call(query=f"api_key={key}")[0] == 503
    said = "".join(capfd.readouterr()) + caplog.text
    assert PATH in said
    assert key not in said
