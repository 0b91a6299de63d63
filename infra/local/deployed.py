"""`make local`: the CDK app itself, deployed into an emulator of AWS on this machine.

    database, cache, emulator ─▶ bootstrap, synth ─▶ network, data ─▶ migrate ─▶ the rest ─▶ SPA

The steps and their code are those of `make deploy`; only the AWS endpoint differs.
"""

import http.client
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from infra import deploy
from infra.config import ROOT
from infra.local import emulator, services, state
from infra.local.parts import Parts, check_ports
from infra.local.services import Child, ServiceError

STAGE = "local"
ADMIN = "admin@localhost"
UP = "Pulseboard is deployed"
"""What is printed, at the beginning of a line, once it is up."""
RESPONSE_SECONDS = 180
"""How long a first response may take: it is a cold start, and the machine may be busy."""
SECRET = f"pulseboard/{STAGE}/database"


@dataclass(frozen=True)
class Ports:
    """Where the parts listen, on the loopback address."""

    emulator: int = emulator.PORT
    database: int = 54329
    redis: int = 36379


@dataclass
class Deployed:
    """The deployed stack in `data`. `run()` returns when it is interrupted."""

    data: Path
    ports: Ports = field(default_factory=Ports)
    context: Sequence[str] = ()
    """Further choices for the CDK, `name=value`."""
    stage: str = STAGE
    edge_port: int | None = None
    """Where a stand-in for CloudFront listens, for an emulator that has none."""
    root: Path = ROOT
    """The work tree whose stacks, functions and layers are deployed."""

    def __post_init__(self) -> None:
        self.parts = Parts(self.data)
        self.assembly = self.data / "cdk.out"
        self.session = emulator.EmulatedSession(self.ports.emulator)
        self.given_database = os.environ.get("DATABASE_URL")
        self.given_redis = os.environ.get("REDIS_URL")
        self.database_url = self.given_database or services.timescaledb_url(self.ports.database)
        self.redis_url = self.given_redis or services.valkey_url(self.ports.redis)

    def run(self) -> None:
        """Start, supervise until interrupted, stop. Raises ServiceError, DeployError."""
        try:
            self.put_up()
            self.parts.watch()
        finally:
            self.stop()

    def put_up(self) -> state.StackState:
        """Start, deploy, and print where it is. Raises ServiceError, DeployError."""
        self.begin()
        with self.parts.log("cdk").open("ab") as log:
            self._deploy(log)
        with self.parts.step("SPA"):
            deploy.publish(self.session, stage=self.stage)
        if self.edge_port:
            self.start_edge(self.edge_port)
        known = self._admin()
        if known.api_key:
            self.parts.start_agent(url=self.api_url, key=known.api_key)
        return known

    def begin(self) -> None:
        """Start what is deployed into, empty. Raises ServiceError."""
        check_ports(self.wanted_ports(), command="make local")
        (self.data / "logs").mkdir(parents=True, exist_ok=True)
        for name in emulator.OTHERS:
            os.environ.pop(name, None)
        os.environ.update(emulator.environment(self.ports.emulator, scratch=self.data))
        self.start()
        self.session.client("secretsmanager").create_secret(
            Name=SECRET, SecretString=self.database_url
        )

    def start(self) -> None:
        """Emulator, database and cache."""
        aws = emulator.emulator_child(
            port=self.ports.emulator, scratch=self.data, log=self.parts.log("emulator")
        )
        self.parts.supervise(aws, restart=False)
        self.parts.start_data(
            database_port=None if self.given_database else self.ports.database,
            redis_port=None if self.given_redis else self.ports.redis,
        )
        emulator.wait_for_emulator(aws, self.ports.emulator)

    def start_edge(self, port: int) -> None:
        """The stand-in for CloudFront."""
        bucket = deploy.outputs(self.session, stage=self.stage, stack="Frontend")["Bucket"]
        origins = ["--site", f"{emulator.endpoint(self.ports.emulator)}/{bucket}"]
        origins += ["--api", self.api_url]
        edge = Child(
            "edge",
            [sys.executable, "-m", "infra.local.edge", "--port", str(port), *origins],
            self.parts.log("edge"),
        )
        self.parts.supervise(edge)
        edge.wait_until(lambda: not services.port_is_free(port), RESPONSE_SECONDS)

    def stop(self) -> None:
        """Stop all that was started, and delete the emulator's files."""
        self.parts.stop()
        # The emulator leaves each function's code and layers there: a gigabyte.
        shutil.rmtree(self.data / "tmp", ignore_errors=True)

    def synth(self, log: IO[bytes], *, out: Path | None = None) -> "subprocess.Popen[bytes]":
        """Begin to write the templates."""
        choices = [
            "local=true",
            f"stage={self.stage}",
            f"localPort={self.ports.emulator}",
            "database=external",
            f"databaseSecret={SECRET}",
            f"cacheUrl={self.redis_url}",
            *self.context,
        ]
        if self.edge_port:
            choices += ["cdn=false", f"publicUrl=http://localhost:{self.edge_port}"]
        # The CDK's library keeps fingerprints of assets in ~/.cdk, whatever CDK_HOME says.
        home = f"HOME={shlex.quote(str(self.data))}"
        source = f"PYTHONPATH={shlex.quote(str(self.root / 'shared' / 'src'))}"
        return subprocess.Popen(
            [
                str(deploy.CDK),
                *("synth", "--quiet", "--output", str(out or self.assembly)),
                *("--app", f"{home} {source} {shlex.quote(sys.executable)} -m infra.app"),
                *(part for choice in choices for part in ("--context", choice)),
            ],
            cwd=self.root,
            # `make synth` is the one that checks: here each second counts.
            env={**os.environ, "PULSEBOARD_NO_NAG": "1", "JSII_NODE": _node()},
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def cdk(self, command: str, *stacks: str, log: IO[bytes]) -> None:
        """Run a command of the CDK over what was synthesised; all stacks when none is named."""
        arguments = deploy.cdk_arguments(command, stage=self.stage, stacks=stacks, context=())
        options = ["--app", str(self.assembly)]
        if command == "deploy":
            options += ["--method", "direct", "--concurrency", "4", "--progress", "events"]
        deploy.cdk([*arguments, *options], output=log)

    def bootstrap(self, log: IO[bytes]) -> None:
        """Write the templates and, beside that, make the CDK's own stack."""
        with self.parts.step("bootstrap and templates"):
            writing = self.synth(log)
            try:
                # Not where cdk.json is, or it would write the templates too.
                deploy.cdk(["bootstrap", f"aws://{emulator.ACCOUNT}/{emulator.REGION}"],
                           output=log, directory=self.data)  # fmt: skip
            finally:
                failed = writing.wait()
            if failed:
                raise ServiceError(f"the templates could not be written: {log.name}")

    def _deploy(self, log: IO[bytes]) -> None:
        self.bootstrap(log)
        with self.parts.step("network and data"):
            self.cdk("deploy", *deploy.FIRST_STACKS, log=log)
        with self.parts.step("schema"):
            deploy.call_migrate(self.session, stage=self.stage, event={}, patience=0)
        with self.parts.step("API, alerting, frontend, monitoring"):
            self.cdk("deploy", *deploy.LATER_STACKS, log=log)

    @property
    def api_url(self) -> str:
        """The address of API Gateway, for agents."""
        api = deploy.outputs(self.session, stage=self.stage, stack="Api")["ApiId"]
        api_stage = "live" if "api=rest" in self.context else "$default"
        return f"{emulator.endpoint(self.ports.emulator)}/_aws/execute-api/{api}/{api_stage}"

    @property
    def url(self) -> str:
        """The address of CloudFront, for browsers."""
        return deploy.outputs(self.session, stage=self.stage, stack="Frontend")["Url"]

    def get(self, path: str) -> int:
        """The status of a page by CloudFront. Not every resolver knows `*.localhost`."""
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.edge_port or self.ports.emulator, timeout=RESPONSE_SECONDS
        )
        try:
            connection.request("GET", path, headers={"Host": urlsplit(self.url).netloc})
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def _wait_for(self, path: str) -> None:
        """Wait until a page is available. Raises ServiceError."""
        deadline = time.monotonic() + RESPONSE_SECONDS
        while True:
            try:
                outcome = f"responds with {(status := self.get(path))}"
            except OSError as error:
                status, outcome = 0, f"does not respond ({error})"
            if status == 200:
                return
            if time.monotonic() > deadline:
                raise ServiceError(f"{self.url}{path} {outcome}: {self.data}/logs")
            time.sleep(0.5)

    def _admin(self) -> state.StackState:
        file = self.data / "state.json"
        known, which = state.load(file), self.given_database or "embedded"
        if known.database != which:
            known = state.StackState(database=which)
        with self.parts.step("sign-in"):
            first = deploy.call_migrate(
                self.session, stage=self.stage, event={"admin": known.email or ADMIN}, patience=0
            ).get("first")
            for path in ("/api/v1/health", "/"):
                self._wait_for(path)
        if first:
            known.email, known.password = first["email"], first["password"]
            known.api_key = first["apiKey"]
        known.url, known.database_url, known.redis_url = (
            self.url, self.database_url, self.redis_url,
        )  # fmt: skip
        state.save(file, known)
        self._greet(
            known, link=f"{known.url}{first['page']}#token={first['token']}" if first else ""
        )
        return known

    def _greet(self, known: state.StackState, *, link: str) -> None:
        took = time.monotonic() - self.parts.began
        lines = [f"{UP} after {took:.0f} s: {known.url}"]
        if link:
            lines.append(f"Sign in:  {link}  (once, within 10 minutes)")
        if known.password:
            lines.append(f"Account:  {known.email}, password {known.password}")
        lines.append(f"AWS:      AWS_ENDPOINT_URL={emulator.endpoint(self.ports.emulator)}")
        lines.append("make local-down stops everything; the data stays in .local/.")
        print("\n" + "\n".join(lines) + "\n", flush=True)

    def wanted_ports(self) -> list[tuple[str, int, str]]:
        """Ports that must be free: purpose, number, and the variable that changes it."""
        wanted = [("the emulator of AWS", self.ports.emulator, "AWS_PORT")]
        if not self.given_database:
            wanted.append(("TimescaleDB", self.ports.database, "DB_PORT"))
        if not self.given_redis:
            wanted.append(("Valkey", self.ports.redis, "REDIS_PORT"))
        return wanted


def _node() -> str:
    """Node.js itself: what is on the path may be a version manager's, which reads HOME."""
    command = ["node", "--print", "process.execPath"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
