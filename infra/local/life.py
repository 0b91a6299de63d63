"""`make life`: the life of a deployment, from its first deploy to its last, in the emulator.

    deploy ─▶ load ─▶ alarm ─▶ replace the database ─▶ upgrade ─▶ roll back ─▶ rotate ─▶ grow
           ─▶ to an external database ─▶ back ─▶ destroy

It begins with the released version (that of released-templates.json, or FROM) and is
upgraded to this work tree. Senders never pause. After each step every sample that was acknowledged
must be read through the product, and the log says for how long nothing responded.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg

from infra import deploy, spa
from infra.config import ROOT, SIZES
from infra.local import services
from infra.local.__main__ import interruptible
from infra.local.deployed import RESPONSE_SECONDS, SECRET, Deployed, Ports
from infra.local.life_databases import Embedded, Server, external, stored_rows
from infra.local.load import METRIC, Availability, Load, missing
from infra.local.receiver import receiving
from infra.local.services import ServiceError
from layers.build import find_uv
from pulseboard.db import backup, move
from pulseboard.db.migrate import migrate

PATIENCE = 600.0
"""Seconds that something may take to be so: the machine may be busy, a cold start takes seconds."""
SENDERS = 3
NOT_HERE = """\
## What the emulator can't show

- It has no EC2 volumes, launch templates or instances: the database is an embedded TimescaleDB,
  to which the stack is pointed as `database=external`. That an *instance* is replaced, with its
  volume, certificate and versions, is shown by `tests/infra/test_database_script.py` on Debian's
  packages; that a disk never shrinks by `tests/infra/test_updates.py`.
- No metric reaches its CloudWatch: an alarm is set by hand there, as `make deploy` does at its
  end, and must arrive by the topic. What alarms read is held against what functions emit by
  `tests/infra/test_emitted_metrics.py`.
