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
    """Both layers, built for AWS."""
    out = tmp_path_factory.mktemp("layers")
    subprocess.run(
        [sys.executable, "-m", "layers.build", "--out", str(out), "--uv", find_uv()],
        cwd=ROOT,
        check=True,
    )
    return out


Synthesise = Callable[..., Assembly]


@pytest.fixture(scope="session")
def synthesise(layers: Path, tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """Synthesise with some context."""
    from infra.app import build

    flags = json.loads((ROOT / "cdk.json").read_text())["context"]

    def make(nag: bool = False, **context: str) -> Assembly:
        out = tmp_path_factory.mktemp("cdk.out")
        build(outdir=out, context={**flags, "layers": str(layers), **context}, nag=nag).synth()
        return Assembly(out)

    return make


@pytest.fixture(scope="session")
def production(synthesise: Synthesise) -> Assembly:
    """The default: what `make deploy` puts into an empty account. cdk-nag runs over it."""
    return synthesise(nag=True)


@pytest.fixture(scope="session")
def rest(synthesise: Synthesise) -> Assembly:
    """The variant with a REST API, for an emulator that has no HTTP API."""
    return synthesise(api="rest")
