"""Making and changing dashboards over HTTP."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi.testclient import TestClient

from functions.dev import api
from pulseboard.auth import users_store
from pulseboard.contracts.dashboards import CreateDashboard, UpdateDashboard
from pulseboard.contracts.vocabulary import Role
from pulseboard.core.exceptions import Conflict
from pulseboard.dashboards import changes_store
from pulseboard.dashboards import store as dashboards_store
from pulseboard.db import cache

pytestmark = pytest.mark.integration
ROOT = "/api/v1/dashboards"
PASSWORD = "correct horse battery"


def panel(title: str, x: int = 0, y: int = 0, w: int = 6, h: int = 4) -> dict[str, Any]:
    position = {"x": x, "y": y, "w": w, "h": h}
    return {"title": title, "type": "line", "query": "cpu", "position": position}


def make(client: TestClient, **fields: Any) -> dict[str, Any]:
    response = client.post(ROOT, json={"name": "Board", **fields})
    assert response.status_code == 201, response.text
    dashboard: dict[str, Any] = response.json()["data"]
    return dashboard


def read(client: TestClient, dashboard: dict[str, Any]) -> dict[str, Any]:
    response = client.get(f"{ROOT}/{dashboard['id']}")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()["data"]
    return found


def somebody(admin: TestClient, role: str) -> TestClient:
    email = f"{role}-{uuid4().hex[:6]}@example.com"
    body = {"email": email, "password": PASSWORD, "role": role}
    assert admin.post("/api/v1/users", json=body).status_code == 201
    other = TestClient(api(), base_url="http://testserver")
    login = {"email": email, "password": PASSWORD}
    assert other.post("/api/v1/auth/login", json=login).status_code == 200
    return other


def test_a_board_from_its_making_to_its_end(admin: TestClient) -> None:
    board = make(admin, panels=[panel("CPU")], settings={"timeRange": "6h"})
    assert board["version"] == 1
    assert board["canEdit"] is True
    changed = admin.put(
        f"{ROOT}/{board['id']}", json={"version": 1, "name": "Renamed", "isPublic": True}
    ).json()["data"]
    assert (changed["name"], changed["isPublic"], changed["version"]) == ("Renamed", True, 2)
    assert changed["settings"]["timeRange"] == "6h"
    assert read(admin, board) == changed
    assert admin.delete(f"{ROOT}/{board['id']}").status_code == 204
    assert admin.get(f"{ROOT}/{board['id']}").status_code == 404
    assert admin.put(f"{ROOT}/{board['id']}", json={"version": 2}).status_code == 404


def test_anothers_change_in_between_is_a_conflict_that_changes_nothing(admin: TestClient) -> None:
    board = make(admin)
    assert admin.put(f"{ROOT}/{board['id']}", json={"version": 1, "name": "A"}).status_code == 200
    response = admin.put(f"{ROOT}/{board['id']}", json={"version": 1, "name": "B"})
    assert response.status_code == 409
    assert response.json()["code"] == "CONFLICT"
    assert "version 2" in response.json()["details"][0]["message"]
    assert read(admin, board)["name"] == "A"


def test_no_request_puts_a_panel_on_another(admin: TestClient) -> None:
    created = make(admin, panels=[panel("One"), panel("Two", x=3), panel("Three", y=2)])
    url = f"{ROOT}/{created['id']}"
    admin.post(f"{url}/panels", json=panel("Four", x=1, y=1))
    third = created["panels"][2]["id"]
    admin.put(f"{url}/panels/{third}", json={"position": {"x": 2, "y": 1, "w": 6, "h": 4}})
    board = read(admin, created)
    cells = [
        (x, y)
        for at in (one["position"] for one in board["panels"])
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(board["panels"]) == 4
    assert len(cells) == len(set(cells)), "each cell belongs to one panel"
    layout = [{"i": one["id"], "x": 0, "y": 0, "w": 6, "h": 4} for one in board["panels"]]
    refused = admin.put(url, json={"version": board["version"], "layout": layout})
    assert refused.status_code == 400, "a whole layout is refused, and says which panels"
    assert "covers the panel of layout.0" in refused.text
    assert read(admin, created)["panels"] == board["panels"]


def test_panels_are_added_changed_copied_and_removed(admin: TestClient) -> None:
    board, other = make(admin), make(admin, name="Other")
    url = f"{ROOT}/{board['id']}/panels"
    one = admin.post(url, json=panel("One")).json()["data"]
    assert one["dashboardVersion"] == 2
    two = admin.post(url, json=panel("Two", x=3)).json()["data"]
    assert two["position"] == {"x": 3, "y": 4, "w": 6, "h": 4}, (
        "goes below, its position was occupied"
    )
    stale = admin.put(f"{url}/{one['id']}", params={"version": 2}, json={"title": "x"})
    assert stale.status_code == 409
    unchanged = admin.put(
        f"{url}/{one['id']}", json={"title": "First", "options": {"unit": "bytes"}}
    ).json()["data"]
    assert (unchanged["title"], unchanged["type"], unchanged["options"]["unit"]) == (
        "First",
        "line",
        "bytes",
    )
    assert unchanged["queries"] == one["queries"]
    copied = admin.post(f"{url}/{one['id']}/copy", json={"dashboardId": other["id"]})
    assert copied.status_code == 201
    assert [p["title"] for p in read(admin, other)["panels"]] == ["First"]
    left = admin.delete(f"{url}/{two['id']}").json()["data"]
    assert [p["title"] for p in left["panels"]] == ["First"]
    assert admin.delete(f"{url}/{two['id']}").status_code == 404
    assert admin.put(f"{url}/{uuid4()}", json={"title": "x"}).status_code == 404
    # A change that failed counts no version.
    assert read(admin, board)["version"] == left["version"] == 5


def test_a_layout_is_written_as_a_whole_or_not_at_all(admin: TestClient) -> None:
    board = make(admin, panels=[panel("A"), panel("B", x=6)])
    a, b = (one["id"] for one in board["panels"])
    url = f"{ROOT}/{board['id']}"

    def put(version: int, *items: tuple[str, int, int, int, int]) -> Any:
        layout = [dict(zip("ixywh", item, strict=True)) for item in items]
        return admin.put(url, json={"version": version, "layout": layout})

    swapped = put(1, (a, 6, 0, 6, 4), (b, 0, 0, 6, 4))
    assert swapped.status_code == 200
    assert [p["title"] for p in swapped.json()["data"]["panels"]] == ["B", "A"]
    for items, field in (
        ([(a, 0, 0, 6, 4)], "layout"),
        ([(a, 0, 0, 6, 4), (b, 3, 2, 6, 4)], "layout.1"),
        ([(a, 0, 0, 6, 4), (a, 6, 0, 6, 4)], "layout.1"),
        ([(a, 0, 0, 6, 4), (b, 6, 0, 6, 4), (str(uuid4()), 0, 9, 1, 1)], "layout.2"),
        ([(a, 0, 0, 6, 4), (b, 8, 0, 6, 4)], "layout.1"),
    ):
        refused = put(2, *items)
        assert refused.status_code == 400, items
        assert refused.json()["details"][0]["field"].startswith(field)
    assert read(admin, board) == swapped.json()["data"]


def test_who_may_change_what(admin: TestClient) -> None:
    viewer, editor, other = (somebody(admin, role) for role in ("viewer", "editor", "editor"))
    assert viewer.post(ROOT, json={"name": "x"}).status_code == 403
    public, secret = make(editor, isPublic=True, panels=[panel("A")]), make(editor)
    change = {"version": 1, "name": "x"}
    for reader in (viewer, other):
        assert reader.put(f"{ROOT}/{public['id']}", json=change).status_code == 403
        assert reader.delete(f"{ROOT}/{public['id']}").status_code == 403
    assert other.put(f"{ROOT}/{secret['id']}", json=change).status_code == 404
    assert other.get(f"{ROOT}/{secret['id']}/versions").status_code == 404
    assert other.get(f"{ROOT}/{secret['id']}/export").status_code == 404
    mine = make(other)
    taken = {"dashboardId": mine["id"]}
    panel_url = f"{ROOT}/{public['id']}/panels/{public['panels'][0]['id']}/copy"
    assert other.post(panel_url, json=taken).status_code == 201
    assert other.post(panel_url, json={"dashboardId": secret["id"]}).status_code == 404
    copy = other.post(f"{ROOT}/{public['id']}/duplicate", json={}).json()["data"]
    assert (copy["name"], copy["isPublic"]) == ("Board (copy)", False)
    assert admin.put(f"{ROOT}/{secret['id']}", json=change).status_code == 200
    # Cached for one reader is not readable for all.
    assert editor.get(f"{ROOT}/{secret['id']}").status_code == 200
    assert cache.client().get(f"cache:dashboard:{secret['id']}")
    assert other.get(f"{ROOT}/{secret['id']}").status_code == 404


def test_history_shows_who_did_what_and_restores_it(admin: TestClient) -> None:
    board = make(admin, panels=[panel("A")])
    a = board["panels"][0]["id"]
    assert admin.delete(f"{ROOT}/{board['id']}/panels/{a}").status_code == 200
    versions = admin.get(f"{ROOT}/{board['id']}/versions").json()["data"]
    assert [(v["version"], v["change"]) for v in versions] == [(2, "panel removed"), (1, "created")]
    assert versions[0]["authorEmail"] == "admin@example.com"
    former = admin.get(f"{ROOT}/{board['id']}/versions/1").json()["data"]
    assert [p["id"] for p in former["panels"]] == [a]
    back = admin.post(f"{ROOT}/{board['id']}/versions/1/restore").json()["data"]
    assert back["version"] == 3
    assert [p["id"] for p in back["panels"]] == [a]
    assert admin.post(f"{ROOT}/{board['id']}/versions/9/restore").status_code == 404
    assert read(admin, board) == back


def test_an_export_is_the_same_for_the_same_board_and_comes_back_equal(admin: TestClient) -> None:
    board = make(admin, panels=[panel("B", x=6), panel("A")], settings={"refresh": "30s"})
    first = admin.get(f"{ROOT}/{board['id']}/export").json()["data"]
    assert [p["title"] for p in first["panels"]] == ["A", "B"]
    assert board["id"] not in json.dumps(first)
    response = admin.post(f"{ROOT}/import", json={"document": first})
    assert response.status_code == 201, response.text
    again = admin.get(f"{ROOT}/{response.json()['data']['dashboard']['id']}/export").json()["data"]
    assert again == first
    for document, field in (
        ({"format": "pulseboard/dashboard/1", "name": "x", "panels": [{}]}, "document.panels.0"),
        ({"hello": "world"}, "document"),
    ):
        refused = admin.post(f"{ROOT}/import", json={"document": document})
        assert refused.status_code == 400
        assert refused.json()["details"][0]["field"].startswith(field)


def test_favourites_and_recent_ones_are_each_persons_own(admin: TestClient) -> None:
    boards = [make(admin, name=name, isPublic=True) for name in ("A", "B", "C")]
    viewer = somebody(admin, "viewer")
    url = f"{ROOT}/{boards[0]['id']}"
    assert viewer.put(f"{url}/favourite", json={"favourite": True}).status_code == 204
    assert viewer.post(f"{ROOT}/{boards[1]['id']}/visit").status_code == 204
    marked = viewer.get(ROOT, params={"favourites": True}).json()
    assert [b["name"] for b in marked["data"]] == ["A"]
    assert marked["meta"]["total"] == 1
    recent = viewer.get(ROOT, params={"order": "viewed"}).json()["data"]
    assert recent[0]["name"] == "B"
    assert recent[0]["viewedAt"]
    assert not recent[0]["favourite"]
    assert viewer.put(f"{url}/favourite", json={"favourite": False}).status_code == 204
    assert viewer.get(ROOT, params={"favourites": True}).json()["data"] == []
    assert admin.get(ROOT, params={"favourites": True}).json()["data"] == []
    by_name = admin.get(ROOT, params={"order": "name"}).json()["data"]
    assert [b["name"] for b in by_name] == ["A", "B", "C"]


@pytest.mark.race
def test_of_changes_at_once_one_wins_and_the_others_hear_of_it(plain_database: str) -> None:
    with psycopg.connect(plain_database, autocommit=True) as connection:
        owner = users_store.create_user(
            connection, email=f"{uuid4()}@example.com", password_hash="-", role=Role.EDITOR
        )
        body = CreateDashboard(name="Board")
        board = dashboards_store.create_dashboard(connection, owner_id=owner.id, body=body)

    def rename(name: str) -> UUID | None:
        with psycopg.connect(plain_database, autocommit=True) as connection:
            try:
                changes_store.update(
                    connection,
                    dashboard_id=board.id,
                    author_id=owner.id,
                    body=UpdateDashboard(version=1, name=name),
                )
            except Conflict:
                return None
            return board.id

    with ThreadPoolExecutor(8) as pool:
        assert len([won for won in pool.map(rename, "abcdefgh") if won]) == 1
    with psycopg.connect(plain_database, autocommit=True) as connection:
        assert len(changes_store.list_versions(connection, dashboard_id=board.id)) == 2


def test_what_can_not_be_stored_is_named_and_takes_nothing_with_it(admin: TestClient) -> None:
    graph: dict[str, Any] = {
        "type": "timeseries",
        "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
        "targets": [{"expr": "up"}],
    }
    bad = {
        **graph,
        "title": "CPU",
        "description": "a\0b",
        "fieldConfig": {"defaults": {"max": "@"}, "overrides": []},
        "gridPos": {**graph["gridPos"], "y": "@NaN"},
    }
    board = {"title": "Imported", "panels": [{**graph, "title": "Good"}, bad]}
    body = json.dumps({"document": board}).replace('"@"', "1e400").replace('"@NaN"', "NaN")
    headers = {"Content-Type": "application/json"}
    response = admin.post("/api/v1/dashboards/import", content=body, headers=headers)
    assert response.status_code == 201, response.text
    found = response.json()["data"]
    assert {each["title"] for each in found["dashboard"]["panels"]} == {"Good", "CPU"}
    notes = {each["place"]: each["message"] for each in found["report"]}
    assert notes['"CPU": panels.1.fieldConfig.defaults.max'].startswith("is a number that is too")
    assert notes['"CPU": panels.1.description'].startswith("holds a NUL")
    assert notes['"CPU": panels.1.gridPos.y'].startswith("is no number")
    # Through the API it is refused with its place.
    for options, place in (({"unit": "y\0"}, "options.unit"), ({"min": "@"}, "options.min")):
        ours = {"name": "Mine", "panels": [{**panel("p"), "options": options}]}
        raw = json.dumps(ours).replace('"@"', "1e400")
        refused = admin.post("/api/v1/dashboards", content=raw, headers=headers)
        assert refused.status_code == 400
        assert f"panels.0.{place}" in refused.json()["error"], refused.text
