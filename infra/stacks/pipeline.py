"""The roles that GitHub Actions assumes by OpenID Connect: no key is stored anywhere.

One role for each environment that deploys, which only a job of that environment of that one
repository can assume, and one that pull requests use to compute a diff and that can change
nothing. The CDK's own roles, which bootstrapping makes, do the deploying.
"""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.nag import accept

ISSUER = "token.actions.githubusercontent.com"
STAGES = ("staging", "production")


class PipelineStack(cdk.Stack):
    """`repository` is `owner/name`. `provider` false where the account knows GitHub already."""

    def __init__(
        self, scope: Construct, name: str, *, repository: str, provider: bool = True
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
        for stage in STAGES:
            role = self._role(stage, f"environment:{stage}")
            self._allow_deploy(role, stage)
            cdk.CfnOutput(self, f"{stage.capitalize()}RoleArn", value=role.role_arn)
        diff = self._role("diff", "pull_request")
        self._allow(diff, [self._cdk_role("lookup")], "sts:AssumeRole")
        self._allow(diff, [self._stacks(""), self._toolkit()], "cloudformation:DescribeStacks")
        self._allow(diff, ["*"], "lambda:GetAccountSettings")
        self._reason(diff)
        cdk.CfnOutput(self, "DiffRoleArn", value=diff.role_arn)

    def _role(self, name: str, subject: str) -> iam.Role:
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
                        f"{ISSUER}:sub": f"repo:{self.repository}:{subject}",
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
    """`owner/name`, as it is. Raises ValueError for anything that would trust more than one."""
    owner, slash, name = text.partition("/")
    if not (slash and owner and name) or set(text) & set("*?: ") or "/" in name:
        raise ValueError(f"REPO={text}: write owner/name of one GitHub repository")
    return text
