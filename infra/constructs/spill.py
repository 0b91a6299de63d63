"""Where accepted samples wait while the database can't store them, and what writes them later.

ingest ─▶ bucket waiting/ ─▶ queue ─▶ drain ─▶ database
                 └──── every minute ────┘ └─▶ bucket dead/
"""

import json

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.config import Config
from infra.constructs.python_function import SIZES, PythonFunction, Shared
from infra.nag import accept

_RECEIVES = 5
_WAITING, _DEAD = "waiting/", "dead/"


class Spill(Construct):
    """`bucket`, `queue` and `dead_letters` (messages that drain could not deal with)."""

    def __init__(self, scope: Construct, name: str, *, config: Config) -> None:
        super().__init__(scope, name)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=not config.local,
            lifecycle_rules=[
                # Raw samples have a retention of a week: older ones would be dropped at once.
                s3.LifecycleRule(prefix=_WAITING, expiration=cdk.Duration.days(14)),
                s3.LifecycleRule(prefix=_DEAD, expiration=cdk.Duration.days(30)),
            ],
            removal_policy=cdk.RemovalPolicy.DESTROY if config.local else cdk.RemovalPolicy.RETAIN,
        )
        accept(self.bucket, "Read and written by two functions only.", "AwsSolutions-S1")
        if config.local:
            accept(self.bucket, "The emulator speaks HTTP.", "AwsSolutions-S10")
        self.dead_letters = self._queue(
            "DeadLetters", config, retention_period=cdk.Duration.days(14)
        )
        accept(self.dead_letters, "It is the dead-letter queue.", "AwsSolutions-SQS3")
        self.queue = self._queue(
            "Queue",
            config,
            visibility_timeout=cdk.Duration.seconds(6 * SIZES["drain"].timeout),
            retention_period=cdk.Duration.days(1),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letters, max_receive_count=_RECEIVES
            ),
        )
        self._notify(self.queue)
        cdk.CfnOutput(self, "SpillBucket", value=self.bucket.bucket_name)
        output = cdk.CfnOutput(self, "SpillBucketArn", value=self.bucket.bucket_arn)
        output.override_logical_id("SpillBucketArn")
        self._reference = {
            "Fn::GetStackOutput": {
                "StackName": cdk.Stack.of(self).stack_name,
                "Region": {"Ref": "AWS::Region"},
                "OutputName": "SpillBucketArn",
            }
        }

    @property
    def bucket_arn(self) -> str:
        """For other stacks: a weak reference, by a name that cdk-nag's findings can be told by."""
        return cdk.Token.as_string(self._reference)

    def let_write(self, function: PythonFunction) -> None:
        """Allow a function of another stack to write spilled batches, and nothing else."""
        function.allow(function.role, [f"{self.bucket_arn}/{_WAITING}*"], "s3:PutObject")
        self.accept_prefixes(function.role)

    def accept_prefixes(self, role: iam.Role) -> None:
        """cdk-nag's findings about the names of batches."""
        reference = json.dumps(self._reference, separators=(",", ":"))
        accept(
            role,
            "The names of batches are not known before: the prefix is the bound.",
            *(f"AwsSolutions-IAM5[Resource::{reference}/{part}*]" for part in (_WAITING, _DEAD)),
        )

    def _queue(self, name: str, config: Config, **options: object) -> sqs.Queue:
        return sqs.Queue(
            self,
            name,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=not config.local,
            **options,  # type: ignore[arg-type]
        )

    def _notify(self, queue: sqs.Queue) -> None:
        # Written into the bucket itself: the construct's own way is a function that runs at
        # deploy time. The account stands for the bucket, whose name the policy can't know before
        # the bucket is created, which in turn needs the policy.
        granted = queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Aws.ACCOUNT_ID}},
            )
        )
        resource = self.bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        resource.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[
                s3.CfnBucket.QueueConfigurationProperty(
                    event="s3:ObjectCreated:*",
                    queue=queue.queue_arn,
                    filter=s3.CfnBucket.NotificationFilterProperty(
                        s3_key=s3.CfnBucket.S3KeyFilterProperty(
                            rules=[s3.CfnBucket.FilterRuleProperty(name="prefix", value=_WAITING)]
                        )
                    ),
                )
            ]
        )
        if granted.policy_dependable is not None:
            resource.node.add_dependency(granted.policy_dependable)


class Drain(Construct):
    """`drain`, which empties a Spill. It is newer code, so it comes after the migrations."""

    def __init__(self, scope: Construct, name: str, *, spill: Spill, shared: Shared) -> None:
        super().__init__(scope, name)
        bucket, queue = spill.bucket, spill.queue
        arn = spill.bucket_arn
        self.drain = PythonFunction(
            self,
            "drain",
            shared=shared,
            environment={"PULSEBOARD_SPILL_BUCKET": bucket.bucket_name},
        )
        allow, role = self.drain.allow, self.drain.role
        objects = {prefix: f"{arn}/{prefix}*" for prefix in (_WAITING, _DEAD)}
        allow(role, [objects[_WAITING]], "s3:GetObject", "s3:DeleteObject")
        allow(role, [objects[_DEAD]], "s3:PutObject")
        allow(role, [arn], "s3:ListBucket")
        spill.accept_prefixes(role)
        # Lambda's own poller reads the queue, with the function's role and outside the VPC.
        allow(
            role,
            [queue.queue_arn],
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
        )
        source = lambda_.CfnEventSourceMapping(
            self,
            "Source",
            event_source_arn=queue.queue_arn,
            function_name=self.drain.lambda_function.function_arn,
            batch_size=100,
            maximum_batching_window_in_seconds=5,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=lambda_.CfnEventSourceMapping.ScalingConfigProperty(
                maximum_concurrency=2
            ),
        )
        # Creating it checks whether the role may read the queue.
        source.node.add_dependency(role)
        events.Rule(
            self,
            "EveryMinute",
            description="Spilled batches that no message led to, and how many there are",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[targets.LambdaFunction(self.drain.function, retry_attempts=0)],
        )
