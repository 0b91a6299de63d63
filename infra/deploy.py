"""`make deploy`, `rollback`, `destroy`, `diff` and `rotate-secret`: what the CDK leaves to others.

    preflight ─▶ network, data ─▶ migrate ─▶ the rest ─▶ SPA ─▶ old versions ─▶ health, sign-in

A failed migration ends the deploy before new code serves (docs/adr/0041). Everything can run
again: the next deploy finishes an interrupted one.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import spa
from infra.config import ROOT, ConfigError, check_stage

CDK = ROOT / "infra" / "node_modules" / ".bin" / "cdk"
DIST = ROOT / "frontend" / "dist"
RESERVED = 95
"""Sum of the functions' reserved concurrency; a test compares the template with it."""
UNRESERVED = 100
"""What AWS reserves for functions without a reservation."""
PROBED_ALARM = "drain-dead-letters"
KEPT_VERSIONS = 2
"""Versions of a function that stay: the live one, and the one before for a rollback."""
FIRST_STACKS = ("Network", "Data")
LATER_STACKS = ("Api", "Maintenance", "Frontend", "Alerting", "Monitoring")
DATABASE_WAIT = 15 * 60.0
"""Seconds that a new instance may take to install itself; about five minutes in fact."""

Say = Callable[[str], None]
Move = Literal["none", "done", "fresh"]
"""What a deploy that changes the database may assume: nothing, that the data has been moved, or
that the other database is to begin without it."""
MOVING = "docs/operating.md#move-to-another-database"


class DeployError(Exception):
    """What stopped it, and what to do."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """The state of the account. `reserve` is false where its quota allows no reservations."""

    account: str
    region: str
    bootstrapped: bool
    reserve: bool
    concurrency: int


def preflight(session: Any) -> Preflight:
    """Check credentials, region, quota and the CDK's own stack. Raises DeployError."""
    region = session.region_name
    if not region:
        raise DeployError("No region: set AWS_REGION, for example AWS_REGION=eu-central-1.")
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        raise DeployError(
            f"No AWS credentials that work ({error}): `aws sso login`, or set AWS_PROFILE."
        ) from error
    concurrency = _concurrency(session)
    return Preflight(
        account=account,
        region=region,
        bootstrapped=_stack(session, "CDKToolkit") is not None,
        reserve=concurrency >= RESERVED + UNRESERVED,
        concurrency=concurrency,
    )


def _concurrency(session: Any) -> int:
    """How many functions the account may run at once."""
    limits = session.client("lambda").get_account_settings()["AccountLimit"]
    return int(limits["ConcurrentExecutions"])


def outputs(session: Any, *, stage: str, stack: str) -> dict[str, str]:
    """The outputs of a stack by name. Raises DeployError when it is not deployed."""
    name = f"Pulseboard-{stage}-{stack}"
    found = _stack(session, name)
    if found is None:
        raise DeployError(f"The stack {name} is not in {session.region_name}: make deploy first.")
    return {entry["OutputKey"]: entry["OutputValue"] for entry in found.get("Outputs", [])}


def _stack(session: Any, name: str) -> dict[str, Any] | None:
    try:
        found = session.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return dict(found[0])


def cdk_arguments(
    command: str, *, stage: str, stacks: Sequence[str], context: Sequence[str], reserve: bool = True
) -> list[str]:
    """Arguments of the CDK's command line for these stacks and no others."""
    chosen = [f"Pulseboard-{stage}-{stack}" for stack in stacks] or ["--all"]
    extra = {"deploy": ["--exclusively", "--require-approval", "never"], "destroy": ["--force"]}
    return [
        command,
        *chosen,
        *extra.get(command, []),
        "--context",
        f"stage={stage}",
        *([] if reserve else ["--context", "reserve=false"]),
        *(part for choice in context for part in ("--context", choice)),
    ]


