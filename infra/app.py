"""The CDK app: `cdk synth`, `cdk deploy`. Needs no credentials, no network, no environment."""

import os
import sys
from pathlib import Path
from typing import Any

# jsii warns at length of a Node.js that is past its end of life, and works all the same.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")
os.environ.setdefault("JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION", "20")

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.config import Config, ConfigError
from infra.constructs.python_function import exists
from infra.stacks.alerting import AlertingStack
from infra.stacks.api import ApiStack
from infra.stacks.data import DataStack
from infra.stacks.frontend import FrontendStack
from infra.stacks.maintenance import MaintenanceStack
from infra.stacks.monitoring import MonitoringStack
from infra.stacks.network import NetworkStack


def build(
    *, outdir: Path | None = None, context: dict[str, Any] | None = None, nag: bool = True
) -> cdk.App:
    """All stacks of one environment, not yet synthesised. Raises ConfigError."""
    app = cdk.App(
        outdir=str(outdir) if outdir else None,
        context=context,
        analytics_reporting=False,
    )
    config = Config.read(app.node)
    for archive in config.archives:
        if not (config.layers / archive).is_file():
            raise ConfigError(f"{config.layers / archive} is missing: make layers builds it")
    prefix = f"Pulseboard-{config.stage}"
    network = NetworkStack(app, f"{prefix}-Network", config=config)
    data = DataStack(app, f"{prefix}-Data", config=config, network=network)
    api = ApiStack(app, f"{prefix}-Api", config=config, network=network, data=data)
    maintenance = MaintenanceStack(app, f"{prefix}-Maintenance", data=data)
    frontend = FrontendStack(app, f"{prefix}-Frontend", config=config, api=api)
    # An empty stack can't be deployed.
    alerting = (
        AlertingStack(app, f"{prefix}-Alerting", config=config, data=data, frontend=frontend)
        if exists("evaluate") and exists("notify")
        else None
    )
    MonitoringStack(
        app,
        f"{prefix}-Monitoring",
        config=config,
        data=data,
        api=api,
        maintenance=maintenance,
        frontend=frontend,
        alerting=alerting,
    )
    cdk.Tags.of(app).add("application", "pulseboard")
    cdk.Tags.of(app).add("stage", config.stage)
    if nag:
        cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True))
    return app


def main() -> int:
    """Write the templates; 1 when the context makes no sense."""
    try:
        build(nag=not os.environ.get("PULSEBOARD_NO_NAG")).synth()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
