"""The functions that look after the database each minute: `maintain` and `drain`."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.constructs.python_function import PythonFunction
from infra.constructs.spill import Drain
from infra.stacks.data import DataStack


class MaintenanceStack(cdk.Stack):
    """Deployed after the migrations, and rolled back with all other code."""

    def __init__(self, scope: Construct, name: str, *, data: DataStack) -> None:
        super().__init__(scope, name)
        shared = data.shared_by(self)
        self.maintain = PythonFunction(self, "maintain", shared=shared)
        self.drain = Drain(self, "Drain", spill=data.spill, shared=shared).drain
        events.Rule(
            self,
            "EveryMinute",
            description="Due jobs of the database, and its metrics",
            schedule=events.Schedule.rate(cdk.Duration.minutes(1)),
            targets=[targets.LambdaFunction(self.maintain.function, retry_attempts=0)],
        )
