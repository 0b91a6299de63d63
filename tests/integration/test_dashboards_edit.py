"""The write that an editor makes: all panels of a dashboard at once."""

from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

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
    made = admin.post(ROOT, json={"name": "Board"}).json()["data"]
    path = f"{ROOT}/{made['id']}"
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


def test_a_panel_of_another_dashboard_is_not_taken(admin: TestClient) -> None:
    theirs = panel("theirs", 0)
    other = admin.post(ROOT, json={"name": "Other"}).json()["data"]
    admin.put(f"{ROOT}/{other['id']}", json={"version": 1, "panels": [theirs]})
    made = admin.post(ROOT, json={"name": "Board"}).json()["data"]
    response = admin.put(f"{ROOT}/{made['id']}", json={"version": 1, "panels": [theirs]})
    assert response.status_code == 400
    assert "fresh" in response.json()["error"]
    assert titles(admin.get(f"{ROOT}/{other['id']}").json()["data"]) == ["theirs"]
