"""The steps of a deploy against moto's AWS: their requests, and their messages on failure."""

import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from infra import deploy, spa


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An account that has nothing in it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield boto3.session.Session(region_name="eu-central-1")


class Lambda:
    """`migrate`, returning one result after the other."""

    def __init__(self, *results: dict[str, Any]) -> None:
        self.results = list(results)
        self.events: list[dict[str, Any]] = []
        self.region_name = "eu-central-1"

    def client(self, name: str) -> "Lambda":
        assert name == "lambda"
        return self

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "pulseboard-staging-migrate"
        self.events.append(json.loads(Payload))
        response = self.results.pop(0)
        failed = {"FunctionError": "Unhandled"} if "errorType" in response else {}
        return {"Payload": io.BytesIO(json.dumps(response).encode()), **failed}


@pytest.mark.parametrize(("concurrency", "reserve"), [(10, False), (1000, True)])
def test_preflight_finds_an_empty_account_and_its_quota(
    session: Any, monkeypatch: pytest.MonkeyPatch, concurrency: int, reserve: bool
) -> None:
    # moto has neither of these two calls.
    monkeypatch.setattr(deploy, "_stack", lambda *_: None)
    monkeypatch.setattr(deploy, "_concurrency", lambda _: concurrency)
    found = deploy.preflight(session)
    assert found.region == "eu-central-1"
    assert not found.bootstrapped
    assert found.reserve is reserve


def test_a_missing_region_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(deploy.DeployError, match="AWS_REGION"):
        deploy.preflight(boto3.session.Session())


def test_the_cdk_deploys_these_stacks_only() -> None:
    arguments = deploy.cdk_arguments(
        "deploy", stage="staging", stacks=("Network",), context=["alarmEmail=a@b.c"], reserve=False
    )
    assert arguments[:2] == ["deploy", "Pulseboard-staging-Network"]
    assert "--exclusively" in arguments
    chosen = {arguments[i + 1] for i, part in enumerate(arguments) if part == "--context"}
    assert chosen == {"stage=staging", "reserve=false", "alarmEmail=a@b.c"}


def test_migrate_is_called_until_the_database_responds() -> None:
    away = {"errorType": "OperationalError", "errorMessage": "no route"}
    function, waits = Lambda(away, away, {"applied": ["0001"]}), list[float]()
    response = deploy.call_migrate(
        function, stage="staging", event={"admin": "a@b.c"}, sleep=waits.append, say=lambda _: None
    )
    assert response == {"applied": ["0001"]}
    assert function.events == [{"admin": "a@b.c"}] * 3
    assert len(waits) == 2


def test_a_failed_migration_ends_the_deploy_at_once() -> None:
    wrong = Lambda({"errorType": "MigrationError", "errorMessage": "0007 failed"})
    with pytest.raises(deploy.DeployError, match=r"0007 failed\nThe old code goes on serving"):
        deploy.call_migrate(wrong, stage="staging", event={})


def test_a_database_that_never_responds_ends_the_deploy_with_a_hint() -> None:
    away = {"errorType": "Unavailable", "errorMessage": "x"}
    function = Lambda(*[away] * 9)
    with pytest.raises(deploy.DeployError, match="maintain-silent"):
        deploy.call_migrate(
            function,
            stage="staging",
            event={},
            patience=60,
            sleep=lambda _: None,
            say=lambda _: None,
        )
    assert len(function.events) == 5


def built(directory: Path, **files: str) -> Path:
    for name, text in {"index.html": "<html>", **files}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def test_the_page_is_short_lived_and_comes_last(session: Any, tmp_path: Path) -> None:
    s3 = session.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="spa")
    directory = built(tmp_path, **{"assets/app-1.js": "1", "favicon.svg": "<svg/>"})
    done = spa.upload(s3, bucket="spa", directory=directory)
    assert done.written == ["assets/app-1.js", "favicon.svg", "index.html"]
    asset = s3.head_object(Bucket="spa", Key="assets/app-1.js")
    page = s3.head_object(Bucket="spa", Key="index.html")
    assert "immutable" in asset["CacheControl"]
    assert asset["ContentType"].startswith("text/javascript")
    assert page["CacheControl"] == "no-cache"
    assert spa.upload(s3, bucket="spa", directory=directory).written == [
        "favicon.svg",
        "index.html",
    ]


