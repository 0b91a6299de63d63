"""What the templates deploy that costs something, however little it is used."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

Resource = Mapping[str, Any]

PRICED = {
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::EC2::LaunchTemplate",
    "AWS::EC2::NatGateway",
    "AWS::EC2::Volume",
    "AWS::EC2::VPCEndpoint",
    "AWS::ElastiCache::ServerlessCache",
    "AWS::KMS::Key",
    "AWS::Lambda::Function",
    "AWS::Route53::HostedZone",
    "AWS::SecretsManager::Secret",
}
"""Paid while they exist, or whose properties say what a use costs: `Inventory` counts them."""

BY_USE = {
    "AWS::ApiGateway::Stage": "API Gateway",
    "AWS::ApiGatewayV2::Stage": "API Gateway",
    "AWS::CloudFront::Distribution": "CloudFront",
    "AWS::CloudFront::Function": "CloudFront",
    "AWS::DLM::LifecyclePolicy": "EBS",
    "AWS::EC2::FlowLog": "CloudWatch logs",
    "AWS::Lambda::EventSourceMapping": "S3 and SQS",
    "AWS::Logs::LogGroup": "CloudWatch logs",
    "AWS::S3::Bucket": "S3 and SQS",
    "AWS::SNS::Topic": "S3 and SQS",
    "AWS::SQS::Queue": "S3 and SQS",
    "AWS::StepFunctions::StateMachine": "Step Functions",
}
"""Paid by use only, and the line of the bill that has it."""

FREE = {
    "AWS::ApiGateway::Account", "AWS::ApiGateway::Deployment", "AWS::ApiGateway::Method",
    "AWS::ApiGateway::Resource", "AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Integration", "AWS::ApiGatewayV2::Route",
    "AWS::AutoScaling::AutoScalingGroup", "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudFront::ResponseHeadersPolicy", "AWS::EC2::EIP", "AWS::EC2::InternetGateway",
    "AWS::EC2::Route", "AWS::EC2::RouteTable", "AWS::EC2::SecurityGroup",
    "AWS::EC2::SecurityGroupEgress", "AWS::EC2::SecurityGroupIngress", "AWS::EC2::Subnet",
    "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPC", "AWS::EC2::VPCGatewayAttachment",
    "AWS::Events::Rule", "AWS::IAM::InstanceProfile", "AWS::IAM::Policy", "AWS::IAM::Role",
    "AWS::Lambda::Alias", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission", "AWS::Lambda::Version", "AWS::Route53::RecordSet",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy",
}  # fmt: skip
"""Without a price of their own. A NAT gateway's price here includes that of its address."""


class UnpricedError(ValueError):
    """A template has a resource of which the bill knows no price."""


