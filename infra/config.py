"""What `cdk -c name=value` can choose, as one typed value. docs/deploy.md explains each."""

import ipaddress
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self, get_args

from infra.routes import routes

if TYPE_CHECKING:
    # Importing it starts Node.js, which `make local` and `make deploy` do by the CDK only.
    from constructs import Node

ROOT = Path(__file__).parents[1]

Database = Literal["ec2", "external"]
Api = Literal["http", "rest"]
AccessLog = Literal["errors", "all"]

DATABASE_CLIENTS = 200
"""Connections that pgBouncer accepts; more than all functions can open at once."""

POOL_SIZE = 2
"""Connections one Lambda process opens at most: it serves one request at a time."""


@dataclass(frozen=True, slots=True)
class Size:
    """What `-c size=NAME` decides; `databaseInstance` and the others override their part."""

    instance: str
    disk_gb: int
    clients: int
    """Reserved concurrency of `ingest` and of `query`."""


SIZES = {
    "small": Size(instance="t4g.small", disk_gb=20, clients=10),
    "medium": Size(instance="t4g.medium", disk_gb=50, clients=30),
    "large": Size(instance="m7g.large", disk_gb=200, clients=30),
}
"""`large` has no more concurrency than `medium`: DATABASE_CLIENTS bounds it."""

_NOT_KEPT = ("stage", "layers", "reserve", "local", "localPort", "bundled", "cdn", "publicUrl")
"""Choices that a later deploy makes by itself."""
_STAGE = re.compile(r"[a-z][a-z0-9-]{0,20}")


class ConfigError(ValueError):
    """An invalid context value; the message names it and its valid values."""