- Its stacks set no reserved concurrency: the deployed template is looked at.
- It evaluates no policies: `tests/infra/test_policies.py` does.
- Its functions run a few at a time: seconds are this machine's and this emulator's, not AWS's.
- The SPA is this work tree's in each version: the older one is not built.
"""


RELEASED_COMMIT = "72bac6e"
"""Whose templates are in released-templates.json."""


class LostError(Exception):
    """Acknowledged samples are not there, or something did not happen."""


@dataclass
class Step:
    """A line of the log."""

    name: str
    seconds: float = 0.0
    without: float = 0.0
    """Seconds in which no query was answered."""
    acknowledged: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass
class Life:
    """One life in the folder `data`. `server` is the URL of a real one, where a database is made
    and dropped; without it a second embedded database is the external one.
    """

    data: Path
    released: Path
    """The work tree of the version that it begins with."""
    server: str = ""
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ports = Ports(services.free_port(highest=55_000), services.free_port(),
                           services.free_port(highest=services.HIGHEST_REDIS_PORT))  # fmt: skip
        self.own = Embedded(self.data / "own", self.ports.database)
        self.context = ["size=small", "reserve=true"]
        self.address = self.own.url
        """Of the database that the functions use."""

    @cached_property
    def now(self) -> Deployed:
        """This work tree as what is deployed."""
        return _WithoutDatabase(data=self.data, ports=self.ports, context=self.context)

    @cached_property
    def before(self) -> Deployed:
        """The released version, in the same emulator."""
        layers = self.released / "layers" / "build" / "local"
        context = [*self.context, f"layers={layers}"]
        stack = replace(self.now, root=self.released, context=context)
        stack.parts, stack.assembly = self.now.parts, self.data / "cdk.out.released"
        return stack

    def run(self) -> None:
        """All of it. Raises LostError, ServiceError, DeployError."""
        self.own.start()
        os.environ["DATABASE_URL"] = self.own.url
        with receiving() as (self.webhook, self.notified):
            try:
                for step in (
                    self.deploy, self.put_under_load, self.ring, self.replace_database,
                    self.upgrade, self.roll_back, self.rotate, self.grow, self.move_out,
                    self.move_back, self.destroy,
                ):  # fmt: skip
                    self._step(step)
            except Exception as error:
                # At once: what follows takes a while.
                print(f"\n{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                if "load" in vars(self):
                    counts = f"{self.load.ledger.count} acknowledged, {self.load.refused} refused"
                    print(f"{counts}, the last for {self.load.reason}", file=sys.stderr, flush=True)
                raise
            finally:
                if "load" in vars(self):
                    self.load.stop()
                self.now.stop()
                self.own.stop()
                if "outside" in vars(self):
                    self.outside.drop()

    # The steps; the first line of each is its name in the log.

    def deploy(self, step: Step) -> None:
        """Deploy the released version"""
        self.now.begin()
        with self._log() as log:
            self.before.bootstrap(log)
            self.before.cdk("deploy", *deploy.FIRST_STACKS, log=log)
            applied = self._migrate()
            self.before.cdk("deploy", *deploy.LATER_STACKS, log=log)
        deploy.publish(self.now.session, stage=self.now.stage)
        first = self._call({"admin": "admin@localhost"})["first"]
        self.email, self.password, key = first["email"], first["password"], first["apiKey"]
        until("signing in", lambda: self._signed_in())
        self.load = Load(url=self.now.api_url, key=key)
        step.notes.append(f"{_commit(self.released)}, {len(applied)} migrations")

    def put_under_load(self, step: Step) -> None:
        """Agents send"""
        self.load.start(SENDERS)
        self.now.parts.start_agent(url=self.now.api_url, key=self.load.key)
        until("samples", lambda: self.load.ledger.count > 20 * SENDERS)
        until("the agent's samples", lambda: self._query("memory_used_percent"))
        step.notes.append(f"{SENDERS} senders, one sample a second each, and a host's agent")

    def ring(self, step: Step) -> None:
        """An alert rule fires, and an alarm reaches its topic"""
        body = {
            "name": "Agents send", "query": METRIC, "condition": "gt", "threshold": 0,
            "duration": "0s", "window": "1m",
            "notification": {"channels": [{"type": "webhook", "url": self.webhook}]},
        }  # fmt: skip
        self.http.post("/api/v1/alerts/rules", json=body).raise_for_status()
        until("a notification", lambda: self.notified)
        sns, sqs, cloudwatch = map(self.now.session.client, ("sns", "sqs", "cloudwatch"))
        topic = deploy.outputs(self.now.session, stage=self.now.stage, stack="Data")["AlarmTopic"]
        queue = sqs.create_queue(QueueName="life-alarms")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])
        name = f"pulseboard-{self.now.stage}-{deploy.PROBED_ALARM}"
        for state in ("ALARM", "OK"):
            cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="life")

        def arrived() -> bool:
            received = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1)
            return name in str(received.get("Messages", ""))

        until(f"{name} on its topic", arrived)
        step.notes.append(f"the webhook got “{self.notified[0][1]['status']}”; {name} arrived")

    def replace_database(self, step: Step) -> None:
        """Replace the database's server: killed, and 15 s later another on its data, elsewhere"""
        self.own.kill()
        before = self.load.ledger.count
        until("spilled batches", lambda: self._spilled() > 0)
        until("acknowledged without a database", lambda: self.load.ledger.count > before + 15)
        step.notes.append(
            f"{self.load.ledger.count - before} samples acknowledged while there was no database"
        )
        self.own.port = services.free_port()
        self.own.start()
        self._lead_to(self.own.url)

    def upgrade(self, step: Step) -> None:
        """Upgrade to this work tree"""
        with self._log() as log:
            _synthesised(self.now, log)
            self.now.cdk("deploy", *deploy.FIRST_STACKS, log=log)
            applied = self._migrate()
            self.now.cdk("deploy", *deploy.LATER_STACKS, log=log)
        deploy.publish(self.now.session, stage=self.now.stage)
        removed = deploy.prune_versions(self.now.session, stage=self.now.stage)
        step.notes.append(
            f"{_commit(ROOT)}; migrations: {', '.join(applied) or 'none'}; "
            f"{len(removed)} old versions of functions removed"
        )

    def roll_back(self, step: Step) -> None:
        """Roll back to the released version, on the newer schema, and upgrade again"""
        with self._log() as log:
            self.before.cdk("deploy", *deploy.LATER_STACKS, log=log)
            self._check(step)
            self.now.cdk("deploy", *deploy.LATER_STACKS, log=log)

    def rotate(self, step: Step) -> None:
        """Rotate the agents' key"""
        old = self.load.key
        self.load.key = self._new_key("senders", "ingest")
        for key in self.http.get("/api/v1/api-keys").raise_for_status().json()["data"]:
            if old.startswith(key["prefix"]):
                self.http.delete(f"/api/v1/api-keys/{key['id']}").raise_for_status()
        point = {"name": METRIC, "value": 0, "tags": {"sender": "nobody"}}
        headers = {"Authorization": f"Bearer {old}"}
        api = self.now.api_url
        until(
            "the old key refused",
            lambda: httpx.post(f"{api}/api/v1/metrics", json=point, headers=headers,
                               trust_env=False, timeout=RESPONSE_SECONDS).status_code == 401,
        )  # fmt: skip
        step.notes.append("the old one is refused (401), no sender stopped")

    def grow(self, step: Step) -> None:
        """Grow: `size=large`, and twice the senders"""
        self.now.context = [*self.context, "size=large"]
        with self._log() as log:
            _synthesised(self.now, log)
            self.now.cdk("deploy", *deploy.FIRST_STACKS, *deploy.LATER_STACKS, log=log)
        # The emulator's stacks set no reserved concurrency: what it was told is in the template.
        api = self.now.session.client("cloudformation").get_template(
            StackName=f"Pulseboard-{self.now.stage}-Api"
        )["TemplateBody"]
        text = api if isinstance(api, str) else json.dumps(api)
        if f'"ReservedConcurrentExecutions": {SIZES["large"].clients}' not in text:
            raise LostError("size=large is not in the deployed template")
        self.load.start(SENDERS)
        step.notes.append(f"{2 * SENDERS} senders; reserved concurrency {SIZES['large'].clients}")

    def move_out(self, step: Step) -> None:
        """Move to an external database"""
        self.outside = external(self.data, self.server)
        rows = self._moved(self.own, self.outside.url)
        self._lead_to(self.outside.url)
        kept = self.outside.rotate()
        if kept:
            self._lead_to(self.outside.url)
        step.notes += [f"to {self.outside.what}; {rows}", kept or "it checks no password to rotate"]

    def move_back(self, step: Step) -> None:
        """Move back to a database of one's own, a new and empty one"""
        fresh = Embedded(self.data / "own-again", services.free_port())
        fresh.start()
        rows = self._moved(self.outside, fresh.url)
        self.own.stop()
        self.own = fresh
        self._lead_to(fresh.url)
        step.notes.append(rows)

    def destroy(self, step: Step) -> None:
        """Destroy; the database keeps all of it"""
        self.load.stop()
        until("an empty spill", lambda: self._spilled() == 0)
        session, stage = self.now.session, self.now.stage
        for bucket in deploy.buckets(session, stage=stage):
            spa.empty(session.client("s3"), bucket=bucket)
        with self._log() as log:
            self.now.cdk("destroy", log=log)
        left = [
            one["StackName"]
            for one in session.client("cloudformation").describe_stacks()["Stacks"]
            if one["StackName"].startswith(f"Pulseboard-{stage}-")
            and one["StackStatus"] != "DELETE_COMPLETE"
        ]
        if left:
            raise LostError(f"stacks that a destroy left: {', '.join(left)}")
        self._check(step, stored=lambda: stored_rows(self.own.url))

    # What they consist of.

    def _step(self, run: Callable[[Step], None]) -> None:
        step = Step(str(run.__doc__))
        print(f"\n· {step.name}", flush=True)
        began, self.steps = time.monotonic(), [*self.steps, step]
        ends = run in (self.deploy, self.destroy)
        up = Availability(lambda: False if ends else bool(attempt(lambda: self._query(METRIC))))
        if ends:
            run(step)
        else:
            with up.watched():
                run(step)
                self._check(step)
        step.seconds, step.without = time.monotonic() - began, up.seconds_without
        step.acknowledged = self.load.ledger.count if "load" in vars(self) else 0
        counts = f"{step.seconds:.0f} s, {step.acknowledged} acknowledged, none lost"
        print(f"  {counts}, {step.without:.0f} s without a response; {'; '.join(step.notes)}")

    def _check(self, step: Step, stored: Callable[[], dict[str, set[int]]] | None = None) -> None:
        """Wait until all that was acknowledged is read. Raises LostError with what is not."""
        acknowledged, read = self.load.ledger.snapshot(), stored or self._stored
        deadline, lost = time.monotonic() + PATIENCE, [("", 0)]
        while lost:
            found = attempt(read)
            lost = missing(acknowledged, found) if found is not None else [("", 0)]
            if lost and time.monotonic() > deadline:
                raise LostError(
                    f"{step.name}: {len(lost)} acknowledged samples are not there, "
                    f"{self._spilled()} batches wait: {lost[:5]}"
                )
            time.sleep(1 if lost else 0)

    def _moved(self, source: "Embedded | Server", target: str) -> str:
        """Copy everything with the source closed to writers, who spill meanwhile."""
        if isinstance(source, Server):
            rows = move.move(source.url, target).rows
            how = "closed by `pulseboard move`"
        else:
            # One session serves all of its connections, which can't be closed to some. As when
            # pgBouncer is stopped on the instance: it is there, and functions don't reach it.
            source.stop()
            source.port = services.free_port()
            source.start()
            file = self.data / f"moved-{time.time_ns()}"
            backup.backup(source.url, file)
            migrate(target)
            rows = backup.restore(target, file).rows
            how = "listening elsewhere meanwhile"
        return f"{sum(rows.values()):,} rows copied, the source {how}"

    def _lead_to(self, url: str) -> None:
        """Give the functions another database, as its secret."""
        self.address = url
        self.now.session.client("secretsmanager").put_secret_value(SecretId=SECRET,
                                                                   SecretString=url)  # fmt: skip
        until("queries from the new address", lambda: self._query(METRIC))

    def _call(self, event: dict[str, str]) -> dict[str, Any]:
        return deploy.call_migrate(self.now.session, stage=self.now.stage, event=event,
                                   patience=PATIENCE)  # fmt: skip

    def _migrate(self) -> list[str]:
        return list(self._call({})["applied"])

    def _signed_in(self) -> bool:
        login = {"email": self.email, "password": self.password}
        return bool(attempt(lambda: self.http.post("/api/v1/auth/login", json=login).is_success))

    @cached_property
    def http(self) -> httpx.Client:
        """The admin, by CloudFront's address."""
        return self._client()

    @cached_property
    def reader(self) -> httpx.Client:
        """Who watches, with a key for reading."""
        client = self._client()
        client.headers["Authorization"] = f"Bearer {self._new_key('life', 'read')}"
        return client

    def _client(self) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.ports.emulator}",
            headers={"Host": urlsplit(self.now.url).netloc},
            trust_env=False,
            timeout=RESPONSE_SECONDS,
        )

    def _new_key(self, name: str, scope: str) -> str:
        body = {"name": name, "scopes": [scope]}
        created = self.http.post("/api/v1/api-keys", json=body).raise_for_status()
        return str(created.json()["data"]["key"])

    def _query(self, expression: str) -> list[dict[str, Any]]:
        """A query of Prometheus' API, through CloudFront."""
        response = self.reader.get("/prometheus/api/v1/query", params={"query": expression})
        return list(response.raise_for_status().json()["data"]["result"])

    def _stored(self) -> dict[str, set[int]]:
        """Every raw sample of the senders, read through the product."""
        return {
            series["metric"]["sender"]: {round(float(at) * 1000) for at, _ in series["values"]}
            for series in self._query(f"{METRIC}[3h]")
        }

    def _spilled(self) -> int:
        """Batches that wait in the bucket."""
        client = self.now.session.client("s3")
        (found,) = (
            bucket["Name"]
            for bucket in client.list_buckets()["Buckets"]
            if bucket["Name"].startswith(f"pulseboard-{self.now.stage}-data-spill")
        )
        return int(client.list_objects_v2(Bucket=found, Prefix="waiting/")["KeyCount"])

    @contextmanager
    def _log(self) -> Iterator[Any]:
        with self.now.parts.log("cdk").open("ab") as log:
            yield log

    def markdown(self) -> str:
        """The log."""
        rows = [
            f"| {step.name} | {step.seconds:.0f} | {step.without:.0f} | {step.acknowledged:,} "
            f"| 0 | {'; '.join(filter(None, step.notes))} |"
            for step in self.steps
        ]
        return "\n".join(
            [
                "# The life of a deployment",
                "",
                "Written by `make life`, which runs every night: a deployment in the emulator of",
                "`make local`, from its first deploy to its last. Senders never pause. After each",
                "step every sample that was ever acknowledged is read back through the product;",
                "one that is missing ends the run.",
                "",
                f"Run of {datetime.now(UTC):%Y-%m-%d}, {_commit(ROOT)}.",
                "",
                "| step | s | s without a response | acknowledged so far | lost | |",
                "| --- | ---: | ---: | ---: | ---: | --- |",
                *rows,
                "",
                NOT_HERE,
            ]
        )