@dataclass(frozen=True, slots=True)
class Inventory:
    """Of one environment. The defaults are those of the production template, as a test holds."""

    memory_gb: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType(
            {"ingest": 1.0, "query": 1.0, "dashboards": 0.5, "alerts": 0.5, "auth": 1.0,
             "evaluate": 1.0, "notify": 0.25, "drain": 0.5, "maintain": 0.5, "migrate": 0.5}
        )
    )  # fmt: skip
    """Of each function."""
    snap_start: frozenset[str] = frozenset()
    """Functions of which SnapStart caches the live version."""
    traced: frozenset[str] = frozenset()
    """Functions that X-Ray traces."""
    verbose: frozenset[str] = frozenset()
    """Functions whose start and end Lambda logs."""
    instance: str | None = "t4g.medium"
    """Type of the database's; None for an external database."""
    disk_gb: int = 50
    root_gb: int = 12
    caches: int = 1
    alarms: int = 34
    boards: int = 0
    metrics: int = 6
    """Metrics of our own that alarms and dashboards read; a test holds that no other is sent."""
    endpoints: int = 0
    """Interface endpoints; those of S3 cost nothing."""
    secrets: int = 1
    keys: int = 1
    zones: int = 1
    nats: int = 0
    logs_all: bool = False
    """Whether each request is logged, not only one that failed."""
    acl: bool = False
    """A web ACL guards CloudFront, so that agents send to it too."""

    @classmethod
    def read(cls, resources: Iterable[Resource]) -> "Inventory":
        """Of the resources of all templates. Raises UnpricedError."""
        by_type: dict[str, list[Mapping[str, Any]]] = {}
        for resource in resources:
            by_type.setdefault(resource["Type"], []).append(resource.get("Properties", {}))
        if unknown := sorted(by_type.keys() - PRICED - BY_USE.keys() - FREE):
            raise UnpricedError(
                f"no price for {', '.join(unknown)}: add each to PRICED, BY_USE or FREE in "
                "infra/inventory.py, and its price to infra/cost.py"
            )

        def all_of(kind: str) -> list[Mapping[str, Any]]:
            return by_type.get(f"AWS::{kind}", [])

        functions = {f["Handler"].split(".")[1]: f for f in all_of("Lambda::Function")}
        launched = [t["LaunchTemplateData"] for t in all_of("EC2::LaunchTemplate")]
        read = json.dumps([all_of("CloudWatch::Alarm"), all_of("CloudWatch::Dashboard")])
        metrics = re.findall(r'\\"Pulseboard\\",\\"(\w+)', read) + [
            alarm["MetricName"]
            for alarm in all_of("CloudWatch::Alarm")
            if alarm.get("Namespace") == "Pulseboard"
        ]
        return cls(
            memory_gb={name: f["MemorySize"] / 1024 for name, f in functions.items()},
            snap_start=frozenset(name for name, f in functions.items() if "SnapStart" in f),
            traced=frozenset(
                name
                for name, f in functions.items()
                if f.get("TracingConfig", {}).get("Mode") == "Active"
            ),
            verbose=frozenset(
                name
                for name, f in functions.items()
                if f.get("LoggingConfig", {}).get("SystemLogLevel", "INFO") != "WARN"
            ),
            instance=launched[0]["InstanceType"] if launched else None,
            disk_gb=sum(v["Size"] for v in all_of("EC2::Volume")),
            root_gb=sum(d["Ebs"]["VolumeSize"] for t in launched for d in t["BlockDeviceMappings"]),
            caches=len(all_of("ElastiCache::ServerlessCache")),
            alarms=len(all_of("CloudWatch::Alarm")),
            boards=len(all_of("CloudWatch::Dashboard")),
            metrics=len(set(metrics)),
            endpoints=sum(
                len(e.get("SubnetIds", []))
                for e in all_of("EC2::VPCEndpoint")
                if e.get("VpcEndpointType") == "Interface"
            ),
            secrets=len(all_of("SecretsManager::Secret")),
            keys=len(all_of("KMS::Key")),
            zones=len(all_of("Route53::HostedZone")),
            nats=len(all_of("EC2::NatGateway")),
            logs_all=any(
                f["Environment"]["Variables"].get("PULSEBOARD_ACCESS_LOG") == "all"
                for f in functions.values()
            ),
            acl=any(
                "WebACLId" in d["DistributionConfig"] for d in all_of("CloudFront::Distribution")
            ),
        )


def resources(directory: Path) -> list[Resource]:
    """All resources of the templates in a directory of `cdk synth`."""
    return [
        resource
        for path in sorted(directory.glob("*.template.json"))
        for resource in json.loads(path.read_text(encoding="utf-8"))["Resources"].values()
    ]


def synthesised(context: Mapping[str, Any], directory: Path) -> Inventory:
    """Synthesise into a new directory, without building layers: their content costs nothing."""
    from infra.app import build
    from infra.config import ROOT

    layers = directory / "layers"
    layers.mkdir(parents=True)
    for name in ("deps.zip", "pulseboard.zip"):
        (layers / name).write_bytes(b"PK\5\6" + bytes(18))
    flags = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    out = directory / "out"
    build(outdir=out, context={**flags, **context, "layers": str(layers)}, nag=False).synth()
    return Inventory.read(resources(out))
