"""LocalStack in Docker instead of the emulator without Docker: `make local LOCALSTACK=1`.

Its open edition has neither HTTP APIs nor CloudFront nor layers: the routes become a REST API, a
stand-in for CloudFront runs here, and each function carries its packages. Functions run in
containers, beside the database and the cache of the same `compose.yml`.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.config import ROOT
from infra.local.deployed import Deployed
from infra.local.services import ServiceError

COMPOSE = Path(__file__).parent / "compose.yml"
EDGE_PORT = 8081
BUNDLES = ROOT / "layers" / "build" / "localstack"
# Names in the network of compose.yml, as the functions' containers see it.
_DATABASE = "postgresql://postgres:postgres@timescaledb:5432/postgres"
_CACHE = "redis://valkey-localstack:6379/0"


@dataclass
class DeployedToLocalStack(Deployed):
    """The same app and the same steps; `docker` must be on the path."""

    def __post_init__(self) -> None:
        if shutil.which("docker") is None:
            raise ServiceError("LOCALSTACK=1 needs Docker; make local does without.")
        self.edge_port = self.edge_port or EDGE_PORT
        self.context = ["api=rest", "bundled=true", f"layers={BUNDLES}", *self.context]
        super().__post_init__()
        self.database_url = self.given_database or _DATABASE
        self.redis_url = self.given_redis or _CACHE

    def start(self) -> None:
        """Database, cache and LocalStack, in containers."""
        with self.parts.step("containers"):
            self._compose("up", "--detach", "--wait", "timescaledb", "valkey-localstack",
                          "localstack")  # fmt: skip

    def stop(self) -> None:
        """What runs here, then the containers; the database's volume stays."""
        super().stop()
        self._compose("down")

    def wanted_ports(self) -> list[tuple[str, int, str]]:
        """Docker itself reports which of its ports is in use."""
        return []

    def _compose(self, *arguments: str) -> None:
        command = ["docker", "compose", "--file", str(COMPOSE), "--profile", "localstack"]
        with self.parts.log("docker").open("ab") as log:
            done = subprocess.run(
                [*command, *arguments],
                env={**os.environ, "AWS_PORT": str(self.ports.emulator)},
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise ServiceError(f"docker compose {arguments[0]} failed: {log.name}")
