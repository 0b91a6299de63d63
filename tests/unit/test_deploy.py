"""The steps of a deploy against moto's AWS: their requests, and their messages on failure."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
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
