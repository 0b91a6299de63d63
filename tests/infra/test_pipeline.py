"""The pipeline's roles: who can assume them, and what they may do."""

import json
from pathlib import Path
from typing import Any

import pytest

from infra.deploy import RESERVED
from infra.pipeline import build
from infra.stacks.pipeline import ISSUER, repository_of
from tests.infra.conftest import Assembly

pytestmark = pytest.mark.infra


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """By logical id; cdk-nag has passed over them."""
    out = tmp_path_factory.mktemp("pipeline")
    build(repository="someone/pulseboard", stage="production", outdir=out).synth()
    template = json.loads((out / "Pulseboard-Pipeline.template.json").read_text())
    found: dict[str, dict[str, Any]] = template["Resources"]
    return found


def test_each_role_trusts_one_repository_and_one_environment(
    resources: dict[str, dict[str, Any]],
) -> None:
    subjects = set()
    for role in resources.values():
        if role["Type"] != "AWS::IAM::Role":
            continue
        (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        assert set(statement["Condition"]) == {"StringEquals"}
        equal = statement["Condition"]["StringEquals"]
        assert equal[f"{ISSUER}:aud"] == "sts.amazonaws.com"
        trusted = equal[f"{ISSUER}:sub"]
        subjects |= {trusted} if isinstance(trusted, str) else set(trusted)
    assert subjects == {
        "repo:someone/pulseboard:environment:production",
        "repo:someone/pulseboard:environment:rollback",
        "repo:someone/pulseboard:pull_request",
    }


def test_the_account_of_staging_trusts_staging_alone_by_names_with_ids(tmp_path: Path) -> None:
    """GitHub's subjects since July 2026; and no stage's role shares an account with another's."""
    build(repository="someone@12/pulseboard@345", stage="staging", outdir=tmp_path).synth()
    text = (tmp_path / "Pulseboard-Pipeline.template.json").read_text()
    found = json.loads(text)["Resources"].values()
    (role,) = [r for r in found if r["Type"] == "AWS::IAM::Role"]
    (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"]["StringEquals"][f"{ISSUER}:sub"] == (
        "repo:someone@12/pulseboard@345:environment:staging"
    )
    assert "production" not in text
    with pytest.raises(ValueError, match="STAGE="):
        build(repository="someone/pulseboard", stage="", outdir=tmp_path)


def test_the_role_of_pull_requests_changes_nothing(resources: dict[str, dict[str, Any]]) -> None:
    (policy,) = [
        r
        for r in resources.values()
        if r["Type"] == "AWS::IAM::Policy" and r["Properties"]["Roles"][0]["Ref"].startswith("Diff")
    ]
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    assert {s["Action"] for s in statements} == {
        "sts:AssumeRole", "cloudformation:DescribeStacks", "lambda:GetAccountSettings"
    }  # fmt: skip
    (assume,) = [s for s in statements if s["Action"] == "sts:AssumeRole"]
    assert "cdk-hnb659fds-lookup-role-" in json.dumps(assume["Resource"])


def test_no_role_may_do_everything(resources: dict[str, dict[str, Any]]) -> None:
    for policy in resources.values():
        if policy["Type"] == "AWS::IAM::Policy":
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                actions = statement["Action"]
                for action in [actions] if isinstance(actions, str) else actions:
                    assert "*" not in action
                    assert not action.startswith("iam:")


@pytest.mark.parametrize(
    "text", ["", "someone", "someone/*", "*/pulseboard", "a/b/c", "a/b:c", "a@1/b", "a@x/b@2"]
)
def test_a_repository_that_would_trust_more_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="owner/name"):
        repository_of(text)


def test_what_the_preflight_assumes_is_in_the_template(production: Assembly) -> None:
    functions = production.functions()
    reserved = sum(f["ReservedConcurrentExecutions"] for f in functions.values())
    assert reserved <= RESERVED
