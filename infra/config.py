"""What `cdk -c name=value` can choose, as one typed value. docs/deploy.md explains each."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, get_args

if TYPE_CHECKING:
    # Importing it starts Node.js, which `make local` and `make deploy` do by the CDK only.
    from constructs import Node

ROOT = Path(__file__).parents[1]

Database = Literal["ec2", "external"]
Api = Literal["http", "rest"]

DATABASE_CLIENTS = 200
"""Connections that pgBouncer accepts; more than all functions can open at once."""

POOL_SIZE = 2
"""Connections one Lambda process opens at most: it serves one request at a time."""


class ConfigError(ValueError):
    """An invalid context value; the message names it and its valid values."""


@dataclass(frozen=True, slots=True)
class Config:
    """One environment. Without any context it is the production one in an account of its own."""

    stage: str = "production"
    database: Database = "ec2"
    database_secret: str | None = None
    """Name of the secret that holds the URL of an external TimescaleDB."""
    database_instance: str = "t4g.medium"
    database_disk_gb: int = 50
    nat: bool = False
    """A NAT gateway: only for an external database that is reached over the internet."""
    cache_url: str | None = None
    """A Redis cluster of your own instead of ElastiCache Serverless."""
    api: Api = "http"
    reserve: bool = True
    """Reserved concurrency; off where the account's quota does not allow it."""
    domain: str | None = None
    certificate_arn: str | None = None
    """Of the domain, in us-east-1, where CloudFront requires it."""
    web_acl_arn: str | None = None
    """A WAF web ACL of scope CLOUDFRONT, in us-east-1."""
    alarm_email: str | None = None
    alert_email_from: str | None = None
    """Sender of alert emails: an address that SES has verified."""
    local: bool = False
    """The emulator of `make local`: its limits are worked around, see docs/deploy.md."""
    local_port: int = 4566
    """The address of that emulator."""
    cdn: bool = True
    """CloudFront; without it `public_url` is the address of its substitute (LocalStack)."""
    public_url: str = ""
    bundled: bool = False
    """Packages in each function's code instead of in layers, for an emulator without layers."""
    layers: Path = field(default=ROOT / "layers" / "build" / "aws")

    @property
    def archives(self) -> tuple[str, ...]:
        """Files in `layers` that functions consist of."""
        return ("everything.zip",) if self.bundled else ("deps.zip", "pulseboard.zip")

    @classmethod
    def read(cls, node: "Node") -> Self:
        """From the CDK's context. Raises ConfigError."""

        def text(name: str) -> str | None:
            value = node.try_get_context(name)
            return None if value in (None, "") else str(value)

        def flag(name: str, default: bool) -> bool:
            value = (text(name) or str(default)).lower()
            if value not in ("true", "false"):
                raise ConfigError(f"-c {name}={value}: true or false")
            return value == "true"

        def number(name: str, default: int) -> int:
            value = text(name) or str(default)
            if not value.isdecimal():
                raise ConfigError(f"-c {name}={value}: a whole number")
            return int(value)

        database = text("database") or "ec2"
        if database not in get_args(Database):
            raise ConfigError(f"-c database={database}: one of {', '.join(get_args(Database))}")
        api = text("api") or "http"
        if api not in get_args(Api):
            raise ConfigError(f"-c api={api}: one of {', '.join(get_args(Api))}")
        local = flag("local", False)
        layers = text("layers")
        config = cls(
            stage=text("stage") or ("local" if local else "production"),
            database="ec2" if database == "ec2" else "external",
            database_secret=text("databaseSecret"),
            database_instance=text("databaseInstance") or "t4g.medium",
            database_disk_gb=number("databaseDiskGb", 50),
            nat=flag("nat", False),
            cache_url=text("cacheUrl"),
            api="rest" if api == "rest" else "http",
            reserve=flag("reserve", not local),
            domain=text("domain"),
            certificate_arn=text("certificateArn"),
            web_acl_arn=text("webAclArn"),
            alarm_email=text("alarmEmail"),
            alert_email_from=text("alertEmailFrom"),
            local=local,
            local_port=number("localPort", 4566),
            cdn=flag("cdn", True),
            public_url=text("publicUrl") or "",
            bundled=flag("bundled", False),
            layers=Path(layers)
            if layers
            else ROOT / "layers" / "build" / ("local" if local else "aws"),
        )
        if config.database == "external" and not config.database_secret:
            raise ConfigError("-c database=external needs -c databaseSecret=NAME")
        if not config.cdn and not config.public_url:
            raise ConfigError("-c cdn=false needs -c publicUrl=URL")
        if config.domain and not config.certificate_arn:
            raise ConfigError("-c domain needs -c certificateArn=ARN, in us-east-1")
        return config
