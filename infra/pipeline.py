"""The CDK app of the pipeline's roles alone: `make pipeline-role REPO=owner/name`.

It is deployed once an account, by a person, and is no part of `make deploy`: what deploys must
not be able to change its own rights.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from infra.stacks.pipeline import STAGES, PipelineStack, repository_of


def build(
    *, repository: str, stage: str, provider: bool = True, outdir: Path | None = None
) -> cdk.App:
    """The app, not yet synthesised. Raises ValueError for a repository or a stage that is none."""
    if stage not in STAGES:
        raise ValueError(f"STAGE={stage}: one of {', '.join(STAGES)}, the one this account holds")
    app = cdk.App(outdir=str(outdir) if outdir else None, analytics_reporting=False)
    PipelineStack(
        app,
        "Pulseboard-Pipeline",
        repository=repository_of(repository),
        stage=stage,
        provider=provider,
    )
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app, verbose=True))
    return app


def main() -> int:
    """Write the template; 1 without a repository."""
    node = cdk.App(analytics_reporting=False).node
    try:
        build(
            repository=str(node.try_get_context("repository") or ""),
            stage=str(node.try_get_context("stage") or ""),
            provider=node.try_get_context("provider") != "false",
        ).synth()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