class _WithoutDatabase(Deployed):
    """The database is started and stopped by the life."""

    def wanted_ports(self) -> list[tuple[str, int, str]]:
        return []


def attempt(read: Callable[[], Any]) -> Any:
    """Its result, or None where it fails."""
    try:
        return read()
    except (httpx.HTTPError, psycopg.Error, KeyError, ValueError):
        return None


def until(what: str, happened: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait for it. Raises LostError."""
    deadline = time.monotonic() + seconds
    while not attempt(happened):
        if time.monotonic() > deadline:
            raise LostError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.5)


def _synthesised(stack: Deployed, log: Any) -> None:
    if stack.synth(log).wait():
        raise ServiceError(f"the templates could not be written: {log.name}")


def _commit(tree: Path) -> str:
    done = subprocess.run(
        ["git", "log", "-1", "--format=%h (%cs)"], cwd=tree, check=True, capture_output=True,
        text=True,
    )  # fmt: skip
    return f"commit {done.stdout.strip()}"


@contextmanager
def released(data: Path, ref: str) -> Iterator[Path]:
    """A work tree of the released version, with its layers built; removed at the end."""
    ref = ref or RELEASED_COMMIT
    tree = data / "released"
    _output("git", "worktree", "add", "--force", "--detach", str(tree), ref)
    try:
        environment = {**os.environ, "PYTHONPATH": str(tree / "shared" / "src")}
        subprocess.run(
            [sys.executable, "-m", "layers.build", "--local", "--out", "layers/build/local",
             "--uv", find_uv()],
            cwd=tree, env=environment, check=True,
        )  # fmt: skip
        yield tree
    finally:
        _output("git", "worktree", "remove", "--force", str(tree))


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """1 when a sample was lost, or something did not happen."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.life", description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / ".local" / "life")
    parser.add_argument("--from", dest="ref", default="", help="the version to begin with")
    parser.add_argument("--external", default="", help="URL of a server to move to and back")
    parser.add_argument("--log", type=Path, help="where the log is written, in Markdown")
    options = parser.parse_args(arguments)
    data = options.data.resolve()
    interruptible()
    os.umask(0o077)
    if data.exists():
        print(f"{data} is there already: a life begins in an empty folder.", file=sys.stderr)
        return 1
    data.mkdir(parents=True)
    with released(data, options.ref) as tree:
        life = Life(data=data, released=tree, server=options.external)
        try:
            life.run()
        except KeyboardInterrupt:
            print("\nStopped.", flush=True)
            return 1
        except (LostError, ServiceError, deploy.DeployError):
            print(f"Logs: {data}/logs", file=sys.stderr)
            return 1
    if options.log:
        options.log.write_text(life.markdown(), encoding="utf-8")
    print(f"\n{life.markdown()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
