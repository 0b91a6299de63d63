"""The emulator of AWS that `make local` deploys into: PyPI `ministack`, without Docker.

It serves AWS's own protocols on one port and runs each Lambda function as a process of its own
Python, with the layers first on the path. All that it writes stays in the folder it is given.
"""

import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.services import Child

PORT = 4566
ACCOUNT = "000000000000"
REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class EmulatedSession:
    """The part of boto3's session that a deploy uses; its clients connect to the emulator."""

    port: int = PORT
    region_name: str = REGION

    def client(self, service: str) -> Any:
        """boto3's client of a service."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=endpoint(self.port),
            region_name=self.region_name,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            # A bucket's name in front of the host would have to be resolved.
            config=Config(s3={"addressing_style": "path"}, read_timeout=180),
        )


def endpoint(port: int) -> str:
    """The endpoint for clients."""
    return f"http://127.0.0.1:{port}"


OTHERS = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN")
"""Variables of somebody who works with AWS, too: with a profile the CDK ignores our credentials."""


def environment(port: int, *, scratch: Path) -> Mapping[str, str]:
    """Variables that point the CDK's command line and the SDKs to the emulator, and their files to
    `scratch`. `OTHERS` must not stand beside it.
    """
    return {
        "AWS_ENDPOINT_URL": endpoint(port),
        "AWS_ENDPOINT_URL_S3": endpoint(port),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Settings of this machine's user are for the real AWS.
        "AWS_CONFIG_FILE": str(scratch / "aws" / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(scratch / "aws" / "credentials"),
        "CDK_HOME": str(scratch / "cdk"),
        "JSII_RUNTIME_PACKAGE_CACHE": "disabled",
        "TMPDIR": str(scratch / "tmp"),
        "XDG_CACHE_HOME": str(scratch / "cache"),
    }


def emulator_child(*, port: int, scratch: Path, log: Path) -> Child:
    """The emulator, not yet started, empty each time: a deploy fills it."""
    (scratch / "tmp").mkdir(parents=True, exist_ok=True)
    return Child(
        name="emulator of AWS",
        command=[sys.executable, "-m", "ministack"],
        log=log,
        environment={
            **environment(port, scratch=scratch),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "LOG_LEVEL": "INFO",
            # A listener that nothing here uses, and that would be open to the network.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # It stores nothing, but writes a key to the folder for it.
            "STATE_DIR": str(scratch / "emulator"),
            "S3_DATA_DIR": str(scratch / "emulator" / "s3"),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        whole_group=True,
    )


def wait_for_emulator(child: Child, port: int, timeout: float = 120.0) -> None:
    """Wait until it responds. Raises ServiceError."""

    def responds() -> bool:
        try:
            with urllib.request.urlopen(f"{endpoint(port)}/_localstack/health", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            return False

    child.wait_until(responds, timeout)