def cdk(
    arguments: Sequence[str], *, output: IO[bytes] | None = None, directory: Path = ROOT
) -> None:
    """Run the CDK. Raises DeployError when it fails; it says why, here or in `output`."""
    environment = {
        **os.environ,
        "CDK_DISABLE_CLI_TELEMETRY": "1",
        "CDK_DISABLE_VERSION_CHECK": "1",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    }
    done = subprocess.run(
        [str(CDK), *arguments],
        cwd=directory,
        env=environment,
        check=False,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
    )
    if done.returncode:
        raise DeployError(f"`cdk {' '.join(arguments[:2])}` failed: its message is above.")


def call_migrate(
    session: Any,
    *,
    stage: str,
    event: dict[str, str],
    patience: float = DATABASE_WAIT,
    sleep: Callable[[float], None] = time.sleep,
    say: Say = print,
) -> dict[str, Any]:
    """Invoke `migrate` until the database responds; returns its result.

    Raises DeployError at once when a migration failed, and after `patience` seconds without a
    database. Nothing of the new version serves by then.
    """
    name, waited = f"pulseboard-{stage}-migrate", 0.0
    while True:
        response = session.client("lambda").invoke(
            FunctionName=name, Payload=json.dumps(event).encode()
        )
        body = json.loads(response["Payload"].read() or b"{}")
        if not response.get("FunctionError"):
            return dict(body)
        reason = f"{body.get('errorType', '')}: {body.get('errorMessage', body)}"
        if body.get("errorType") == "MigrationError":
            raise DeployError(f"{reason}\nThe old code goes on serving.")
        if waited >= patience:
            raise DeployError(
                f"The database did not respond for {patience / 60:.0f} minutes ({reason}). "
                "docs/runbooks.md, maintain-silent, lists the causes."
            )
        if not waited:
            say("· waiting for the database; its first start takes about five minutes")
        sleep(15)
        waited += 15


def prune_versions(session: Any, *, stage: str) -> list[str]:
    """Delete versions of functions that no alias points to; `name:version` of each.

    SnapStart's cache is billed for every published version.
    """
    client = session.client("lambda")
    deleted = []
    for page in client.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            name = function["FunctionName"]
            if not name.startswith(f"pulseboard-{stage}-"):
                continue
            aliases = client.list_aliases(FunctionName=name)["Aliases"]
            used = {alias["FunctionVersion"] for alias in aliases}
            pages = client.get_paginator("list_versions_by_function").paginate(FunctionName=name)
            numbers = sorted(
                (v["Version"] for p in pages for v in p["Versions"] if v["Version"] != "$LATEST"),
                key=int,
            )
            for version in numbers[:-KEPT_VERSIONS]:
                if version not in used:
                    client.delete_function(FunctionName=name, Qualifier=version)
                    deleted.append(f"{name}:{version}")
    return deleted


def publish(session: Any, *, stage: str) -> spa.Uploaded:
    """Upload the SPA and have CloudFront fetch it again."""
    found = outputs(session, stage=stage, stack="Frontend")
    uploaded = spa.upload(session.client("s3"), bucket=found["Bucket"], directory=DIST)
    if "DistributionId" in found:
        session.client("cloudfront").create_invalidation(
            DistributionId=found["DistributionId"],
            InvalidationBatch={
                "Paths": {"Quantity": 1, "Items": ["/*"]},
                "CallerReference": f"{time.time_ns()}",
            },
        )
    return uploaded


def check_health(url: str, *, tries: int = 20, sleep: Callable[[float], None] = time.sleep) -> None:
    """Check that the deployed API and the SPA respond. Raises DeployError."""
    for path in ("/api/v1/health", "/"):
        for attempt in range(tries):
            try:
                _get(f"{url}{path}")
                break
            except OSError as error:
                if attempt == tries - 1:
                    raise DeployError(f"{url}{path} does not respond: {error}") from error
                sleep(6)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as response:
        return bytes(response.read())


@dataclass(frozen=True, slots=True)
class Address:
    """Where browsers reach the deployed stage now, and what a person has to do about its name."""

    url: str
    missing: str = ""


