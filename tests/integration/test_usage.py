"""What is stored and who sends it, over HTTP from a real database."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from functions.dev import api

pytestmark = pytest.mark.integration


@pytest.fixture
def key(admin: TestClient) -> dict[str, Any]:
    made: dict[str, Any] = admin.post(
        "/api/v1/api-keys", json={"name": "web servers", "scopes": ["ingest"]}
    ).json()["data"]
    return made


@pytest.fixture
def agent(key: dict[str, Any]) -> Iterator[TestClient]:
    headers = {"Authorization": f"Bearer {key['key']}"}
    with TestClient(api(), base_url="http://testserver", headers=headers) as caller:
        yield caller


def received(caller: TestClient, key: dict[str, Any]) -> dict[str, Any]:
    answer = caller.get(f"/api/v1/usage/keys/{key['id']}/received")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def test_what_a_key_has_sent(admin: TestClient, agent: TestClient, key: dict[str, Any]) -> None:
    nothing = received(admin, key)
    assert (nothing["seriesCount"], nothing["metrics"], nothing["lastUsedAt"]) == (0, [], None)
    # Shown, and nothing stored.
    assert agent.post("/api/v1/metrics", json={"name": "1 bad", "value": 1}).status_code == 400
    assert received(admin, key)["lastUsedAt"] is not None
    assert received(admin, key)["seriesCount"] == 0
    moment = int(time.time() * 1000)
    points = [
        {"name": name, "value": 1, "timestamp": moment - age}
        for name in ("cpu", "memory")
        for age in (0, 1000, 3_600_000)
    ]
    assert agent.post("/api/v1/metrics", json=points).status_code == 200
    found = received(admin, key)
    assert (found["seriesCount"], found["metrics"]) == (2, ["cpu", "memory"])
    assert found["recentSamples"] == 4
    assert found["newestSampleAt"] is not None


def test_a_series_belongs_to_the_key_that_sent_it_last(
    admin: TestClient, agent: TestClient, ingest_key: str, key: dict[str, Any]
) -> None:
    point = {"name": "cpu", "value": 1}
    other = {"Authorization": f"Bearer {ingest_key}"}
    assert admin.post("/api/v1/metrics", json=point, headers=other).status_code == 200
    assert received(admin, key)["seriesCount"] == 0
    assert agent.post("/api/v1/metrics", json=point).status_code == 200
    assert received(admin, key)["seriesCount"] == 1


def test_nobody_looks_into_the_keys_of_others(admin: TestClient, key: dict[str, Any]) -> None:
    person = {"email": "editor@example.com", "password": "correct horse battery"}
    assert admin.post("/api/v1/users", json={**person, "role": "editor"}).status_code == 201
    with TestClient(api(), base_url="http://testserver") as editor:
        assert editor.post("/api/v1/auth/login", json=person).status_code == 200
        answer = editor.get(f"/api/v1/usage/keys/{key['id']}/received")
    assert answer.status_code == 404