@dataclass(frozen=True, slots=True)
class Config:
    """One environment. Without any context it is the production one in an account of its own."""

    stage: str = "production"
    database: Database = "ec2"
    database_secret: str | None = None
    """Name of the secret that holds the URL of an external TimescaleDB."""
    size: str = "medium"
    database_instance: str = "t4g.medium"
    database_disk_gb: int = 50
    nat: bool = False
    """A NAT gateway: only for an external database that is reached over the internet."""
    cache_url: str | None = None
    """A Redis cluster of your own instead of ElastiCache Serverless."""
    api: Api = "http"
    reserve: bool = True
    """Reserved concurrency; off where the account's quota does not allow it."""
    tracing: bool = False
    """X-Ray: $5 per million traces, and nothing here reads them."""
    snap_start: frozenset[str] = frozenset()
    """Functions of the API that start from a snapshot. A start without one takes half a second of
    processor time (docs/bench.md); a snapshot is $4 a GB and month for each of two versions.
    """
    board: bool = False
    """A dashboard in CloudWatch, and the metrics that only it reads: $3, and $0.30 each. Pulseboard
    has its own of the same.
    """
    domain: str | None = None
    certificate_arn: str | None = None
    """Of the domain, in us-east-1, where CloudFront requires it."""
    hosted_zone: str | None = None
    """Id of Route 53's public zone of the domain, which then gets its records; else a person
    makes the CNAME that a deploy prints."""
    web_acl_arn: str | None = None
    """A WAF web ACL of scope CLOUDFRONT, in us-east-1."""
    alarm_email: str | None = None
    alert_email_from: str | None = None
    """Sender of alert emails: an address that SES has verified."""
    zones: tuple[str, ...] = ()
    """Two availability zones by name, the database's first; else the first two of the region."""
    cidr: str = "10.42.0.0/20"
    access_log: AccessLog = "errors"
    """`all`: also requests that succeeded, and API Gateway's own line of each."""
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
    given: tuple[tuple[str, str], ...] = ()
    """What the context chose, by name: a later deploy keeps it."""

    @property
    def serving(self) -> str:
        """Which database functions use: `ec2`, or `external` and its secret's name."""
        return f"external {self.database_secret}" if self.database == "external" else "ec2"

    @property
    def archives(self) -> tuple[str, ...]:
        """Files in `layers` that functions consist of."""
        return ("everything.zip",) if self.bundled else ("deps.zip", "pulseboard.zip")

    @classmethod
    def read(cls, node: "Node") -> Self:
        """From the CDK's context. Raises ConfigError."""

        given: dict[str, str] = {}

        def text(name: str) -> str | None:
            value = node.try_get_context(name)
            if value in (None, ""):
                return None
            given[name] = str(value)
            return str(value)

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
        access_log = text("accessLog") or "errors"
        if access_log not in get_args(AccessLog):
            raise ConfigError(f"-c accessLog={access_log}: one of {', '.join(get_args(AccessLog))}")
        size = text("size") or "medium"
        if size not in SIZES:
            raise ConfigError(f"-c size={size}: one of {', '.join(SIZES)}")
        sized = SIZES[size]
        local = flag("local", False)
        layers = text("layers")
        stage = text("stage") or ("local" if local else "production")
        config = cls(
            stage=stage,
            database="ec2" if database == "ec2" else "external",
            database_secret=text("databaseSecret"),
            size=size,
            database_instance=text("databaseInstance") or sized.instance,
            database_disk_gb=number("databaseDiskGb", sized.disk_gb),
            nat=flag("nat", False),
            cache_url=text("cacheUrl"),
            api="rest" if api == "rest" else "http",
            reserve=flag("reserve", not local),
            tracing=flag("tracing", False),
            snap_start=_names("snapStart", text("snapStart")),
            board=flag("board", False),
            domain=text("domain"),
            certificate_arn=text("certificateArn"),
            hosted_zone=text("hostedZone"),
            web_acl_arn=text("webAclArn"),
            alarm_email=text("alarmEmail"),
            alert_email_from=text("alertEmailFrom"),
            zones=tuple(filter(None, (text("zones") or "").split(","))),
            cidr=text("cidr") or network_of(stage),
            access_log="all" if access_log == "all" else "errors",
            local=local,
            local_port=number("localPort", 4566),
            cdn=flag("cdn", True),
            public_url=text("publicUrl") or "",
            bundled=flag("bundled", False),
            layers=Path(layers)
            if layers
            else ROOT / "layers" / "build" / ("local" if local else "aws"),
            given=tuple((name, value) for name, value in given.items() if name not in _NOT_KEPT),
        )
        check_stage(config.stage)
        if config.database == "external" and not config.database_secret:
            raise ConfigError("-c database=external needs -c databaseSecret=NAME")
        if not config.cdn and not config.public_url:
            raise ConfigError("-c cdn=false needs -c publicUrl=URL")
        if config.domain and not config.certificate_arn:
            raise ConfigError("-c domain needs -c certificateArn=ARN, in us-east-1")
        if config.certificate_arn and config.certificate_arn.split(":")[3:4] != ["us-east-1"]:
            raise ConfigError(
                f"-c certificateArn={config.certificate_arn}: CloudFront takes certificates of "
                "us-east-1 only"
            )
        if config.hosted_zone and not config.domain:
            raise ConfigError("-c hostedZone needs -c domain=NAME")
        if config.zones and (len(config.zones) != 2 or len(set(config.zones)) != 2):
            raise ConfigError(
                f"-c zones={','.join(config.zones)}: two different ones, the database's first, for "
                "example eu-central-1a,eu-central-1b"
            )
        _check_cidr(config.cidr)
        return config


def _names(name: str, value: str | None) -> frozenset[str]:
    """Functions of the API: `all`, or some of them with commas between."""
    names = frozenset(filter(None, (value or "").split(",")))
    known = frozenset(route.function for route in routes())
    if names == {"all"}:
        return known
    if unknown := names - known:
        raise ConfigError(
            f"-c {name}={value}: {', '.join(sorted(unknown))}: one or more of "
            f"{', '.join(sorted(known))}, or all"
        )
    return names


def check_stage(stage: str) -> None:
    """Raises ConfigError for a name that functions and buckets can't contain."""
    if not _STAGE.fullmatch(stage):
        raise ConfigError(
            f"-c stage={stage}: lower-case letters, digits and hyphens, at most 21, "
            "first a letter: names of functions and buckets contain it"
        )


def network_of(stage: str) -> str:
    """The addresses of a stage's network. Stages differ, so that two can be peered; of two that
    fall on the same, which `make deploy` can't see, one chooses `cidr`.
    """
    block = 0 if stage == "production" else 1 + zlib.crc32(stage.encode()) % 255
    return f"10.{42 + block // 16}.{block % 16 * 16}.0/20"


def _check_cidr(text: str) -> None:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ConfigError(f"-c cidr={text}: {error}; for example 10.50.0.0/20") from error
    if not network.is_private or not 16 <= network.prefixlen <= 20:
        raise ConfigError(f"-c cidr={text}: private addresses, between /16 and /20")