def address(
    found: Mapping[str, str],
    *,
    get: Callable[[str], bytes] = _get,
    check: Callable[[str], None] = check_health,
) -> Address:
    """Check that all responds, by CloudFront's own name too where the domain does not lead there
    yet: its record is a person's to make. `found` are the outputs of the stack Frontend. Raises
    DeployError.
    """
    url, distribution = found["Url"], found.get("DistributionDomain")
    if not distribution or urlsplit(url).netloc == distribution:
        check(url)
        return Address(url)
    check(f"https://{distribution}")
    name, page = urlsplit(url).netloc, get(f"https://{distribution}/")
    record = f"{name}. CNAME {distribution}."
    try:
        leads_here = get(f"{url}/") == page
    except OSError as error:
        why = f"{url} does not respond yet ({error})"
    else:
        if leads_here:
            check(url)
            return Address(url)
        why = f"{url} is another page: the name leads elsewhere"
    if found.get("Records") == "true":
        todo = (
            f"Its record is in the hosted zone; do the domain's name servers lead to it? {record}"
        )
    else:
        todo = f"Make this record where the domain's DNS is: {record}"
    return Address(f"https://{distribution}", f"{why}. {todo}")


def deploy(
    session: Any,
    *,
    stage: str,
    context: Sequence[str],
    admin: str | None,
    move: Move = "none",
    say: Say = print,
) -> None:
    """Deploy everything; prints address, sign-in and key at the end. Raises DeployError."""
    found = preflight(session)
    before = serving(session, stage=stage)
    context = chosen(session, stage=stage, context=context, say=say)
    change = check_database(session, before=before, context=context, move=move, say=say)
    say(f"· account {found.account}, {found.region}, stage {stage}")
    if not found.reserve:
        say(
            f"· this account runs {found.concurrency} functions at once, too few to reserve any: "
            "pgBouncer alone caps the connections. Request 1,000 under Service Quotas."
        )
    if not found.bootstrapped:
        say("· bootstrapping the CDK in this account and region")
        cdk(["bootstrap", f"aws://{found.account}/{found.region}"])

    def put_up(stacks: Sequence[str]) -> None:
        cdk(cdk_arguments("deploy", stage=stage, stacks=stacks, context=context,
                          reserve=found.reserve))  # fmt: skip

    put_up(FIRST_STACKS)
    migrated = call_migrate(session, stage=stage, event={}, say=say)
    applied = migrated.get("applied", [])
    if change:
        check_moved(change, empty=bool(migrated.get("empty")), move=move)
    say(f"· migrations: {', '.join(applied) or 'none were missing'}")
    put_up(LATER_STACKS)
    uploaded = publish(session, stage=stage)
    say(f"· SPA: {len(uploaded.written)} files written, {len(uploaded.removed)} old ones removed")
    say(f"· {len(prune_versions(session, stage=stage))} old versions of functions removed")
    reached = address(outputs(session, stage=stage, stack="Frontend"))
    url = reached.url
    check_alarms(session, stage=stage)
    say("· an alarm was set, and reached its topic")
    # Last, since the link in it lives for ten minutes.
    result = call_migrate(session, stage=stage, event={"admin": admin}) if admin else {}
    first = result.get("first")
    # Not by CloudFront: that would cost more than a dollar for a million requests.
    agents = outputs(session, stage=stage, stack="Api").get("AgentUrl", url)
    if agents != url:
        say(f"Agents send to {agents}")
    say(f"\nPulseboard is at {url}")
    if reached.missing:
        say(reached.missing)
    if first:
        say(
            f"Sign in:  {url}{first['page']}#token={first['token']}  (once, within 10 minutes)\n"
            f"Admin:    {first['email']}, password {first['password']}\n"
            f"Agents:   PULSEBOARD_URL={agents} PULSEBOARD_API_KEY={first['apiKey']} "
            "pulseboard agent\n"
            "These are shown this once."
        )
    elif not admin:
        say("ADMIN=me@example.com makes the first admin, with a key for agents.")