def test_files_of_former_builds_stay_for_a_month(session: Any, tmp_path: Path) -> None:
    s3 = session.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="spa")
    spa.upload(s3, bucket="spa", directory=built(tmp_path / "a", **{"assets/old.js": "1"}))
    new = built(tmp_path / "b", **{"assets/new.js": "2"})
    assert spa.upload(s3, bucket="spa", directory=new).removed == []
    later = datetime.now(UTC) + timedelta(days=31)
    assert spa.upload(s3, bucket="spa", directory=new, now=later).removed == ["assets/old.js"]
    assert spa.empty(s3, bucket="spa") == 2


def test_nothing_built_is_said_before_anything_is_uploaded(session: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="make frontend"):
        spa.upload(session.client("s3"), bucket="spa", directory=tmp_path)


class Versions:
    """Functions with many versions, as Lambda lists them."""

    def __init__(self, functions: dict[str, list[str]], live: dict[str, str]) -> None:
        self.functions, self.live, self.deleted = functions, live, list[str]()

    def client(self, name: str) -> "Versions":
        return self

    def get_paginator(self, name: str) -> Any:
        versions = self

        class Pages:
            def paginate(self, **what: str) -> list[dict[str, Any]]:
                if name == "list_functions":
                    return [{"Functions": [{"FunctionName": f}]} for f in versions.functions]
                numbers = ["$LATEST", *versions.functions[what["FunctionName"]]]
                return [{"Versions": [{"Version": number}]} for number in numbers]

        return Pages()

    def list_aliases(self, *, FunctionName: str) -> dict[str, Any]:  # noqa: N803
        live = self.live.get(FunctionName)
        return {"Aliases": [{"FunctionVersion": live}] if live else []}

    def delete_function(self, *, FunctionName: str, Qualifier: str) -> None:  # noqa: N803
        self.deleted.append(f"{FunctionName}:{Qualifier}")


def test_versions_go_but_the_live_one_and_the_newest_two() -> None:
    account = Versions(
        {"pulseboard-staging-query": ["1", "2", "9", "10", "11"], "pulseboard-production-query":
         ["1", "2", "3"], "another": ["1", "2", "3"]},
        {"pulseboard-staging-query": "2"},
    )  # fmt: skip
    gone = deploy.prune_versions(account, stage="staging")
    assert gone == ["pulseboard-staging-query:1", "pulseboard-staging-query:9"]
    assert gone == account.deleted


