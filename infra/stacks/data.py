"""Database, cache and their secrets, the spill bucket, and `migrate`: no other function has new
code before the migrations are applied.
"""

import aws_cdk as cdk
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.config import POOL_SIZE, Config
from infra.constructs.python_function import PythonFunction, Shared, layers
from infra.constructs.spill import Spill
from infra.constructs.timescaledb import CREDENTIALS, TimescaleInstance
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
        self.instance: TimescaleInstance | None = None
        self.cache: elasticache.CfnServerlessCache | None = None
        database = self._external() if config.database == "external" else self._own()
        self.settings = {
            **database,
            "REDIS_URL": config.cache_url or self._cache(),
            "PULSEBOARD_DATABASE_POOL_SIZE": str(POOL_SIZE),
            "PULSEBOARD_DATABASE_DISK_BYTES": str(config.database_disk_gb * 2**30),
        }
        if config.local:
            self.settings["PULSEBOARD_COOKIE_SECURE"] = "false"
        shared = self.shared_by(self)
        self.migrate = PythonFunction(self, "migrate", shared=shared)
        self.spill = Spill(self, "Spill", config=config)
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
            credentials=self.credentials,
            alarms=self.alarms,
        )

    def _external(self) -> dict[str, str]:
        """The settings of a database that is somebody's own; its whole URL is the secret."""
        name = self.config.database_secret or ""
        given = secretsmanager.Secret.from_secret_name_v2(self, "DatabaseUrl", name)
        # The secret's own name with the six characters that AWS appends.
        self.credentials = "secretsmanager:GetSecretValue", f"{given.secret_arn}-??????"
        return {"DATABASE_URL": "", "PULSEBOARD_DATABASE_SECRET": name}

    def _own(self) -> dict[str, str]:
        """The settings of the database on an instance of ours, with it."""
        secret = secretsmanager.Secret(
            self,
            "DatabasePassword",
            secret_name=f"pulseboard/{self.config.stage}/database",
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
        bucket = self._credentials()
        self.credentials = "s3:GetObject", bucket.arn_for_objects(CREDENTIALS)
        self.instance = TimescaleInstance(
            self,
            "TimescaleDB",
            config=self.config,
            vpc=self.network.vpc,
            subnet=self.network.vpc.public_subnets[0],
            security_group=self.network.database_group,
            secret=secret,
            credentials=bucket,
        )
        host = f"{self.instance.host}:{PGBOUNCER_PORT}"
        return {
            "DATABASE_URL": f"postgresql://pulseboard@{host}/pulseboard",
            "PULSEBOARD_DATABASE_CREDENTIALS": f"s3://{bucket.bucket_name}/{CREDENTIALS}",
        }

    def _credentials(self) -> s3.Bucket:
        """Where the instance leaves password and certificate for the functions, which reach S3 for
        nothing. Nobody reads it from outside the network, whatever their role allows.
        """
        bucket = s3.Bucket(
            self,
            "Credentials",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            # The instance writes it again; `make destroy` empties it.
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        bucket.add_to_resource_policy(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["s3:GetObject"],
                resources=[bucket.arn_for_objects("*")],
                conditions={
                    "StringNotEquals": {"aws:SourceVpce": self.network.s3_endpoint.vpc_endpoint_id}
                },
            )
        )
        accept(bucket, "One object, written by the instance and read by functions of ours.",
               "AwsSolutions-S1")  # fmt: skip
        return bucket

    def _cache(self) -> str:
        cache = self.cache = elasticache.CfnServerlessCache(
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
        # CloudWatch's alarms, and EventBridge's rules on snapshots.
        for service in ("cloudwatch", "events"):
            key.grant(
                iam.ServicePrincipal(f"{service}.amazonaws.com"),
                "kms:Decrypt",
                "kms:GenerateDataKey*",
            )
        topic = sns.Topic(self, "Alarms", master_key=key, enforce_ssl=True)
        # A policy of its own replaces SNS's default, which lets the account's alarms publish.
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
            )
        )
        if self.config.alarm_email:
            topic.add_subscription(subscriptions.EmailSubscription(self.config.alarm_email))
        return topic