def rollback(session: Any, *, stage: str, context: Sequence[str], say: Say = print) -> None:
    """Deploy older code. It does not migrate: an older version does not know the newer schema,
    and runs on it, since migrations only add. Raises DeployError.
    """
    found = preflight(session)
    context = chosen(session, stage=stage, context=context, say=say)
    cdk(cdk_arguments("deploy", stage=stage, stacks=LATER_STACKS, context=context,
                      reserve=found.reserve))  # fmt: skip
    publish(session, stage=stage)
    reached = address(outputs(session, stage=stage, stack="Frontend"))
    say(f"The code of this work tree serves at {reached.url} again.")
    if reached.missing:
        say(reached.missing)


def chosen(session: Any, *, stage: str, context: Sequence[str], say: Say = print) -> list[str]:
    """These choices and those of the deploy before that they do not name: a deploy that forgets
    one would take down the domain or shrink what can't shrink. `name=` drops one.
    """
    given = {choice.partition("=")[0]: choice for choice in context}
    before = choices(session, stage=stage) or {}
    kept = {name: f"{name}={value}" for name, value in before.items() if name not in given}
    if kept:
        say(f"· as deployed before: {', '.join(sorted(kept.values()))}")
    return [*kept.values(), *given.values()]


def choices(session: Any, *, stage: str) -> dict[str, str] | None:
    """What the deploy before chose, by name; None when nothing is deployed."""
    try:
        found = outputs(session, stage=stage, stack="Network").get("Choices", "{}")
    except DeployError:
        return None
    return dict(json.loads(found))


def holds_data(url: str) -> bool:
    """Whether this database has people of Pulseboard in it. Raises psycopg.OperationalError where
    it can't be reached from here.
    """
    import psycopg

    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        # The catalogue, then a handful of rows.
        row = connection.execute("select to_regclass('public.users') is not null").fetchone()
        if row != (True,):
            return False
        return connection.execute("select from users limit 1").fetchone() is not None


def serving(session: Any, *, stage: str) -> str | None:
    """The database that functions use now, as `Config.serving` writes it; None when nothing is
    deployed. It is not what was chosen last: a move chooses first, and changes over at its end.
    """
    try:
        found = outputs(session, stage=stage, stack="Api")
    except DeployError:
        return None
    return found.get("Database") or _serving(choices(session, stage=stage) or {})


def _serving(chosen: Mapping[str, str]) -> str:
    external = chosen.get("database") == "external"
    return f"external {chosen.get('databaseSecret', '')}" if external else "ec2"


def check_database(
    session: Any,
    *,
    before: str | None,
    context: Sequence[str],
    move: Move,
    say: Say = print,
    holds: Callable[[str], bool] = holds_data,
) -> str:
    """The change of the database that this deploy makes, `ec2 → external NAME` for example, or
    nothing; checked before anything is touched. Raises DeployError for a secret that is none, and
    for a change that would leave the data behind.
    """
    after = dict(choice.split("=", 1) for choice in context if "=" in choice)
    new, secret = _serving(after), after.get("databaseSecret", "")
    url = _external_url(session, secret) if new != "ec2" else ""
    if before in (None, new):
        return ""
    say(f"· database: {before} → {new}")
    if new != "ec2" and move == "none":
        raise DeployError(
            f"This stage's data is in its present database, and stays there. Move it first "
            f"({MOVING}), then deploy with MOVE=done. MOVE=fresh begins without it."
        )
    if new != "ec2" and move == "done":
        _check_target(url, secret, holds=holds, say=say)
    return f"{before} → {new}"


def _external_url(session: Any, name: str) -> str:
    """Of an external database, by its secret. Raises DeployError for one that can't be used."""
    example = f"aws secretsmanager create-secret --name {name or 'NAME'} --secret-string"
    if not name:
        raise DeployError("database=external needs databaseSecret=NAME, a secret with its URL.")
    try:
        text = session.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    except ClientError as error:
        raise DeployError(
            f"databaseSecret={name}: {error}\nMake it: {example} postgresql://…"
        ) from error
    parts = urlsplit(text)
    if parts.scheme not in ("postgres", "postgresql") or not parts.hostname:
        raise DeployError(
            f"The secret {name} must be a whole URL, postgresql://user:password@host:port/database"
        )
    return str(text)


