"""The roles that GitHub Actions assumes by OpenID Connect: no key is stored anywhere.

A role for the stage that this account holds, which only a job of that environment of that one
repository can assume, and, for production, one that pull requests use to compute a diff and that
can change nothing. The CDK's own roles, which bootstrapping makes, do the deploying, and they can
change all of their account: a second stage beside the first could be deployed by the first one's
role, so each stage is in an account of its own.
"""

import re
from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.deploy import PROBED_ALARM
from infra.nag import accept

ISSUER = "token.actions.githubusercontent.com"
STAGES = ("staging", "production")


class PipelineStack(cdk.Stack):
    """`repository` is as `repository_of` returns it. `provider` false where the account knows
    GitHub already.
    """

    def __init__(
        self, scope: Construct, name: str, *, repository: str, stage: str, provider: bool = True
    ) -> None:
        super().__init__(scope, name)
        self.repository = repository
        arn = self.format_arn(
            service="iam", region="", resource="oidc-provider", resource_name=ISSUER
        )
        created = (
            iam.CfnOIDCProvider(
                self, "GitHub", url=f"https://{ISSUER}", client_id_list=["sts.amazonaws.com"]
            )
            if provider
            else None
        )
        self.provider_arn = created.attr_arn if created else arn
        # A rollback of production waits for nobody: GitHub's environment `rollback` has no
        # reviewers, is for main alone, and its job takes only what has served.
        environments = [stage, "rollback"] if stage == "production" else [stage]
        role = self._role(stage, *(f"environment:{name}" for name in environments))
        self._allow_deploy(role, stage)
        cdk.CfnOutput(self, f"{stage.capitalize()}RoleArn", value=role.role_arn)
        if stage == "production":
            self._diff_role()

    def _diff_role(self) -> None:
        diff = self._role("diff", "pull_request")
        self._allow(diff, [self._cdk_role("lookup")], "sts:AssumeRole")
        self._allow(diff, [self._stacks(""), self._toolkit()], "cloudformation:DescribeStacks")
        self._allow(diff, ["*"], "lambda:GetAccountSettings")
        self._reason(diff)
        cdk.CfnOutput(self, "DiffRoleArn", value=diff.role_arn)

    def _role(self, name: str, *subjects: str) -> iam.Role:
        trusted = [f"repo:{self.repository}:{subject}" for subject in subjects]
        return iam.Role(
            self,
            name.capitalize(),
            role_name=f"pulseboard-github-{name}",
            max_session_duration=cdk.Duration.hours(1),
            assumed_by=iam.WebIdentityPrincipal(
                self.provider_arn,
                {
                    "StringEquals": {
                        f"{ISSUER}:aud": "sts.amazonaws.com",
                        f"{ISSUER}:sub": trusted if len(trusted) > 1 else trusted[0],
                    }
                },
            ),
        )

    def _allow_deploy(self, role: iam.Role, stage: str) -> None:
        arn = self.format_arn
        functions = arn(
            service="lambda",
            resource="function",
            resource_name=f"pulseboard-{stage}-*",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        bucket = f"arn:{self.partition}:s3:::pulseboard-{stage}-frontend-spa*"
        self._allow(role, [self._cdk_role("*")], "sts:AssumeRole")
        self._allow(
            role, [self._stacks(f"{stage}-"), self._toolkit()], "cloudformation:DescribeStacks"
        )
        self._allow(
            role,
            [functions],
            "lambda:InvokeFunction",
            "lambda:ListAliases",
            "lambda:ListVersionsByFunction",
            "lambda:DeleteFunction",
        )
        self._allow(role, [bucket], "s3:ListBucket")
        self._allow(role, [f"{bucket}/*"], "s3:PutObject", "s3:DeleteObject")
        self._allow(
            role,
            [arn(service="cloudfront", region="", resource="distribution", resource_name="*")],
            "cloudfront:CreateInvalidation",
        )
        self._allow(
            role,
            [
                arn(
                    service="cloudwatch",
                    resource="alarm",
                    resource_name=f"pulseboard-{stage}-{PROBED_ALARM}",
                    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            "cloudwatch:SetAlarmState",
            "cloudwatch:DescribeAlarmHistory",
        )
        self._allow(role, ["*"], "lambda:GetAccountSettings", "lambda:ListFunctions")
        self._reason(role)

    def _stacks(self, stage: str) -> str:
        return self.format_arn(
            service="cloudformation", resource="stack", resource_name=f"Pulseboard-{stage}*"
        )

    def _toolkit(self) -> str:
        return self.format_arn(
            service="cloudformation", resource="stack", resource_name="CDKToolkit/*"
        )

    def _cdk_role(self, kind: str) -> str:
        return self.format_arn(
            service="iam",
            region="",
            resource="role",
            resource_name=f"cdk-hnb659fds-{kind}-role-*",
        )

    def _allow(self, role: iam.Role, resources: Sequence[str], *actions: str) -> None:
        role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources)))

    def _reason(self, role: iam.Role) -> None:
        stage = role.node.id.lower()
        own, account = "arn:<AWS::Partition>", "<AWS::AccountId>"
        stacks = f"{own}:cloudformation:<AWS::Region>:{account}:stack"
        bucket = f"{own}:s3:::pulseboard-{stage}-frontend-spa*"
        accept(
            role,
            "Names carry the stage and CloudFormation's suffix; two calls support no resource.",
            *(
                f"AwsSolutions-IAM5[Resource::{resource}]"
                for resource in (
                    "*",
                    f"{own}:iam::{account}:role/cdk-hnb659fds-*-role-*",
                    f"{own}:iam::{account}:role/cdk-hnb659fds-lookup-role-*",
                    f"{stacks}/CDKToolkit/*",
                    f"{stacks}/Pulseboard-*",
                    f"{stacks}/Pulseboard-{stage}-*",
                    f"{own}:lambda:<AWS::Region>:{account}:function:pulseboard-{stage}-*",
                    bucket,
                    f"{bucket}/*",
                    f"{own}:cloudfront::{account}:distribution/*",
                )
            ),
        )


def repository_of(text: str) -> str:
    """`owner/name`, or `owner@id/name@id` as GitHub writes it for repositories made or renamed
    since July 2026, as it is. Raises ValueError for anything that would trust more than one.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+|[\w.-]+@[0-9]+/[\w.-]+@[0-9]+", text):
        raise ValueError(
            f"REPO={text}: write owner/name of one GitHub repository, or owner@id/name@id, which "
            "docs/deploy.md says how to find"
        )
    return text
