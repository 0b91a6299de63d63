"""Where accepted samples wait while the database can't store them, and what writes them later.

ingest ─▶ bucket waiting/ ─▶ queue ─▶ drain ─▶ database
                 └──── every minute ────┘ └─▶ bucket dead/
"""

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
    """`bucket`, `dead_letters` (messages that drain could not deal with) and `drain`."""

    def __init__(self, scope: Construct, name: str, *, config: Config, shared: Shared) -> None:
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
        queue = self._queue(
            "Queue",
            config,
            visibility_timeout=cdk.Duration.seconds(6 * SIZES["drain"].timeout),
            retention_period=cdk.Duration.days(1),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letters, max_receive_count=_RECEIVES
            ),
        )
        self._notify(queue)
        cdk.CfnOutput(self, "SpillBucket", value=self.bucket.bucket_name)
        self.drain = self._drain(queue, shared)
        events.Rule(
            self,
            "EveryMinute",
            description="Spilled batches that no message led to, and how many there are",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[targets.LambdaFunction(self.drain.function, retry_attempts=0)],
        )

    def let_write(self, function: PythonFunction) -> None:
        """Allow a function of another stack to write spilled batches, and nothing else."""
        stack = cdk.Stack.of(self)
        arn = stack.export_value(self.bucket.bucket_arn)
        function.allow(function.role, [f"{arn}/{_WAITING}*"], "s3:PutObject")
        self._accept_prefix(function, stack.resolve(arn)["Fn::ImportValue"], _WAITING)

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

    def _drain(self, queue: sqs.Queue, shared: Shared) -> PythonFunction:
        drain = PythonFunction(
            self,
            "drain",
            shared=shared,
            environment={"PULSEBOARD_SPILL_BUCKET": self.bucket.bucket_name},
        )
        waiting = self.bucket.arn_for_objects(f"{_WAITING}*")
        dead = self.bucket.arn_for_objects(f"{_DEAD}*")
        drain.allow(drain.role, [waiting], "s3:GetObject", "s3:DeleteObject")
        drain.allow(drain.role, [dead], "s3:PutObject")
        drain.allow(drain.role, [self.bucket.bucket_arn], "s3:ListBucket")
        resource = self.bucket.node.default_child
        assert isinstance(resource, s3.CfnBucket)
        for prefix in (_WAITING, _DEAD):
            name = cdk.Stack.of(self).get_logical_id(resource)
            self._accept_prefix(drain, f"<{name}.Arn>", prefix)
        # Lambda's own poller reads the queue, with the function's role and outside the VPC.
        drain.allow(
            drain.role,
            [queue.queue_arn],
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
        )
        source = lambda_.CfnEventSourceMapping(
            self,
            "Source",
            event_source_arn=queue.queue_arn,
            function_name=drain.lambda_function.function_arn,
            batch_size=100,
            maximum_batching_window_in_seconds=5,
            function_response_types=["ReportBatchItemFailures"],
            scaling_config=lambda_.CfnEventSourceMapping.ScalingConfigProperty(
                maximum_concurrency=2
            ),
        )
        # Creating it checks whether the role may read the queue.
        source.node.add_dependency(drain.role)
        return drain

    def _accept_prefix(self, function: PythonFunction, bucket: str, prefix: str) -> None:
        accept(
            function.role,
            "The names of batches are not known before: the prefix is the bound.",
            f"AwsSolutions-IAM5[Resource::{bucket}/{prefix}*]",
        )
