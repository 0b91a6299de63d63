"""The templates, synthesised once a session in this process: starting the CDK takes its seconds."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from layers.build import find_uv

ROOT = Path(__file__).parents[2]
Template = dict[str, Any]


@dataclass(frozen=True)
class Assembly:
    """What `cdk synth` wrote."""

    directory: Path

    @property
    def templates(self) -> dict[str, Template]:
        """By the stack's last name: Network, Data, Api, …"""
        return {
            path.name.removesuffix(".template.json").split("-")[-1]: json.loads(path.read_text())
            for path in sorted(self.directory.glob("*.template.json"))
        }

    def resources(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """(stack and logical id, resource) of every resource of a type."""
        for stack, template in self.templates.items():
            for name, resource in template["Resources"].items():
                if resource["Type"] == kind:
                    yield f"{stack}/{name}", resource

    def functions(self) -> dict[str, dict[str, Any]]:
        """Properties of each Lambda function by its short name."""
        return {
            resource["Properties"]["Handler"].split(".")[1]: resource["Properties"]
            for _, resource in self.resources("AWS::Lambda::Function")
        }


@pytest.fixture(scope="session")
def layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both layers, built for AWS; their bytecode says nothing about templates."""
    out = tmp_path_factory.mktemp("layers")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "layers.build",
            "--without-bytecode",
            "--out",
            str(out),
            "--uv",
            find_uv(),
        ],
        cwd=ROOT,
        check=True,
    )
    return out


Synthesise = Callable[..., Assembly]


@pytest.fixture(scope="session")
def synthesise(layers: Path, tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """Synthesise with some context, once for each unless it is `fresh`; nothing may change what it
    returns.
    """
    from infra.app import build

    flags = json.loads((ROOT / "cdk.json").read_text())["context"]
    made: dict[tuple[tuple[str, str], ...], Assembly] = {}

    def make(nag: bool = False, fresh: bool = False, **context: str) -> Assembly:
        choices = tuple(sorted(context.items()))
        if nag or fresh or choices not in made:
            out = tmp_path_factory.mktemp("cdk.out")
            build(outdir=out, context={**flags, "layers": str(layers), **context}, nag=nag).synth()
            if fresh:
                return Assembly(out)
            made[choices] = Assembly(out)
        return made[choices]

    return make


@pytest.fixture(scope="session")
def production(synthesise: Synthesise) -> Assembly:
    """The default: what `make deploy` puts into an empty account. cdk-nag runs over it."""
    return synthesise(nag=True)


@pytest.fixture(scope="session")
def rest(synthesise: Synthesise) -> Assembly:
    """The variant with a REST API, for an emulator that has no HTTP API; it logs all requests."""
    return synthesise(api="rest", accessLog="all")


DOMAIN = {
    "domain": "metrics.example.com",
    "certificateArn": "arn:aws:acm:us-east-1:1:certificate/x",
}


@pytest.fixture(scope="session")
def chosen(synthesise: Synthesise) -> Assembly:
    """With a domain and its records, a web ACL, zones and addresses of its own, and all that costs
    extra: SES, a receiver of alarms, CloudWatch's dashboard, two snapshots."""
    return synthesise(
        stage="staging",
        **DOMAIN,
        hostedZone="Z123",
        webAclArn="arn:aws:wafv2:us-east-1:1:x",
        zones="eu-central-1b,eu-central-1c",
        cidr="10.99.0.0/18",
        alarmEmail="ops@example.com",
        alertEmailFrom="alerts@example.com",
        board="true",
        snapStart="query,dashboards",
    )


@pytest.fixture(scope="session")
def everything(synthesise: Synthesise) -> Assembly:
    """Production with each choice that excludes no other and can be made later: each is a part of
    this one, so that one synthesis shows the update to all of them."""
    return synthesise(
        **DOMAIN,
        hostedZone="Z123",
        webAclArn="arn:aws:wafv2:us-east-1:1:x",
        alarmEmail="ops@example.com",
        alertEmailFrom="alerts@example.com",
        board="true",
        snapStart="all",
        tracing="true",
        accessLog="all",
        cacheUrl="rediss://cache.example.com:6379",
        databaseInstance="m7g.xlarge",
        databaseDiskGb="400",
        reserve="false",
    )


@pytest.fixture(scope="session")
def external(synthesise: Synthesise) -> Assembly:
    """With a database of one's own over the internet, and a domain whose record is elsewhere."""
    return synthesise(database="external", databaseSecret="tiger", nat="true", reserve="false",
                      **DOMAIN)  # fmt: skip