def test_rotating_stores_a_new_password_and_proves_it(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = session.client("secretsmanager")
    secrets.create_secret(Name="pulseboard/staging/database", SecretString='{"password": "old"}')
    proved: list[str] = []

    def prove(*_: Any, stage: str, **__: Any) -> dict[str, Any]:
        proved.append(stage)
        return {}

    monkeypatch.setattr(deploy, "call_migrate", prove)
    deploy.rotate_secret(session, stage="staging", say=lambda _: None)
    stored = secrets.get_secret_value(SecretId="pulseboard/staging/database")["SecretString"]
    value = json.loads(stored)
    assert value["username"] == "pulseboard"
    assert len(value["password"]) == 40
    assert value["password"].isalnum()
    assert proved == ["staging"]


def test_a_secret_of_ones_own_is_not_rotated(session: Any) -> None:
    with pytest.raises(deploy.DeployError, match="yours to change"):
        deploy.rotate_secret(session, stage="nowhere", say=lambda _: None)


def test_what_a_destroy_leaves_is_found_and_can_be_deleted(session: Any) -> None:
    ec2 = session.client("ec2")
    tags = [
        {
            "ResourceType": "volume",
            "Tags": [{"Key": "pulseboard-backup", "Value": "staging"}],
        }
    ]
    volume = ec2.create_volume(AvailabilityZone="eu-central-1a", Size=1, TagSpecifications=tags)
    ec2.create_volume(AvailabilityZone="eu-central-1a", Size=1)
    s3 = session.client("s3", region_name="us-east-1")
    spilled = "pulseboard-staging-data-spillbucket-full"
    drained = "pulseboard-staging-data-spillbucket-empty"
    for bucket in (spilled, drained, "pulseboard-production-data-spillbucket-full"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=spilled, Key="waiting/1", Body=b"samples")
    left = deploy.left_over(session, stage="staging")
    assert left.volumes == [volume["VolumeId"]]
    assert sorted(left.buckets) == sorted([spilled, drained])
    deploy.delete_empty_buckets(session, left)
    left = deploy.left_over(session, stage="staging")
    assert left.buckets == [spilled]
    deploy.delete_data(session, left)
    assert not deploy.left_over(session, stage="staging")
    assert len(s3.list_buckets()["Buckets"]) == 1


def test_destroying_needs_the_stages_name(session: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["destroy", "--stage", "staging"]) == 1
    assert "CONFIRM=staging" in capsys.readouterr().err


class Stacks:
    """CloudFormation, whose response is always this error."""

    region_name = "eu-central-1"

    def __init__(self, code: str, message: str) -> None:
        self.error = ClientError({"Error": {"Code": code, "Message": message}}, "DescribeStacks")

    def client(self, name: str) -> "Stacks":
        return self

    def describe_stacks(self, **_: str) -> None:
        raise self.error


def test_outputs_of_a_stack_that_is_not_there() -> None:
    missing = Stacks("ValidationError", "Stack with id X does not exist")
    with pytest.raises(deploy.DeployError, match="make deploy first"):
        deploy.outputs(missing, stage="staging", stack="Frontend")


def test_other_errors_of_aws_do_not_count_as_a_missing_stack() -> None:
    with pytest.raises(ClientError):
        deploy.outputs(Stacks("AccessDenied", "no"), stage="staging", stack="Frontend")


def test_the_zone_is_emptied_of_what_the_instance_wrote_before_it_is_deleted(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    route53 = session.client("route53")
    zone = route53.create_hosted_zone(Name="db.internal", CallerReference="1")["HostedZone"]["Id"]
    record = {
        "Name": "db.internal",
        "Type": "A",
        "TTL": 10,
        "ResourceRecords": [{"Value": "1.2.3.4"}],
    }
    route53.change_resource_record_sets(
        HostedZoneId=zone,
        ChangeBatch={"Changes": [{"Action": "UPSERT", "ResourceRecordSet": record}]},
    )
    monkeypatch.setattr(
        deploy,
        "_resources",
        lambda *_, kind, **__: [{"PhysicalResourceId": zone}] if "Zone" in kind else [],
    )
    monkeypatch.setattr(deploy, "preflight", lambda _: None)
    monkeypatch.setattr(deploy, "outputs", lambda *_, **__: {})
    left: list[set[str]] = []

    def cdk(arguments: list[str]) -> None:
        assert arguments[0] == "destroy"
        sets = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        left.append({each["Type"] for each in sets})

    monkeypatch.setattr(deploy, "cdk", cdk)
    deploy.destroy(session, stage="staging", context=[], delete=False, say=lambda _: None)
    assert left == [{"NS", "SOA"}]


def test_choices_of_the_deploy_before_stay_until_they_are_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pipeline without them would take down domain, mail and disk."""
    before = json.dumps({"domain": "m.example.com", "databaseDiskGb": "100"})
    monkeypatch.setattr(deploy, "outputs", lambda *_, **__: {"Choices": before})
    said: list[str] = []
    found = deploy.chosen(None, stage="s", context=["databaseDiskGb=150"], say=said.append)
    assert set(found) == {"domain=m.example.com", "databaseDiskGb=150"}
    assert "domain=m.example.com" in said[0]
    assert set(deploy.chosen(None, stage="s", context=["domain="], say=said.append)) == {
        "domain=", "databaseDiskGb=100",
    }  # fmt: skip


class Alarms:
    """CloudWatch, whose history has these actions."""

    def __init__(self, *states: dict[str, str]) -> None:
        self.states, self.set = states, list[str]()

    def client(self, name: str) -> "Alarms":
        assert name == "cloudwatch"
        return self

    def set_alarm_state(self, **what: str) -> None:
        self.set.append(f"{what['AlarmName']}={what['StateValue']}")

    def describe_alarm_history(self, **_: Any) -> dict[str, Any]:
        return {
            "AlarmHistoryItems": [
                {"HistoryData": json.dumps(state), "HistorySummary": "failed"}
                for state in self.states
            ]
        }


def test_a_deploy_ends_by_an_alarm_that_arrives() -> None:
    alarms = Alarms({"actionState": "Succeeded"})
    deploy.check_alarms(alarms, stage="staging")
    assert alarms.set == [
        "pulseboard-staging-drain-dead-letters=ALARM", "pulseboard-staging-drain-dead-letters=OK",
    ]  # fmt: skip
    denied = Alarms({"actionState": "Failed", "error": "not authorized to perform: sns:Publish"})
    with pytest.raises(deploy.DeployError, match="sns:Publish"):
        deploy.check_alarms(denied, stage="staging")
    with pytest.raises(deploy.DeployError, match="no action"):
        deploy.check_alarms(Alarms(), stage="staging", sleep=lambda _: None)


def test_other_versions_are_installed_on_the_one_instance_and_wrong_ones_refused(
    session: Any,
) -> None:
    for packages in ([], ["postgresql-17"], ["x=1; rm -rf /"]):
        with pytest.raises(deploy.DeployError, match="name=version"):
            deploy.update_database(session, stage="staging", packages=packages)
    wanted = ["timescaledb-2-postgresql-17=2.28.4*"]
    with pytest.raises(deploy.DeployError, match="0 database instances"):
        deploy.update_database(session, stage="staging", packages=wanted)
    tags = [{"Key": "stage", "Value": "staging"}, {"Key": "pulseboard-role", "Value": "database"}]
    session.client("ec2").run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}],
    )  # fmt: skip
    deploy.update_database(session, stage="staging", packages=wanted, sleep=lambda _: None)
    (command,) = session.client("ssm").list_commands()["Commands"]
    assert command["Parameters"]["commands"] == [
        "/usr/local/bin/pulseboard-update 'timescaledb-2-postgresql-17=2.28.4*'"
    ]


FRONTEND = {"Url": "https://m.example.com", "DistributionDomain": "d1.cloudfront.net"}


def test_without_its_record_a_domain_is_said_and_the_deploy_checked_all_the_same() -> None:
    checked: list[str] = []

    def get(url: str) -> bytes:
        if "example.com" in url:
            raise OSError("Name or service not known")
        return b"<html>"

    reached = deploy.address(FRONTEND, get=get, check=checked.append)
    assert reached.url == "https://d1.cloudfront.net"
    assert "m.example.com. CNAME d1.cloudfront.net." in reached.missing
    assert "Name or service not known" in reached.missing
    assert checked == ["https://d1.cloudfront.net"]


def test_a_domain_that_leads_elsewhere_is_not_taken_for_ours() -> None:
    def get(url: str) -> bytes:
        return b"<html>" if "d1" in url else b"parked"

    reached = deploy.address(FRONTEND, get=get, check=lambda _: None)
    assert reached.url == "https://d1.cloudfront.net"
    assert "leads elsewhere" in reached.missing
    there = deploy.address({**FRONTEND, "Records": "true"}, get=get, check=lambda _: None)
    assert "name servers" in there.missing


def test_a_domain_that_leads_here_is_the_address() -> None:
    checked: list[str] = []
    reached = deploy.address(FRONTEND, get=lambda _: b"<html>", check=checked.append)
    assert reached == deploy.Address("https://m.example.com")
    assert checked[-1] == "https://m.example.com"
    plain = {"Url": "https://d1.cloudfront.net", "DistributionDomain": "d1.cloudfront.net"}
    assert deploy.address(plain, check=checked.append).missing == ""


def test_a_stage_that_is_none_is_refused_before_anything_is_called(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert deploy.main(["deploy", "--stage", "My Stage"]) == 1
    assert "lower-case letters" in capsys.readouterr().err


class Secrets:
    """Secrets Manager with one secret, `tiger`."""

    def __init__(self, value: str) -> None:
        self.value = value

    def client(self, name: str) -> "Secrets":
        assert name == "secretsmanager"
        return self

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803
        if SecretId != "tiger":
            error = {"Code": "ResourceNotFoundException", "Message": "not there"}
            raise ClientError({"Error": error}, "GetSecretValue")
        return {"SecretString": self.value}


URL = "postgresql://u:p@db.example.com:5432/tsdb"
OUT = ["database=external", "databaseSecret=tiger"]


def _checked(
    before: str | None,
    context: list[str],
    *,
    move: deploy.Move = "none",
    secret: str = URL,
    holds: bool | None = True,
) -> str:
    def look(url: str) -> bool:
        assert url == URL
        if holds is None:
            raise psycopg.OperationalError("timeout")
        return holds

    return deploy.check_database(Secrets(secret), before=before, context=context, move=move,
                                 say=lambda _: None, holds=look)  # fmt: skip


def test_a_deploy_that_would_leave_the_data_behind_ends_before_anything_is_touched() -> None:
    external = "external tiger"
    with pytest.raises(deploy.DeployError, match="MOVE=done"):
        _checked("ec2", OUT)
    with pytest.raises(deploy.DeployError, match="no data of Pulseboard"):
        _checked("ec2", OUT, move="done", holds=False)
    assert _checked("ec2", OUT, move="done") == "ec2 → external tiger"
    # A database inside a network of one's own: `migrate` looks at it then.
    assert _checked("ec2", OUT, move="done", holds=None) == "ec2 → external tiger"
    assert _checked("ec2", OUT, move="fresh", holds=False) == "ec2 → external tiger"
    with pytest.raises(deploy.DeployError, match="MOVE=done"):
        _checked("external other", OUT)
    # And back: the new instance has to be there before anything can be moved into it.
    assert _checked(external, ["databaseSecret=tiger", "database=ec2"]) == "external tiger → ec2"
    # Nothing changes, or nothing was there before.
    for before, context in ((external, OUT), (None, OUT), ("ec2", ["size=large"]), (None, [])):
        assert _checked(before, context) == ""
    # The way to an external database may be opened first.
    assert _checked("ec2", ["databaseSecret=tiger"]) == ""


def test_what_serves_is_what_functions_have_and_not_what_was_chosen_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A move back chooses `ec2` for the first stacks, and is not done by that: a second deploy
    without MOVE must still see that the data is elsewhere."""
    stacks = {"Network": {"Choices": '{"database": "ec2"}'}, "Api": {"Database": "external tiger"}}
    monkeypatch.setattr(deploy, "outputs", lambda *_, stack, **__: stacks[stack])
    assert deploy.serving(None, stage="s") == "external tiger"
    # Deployed by a version that did not write it down.
    del stacks["Api"]["Database"]
    stacks["Network"] = {"Choices": '{"database": "external", "databaseSecret": "tiger"}'}
    assert deploy.serving(None, stage="s") == "external tiger"


@pytest.mark.parametrize(
    ("context", "secret", "said"),
    [
        (["database=external", "databaseSecret=none"], URL, "create-secret --name none"),
        (["database=external"], URL, "databaseSecret=NAME"),
        (OUT, '{"password": "x"}', "a whole URL"),
        (OUT, "postgresql:///tsdb", "a whole URL"),
    ],
)
def test_a_secret_that_is_none_is_said_before_anything_is_touched(
    context: list[str], secret: str, said: str
) -> None:
    with pytest.raises(deploy.DeployError, match=re.escape(said)):
        _checked(None, context, secret=secret)


def test_an_empty_database_is_never_switched_to_by_mistake() -> None:
    """It is there and migrated; the functions still use the one before."""
    with pytest.raises(deploy.DeployError, match=r"empty.*MOVE=done"):
        deploy.check_moved("external → ec2", empty=True, move="none")
    with pytest.raises(deploy.DeployError, match="empty"):
        deploy.check_moved("external → ec2", empty=True, move="done")
    deploy.check_moved("external → ec2", empty=True, move="fresh")
    deploy.check_moved("external → ec2", empty=False, move="none")


def test_a_rollback_takes_maintain_and_drain_along_and_does_not_migrate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They were in the stack of the data once: they kept new code, and got it before `migrate`."""
    deployed = list[str]()
    found = deploy.Preflight("1", "eu-central-1", True, True, 1_000)
    monkeypatch.setattr(deploy, "preflight", lambda _: found)
    monkeypatch.setattr(deploy, "cdk", deployed.extend)
    monkeypatch.setattr(deploy, "outputs", lambda *_, **__: {"Url": "https://x.example.com"})
    monkeypatch.setattr(deploy, "publish", lambda *_, **__: None)
    monkeypatch.setattr(deploy, "address", lambda _: deploy.Address("https://x.example.com"))
    monkeypatch.setattr(deploy, "call_migrate", lambda *_, **__: pytest.fail("it migrates"))
    deploy.rollback(None, stage="s", context=[], say=lambda _: None)
    stacks = {each for each in deployed if each.startswith("Pulseboard-")}
    assert stacks == {f"Pulseboard-s-{stack}" for stack in deploy.LATER_STACKS}
    assert "Pulseboard-s-Maintenance" in stacks
