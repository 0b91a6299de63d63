"""One process that starts every part, keeps them running, and stops them all."""

import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import httpx

from infra.local import beat_files, services, state
from infra.local.parts import Parts, Probe, check_ports
from infra.local.services import Child, ServiceError
from pulseboard.core.exceptions import Conflict
from pulseboard.db import database
from pulseboard.db.migrate import MigrationError, migrate

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "frontend" / "dist"
APPLICATION_PATIENCE = 60.0
KEEP_ALIVE = 330
"""Seconds for which an idle connection stays open: longer than any client keeps one (Prometheus,
Go's HTTP clients: five minutes). A server that closes first makes their next request fail."""


def application(port: int) -> list[str]:
    """The command of the application, on loopback."""
    command = [sys.executable, "-m", "uvicorn", "functions.dev:local", "--factory"]
    options = ["--host", "127.0.0.1", "--port", str(port)]
    options += ["--timeout-keep-alive", str(KEEP_ALIVE)]
    quiet = ["--no-access-log", "--timeout-graceful-shutdown", "2"]
    # Nothing stands in front of it: whoever sends X-Forwarded-For has made it up.
    return [*command, *options, *quiet, "--no-proxy-headers"]


class Supervisor:
    """The local stack in `data`. `run()` returns when it is interrupted."""

    def __init__(self, *, data: Path, port: int, database_port: int, redis_port: int) -> None:
        self.data = data
        self.port = port
        self.database_port = database_port
        self.redis_port = redis_port
        self.url = f"http://localhost:{port}"
        self.given_database = os.environ.get("DATABASE_URL")
        self.given_redis = os.environ.get("REDIS_URL")
        self.parts = Parts(data)
        self.first_page = ""

    def run(self) -> None:
        """Start all, watch until interrupted, stop all. Raises ServiceError."""
        self.data.mkdir(parents=True, exist_ok=True)
        with self._locked():
            try:
                self._start_all()
                self.parts.watch()
            finally:
                self.parts.stop()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the data directory: a second stack would share its spill, queue and state."""
        with (self.data / "up.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                lock.seek(0)
                raise ServiceError(
                    f"Pulseboard is running on {self.data} already (process {lock.read().strip()}):"
                    " stop it with Ctrl-C there, or give this one a directory of its own (--data)."
                ) from error
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def _start_all(self) -> None:
        self._check_ports()
        file = self.data / "state.json"
        known = state.load(file)
        os.environ["DATABASE_URL"] = self.given_database or services.timescaledb_url(
            self.database_port
        )
        os.environ["REDIS_URL"] = self.given_redis or services.valkey_url(self.redis_port)
        os.environ.setdefault("PULSEBOARD_COOKIE_SECURE", "false")
        # Receivers of a newcomer's first alert run on this machine.
        os.environ.setdefault("PULSEBOARD_ALERT_ALLOW_PRIVATE", "true")
        os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "true")
        os.environ.setdefault("PULSEBOARD_SPILL_DIR", str(self.data / "spill"))
        if STATIC.is_dir():
            os.environ.setdefault("PULSEBOARD_STATIC_DIR", str(STATIC))
        self.parts.start_data(
            database_port=None if self.given_database else self.database_port,
            redis_port=None if self.given_redis else self.redis_port,
        )
        with self.parts.step("schema"):
            try:
                migrate(os.environ["DATABASE_URL"])
            except MigrationError as error:
                raise ServiceError(str(error)) from error
        which = self.given_database or "embedded"
        if known.database != which:
            known = state.StackState(database=which)
        self._forget_what_is_gone(known)
        if not known.user_id:
            self._seed(known)
        known.url = self.url
        known.database_url = os.environ["DATABASE_URL"]
        known.redis_url = os.environ["REDIS_URL"]
        with self.parts.step("application"):
            self._start_application()
        if known.user_id and not known.api_key:
            known.api_key = self._make_key(known)
        done = self.data / "beats"
        self.parts.supervise(
            Child(
                "beats",
                [sys.executable, "-m", "infra.local.beats", str(done)],
                self.parts.log("beats"),
                {"PULSEBOARD_PUBLIC_URL": self.url},
            ),
            probe=Probe(lambda: beat_files.all_go_on(done, now=time.time()), beat_files.PATIENCE),
        )
        if known.api_key:
            self.parts.start_agent(url=f"http://127.0.0.1:{self.port}", key=known.api_key)
        state.save(file, known)
        self._greet(known)

    def _check_ports(self) -> None:
        wanted = [("the application", self.port, "PORT")]
        if not self.given_database:
            wanted.append(("TimescaleDB", self.database_port, "DB_PORT"))
        if not self.given_redis:
            wanted.append(("Valkey", self.redis_port, "REDIS_PORT"))
        check_ports(wanted, command="make up")

    def _forget_what_is_gone(self, known: state.StackState) -> None:
        """Drop a user and a key that the database does not have (any more)."""
        from pulseboard.auth import api_keys_store, users_store

        with database.connection() as connection:
            if known.user_id and not users_store.find_credentials(
                connection, user_id=UUID(known.user_id)
            ):
                known.user_id = known.email = known.password = known.api_key = ""
            if known.api_key and not api_keys_store.find_by_secret(
                connection, secret=known.api_key
            ):
                known.api_key = ""

    def _seed(self, known: state.StackState) -> None:
        # Late, since these read the settings and the environment has just been set.
        from pulseboard.auth import users_store
        from pulseboard.seed import ADMIN_EMAIL, seed

        with self.parts.step("admin and dashboard"):
            try:
                admin = seed()
            except Conflict:
                with database.connection() as connection:
                    found = users_store.find_credentials(connection, email=ADMIN_EMAIL)
                assert found is not None
                known.user_id, known.email = str(found.id), found.email
                print("  this database has its admin already: sign in by the link below")
                return
        known.user_id, known.email, known.password = admin.user_id, admin.email, admin.password
        self.first_page = admin.first_page
        state.save(self.data / "state.json", known)

    def _start_application(self) -> None:
        child = Child("application", application(self.port), self.parts.log("application"))
        self.parts.supervise(child, probe=Probe(self._healthy, APPLICATION_PATIENCE))
        child.wait_until(self._healthy, 90)

    def _healthy(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            response = httpx.get(f"http://127.0.0.1:{self.port}/api/v1/health", trust_env=False)
            return response.status_code == 200
        return False

    def _make_key(self, known: state.StackState) -> str:
        from pulseboard.auth import api_keys_store
        from pulseboard.contracts.vocabulary import Scope

        with database.connection() as connection:
            key = api_keys_store.create_key(
                connection,
                owner_id=UUID(known.user_id),
                name="This machine's agent",
                scopes=[Scope.INGEST, Scope.READ],
            )
        return key.key

    def _greet(self, known: state.StackState) -> None:
        lines = [f"Pulseboard is up after {time.monotonic() - self.parts.began:.0f} s: {self.url}"]
        if known.user_id:
            from pulseboard.auth import login_tokens

            token = login_tokens.create(user_id=UUID(known.user_id))
            link = f"{self.url}{self.first_page or '/'}#token={token}"
            lines.append(f"Sign in:  {link}  (once, within 10 minutes)")
            secret = f"  password {known.password}" if self.first_page else ""
            lines.append(f"       or: {known.email}{secret}")
            if not known.password:
                lines.append("       (its password is not known here: pulseboard reset-admin)")
        if not self.given_database:
            lines.append(
                "The embedded database is for demos and tests; DATABASE_URL names another."
            )
        lines.append("Ctrl-C stops everything; the data stays.")
        print("\n" + "\n".join(lines) + "\n", flush=True)
