"""One process that starts every part, keeps them running, and stops them all."""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import httpx

from infra.local import services, state
from infra.local.services import Child, ServiceError
from pulseboard.exceptions import Conflict
from pulseboard.migrate import MigrationError, migrate

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "frontend" / "dist"
LONGEST_BACKOFF = 30.0
STEADY = 60.0
"""A part that ran this long, in seconds, is restarted at once the next time."""


@dataclass
class _Kept:
    child: Child
    failures: int = 0
    started: float = field(default_factory=time.monotonic)
    restart_at: float | None = None


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
        self.kept: list[_Kept] = []
        self.first_page = ""
        self.began = time.monotonic()

    def run(self) -> None:
        """Start all, watch until interrupted, stop all. Raises ServiceError."""
        try:
            self._start_all()
            self._watch()
        finally:
            for kept in reversed(self.kept):
                kept.child.stop()

    def _start_all(self) -> None:
        self._check_ports()
        self.data.mkdir(parents=True, exist_ok=True)
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
        if STATIC.is_dir():
            os.environ.setdefault("PULSEBOARD_STATIC_DIR", str(STATIC))
        self._start_services()
        with self._step("schema"):
            try:
                migrate(os.environ["DATABASE_URL"])
            except MigrationError as error:
                raise ServiceError(str(error)) from error
        which = self.given_database or "embedded"
        if known.database != which:
            known = state.State(database=which)
        if not known.user_id:
            self._seed(known)
        known.url = self.url
        known.database_url = os.environ["DATABASE_URL"]
        known.redis_url = os.environ["REDIS_URL"]
        with self._step("application"):
            self._start_application()
        if known.password and not known.api_key:
            known.api_key = self._make_key(known)
        self._keep(
            Child(
                "beats",
                [sys.executable, "-m", "infra.local.beats"],
                self._log("beats"),
                {"PULSEBOARD_PUBLIC_URL": self.url},
            )
        )
        if known.api_key:
            self._start_agent(known.api_key)
        state.save(file, known)
        self._greet(known)

    def _check_ports(self) -> None:
        wanted = [("the application", self.port, "PORT")]
        if not self.given_database:
            wanted.append(("TimescaleDB", self.database_port, "DB_PORT"))
        if not self.given_redis:
            wanted.append(("Valkey", self.redis_port, "REDIS_PORT"))
        for what, port, variable in wanted:
            if not services.port_is_free(port):
                raise ServiceError(
                    f"Port {port}, for {what}, is taken (is another `make up` running?). "
                    f"Choose another: make up {variable}={port + 1}"
                )

    def _start_services(self) -> None:
        database = cache = None
        if not self.given_database:
            database = services.timescaledb_child(
                port=self.database_port,
                data=self.data / "timescaledb",
                log=self._log("timescaledb"),
            )
            self._keep(database)
        if not self.given_redis:
            cache = services.valkey_child(
                port=self.redis_port, data=self.data / "valkey", log=self._log("valkey")
            )
            self._keep(cache)
        if cache:
            with self._step("Valkey, embedded"):
                services.wait_for_valkey(cache, self.redis_port)
        if database:
            with self._step("TimescaleDB, embedded"):
                services.wait_for_timescaledb(database)

    def _seed(self, known: state.State) -> None:
        # Late, since these read the settings and the environment has just been set.
        from pulseboard.stores.first_start import seed

        with self._step("admin and dashboard"):
            try:
                admin = seed()
            except Conflict:
                print("  this database has its admin already: sign in with the known password")
                return
        known.user_id, known.email, known.password = admin.user_id, admin.email, admin.password
        self.first_page = admin.first_page
        state.save(self.data / "state.json", known)

    def _start_application(self) -> None:
        command = [sys.executable, "-m", "uvicorn", "functions.dev:local", "--factory"]
        options = ["--host", "127.0.0.1", "--port", str(self.port)]
        quiet = ["--no-access-log", "--timeout-graceful-shutdown", "2"]
        child = Child("application", [*command, *options, *quiet], self._log("application"))
        self._keep(child)
        child.wait_until(self._healthy, 30)

    def _healthy(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            answer = httpx.get(f"http://127.0.0.1:{self.port}/api/v1/health", trust_env=False)
            return answer.status_code == 200
        return False

    def _make_key(self, known: state.State) -> str:
        login = {"email": known.email, "password": known.password}
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/v1", trust_env=False) as http:
            http.post("/auth/login", json=login).raise_for_status()
            wanted = {"name": "This machine's agent", "scopes": ["ingest", "read"]}
            answer = http.post("/api-keys", json=wanted).raise_for_status()
        return str(answer.json()["data"]["key"])

    def _start_agent(self, key: str) -> None:
        command = [sys.executable, "-m", "pulseboard.agent.cli", "agent"]
        options = ["--url", f"http://127.0.0.1:{self.port}", "--interval", "10"]
        # A queue of this stack's own: an agent refuses to share one, and what waits in it is
        # meant for this stack's database.
        options += ["--queue-dir", str(self.data / "agent")]
        self._keep(
            Child("agent", [*command, *options], self._log("agent"), {"PULSEBOARD_API_KEY": key})
        )

    def _keep(self, child: Child) -> None:
        child.start()
        self.kept.append(_Kept(child))

    def _watch(self) -> None:
        while True:
            for kept in self.kept:
                self._look_after(kept, time.monotonic())
            time.sleep(0.5)

    def _look_after(self, kept: _Kept, now: float) -> None:
        if kept.child.running:
            return
        if kept.restart_at is None:
            kept.failures = 0 if now - kept.started > STEADY else kept.failures + 1
            delay = min(LONGEST_BACKOFF, 2.0 ** (kept.failures - 1)) if kept.failures else 0.0
            kept.restart_at = now + delay
            print(f"  {kept.child.name} ended; again in {delay:.0f} s ({kept.child.log})")
        elif now >= kept.restart_at:
            kept.child.start()
            kept.started, kept.restart_at = now, None

    def _log(self, name: str) -> Path:
        return self.data / "logs" / f"{name}.log"

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        start = time.monotonic()
        print(f"  {what} …", end="", flush=True)
        yield
        print(f" {time.monotonic() - start:.1f} s", flush=True)

    def _greet(self, known: state.State) -> None:
        lines = [f"Pulseboard is up after {time.monotonic() - self.began:.0f} s: {self.url}"]
        if known.user_id:
            from pulseboard.stores import login_tokens

            token = login_tokens.create(user_id=UUID(known.user_id))
            link = f"{self.url}{self.first_page or '/'}#token={token}"
            lines.append(f"Sign in:  {link}  (once, within 10 minutes)")
            secret = f"  password {known.password}" if self.first_page else ""
            lines.append(f"       or: {known.email}{secret}")
        if not self.given_database:
            lines.append(
                "The embedded database is for demos and tests; DATABASE_URL names another."
            )
        lines.append("Ctrl-C stops everything; the data stays.")
        print("\n" + "\n".join(lines) + "\n", flush=True)
