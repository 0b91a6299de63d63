"""The alert beat: EventBridge starts an Express state machine each minute, which evaluates every
ten seconds and passes due notifications to notify, outside the VPC.
"""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.config import Config
from infra.constructs.python_function import PythonFunction
from infra.nag import accept
from infra.stacks.data import DataStack
from infra.stacks.frontend import FrontendStack
from infra.stacks.loop import definition


class AlertingStack(cdk.Stack):
    """`machine` is started each minute; starts can be repeated, so a tick is idempotent."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        config: Config,
        data: DataStack,
        frontend: FrontendStack,
    ) -> None:
        super().__init__(scope, name)
        shared = data.shared_by(self)
        links = {"PULSEBOARD_PUBLIC_URL": frontend.url}
        # Below the state machine's own limit for a batch.
        sending = {**links, "PULSEBOARD_ALERT_SEND_TIMEOUT": "5"}
        if config.alert_email_from:
            sending["PULSEBOARD_ALERT_EMAIL_FROM"] = config.alert_email_from
        self.evaluate = PythonFunction(self, "evaluate", shared=shared, environment=links)
        if config.local:
            # Webhooks of the emulator's tests listen on the loopback address.
            sending["PULSEBOARD_ALERT_ALLOW_PRIVATE"] = "true"
        self.notify = PythonFunction(
            self, "notify", shared=shared, inside=False, database=False, environment=sending
        )
        if config.alert_email_from:
            domain = config.alert_email_from.rpartition("@")[2]
            self.notify.allow(
                self.notify.role,
                [
                    self.format_arn(service="ses", resource="identity", resource_name=identity)
                    for identity in (config.alert_email_from, domain)
                ],
                "ses:SendEmail",
            )
        self.machine = sfn.StateMachine(
            self,
            "Beat",
            state_machine_name=f"pulseboard-{config.stage}-beat",
            state_machine_type=sfn.StateMachineType.EXPRESS,
            definition_body=sfn.DefinitionBody.from_string(
                self.to_json_string(
                    definition(
                        evaluate=self.evaluate.function.function_arn,
                        notify=self.notify.function.function_arn,
                        partition=self.partition,
                    )
                )
            ),
            tracing_enabled=config.tracing,
            logs=sfn.LogOptions(
                level=sfn.LogLevel.ERROR,
                destination=logs.LogGroup(
                    self,
                    "BeatLog",
                    log_group_name=f"/aws/vendedlogs/states/pulseboard-{config.stage}-beat",
                    retention=logs.RetentionDays.TWO_WEEKS,
                    removal_policy=cdk.RemovalPolicy.DESTROY,
                ),
            ),
        )
        self.machine.add_to_role_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"],
                resources=[f.function.function_arn for f in (self.evaluate, self.notify)],
            )
        )
        accept(
            self.machine,
            "Errors are logged; every event of six ticks a minute would cost more than the beat.",
            "AwsSolutions-SF1",
        )
        accept(self.machine, "X-Ray is the context tracing: nothing here reads it.",
               "AwsSolutions-SF2")  # fmt: skip
        accept(
            self.machine.role,
            "X-Ray and the delivery of logs support no resource.",
            "AwsSolutions-IAM5[Resource::*]",
            *(
                f"AwsSolutions-IAM5[Resource::<{self._logical_id(called)}.Arn>:*]"
                for called in (self.evaluate, self.notify)
            ),
        )
        events.Rule(
            self,
            "EveryMinute",
            description="Six ticks of the alert rules",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[targets.SfnStateMachine(self.machine, retry_attempts=0)],
        )
        cdk.CfnOutput(self, "BeatArn", value=self.machine.state_machine_arn)

    def _logical_id(self, called: PythonFunction) -> str:
        resource = called.function.node.default_child
        assert isinstance(resource, cdk.CfnElement)
        return self.get_logical_id(resource)
