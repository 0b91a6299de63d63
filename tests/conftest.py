"""Fixtures over the real parts: TimescaleDB, Valkey, the application.

The embedded ones are started once a session and at most once each; of several workers (`-n auto`)
each has its own. `DATABASE_URL` and `REDIS_URL` replace them: the tests then create a
database of their own on that server, and refuse a Redis that holds anything, since they flush it.
"""

import glob
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import hypothesis
import psycopg
import pytest
import redis
from fastapi.testclient import TestClient
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from xdist.remote import Producer

from infra.local import services
from pulseboard.contracts.vocabulary import Role
from pulseboard.core import process_state
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.db.migrate import migrate
from tests.support.proxy import Proxy
from tests.support.workers import ByGroup

# Set in many containers; each of the many processes would compile all that it imports again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A busy machine is slow, not wrong.
hypothesis.settings.register_profile("untimed", deadline=None, max_examples=50)
# pytest --hypothesis-profile=thorough
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("untimed")

ADMIN_EMAIL = "admin@example.com"
ADMIN_PASSWORD = "correct horse battery"

_BINARIES = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))

TABLES = (
    "alert_ticks",
    "alert_silences",
    "alert_outbox",
    "alert_notified",
    "alert_channels",
    "alert_events",
    "alert_state",
    "alert_rules",
    "recorded_series",
    "recording_rules",
    "rule_groups",
    "dashboard_visits",
    "dashboard_versions",
    "panels",
    "dashboards",
    "deleted_series",
    "series_end",
    "metric_series",
    "metric_definitions",
    "otlp_resources",
    "events",
    "api_keys",
    "users",
)
"""In an order that their foreign keys allow."""


def pytest_xdist_auto_num_workers() -> int:
    """One a processor; one alone where all would flush the same Redis."""
    return 1 if os.environ.get("REDIS_URL") else min(os.cpu_count() or 1, 4)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByGroup:
    """Groups go in the order of collection: it is e2e and infra that take long."""
    config.option.loadscopereorder = False
    return ByGroup(config, log)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Packed bytes hold the second they were packed in: no name for a test, as workers compare."""
    return argname if isinstance(val, bytes) and not val.isascii() else None


@pytest.fixture(scope="session")
def database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A migrated TimescaleDB that belongs to these tests alone."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield from _own_database(given)
        return
    directory = tmp_path_factory.mktemp("timescaledb")
    with services.timescaledb(data=directory / "data", log=directory / "log") as url:
        migrate(url)
        yield url


def _own_database(server: str) -> Iterator[str]:
    name = f"pulseboard_test_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    url = make_conninfo(server, dbname=name)
    try:
        migrate(url)
        yield url
    finally:
        database.close()
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(
                sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
            )


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey cluster of one node, empty at first."""
    given = os.environ.get("REDIS_URL")
    if given:
        with redis.Redis.from_url(given) as client:
            if client.dbsize():
                pytest.exit("REDIS_URL names a Redis that holds keys; these tests would flush it")
        yield given
        return
    directory = tmp_path_factory.mktemp("valkey")
    with services.valkey(data=directory / "data", log=directory / "log") as url:
        yield url


