"""The alert beat: EventBridge starts an Express state machine each minute, which evaluates every
ten seconds and hands what is due to notify, outside the VPC.
"""

import aws_cdk as cdk
from constructs import Construct

from infra.config import Config
from infra.stacks.data import DataStack
from infra.stacks.frontend import FrontendStack


class AlertingStack(cdk.Stack):
    """Made when the functions `evaluate` and `notify` are there."""

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
