"""Reading dashboards: whose they are, and who may see them."""

import pytest
from fastapi.testclient import TestClient
from psycopg.types.json import Jsonb

from functions.dev import api
from pulseboard.auth import passwords, users_store
from pulseboard.contracts.dashboards import CreateDashboard
from pulseboard.contracts.vocabulary import Role
from pulseboard.dashboards import store as dashboards_store
from pulseboard.db import database

pytestmark = pytest.mark.integration

PANEL = {
    "title": "CPU",
    "type": "line",
    "query": "cpu",
    "position": {"x": 0, "y": 0, "w": 6, "h": 4},
}


def test_own_public_and_others_boards(admin: TestClient) -> None:
    with database.connection() as connection:
        viewer = users_store.create_user(
            connection,
            email="viewer@example.com",
            password_hash=passwords.hash_password("correct horse battery"),
            role=Role.VIEWER,
        )
        other = users_store.create_user(
            connection, email="other@example.com", password_hash="-", role=Role.EDITOR
        )
        created = {
            name: dashboards_store.create_dashboard(
                connection,
                owner_id=owner,
                body=CreateDashboard.model_validate(
                    {"name": name, "isPublic": public, "panels": [PANEL]}
                ),
            )
            for name, owner, public in (
                ("Own 100%", viewer.id, False),
                ("Public", other.id, True),
                ("Secret", other.id, False),
            )
        }
    with TestClient(api(), base_url="http://testserver") as reader:
        body = {"email": "viewer@example.com", "password": "correct horse battery"}
        assert reader.post("/api/v1/auth/login", json=body).status_code == 200
        listed = reader.get("/api/v1/dashboards").json()
        assert {board["name"] for board in listed["data"]} == {"Own 100%", "Public"}
        assert listed["meta"]["total"] == 2
        assert listed["data"][0]["panelCount"] == 1
        found = reader.get("/api/v1/dashboards", params={"search": "100%"}).json()["data"]
        assert [board["name"] for board in found] == ["Own 100%"]
        assert reader.get("/api/v1/dashboards", params={"search": "_____"}).json()["data"] == []
        board = reader.get(f"/api/v1/dashboards/{created['Public'].id}").json()["data"]
        assert board["panels"][0]["queries"][0]["query"] == "cpu"
        assert board["canEdit"] is False
        assert reader.get(f"/api/v1/dashboards/{created['Secret'].id}").status_code == 404
    assert admin.get("/api/v1/dashboards").json()["meta"]["total"] == 3
    secret = admin.get(f"/api/v1/dashboards/{created['Secret'].id}").json()["data"]
    assert secret["canEdit"] is True


def test_what_was_private_stays_so_when_the_board_becomes_public(admin: TestClient) -> None:
    board = admin.post("/api/v1/dashboards", json={"name": "Layoffs", "panels": [PANEL]}).json()
    path = f"/api/v1/dashboards/{board['data']['id']}"
    version = board["data"]["version"]
    for change in ({"name": "Hosts"}, {"isPublic": True}, {"name": "All hosts"}):
        saved = admin.put(path, json=change | {"version": version})
        assert saved.status_code == 200, saved.text
        version = saved.json()["data"]["version"]
    body = {"email": "viewer@example.com", "password": "correct horse battery", "role": "viewer"}
    assert admin.post("/api/v1/users", json=body).status_code == 201
    every = [entry["version"] for entry in admin.get(f"{path}/versions").json()["data"]]
    public = {
        version
        for version in every
        if admin.get(f"{path}/versions/{version}").json()["data"]["isPublic"]
    }
    assert public
    assert public != set(every)
    with TestClient(api(), base_url="http://testserver") as reader:
        del body["role"]
        assert reader.post("/api/v1/auth/login", json=body).status_code == 200
        shown = {entry["version"] for entry in reader.get(f"{path}/versions").json()["data"]}
        assert shown == public
        for version in every:
            status = reader.get(f"{path}/versions/{version}").status_code
            assert status == (200 if version in public else 404)


def test_a_stored_link_to_another_host_is_refused_as_input_and_stays_readable(
    admin: TestClient,
) -> None:
    options = {"links": [{"title": "there", "url": "//evil.example/a"}]}
    body = {"name": "Links", "panels": [{**PANEL, "options": options}]}
    refused = admin.post("/api/v1/dashboards", json=body)
    assert refused.status_code == 400
    assert refused.json()["details"][0]["field"] == "panels.0.options.links.0.url"
    created = admin.post("/api/v1/dashboards", json={"name": "Links", "panels": [PANEL]})
    board = created.json()["data"]
    with database.connection() as connection:
        connection.execute("update panels set options = %s", (Jsonb(options),))
    read = admin.get(f"/api/v1/dashboards/{board['id']}").json()["data"]
    assert read["panels"][0]["options"]["links"][0]["url"] == "https://evil.example/a"
