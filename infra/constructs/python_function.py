"""The construct that creates every Lambda function."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra import config as sizes
from infra.config import ROOT, Config
from infra.imports import files, folders
from infra.nag import accept

FUNCTIONS = ROOT / "functions"


@dataclass(frozen=True, slots=True)
class FunctionSize:
    """What one function may use. `concurrency` is also the cap on its share of connections."""

    memory: int = 512
    """Megabytes."""
    timeout: int = 29
    """Seconds. API Gateway waits 30."""
    concurrency: int = 10


SIZES: Mapping[str, FunctionSize] = {
    "ingest": FunctionSize(memory=1024, concurrency=30),
    "query": FunctionSize(memory=1024, concurrency=30),
    "dashboards": FunctionSize(concurrency=10),
    "alerts": FunctionSize(concurrency=5),
    "auth": FunctionSize(memory=1024, concurrency=10),
    "evaluate": FunctionSize(memory=1024, timeout=20, concurrency=2),
    "notify": FunctionSize(memory=256, timeout=20, concurrency=4),
    "drain": FunctionSize(timeout=60, concurrency=2),
    "maintain": FunctionSize(timeout=300, concurrency=1),
    "migrate": FunctionSize(timeout=300, concurrency=1),
}


@dataclass(frozen=True, slots=True)
class Shared:
    """What the functions of one stack have in common."""

    config: Config
    layers: Sequence[lambda_.ILayerVersion]
    environment: Mapping[str, str]
    vpc: ec2.IVpc
    subnets: ec2.SubnetSelection
    security_group: ec2.ISecurityGroup
    credentials: tuple[str, str]
    """Action and resource of reading the database's password."""
    alarms: sns.ITopic


def layers(scope: Construct, config: Config) -> list[lambda_.ILayerVersion]:
    """The two layers, created in each stack: an export of a layer's version could not change
    while another stack uses it. Their content is uploaded once.
    """
    if config.bundled:
        return []
    return [
        lambda_.LayerVersion(
            scope,
            name,
            code=lambda_.Code.from_asset(str(config.layers / f"{archive}.zip")),
            compatible_runtimes=[lambda_.Runtime.PYTHON_3_13],
            compatible_architectures=[architecture(config)],
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        for name, archive in (("Dependencies", "deps"), ("Pulseboard", "pulseboard"))
    ]


def architecture(config: Config) -> lambda_.Architecture:
    """Arm on AWS, where it costs a fifth less; this machine's own for the emulator."""
    if config.local and platform.machine() in ("x86_64", "AMD64"):
        return lambda_.Architecture.X86_64
    return lambda_.Architecture.ARM_64


def exists(name: str) -> bool:
    """Whether the source of this function exists."""
    return (FUNCTIONS / name / "handler.py").is_file()


def _code(name: str, config: Config) -> lambda_.Code:
    if config.bundled:
        return lambda_.Code.from_asset(str(config.layers / "everything.zip"))
    return lambda_.Code.from_asset(
        str(ROOT),
        exclude=["*", "!functions", "functions/*",
                 *(f"!functions/{file}" for file in files(name)),
                 *(part for folder in folders(name)
                   for part in (f"!functions/{folder}", f"!functions/{folder}/**")),
                 "**/__pycache__"],
        ignore_mode=cdk.IgnoreMode.GIT,
    )  # fmt: skip


class PythonFunction(Construct):
    """A function with its role, log group, alarms and, for HTTP, an alias of the live version,
    which SnapStart can hold a snapshot of.

    `function` is what is called: the alias where there is one. Its code is its own folder
    and those it imports from, so that a change publishes versions of the functions it is in.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        shared: Shared,
        inside: bool = True,
        database: bool = True,
        alias: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(scope, name.capitalize())
        config, size = shared.config, SIZES[name]
        if name in ("ingest", "query"):
            size = replace(size, concurrency=sizes.SIZES[config.size].clients)
        self.name = name
        self.function_name = f"pulseboard-{config.stage}-{name}"
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{self.function_name}",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self.role = self._role(shared, inside=inside, database=database)
        self.lambda_function = lambda_.Function(
            self,
            "Function",
            function_name=self.function_name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=architecture(config),
            handler=f"functions.{name}.handler.handler",
            code=_code(name, config),
            layers=list(shared.layers),
            memory_size=size.memory,
            timeout=cdk.Duration.seconds(size.timeout),
            reserved_concurrent_executions=size.concurrency if config.reserve else None,
            tracing=lambda_.Tracing.ACTIVE if config.tracing else lambda_.Tracing.DISABLED,
            # Of calls that wait for no result, as those of a schedule: the next one does the work.
            retry_attempts=None if config.local else 0,
            logging_format=lambda_.LoggingFormat.JSON,
            # A line or two of Lambda's own for each invocation would cost more than it.
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            log_group=self.log_group,
            role=self.role.without_policy_updates(),
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS
            if name in config.snap_start
            else None,
            environment={
                **(shared.environment if database else {}),
                "POWERTOOLS_SERVICE_NAME": name,
                "PULSEBOARD_STAGE": config.stage,
                "PULSEBOARD_METRICS": "all" if config.board else "alarms",
                **(environment or {}),
            },
            vpc=shared.vpc if inside else None,
            vpc_subnets=shared.subnets if inside else None,
            security_groups=[shared.security_group] if inside else None,
        )  # fmt: skip
        accept(
            self.lambda_function,
            "Python 3.13 is what the layers are built for; a newer one is a decision.",
            "AwsSolutions-L1",
        )
        self.function: lambda_.IFunction = self.lambda_function
        if alias:
            self.function = lambda_.Alias(
                self, "Live", alias_name="live", version=self.lambda_function.current_version
            )
        minute = cdk.Duration.minutes(1)
        self._alarm("Errors", self.lambda_function.metric_errors(period=minute), shared.alarms)
        self._alarm(
            "Throttles", self.lambda_function.metric_throttles(period=minute), shared.alarms
        )

    def _role(self, shared: Shared, *, inside: bool, database: bool) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.allow(
            role, [self.log_group.log_group_arn], "logs:CreateLogStream", "logs:PutLogEvents"
        )
        if shared.config.tracing:
            self.allow(role, ["*"], "xray:PutTraceSegments", "xray:PutTelemetryRecords")
        if inside:
            self.allow(
                role,
                ["*"],
                "ec2:CreateNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSubnets",
                "ec2:DeleteNetworkInterface",
                "ec2:AssignPrivateIpAddresses",
                "ec2:UnassignPrivateIpAddresses",
            )
        if database:
            action, resource = shared.credentials
            self.allow(role, [resource], action)
        accept(
            role,
            "X-Ray's and the VPC attachment's actions support no resource.",
            "AwsSolutions-IAM5[Resource::*]",
        )
        return role

    def allow(self, role: iam.Role, resources: Sequence[str], *actions: str) -> None:
        """Let the function do this and nothing else."""
        role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources)))

    def _alarm(self, name: str, metric: cloudwatch.Metric, topic: sns.ITopic) -> None:
        alarm = cloudwatch.Alarm(
            self,
            name,
            alarm_name=f"{self.function_name}-{name.lower()}",
            alarm_description=f"docs/runbooks.md#{name.lower()}",
            metric=metric,
            threshold=1,
            evaluation_periods=3,
            datapoints_to_alarm=2,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(topic))
        alarm.add_ok_action(actions.SnsAction(topic))
