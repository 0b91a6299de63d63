"""Sign-in, sessions, people and keys over HTTP, on the real database and cache."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
import redis
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from functions.dev import api
from infra.local import services, supervisor
from pulseboard.agent import cli
from pulseboard.auth import api_keys_store, login_tokens, passwords, users_store
from pulseboard.contracts.vocabulary import Role
from pulseboard.core.exceptions import Conflict, Unavailable
from pulseboard.core.settings import settings
from pulseboard.db import cache, database

pytestmark = pytest.mark.integration

PASSWORD = "correct horse battery"


def sign_in(client: TestClient, email: str, password: str = PASSWORD) -> int:
    response = client.post("/api/v1/auth/login", json={"email": email, "password": password})
    return response.status_code


def new_user(admin: TestClient, role: str, email: str = "somebody@example.com") -> dict[str, Any]:
    body = {"email": email, "password": PASSWORD, "role": role}
    response = admin.post("/api/v1/users", json=body)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()["data"]
    return created


def browser() -> TestClient:
    return TestClient(api(), base_url="http://testserver")


def test_health_is_open_and_all_else_is_not(client: TestClient) -> None:
    assert client.get("/api/v1/health").json()["data"]["status"] == "ok"
    response = client.get("/api/v1/auth/me")
    assert response.status_code == 401
    assert response.json()["code"] == "UNAUTHORIZED"
    assert response.headers["x-request-id"] == response.json()["requestId"]


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(admin: TestClient) -> None:
    response = admin.post(
        "/api/v1/auth/login", json={"email": "admin@example.com", "password": PASSWORD}
    )
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert admin.get("/api/v1/auth/me").json()["data"]["role"] == "admin"


def test_a_session_in_use_keeps_its_cookie(admin: TestClient) -> None:
    response = admin.get("/api/v1/auth/me")
    cookie = response.headers["set-cookie"]
    assert admin.cookies["pulseboard_session"] in cookie
    assert "Max-Age=604800" in cookie
    assert "HttpOnly" in cookie


def test_the_session_cookie_is_for_https_unless_configured_otherwise(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULSEBOARD_COOKIE_SECURE")
    settings.cache_clear()
    response = admin.post(
        "/api/v1/auth/login", json={"email": "admin@example.com", "password": PASSWORD}
    )
    assert "; secure" in response.headers["set-cookie"].lower()


def test_signing_in_again_ends_the_old_session(admin: TestClient) -> None:
    old = dict(admin.cookies)
    assert sign_in(admin, "admin@example.com") == 200
    with browser() as thief:
        thief.cookies.update(old)
        assert thief.get("/api/v1/auth/me").status_code == 401


def test_wrong_passwords_are_limited_and_say_nothing(admin: TestClient) -> None:
    with browser() as guesser:
        for _ in range(settings().login_attempts):
            response = guesser.post(
                "/api/v1/auth/login", json={"email": "admin@example.com", "password": "guess-guess"}
            )
            assert response.status_code == 401
            assert "guess" not in response.text
        response = guesser.post(
            "/api/v1/auth/login", json={"email": "admin@example.com", "password": PASSWORD}
        )
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) > 0


def test_a_validation_error_never_echoes_the_password(client: TestClient) -> None:
    response = client.post("/api/v1/auth/login", json={"email": 5, "password": ["hunter2-hunter2"]})
    assert response.status_code == 400
    assert "hunter2" not in response.text
    assert {detail["field"] for detail in response.json()["details"]} == {"email", "password"}


def test_signing_out_ends_the_session(admin: TestClient) -> None:
    cookies = dict(admin.cookies)
    assert admin.post("/api/v1/auth/logout").status_code == 204
    admin.cookies.update(cookies)
    assert admin.get("/api/v1/auth/me").status_code == 401


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_other_sites_cannot_act_for_a_session(admin: TestClient, headers: dict[str, str]) -> None:
    body = {"name": "stolen"}
    assert admin.post("/api/v1/api-keys", json=body, headers=headers).status_code == 403
    own = {"Origin": "http://testserver"}
    assert admin.post("/api/v1/api-keys", json=body, headers=own).status_code == 201


def test_a_sign_in_link_works_once(admin: TestClient) -> None:
    user_id = admin.get("/api/v1/auth/me").json()["data"]["id"]
    token = login_tokens.create(user_id=user_id)
    with browser() as first, browser() as second:
        assert first.post("/api/v1/auth/token", json={"token": token}).status_code == 200
        assert first.get("/api/v1/auth/me").status_code == 200
        assert second.post("/api/v1/auth/token", json={"token": token}).status_code == 401


def test_viewers_read_and_editors_do_not_manage_people(admin: TestClient) -> None:
    new_user(admin, "viewer", "viewer@example.com")
    new_user(admin, "editor", "editor@example.com")
    with browser() as viewer, browser() as editor:
        assert sign_in(viewer, "VIEWER@example.com ") == 200
        assert sign_in(editor, "editor@example.com") == 200
        assert viewer.get("/api/v1/dashboards").status_code == 200
        assert viewer.get("/api/v1/api-keys").status_code == 403
        assert editor.get("/api/v1/api-keys").status_code == 200
        assert editor.get("/api/v1/users").status_code == 403


def test_people_are_unique_by_email_whatever_its_case(admin: TestClient) -> None:
    new_user(admin, "viewer", "some@example.com")
    body = {"email": "SOME@example.com", "password": PASSWORD}
    assert admin.post("/api/v1/users", json=body).status_code == 409
    users = admin.get("/api/v1/users", params={"pageSize": 1}).json()
    assert users["meta"] == {"total": 2, "page": 1, "pageSize": 1}
    assert len(users["data"]) == 1


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "viewer"}])
def test_a_change_of_a_person_ends_their_sessions(
    admin: TestClient, change: dict[str, Any]
) -> None:
    created = new_user(admin, "editor")
    with browser() as other:
        assert sign_in(other, "somebody@example.com") == 200
        response = admin.patch(f"/api/v1/users/{created['id']}", json=change)
        assert response.status_code == 200
        assert other.get("/api/v1/auth/me").status_code == 401
        expected = 401 if change.get("disabled") else 200
        assert sign_in(other, "somebody@example.com") == expected


def test_the_last_admin_stays(admin: TestClient) -> None:
    me = admin.get("/api/v1/auth/me").json()["data"]["id"]
    for change in ({"disabled": True}, {"role": "editor"}):
        response = admin.patch(f"/api/v1/users/{me}", json=change)
        assert response.status_code == 409
        assert response.json()["code"] == "CONFLICT"
    assert admin.get("/api/v1/auth/me").json()["data"]["role"] == "admin"


def test_a_new_password_ends_the_other_sessions_only(admin: TestClient) -> None:
    with browser() as other:
        assert sign_in(other, "admin@example.com") == 200
        wrong = {"currentPassword": "not this one", "newPassword": "another long one"}
        assert admin.post("/api/v1/auth/password", json=wrong).status_code == 400
        right = {"currentPassword": PASSWORD, "newPassword": "another long one"}
        assert admin.post("/api/v1/auth/password", json=right).status_code == 204
        assert admin.get("/api/v1/auth/me").status_code == 200
        assert other.get("/api/v1/auth/me").status_code == 401
        assert sign_in(other, "admin@example.com", "another long one") == 200


def test_a_key_is_shown_once_does_what_its_scopes_say_and_can_be_revoked(
    admin: TestClient, client: TestClient
) -> None:
    created = admin.post("/api/v1/api-keys", json={"name": "agent", "scopes": ["read"]}).json()[
        "data"
    ]
    bearer = {"Authorization": f"Bearer {created['key']}"}
    listed = admin.get("/api/v1/api-keys").json()["data"]
    assert created["key"] not in str(listed)
    assert listed[0]["prefix"] == created["key"][:10]

    assert client.get("/api/v1/dashboards", headers=bearer).status_code == 200
    point = {"name": "a", "value": 1}
    refused = client.post("/api/v1/metrics", json=point, headers=bearer)
    assert refused.status_code == 403
    assert '"ingest"' in refused.json()["error"]
    assert client.get("/api/v1/users", headers=bearer).status_code == 403
    assert admin.get("/api/v1/api-keys").json()["data"][0]["lastUsedAt"]

    assert admin.delete(f"/api/v1/api-keys/{created['id']}").status_code == 204
    assert client.get("/api/v1/dashboards", headers=bearer).status_code == 401


def test_editors_revoke_their_own_keys_only(admin: TestClient) -> None:
    created = admin.post("/api/v1/api-keys", json={"name": "agent"}).json()["data"]
    new_user(admin, "editor")
    with browser() as editor:
        assert sign_in(editor, "somebody@example.com") == 200
        assert editor.get("/api/v1/api-keys").json()["data"] == []
        assert editor.delete(f"/api/v1/api-keys/{created['id']}").status_code == 404


def test_status_names_parts_and_jobs(admin: TestClient) -> None:
    status = admin.get("/api/v1/status").json()["data"]
    assert {part["name"]: part["ok"] for part in status["components"]} == {
        "cache": True,
        "database": True,
    }
    assert status["circuitBreaker"] == "closed"
    assert {"metrics_raw", "metrics_1min", "metrics_1hour"} <= {
        job["target"] for job in status["jobs"]
    }


def test_without_a_database_it_says_so_and_when_to_try_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://postgres@127.0.0.1:1/postgres")
    monkeypatch.setenv("PULSEBOARD_DATABASE_CONNECT_TIMEOUT", "0.3")
    settings.cache_clear()
    database.close()
    response = client.get("/api/v1/dashboards", headers={"Authorization": "Bearer pb_x"})
    assert response.status_code == 503
    assert response.json()["code"] == "UNAVAILABLE"
    assert int(response.headers["retry-after"]) > 0


def test_unknown_routes_and_methods_return_errors_of_the_same_format(client: TestClient) -> None:
    for response in (client.get("/api/v1/nothing"), client.put("/api/v1/health")):
        assert response.status_code in (404, 405)
        assert set(response.json()) == {"error", "code", "details", "requestId"}


def test_guesses_at_once_do_not_pass_the_limit_together(admin: TestClient) -> None:
    limit = settings().login_attempts
    body = {"email": "admin@example.com", "password": "guess-guess"}

    with browser() as guesser:
        # The first request builds the app's validators, which is not for several threads.
        assert guesser.get("/api/v1/auth/me").status_code == 401

        def guess(_: int) -> int:
            return guesser.post("/api/v1/auth/login", json=body).status_code

        with ThreadPoolExecutor(8) as pool:
            responses = list(pool.map(guess, range(limit + 10)))
    assert responses.count(429) >= 10
    assert responses.count(401) <= limit


def test_somebody_disabled_while_signing_in_gets_no_session(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = new_user(admin, "editor")
    real = passwords.verify

    def slow(password: str, password_hash: str | None) -> bool:
        matches = real(password, password_hash)
        response = admin.patch(f"/api/v1/users/{created['id']}", json={"disabled": True})
        assert response.status_code == 200
        return matches

    with browser() as other:
        monkeypatch.setattr(passwords, "verify", slow)
        sign_in(other, "somebody@example.com")
        monkeypatch.setattr(passwords, "verify", real)
        assert other.get("/api/v1/auth/me").status_code == 401


def test_a_key_does_not_outlive_a_demotion(admin: TestClient, client: TestClient) -> None:
    created = new_user(admin, "editor")
    with browser() as editor:
        assert sign_in(editor, "somebody@example.com") == 200
        wanted = {"name": "mine", "scopes": ["ingest", "read"]}
        key = editor.post("/api/v1/api-keys", json=wanted).json()["data"]["key"]
    bearer = {"Authorization": f"Bearer {key}"}
    point = {"name": "a", "value": 1}
    assert client.post("/api/v1/metrics", json=point, headers=bearer).status_code == 200
    response = admin.patch(f"/api/v1/users/{created['id']}", json={"role": "viewer"})
    assert response.status_code == 200
    assert client.post("/api/v1/metrics", json=point, headers=bearer).status_code == 403
    assert client.get("/api/v1/dashboards", headers=bearer).status_code == 200


def test_without_the_cache_it_says_so_and_keys_go_on(
    admin: TestClient, ingest_key: str, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    settings.cache_clear()
    cache.close()
    assert sign_in(client, "admin@example.com") == 503
    response = admin.get("/api/v1/auth/me")
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    bearer = {"Authorization": f"Bearer {ingest_key}"}
    assert client.get("/api/v1/dashboards", headers=bearer).status_code == 200
    parts = client.get("/api/v1/status", headers=bearer).json()["data"]["components"]
    assert {part["name"]: part["ok"] for part in parts} == {"cache": False, "database": True}


def test_nobody_is_changed_while_their_sessions_cannot_be_ended(
    admin: TestClient, ingest_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = new_user(admin, "editor")
    monkeypatch.setattr(
        "pulseboard.auth.sessions.generation",
        lambda user_id: (
            (_ for _ in ()).throw(redis.ConnectionError("away"))
            if str(user_id) == created["id"]
            else ""
        ),
    )
    response = admin.patch(f"/api/v1/users/{created['id']}", json={"disabled": True})
    assert response.status_code == 503
    people = {person["id"]: person for person in admin.get("/api/v1/users").json()["data"]}
    assert people[created["id"]]["disabled"] is False


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/api/v1/dashboards", {"search": "a\0b"}),
        ("/api/v1/users", {"page": 10**18}),
    ],
)
def test_what_the_database_cannot_hold_is_refused(
    admin: TestClient, path: str, query: dict[str, Any]
) -> None:
    response = admin.get(path, params=query)
    assert response.status_code == 400, response.text
    assert response.json()["code"] == "VALIDATION_ERROR"


def test_a_name_with_nul_is_refused(admin: TestClient) -> None:
    assert admin.post("/api/v1/api-keys", json={"name": "a\0b"}).status_code == 400


def test_broken_json_is_reported_with_its_position_and_never_repeated(client: TestClient) -> None:
    body = b'{"email": "a@b.c", "password": "hunter2hunter2'
    response = client.post(
        "/api/v1/auth/login", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code == 400
    (detail,) = response.json()["details"]
    assert detail["field"] == "body"
    assert detail["position"] == body.index(b'"hunter2')
    assert "not JSON" in detail["message"]
    assert "hunter2" not in response.text


def test_an_internal_error_returns_nothing_but_its_id(
    admin: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("postgresql://user:hunter2@host")

    monkeypatch.setattr("pulseboard.db.status.list_jobs", broken)
    with TestClient(
        api(), base_url="http://testserver", raise_server_exceptions=False
    ) as unprepared:
        unprepared.cookies.update(dict(admin.cookies))
        response = unprepared.get("/api/v1/status")
    assert response.status_code == 500
    assert set(response.json()) == {"error", "code", "details", "requestId"}
    assert response.json()["details"] is None
    assert "hunter2" not in response.text


@pytest.mark.race
def test_two_admins_cannot_demote_each_other(plain_database: str) -> None:
    with psycopg.connect(plain_database, autocommit=True) as connection:
        both = [
            users_store.create_user(
                connection, email=f"{name}@example.com", password_hash="-", role=Role.ADMIN
            )
            for name in ("one", "two")
        ]

    def demote(user_id: UUID) -> bool:
        with psycopg.connect(plain_database, autocommit=True) as connection:
            try:
                users_store.update_user(
                    connection, user_id=user_id, role=Role.VIEWER, disabled=None, password_hash=None
                )
            except Conflict:
                return False
            return True

    with ThreadPoolExecutor(2) as pool:
        for _ in range(20):
            assert sorted(pool.map(demote, [user.id for user in both])) == [False, True]
            with psycopg.connect(plain_database, autocommit=True) as connection:
                connection.execute("update users set role = 'admin'")


def test_a_read_only_database_still_knows_its_keys(admin: TestClient, ingest_key: str) -> None:
    """As after a failover: only when a key was last used is not written."""
    with database.connection() as connection:
        with connection.transaction():
            connection.execute("set transaction read only")
            found = api_keys_store.find_by_secret(connection, secret=ingest_key)
            assert found is not None
        row = connection.execute("select last_used_at from api_keys").fetchone()
        assert row == (None,)
        assert api_keys_store.find_by_secret(connection, secret=ingest_key) == found
        row = connection.execute("select last_used_at from api_keys").fetchone()
        assert row is not None
        assert row[0] is not None


def test_an_evicted_key_ends_sessions_and_brings_none_back(
    admin: TestClient, redis_url: str
) -> None:
    made = new_user(admin, "editor")
    with TestClient(api(), base_url="http://testserver") as old:
        assert sign_in(old, made["email"]) == 200
        changed = admin.patch(f"/api/v1/users/{made['id']}", json={"password": "another horse"})
        assert changed.status_code == 200
        assert old.get("/api/v1/auth/me").status_code == 401
    with TestClient(api(), base_url="http://testserver") as old:
        assert sign_in(old, made["email"], "another horse") == 200
        admin.patch(f"/api/v1/users/{made['id']}", json={"password": "a third horse"})
        with redis.Redis.from_url(redis_url) as cache:
            assert cache.delete(f"session-generation:{made['id']}") == 1
        assert old.get("/api/v1/auth/me").status_code == 401
        # One more sign-in begins a generation, which is not that of the ended session.
        with TestClient(api(), base_url="http://testserver") as new:
            assert sign_in(new, made["email"], "a third horse") == 200
            assert new.get("/api/v1/auth/me").status_code == 200
        assert old.get("/api/v1/auth/me").status_code == 401


def test_reset_admin_gives_a_new_password_and_ends_sessions(
    admin: TestClient, client: TestClient, database_url: str
) -> None:
    done = CliRunner().invoke(cli.app, ["reset-admin", "--database-url", database_url])
    assert done.exit_code == 0, done.output
    email, password = re.findall(r"(?:email|password): +(\S+)", done.output)
    assert admin.get("/api/v1/auth/me").status_code == 401
    assert sign_in(client, email, password) == 200
    unknown = CliRunner().invoke(
        cli.app, ["reset-admin", "--database-url", database_url, "--email", "nobody@example.com"]
    )
    assert unknown.exit_code == 1
    assert "no admin" in unknown.output


def test_many_sign_ins_at_once_hash_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hash takes 64 MiB."""
    lock, at_once, most = threading.Lock(), 0, 0

    class Slow:
        def verify(self, stored: str, password: str) -> bool:
            nonlocal at_once, most
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.02)
            with lock:
                at_once -= 1
            return True

    monkeypatch.setattr(passwords, "_hasher", Slow)
    with ThreadPoolExecutor(60) as threads:
        assert all(threads.map(lambda _: passwords.verify("a", "b"), range(60)))
    assert most <= settings().password_hashes
    # Who has to wait too long hears so, instead of holding a thread of everybody's.
    monkeypatch.setattr(passwords, "WAIT", 0.01)
    with ThreadPoolExecutor(60) as threads:
        tries = [threads.submit(passwords.verify, "a", "b") for _ in range(60)]
        failures = [each.exception() for each in tries if each.exception()]
    assert failures
    assert all(isinstance(error, Unavailable) for error in failures)


def test_x_forwarded_for_from_loopback_is_not_believed_by_make_up(
    admin: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSEBOARD_LOGIN_ATTEMPTS", "3")
    port = services.free_port()
    child = services.Child("application", supervisor.application(port), tmp_path / "log")
    child.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as http:

            def healthy() -> bool:
                try:
                    return http.get("/api/v1/health").status_code == 200
                except httpx.HTTPError:
                    return False

            child.wait_until(healthy, 90)
            login = {"email": "nobody@example.com", "password": PASSWORD}
            responses = []
            for number in range(5):
                # Each says that it comes from somewhere else, by any of the headers.
                came_from = f"203.0.113.{number}"
                headers = {
                    "X-Forwarded-For": came_from,
                    "X-Real-IP": came_from,
                    "Forwarded": f"for={came_from}",
                    "X-Pulseboard-Viewer": came_from,
                }
                responses.append(http.post("/api/v1/auth/login", json=login, headers=headers))
            assert [each.status_code for each in responses] == [401] * 3 + [429] * 2
    finally:
        child.stop()