def _check_target(url: str, name: str, *, holds: Callable[[str], bool], say: Say) -> None:
    import psycopg

    try:
        moved = holds(url)
    except psycopg.OperationalError:
        say(f"· the database of {name} can't be reached from here; `migrate` looks at it")
        return
    if not moved:
        raise DeployError(
            f"The database of {name} holds no data of Pulseboard: has it been moved? {MOVING}"
        )


def check_moved(change: str, *, empty: bool, move: Move) -> None:
    """Once the other database is there and migrated, and before anything serves from it. Raises
    DeployError when the data is not in it.
    """
    if move == "fresh" or not empty:
        return
    raise DeployError(
        f"database {change}: the other database is there, and empty. What serves still uses the "
        f"one before. Move the data ({MOVING}), then deploy with MOVE=done; MOVE=fresh begins "
        "without it."
    )


def update_database(
    session: Any,
    *,
    stage: str,
    packages: Sequence[str],
    sleep: Callable[[float], None] = time.sleep,
    say: Say = print,
) -> None:
    """Install these packages (`name=version`) on the instance, by Run Command.

    The instance goes back to the ones before when background jobs don't run with them. Raises
    DeployError with its output when it did, or for packages that are none.
    """
    wrong = [
        text for text in packages if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*=[\w.+~:*-]+", text)
    ]
    if wrong or not packages:
        raise DeployError(
            f"PACKAGES={' '.join(wrong)}: write name=version, for example "
            "PACKAGES='timescaledb-2-postgresql-17=2.28.4*'"
        )
    found = session.client("ec2").describe_instances(
        Filters=[
            {"Name": "tag:stage", "Values": [stage]},
            {"Name": "tag:pulseboard-role", "Values": ["database"]},
            {"Name": "instance-state-name", "Values": ["running"]},
        ]
    )["Reservations"]
    instances = [each["InstanceId"] for entry in found for each in entry["Instances"]]
    if len(instances) != 1:
        raise DeployError(f"{len(instances)} database instances run in {stage}; one is expected.")
    client = session.client("ssm")
    quoted = " ".join(shlex.quote(package) for package in packages)
    command = client.send_command(
        InstanceIds=instances,
        DocumentName="AWS-RunShellScript",
        Comment="make update-database",
        Parameters={"commands": [f"/usr/local/bin/pulseboard-update {quoted}"]},
    )["Command"]["CommandId"]
    say(f"· {instances[0]} installs {quoted}; queries fail and samples are spilled for a minute")
    for _ in range(200):
        sleep(3)
        try:
            state = client.get_command_invocation(CommandId=command, InstanceId=instances[0])
        except client.exceptions.InvocationDoesNotExist:
            continue
        if state["Status"] == "Success":
            say(str(state["StandardOutputContent"]).strip())
            return
        if state["Status"] in ("Failed", "Cancelled", "TimedOut"):
            raise DeployError(
                f"The database was not updated: {state['StandardErrorContent'][-2000:]}"
            )
    raise DeployError(f"Run Command {command} has not ended after ten minutes.")


def rotate_secret(session: Any, *, stage: str, say: Say = print) -> None:
    """A new password for the database, and proof that it works. Raises DeployError.

    The instance applies it within a minute, functions with their next connection after that;
    connections that are open stay. New ones may be refused for up to two minutes: agents wait.
    """
    client = session.client("secretsmanager")
    name = f"pulseboard/{stage}/database"
    password = client.get_random_password(PasswordLength=40, ExcludePunctuation=True)
    try:
        client.put_secret_value(
            SecretId=name,
            SecretString=json.dumps(
                {"username": "pulseboard", "password": password["RandomPassword"]}
            ),
        )
    except ClientError as error:
        raise DeployError(
            f"{name}: {error}. With -c database=external the secret is yours to change."
        ) from error
    say("· new password stored; waiting until a new connection accepts it")
    call_migrate(session, stage=stage, event={}, patience=5 * 60, say=lambda _: None)
    say("The database has its new password.")