@pytest.fixture(scope="session")
def plain_database() -> Iterator[str]:
    """A PostgreSQL of several processes, without time series: for races and locks."""
    if not _BINARIES:
        pytest.skip("no multi-process PostgreSQL is installed")
    binaries = Path(_BINARIES[-1]).parent
    # PostgreSQL does not start as root.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="pulseboard-race-") as home:
        Path(home).chmod(0o777)
        data, port = f"{home}/data", services.free_port()
        run = [*as_user, str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "postgres"]
        subprocess.run(run, check=True, capture_output=True)
        control = [*as_user, str(binaries / "pg_ctl"), "-D", data, "-w"]
        options = f"-p {port} -k {home} -c listen_addresses=127.0.0.1 -c fsync=off"
        started = [*control, "-l", f"{home}/log", "-o", options, "start"]
        subprocess.run(started, check=True, stdout=subprocess.DEVNULL)
        try:
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            migrate(url, timeseries=False)
            yield url
        finally:
            stopped = [*control, "-m", "immediate", "stop"]
            subprocess.run(stopped, check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def stack(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Empty database and cache, and a process that is set to use them."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("PULSEBOARD_COOKIE_SECURE", "false")
    # What tests count is what they send.
    monkeypatch.setenv("PULSEBOARD_OWN_METRICS_INTERVAL", "0")
    # A busy machine is slow, not wrong.
    monkeypatch.setenv("PULSEBOARD_DATABASE_DEADLINE", "60")
    process_state.reset()
    _empty(database_url, redis_url)
    yield
    process_state.reset()


def _empty(database_url: str, redis_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        # Not truncated: that makes new files for each table and index, which takes ten times as
        # long as a few rows.
        connection.execute("; ".join(f"delete from {table}" for table in TABLES).encode())
        connection.execute(
            "select setval(oid, 1, false) from pg_class"
            " where relkind = 'S' and relnamespace = 'public'::regnamespace"
        )
        for table in ("metrics_raw", "metrics_1min", "metrics_1hour"):
            connection.execute(sql.SQL("truncate {}").format(sql.Identifier(table)))
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()


@pytest.fixture
def proxy(stack: None, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Between this process and its database, something that can cut the wire."""
    parts = conninfo_to_dict(database_url)
    with Proxy(str(parts["host"]), int(parts["port"] or 5432)) as between:
        through = make_conninfo(database_url, host="127.0.0.1", port=between.port)
        monkeypatch.setenv("DATABASE_URL", through)
        monkeypatch.setenv("PULSEBOARD_DATABASE_CONNECT_TIMEOUT", "2")
        settings.cache_clear()
        database.close()
        yield between
        database.close()


@pytest.fixture
def client(stack: None) -> Iterator[TestClient]:
    """Somebody who is not signed in."""
    from functions.dev import api

    with TestClient(api(), base_url="http://testserver") as anyone:
        yield anyone


@lru_cache(maxsize=1)
def _password_hash() -> str:
    from pulseboard.auth import passwords

    return passwords.hash_password(ADMIN_PASSWORD)


@pytest.fixture
def admin(stack: None) -> Iterator[TestClient]:
    """The admin, signed in by a link: passwords are slow on purpose, and tested elsewhere."""
    from functions.dev import api
    from pulseboard.auth import login_tokens, users_store

    with database.connection() as connection:
        created = users_store.create_user(
            connection, email=ADMIN_EMAIL, password_hash=_password_hash(), role=Role.ADMIN
        )
    with TestClient(api(), base_url="http://testserver") as signed_in:
        token = login_tokens.create(user_id=created.id)
        response = signed_in.post("/api/v1/auth/token", json={"token": token})
        assert response.status_code == 200, response.text
        yield signed_in


@pytest.fixture
def ingest_key(admin: TestClient) -> str:
    """The secret of an API key with every scope."""
    response = admin.post(
        "/api/v1/api-keys", json={"name": "tests", "scopes": ["ingest", "read", "write"]}
    )
    assert response.status_code == 201, response.text
    return str(response.json()["data"]["key"])


@pytest.fixture
def agent(request: pytest.FixtureRequest, ingest_key: str) -> Iterator[TestClient]:
    """A caller with a real key and no cookie, who sends the headers of the module's `SHOWN`."""
    from functions.dev import api

    shown = getattr(request.module, "SHOWN", {"Authorization": "Bearer {key}"})
    headers = {name: value.format(key=ingest_key) for name, value in shown.items()}
    with TestClient(api(), base_url="http://testserver", headers=headers) as caller:
        yield caller


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the work tree."""
    return Path(__file__).parents[1]
