"""`make deploy`, `rollback`, `destroy`, `diff` and `rotate-secret`: what the CDK leaves to others.

    preflight ─▶ network, data ─▶ migrate ─▶ the rest ─▶ SPA ─▶ old versions ─▶ health, sign-in

A failed migration ends the deploy before new code serves (docs/adr/0041). Everything can run
again: the next deploy finishes an interrupted one.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra import spa
from infra.config import ROOT

CDK = ROOT / "infra" / "node_modules" / ".bin" / "cdk"
DIST = ROOT / "frontend" / "dist"
RESERVED = 95
"""Sum of the functions' reserved concurrency; a test compares the template with it."""
UNRESERVED = 100
"""What AWS reserves for functions without a reservation."""
KEPT_VERSIONS = 2
"""Versions of a function that stay: the live one, and the one before for a rollback."""
FIRST_STACKS = ("Network", "Data")
LATER_STACKS = ("Api", "Frontend", "Alerting", "Monitoring")
DATABASE_WAIT = 15 * 60.0
"""Seconds that a new instance may take to install itself; about five minutes in fact."""

Say = Callable[[str], None]


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
                with urllib.request.urlopen(f"{url}{path}", timeout=10) as response:
                    response.read()
                break
            except (urllib.error.URLError, TimeoutError) as error:
                if attempt == tries - 1:
                    raise DeployError(f"{url}{path} does not respond: {error}") from error
                sleep(6)


def deploy(
    session: Any, *, stage: str, context: Sequence[str], admin: str | None, say: Say = print
) -> None:
    """Deploy everything; prints address, sign-in and key at the end. Raises DeployError."""
    found = preflight(session)
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
    applied = call_migrate(session, stage=stage, event={}, say=say).get("applied", [])
    say(f"· migrations: {', '.join(applied) or 'none were missing'}")
    put_up(LATER_STACKS)
    uploaded = publish(session, stage=stage)
    say(f"· SPA: {len(uploaded.written)} files written, {len(uploaded.removed)} old ones removed")
    say(f"· {len(prune_versions(session, stage=stage))} old versions of functions removed")
    url = outputs(session, stage=stage, stack="Frontend")["Url"]
    check_health(url)
    # Last, since the link in it lives for ten minutes.
    result = call_migrate(session, stage=stage, event={"admin": admin}) if admin else {}
    first = result.get("first")
    say(f"\nPulseboard is at {url}")
    if first:
        say(
            f"Sign in:  {url}{first['page']}#token={first['token']}  (once, within 10 minutes)\n"
            f"Admin:    {first['email']}, password {first['password']}\n"
            f"Agents:   PULSEBOARD_URL={url} PULSEBOARD_API_KEY={first['apiKey']} "
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
    cdk(cdk_arguments("deploy", stage=stage, stacks=LATER_STACKS, context=context,
                      reserve=found.reserve))  # fmt: skip
    publish(session, stage=stage)
    url = outputs(session, stage=stage, stack="Frontend")["Url"]
    check_health(url)
    say(f"The code of this work tree serves at {url} again.")


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
    buckets = _buckets(session, stage=stage)
    for bucket in buckets:
        say(f"· {bucket}: {spa.empty(session.client('s3'), bucket=bucket)} objects deleted")
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


def _buckets(session: Any, *, stage: str) -> list[str]:
    """Buckets of the stacks that are still there, but for spilled samples, which are data."""
    client, found = session.client("cloudformation"), []
    for stack in LATER_STACKS + FIRST_STACKS:
        name = f"Pulseboard-{stage}-{stack}"
        if _stack(session, name) is None:
            continue
        for page in client.get_paginator("list_stack_resources").paginate(StackName=name):
            found += [
                entry["PhysicalResourceId"]
                for entry in page["StackResourceSummaries"]
                if entry["ResourceType"] == "AWS::S3::Bucket"
                and entry["ResourceStatus"] != "DELETE_COMPLETE"
                and not entry["LogicalResourceId"].startswith("Spill")
            ]
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """1 when something stopped it; the message says what to do."""
    parser = argparse.ArgumentParser(description="Pulseboard on AWS.")
    parser.add_argument(
        "command", choices=["deploy", "rollback", "destroy", "diff", "rotate-secret"]
    )
    parser.add_argument("--stage", default="production")
    parser.add_argument("--admin", help="email of the first admin")
    parser.add_argument("--context", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--data", choices=["keep", "delete"], default="keep")
    parser.add_argument("--confirm", help="the stage's name again, for destroy")
    options = parser.parse_args(arguments)
    session, stage = boto3.session.Session(), options.stage
    try:
        if options.command == "deploy":
            deploy(session, stage=stage, context=options.context, admin=options.admin)
        elif options.command == "rollback":
            rollback(session, stage=stage, context=options.context)
        elif options.command == "diff":
            found = preflight(session)
            cdk(cdk_arguments("diff", stage=stage, stacks=(), context=options.context,
                              reserve=found.reserve))  # fmt: skip
        elif options.command == "rotate-secret":
            rotate_secret(session, stage=stage)
        elif options.confirm != stage:
            raise DeployError(
                f"This deletes the stage {stage}. To confirm: "
                f"make destroy STAGE={stage} CONFIRM={stage}"
            )
        else:
            destroy(session, stage=stage, context=options.context, delete=options.data == "delete")
    except DeployError as error:
        print(error, file=sys.stderr)
        return 1
    except (BotoCoreError, ClientError) as error:
        print(f"AWS refused: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
