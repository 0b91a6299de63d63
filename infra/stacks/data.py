"""Database, cache and their secrets; the functions that maintain the database."""

import aws_cdk as cdk
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.config import POOL_SIZE, Config
from infra.constructs.python_function import PythonFunction, Shared, layers
from infra.constructs.spill import Spill
from infra.constructs.timescaledb import TimescaleInstance
from infra.nag import accept
from infra.stacks.network import CACHE_PORT, PGBOUNCER_PORT, NetworkStack


class DataStack(cdk.Stack):
    """`shared_by(stack)` is what the functions of a stack need to reach the data."""

    def __init__(
        self, scope: Construct, name: str, *, config: Config, network: NetworkStack
    ) -> None:
        super().__init__(scope, name)
        self.config = config
        self.network = network
        self.alarms = self._alarms()
        self.database_secret_arn, database_url = self._database()
        self.settings = {
            "DATABASE_URL": database_url,
            "REDIS_URL": config.cache_url or self._cache(),
            "PULSEBOARD_DATABASE_SECRET": self.database_secret,
            "PULSEBOARD_DATABASE_POOL_SIZE": str(POOL_SIZE),
            "PULSEBOARD_DATABASE_DISK_BYTES": str(config.database_disk_gb * 2**30),
        }
        if config.local:
            self.settings["PULSEBOARD_COOKIE_SECURE"] = "false"
        shared = self.shared_by(self)
        self.migrate = PythonFunction(self, "migrate", shared=shared)
        self.maintain = PythonFunction(self, "maintain", shared=shared)
        self.spill = Spill(self, "Spill", config=config, shared=shared)
        events.Rule(
            self,
            "EveryMinute",
            description="Due jobs of the database, and its metrics",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[targets.LambdaFunction(self.maintain.function, retry_attempts=0)],
        )
        cdk.CfnOutput(self, "MigrateFunction", value=self.migrate.function_name)
        cdk.CfnOutput(self, "AlarmTopic", value=self.alarms.topic_arn)

    def shared_by(self, stack: cdk.Stack) -> Shared:
        """What the functions of this stack have in common; call it once a stack."""
        return Shared(
            config=self.config,
            layers=layers(stack, self.config),
            environment=self.settings,
            vpc=self.network.vpc,
            subnets=self.network.private,
            security_group=self.network.functions_group,
            database_secret_arn=self.database_secret_arn,
            alarms=self.alarms,
        )

    def _database(self) -> tuple[str, str]:
        config = self.config
        if config.database == "external":
            given = secretsmanager.Secret.from_secret_name_v2(
                self, "DatabaseUrl", config.database_secret or ""
            )
            self.database_secret = config.database_secret or ""
            # The secret's own name with the six characters that AWS appends.
            return f"{given.secret_arn}-??????", ""
        secret = secretsmanager.Secret(
            self,
            "DatabasePassword",
            secret_name=f"pulseboard/{config.stage}/database",
            description="Role pulseboard of the database; the instance follows within a minute",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template='{"username": "pulseboard"}',
                generate_string_key="password",
                exclude_punctuation=True,
                password_length=40,
            ),
        )
        accept(
            secret,
            "Rotated by `make rotate-secret`: a rotation function would need a way to AWS out of "
            "the VPC that nothing else needs.",
            "AwsSolutions-SMG4",
        )
        instance = TimescaleInstance(
            self,
            "TimescaleDB",
            config=config,
            vpc=self.network.vpc,
            subnet=self.network.vpc.public_subnets[0],
            security_group=self.network.database_group,
            secret=secret,
        )
        url = f"postgresql://pulseboard@{instance.host}:{PGBOUNCER_PORT}/pulseboard?sslmode=require"
        self.database_secret = secret.secret_arn
        return secret.secret_arn, url

    def _cache(self) -> str:
        cache = elasticache.CfnServerlessCache(
            self,
            "Cache",
            engine="valkey",
            major_engine_version="8",
            serverless_cache_name=f"pulseboard-{self.config.stage}",
            description="Results, sessions and leases: all of it can be lost",
            security_group_ids=[self.network.cache_group.security_group_id],
            subnet_ids=self.network.vpc.select_subnets(
                subnet_type=self.network.private.subnet_type
            ).subnet_ids,
            cache_usage_limits=elasticache.CfnServerlessCache.CacheUsageLimitsProperty(
                data_storage=elasticache.CfnServerlessCache.DataStorageProperty(
                    unit="GB", maximum=5
                ),
                ecpu_per_second=elasticache.CfnServerlessCache.ECPUPerSecondProperty(
                    maximum=20_000
                ),
            ),
        )
        return f"rediss://{cache.attr_endpoint_address}:{CACHE_PORT}"

    def _alarms(self) -> sns.Topic:
        key = kms.Key(
            self,
            "AlarmsKey",
            description="Alarms of Pulseboard",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        key.grant(
            iam.ServicePrincipal("cloudwatch.amazonaws.com"), "kms:Decrypt", "kms:GenerateDataKey*"
        )
        topic = sns.Topic(self, "Alarms", master_key=key, enforce_ssl=True)
        if self.config.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(self.config.alarm_email))
        return topic