@dataclass(frozen=True, slots=True)
class Left:
    """What stays after a destroy, by id."""

    volumes: list[str]
    snapshots: list[str]
    buckets: list[str]

    def __bool__(self) -> bool:
        return bool(self.volumes or self.snapshots or self.buckets)


def left_over(session: Any, *, stage: str) -> Left:
    """The database's volume, its snapshots and the bucket of spilled samples: all that a destroy
    leaves on purpose.
    """
    client = session.client("ec2")
    tagged = [{"Name": "tag:pulseboard-backup", "Values": [stage]}]
    return Left(
        volumes=[v["VolumeId"] for v in client.describe_volumes(Filters=tagged)["Volumes"]],
        snapshots=[
            s["SnapshotId"]
            for s in client.describe_snapshots(Filters=tagged, OwnerIds=["self"])["Snapshots"]
        ],
        buckets=[
            bucket["Name"]
            for bucket in session.client("s3").list_buckets()["Buckets"]
            if bucket["Name"].startswith(f"pulseboard-{stage}-data-spill")
        ],
    )


def delete_data(session: Any, left: Left) -> None:
    """Delete them permanently."""
    client = session.client("ec2")
    for volume in left.volumes:
        client.delete_volume(VolumeId=volume)
    for snapshot in left.snapshots:
        client.delete_snapshot(SnapshotId=snapshot)
    for bucket in left.buckets:
        spa.empty(session.client("s3"), bucket=bucket)
        session.client("s3").delete_bucket(Bucket=bucket)


def delete_empty_buckets(session: Any, left: Left) -> None:
    """An empty bucket is no data: nothing was spilled, or all was drained."""
    client = session.client("s3")
    for bucket in left.buckets:
        if not client.list_objects_v2(Bucket=bucket, MaxKeys=1)["KeyCount"]:
            client.delete_bucket(Bucket=bucket)


def destroy(
    session: Any, *, stage: str, context: Sequence[str], delete: bool, say: Say = print
) -> None:
    """Delete all stacks; the data stays unless `delete`. Raises DeployError."""
    preflight(session)
    context = chosen(session, stage=stage, context=context, say=say)
    for bucket in buckets(session, stage=stage):
        say(f"· {bucket}: {spa.empty(session.client('s3'), bucket=bucket)} objects deleted")
    clear_zone(session, stage=stage)
    cdk(cdk_arguments("destroy", stage=stage, stacks=(), context=context))
    delete_empty_buckets(session, left_over(session, stage=stage))
    left = left_over(session, stage=stage)
    if delete:
        delete_data(session, left)
        left = left_over(session, stage=stage)
    if left:
        say("What is left, and billed as storage:")
        for volume in left.volumes:
            say(f"  volume {volume}: the database. docs/operating.md says how to use it again.")
        for snapshot in left.snapshots:
            say(f"  snapshot {snapshot}")
        for bucket in left.buckets:
            say(f"  bucket {bucket}: samples that wait to be written; they expire.")
        say("`make destroy DATA=delete` deletes these too, for good.")
    else:
        say("Nothing is left.")


def clear_zone(session: Any, *, stage: str) -> None:
    """Delete the record that the instance made: CloudFormation deletes no zone with a record that
    it did not make.
    """
    client = session.client("route53")
    for zone in _resources(session, stage=stage, kind="AWS::Route53::HostedZone"):
        pages = client.get_paginator("list_resource_record_sets").paginate(
            HostedZoneId=zone["PhysicalResourceId"]
        )
        changes = [
            {"Action": "DELETE", "ResourceRecordSet": record}
            for page in pages
            for record in page["ResourceRecordSets"]
            if record["Type"] not in ("NS", "SOA")
        ]
        if changes:
            client.change_resource_record_sets(
                HostedZoneId=zone["PhysicalResourceId"], ChangeBatch={"Changes": changes}
            )


