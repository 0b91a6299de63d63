"""Events over HTTP into a real database: sent once, listed by time, tags and source."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest import events_store
from tests.support.stored_samples import rows

pytestmark = pytest.mark.integration
URL = "/api/v1/events"


def _times_ago(minutes: int) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


def test_an_event_is_stored_once_and_listed(admin: TestClient, agent: TestClient) -> None:
    deploy = {"time": _times_ago(5), "title": "shop 1.4", "tags": {"service": "shop"},
              "source": "github", "text": "by **me**"}  # fmt: skip
    first = agent.post(URL, json=deploy)
    assert first.status_code == 201, first.text
    assert agent.post(URL, json=deploy).json() == first.json()
    # By hand, by a person; without a time it happened now.
    note = admin.post(URL, json={"title": "a note"}).json()["data"]
    assert note["time"][:10] == datetime.now(UTC).isoformat()[:10]
    listed = admin.get(URL).json()
    assert [event["title"] for event in listed["data"]] == ["a note", "shop 1.4"]
    assert listed["data"][1] == first.json()["data"]
    assert listed["meta"]["total"] == 2


@pytest.mark.parametrize(
    ("params", "titles"),
    [
        ({"tag": ["service:shop"]}, ["b", "a"]),
        ({"tag": ["service:shop", "env:prod"]}, ["a"]),
        ({"source": "github"}, ["b"]),
        ({"start": 25}, ["c", "b"]),
        ({"end": 15}, ["b", "a"]),
        ({"page": 2, "pageSize": 2}, ["a"]),
    ],
)
def test_events_are_filtered(agent: TestClient, params: dict[str, Any], titles: list[str]) -> None:
    # Minutes ago; not when the tests were collected.
    for edge in ("start", "end"):
        if edge in params:
            params = {**params, edge: _times_ago(params[edge])}
    for title, minutes, tags, source in (
        ("a", 30, {"service": "shop", "env": "prod"}, ""),
        ("b", 20, {"service": "shop"}, "github"),
        ("c", 10, {}, ""),
    ):
        body = {"title": title, "time": _times_ago(minutes), "tags": tags, "source": source}
        assert agent.post(URL, json=body).status_code == 201
    listed = agent.get(URL, params=params).json()["data"]
    assert [event["title"] for event in listed] == titles


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": "no title"}, "title"),
        ({"title": ""}, "title"),
        ({"title": "x" * 501}, "title"),
        ({"title": "x\0"}, "title"),
        ({"title": "x", "time": "yesterday"}, "time"),
        ({"title": "x", "tags": {"a": 1}}, "tags"),
        ({"title": "x", "colour": "red"}, "colour"),
    ],
)
def test_what_is_no_event_is_named(agent: TestClient, body: dict[str, object], field: str) -> None:
    response = agent.post(URL, json=body)
    assert response.status_code == 400
    assert response.json()["details"][0]["field"].startswith(field)
    assert rows("select from events") == []


def test_only_who_may_send_may_write(admin: TestClient, client: TestClient) -> None:
    created = admin.post("/api/v1/api-keys", json={"name": "reads", "scopes": ["read"]}).json()
    headers = {"Authorization": f"Bearer {created['data']['key']}"}
    assert client.post(URL, json={"title": "x"}, headers=headers).status_code == 403
    client.cookies.clear()
    assert client.post(URL, json={"title": "x"}).status_code == 401
    assert admin.get(URL, params={"tag": "no-colon"}).status_code == 400


def test_old_events_are_removed(agent: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for minutes in (10, 70):
        agent.post(URL, json={"title": "x", "time": _times_ago(minutes)})
    monkeypatch.setenv("PULSEBOARD_RETENTION_EVENTS", "3600")
    settings.cache_clear()
    with database.connection() as connection:
        assert events_store.prune(connection) == 1
    assert len(rows("select from events")) == 1
