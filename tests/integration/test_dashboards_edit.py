"""The write that an editor makes: all panels of a dashboard at once."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from pulseboard.core.settings import settings

pytestmark = pytest.mark.integration
ROOT = "/api/v1/dashboards"


def panel(title: str, y: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "title": title,
        "type": "line",
        "query": "cpu_usage",
        "position": {"x": 0, "y": y, "w": 6, "h": 4},
        **fields,
    }


def titles(board: dict[str, Any]) -> list[str]:
    return [entry["title"] for entry in board["panels"]]


def test_all_panels_are_written_at_once_or_not_at_all(admin: TestClient) -> None:
    dashboard = admin.post(ROOT, json={"name": "Board"}).json()["data"]
    path = f"{ROOT}/{dashboard['id']}"
    one, two, three = panel("one", 0), panel("two", 4), panel("three", 4)

    def put(version: int, *panels: dict[str, Any]) -> Any:
        return admin.put(path, json={"version": version, "panels": list(panels)})

    first = put(1, one, two).json()["data"]
    assert (titles(first), first["version"]) == (["one", "two"], 2)
    assert [entry["id"] for entry in first["panels"]] == [one["id"], two["id"]]

    second = put(2, {**two, "title": "2"}, {**one, "position": {"x": 0, "y": 8, "w": 6, "h": 4}})
    assert titles(second.json()["data"]) == ["2", "one"]
    created = {entry["id"]: entry["createdAt"] for entry in first["panels"]}
    assert second.json()["data"]["panels"][0]["createdAt"] == created[two["id"]]

    assert put(3, two, three).status_code == 400, "they cover each other"
    assert put(2, two).status_code == 409
    both = admin.put(path, json={"version": 3, "panels": [two], "layout": []})
    assert both.status_code == 400
    assert titles(admin.get(path).json()["data"]) == ["2", "one"], "nothing of these was written"

    assert titles(put(3, three).json()["data"]) == ["three"]
    assert put(4).json()["data"]["panels"] == []
    history = admin.get(f"{path}/versions").json()["data"]
    assert history[0]["change"] == "panels changed"


def test_a_panel_of_another_dashboard_is_refused(admin: TestClient) -> None:
    theirs = panel("theirs", 0)
    other = admin.post(ROOT, json={"name": "Other"}).json()["data"]
    admin.put(f"{ROOT}/{other['id']}", json={"version": 1, "panels": [theirs]})
    dashboard = admin.post(ROOT, json={"name": "Board"}).json()["data"]
    response = admin.put(f"{ROOT}/{dashboard['id']}", json={"version": 1, "panels": [theirs]})
    assert response.status_code == 400
    assert "fresh" in response.json()["error"]
    assert titles(admin.get(f"{ROOT}/{other['id']}").json()["data"]) == ["theirs"]


@pytest.fixture
def four_versions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PULSEBOARD_DASHBOARD_VERSIONS", "4")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.usefixtures("four_versions")
def test_a_hundred_drags_in_a_minute_are_one_entry_of_the_history(admin: TestClient) -> None:
    made = admin.post(ROOT, json={"name": "Board"}).json()["data"]
    path = f"{ROOT}/{made['id']}"
    admin.put(path, json={"version": 1, "name": "Renamed"})
    one = panel("one", 0)
    changed = {"version": 2, "panels": [one]}
    assert admin.put(path, json=changed).status_code == 200
    for version in range(3, 23):
        place = {"i": one["id"], "x": version % 6, "y": 0, "w": 6, "h": 4}
        assert admin.put(path, json={"version": version, "layout": [place]}).status_code == 200
    history = admin.get(f"{path}/versions").json()["data"]
    kept = {(entry["version"], entry["change"]) for entry in history}
    assert {(1, "created"), (2, "settings changed"), (23, "layout changed")} <= kept
    assert len(history) <= 4, "one more where the minute turned meanwhile"
    assert admin.get(f"{path}/versions/23").json()["data"]["panels"][0]["position"]["x"] == 22 % 6


def test_panels_made_over_the_api_never_cover_each_other(admin: TestClient) -> None:
    same = {"x": 0, "y": 0, "w": 6, "h": 4}
    body = {
        "name": "Board",
        "panels": [
            {"title": str(n), "type": "line", "query": "cpu", "position": same} for n in range(3)
        ],
    }
    made = admin.post(ROOT, json=body).json()["data"]
    places = {entry["title"]: entry["position"]["y"] for entry in made["panels"]}
    assert places == {"0": 0, "1": 4, "2": 8}
    first, last = made["panels"][0], made["panels"][2]
    moved = admin.put(f"{ROOT}/{made['id']}/panels/{last['id']}", json={"position": same})
    assert moved.json()["data"]["position"]["y"] == 8, "below the other two"
    kept = admin.put(f"{ROOT}/{made['id']}/panels/{first['id']}", json={"position": same})
    assert kept.json()["data"]["position"]["y"] == 0, "its own place is free"