def buckets(session: Any, *, stage: str) -> list[str]:
    """Buckets of the stacks that are still there, but for spilled samples, which are data."""
    return [
        entry["PhysicalResourceId"]
        for entry in _resources(session, stage=stage, kind="AWS::S3::Bucket")
        if not entry["LogicalResourceId"].startswith("Spill")
    ]


def _resources(session: Any, *, stage: str, kind: str) -> list[dict[str, Any]]:
    """Resources of a type in the stacks that are still there."""
    client, found = session.client("cloudformation"), []
    for stack in LATER_STACKS + FIRST_STACKS:
        name = f"Pulseboard-{stage}-{stack}"
        if _stack(session, name) is None:
            continue
        for page in client.get_paginator("list_stack_resources").paginate(StackName=name):
            found += [
                entry
                for entry in page["StackResourceSummaries"]
                if entry["ResourceType"] == kind and entry["ResourceStatus"] != "DELETE_COMPLETE"
            ]
    return found


def check_alarms(
    session: Any, *, stage: str, tries: int = 20, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Set one alarm's state and see its action succeed: that an alarm reaches its topic at all.

    Raises DeployError with CloudWatch's reason. The alarm goes back to its own state with its next
    evaluation.
    """
    client, name = session.client("cloudwatch"), f"pulseboard-{stage}-{PROBED_ALARM}"
    began = datetime.now(UTC)
    client.set_alarm_state(
        AlarmName=name, StateValue="ALARM", StateReason="make deploy checks that this arrives"
    )
    client.set_alarm_state(
        AlarmName=name, StateValue="OK", StateReason="make deploy has checked it"
    )
    for _ in range(tries):
        found = client.describe_alarm_history(
            AlarmName=name, HistoryItemType="Action", StartDate=began, EndDate=datetime.now(UTC)
        )["AlarmHistoryItems"]
        for item in found:
            outcome = json.loads(item["HistoryData"])
            if outcome.get("actionState") == "Succeeded":
                return
            if outcome.get("actionState") == "Failed":
                raise DeployError(
                    f"The alarm {name} can't notify: "
                    f"{outcome.get('error') or item['HistorySummary']}"
                )
        sleep(3)
    raise DeployError(f"The alarm {name} was set and performed no action in {3 * tries} seconds.")


def main(arguments: Sequence[str] | None = None) -> int:
    """1 when something stopped it; the message says what to do."""
    parser = argparse.ArgumentParser(description="Pulseboard on AWS.")
    parser.add_argument(
        "command",
        choices=["deploy", "rollback", "destroy", "diff", "rotate-secret", "update-database"],
    )
    parser.add_argument("--stage", default="production")
    parser.add_argument("--admin", help="email of the first admin")
    parser.add_argument("--context", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--data", choices=["keep", "delete"], default="keep")
    parser.add_argument("--move", choices=["none", "done", "fresh"], default="none")
    parser.add_argument("--packages", default="", help="name=version of each, for update-database")
    parser.add_argument("--confirm", help="the stage's name again, for destroy")
    options = parser.parse_args(arguments)
    session, stage = boto3.session.Session(), options.stage
    try:
        check_stage(stage)
        if options.command == "deploy":
            deploy(session, stage=stage, context=options.context, admin=options.admin,
                   move=options.move)  # fmt: skip
        elif options.command == "rollback":
            rollback(session, stage=stage, context=options.context)
        elif options.command == "diff":
            found = preflight(session)
            context = chosen(session, stage=stage, context=options.context)
            cdk(cdk_arguments("diff", stage=stage, stacks=(), context=context,
                              reserve=found.reserve))  # fmt: skip
        elif options.command == "rotate-secret":
            rotate_secret(session, stage=stage)
        elif options.command == "update-database":
            update_database(session, stage=stage, packages=options.packages.split())
        elif options.confirm != stage:
            raise DeployError(
                f"This deletes the stage {stage}. To confirm: "
                f"make destroy STAGE={stage} CONFIRM={stage}"
            )
        else:
            destroy(session, stage=stage, context=options.context, delete=options.data == "delete")
    except (DeployError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError) as error:
        print(f"AWS refused: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
