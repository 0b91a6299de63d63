"""What an update of the deployed stacks would lose, by comparing templates before and after.

    python -m infra.updates --release     note today's templates as the deployed ones
    python -m infra.updates               compare today's with them

CloudFormation updates one stack after the other, in the order of infra/deploy.py. It replaces a
resource when certain properties change, deletes what a template no longer has, and refuses what
breaks a reference or takes a name that another stack still has.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from infra.deploy import FIRST_STACKS, LATER_STACKS

Templates = Mapping[str, Mapping[str, Any]]
"""By the stack's last name."""

RELEASED = Path(__file__).parent / "released-templates.json"
ORDER = (*FIRST_STACKS, *LATER_STACKS)

REPLACED_BY: Mapping[str, Sequence[str]] = {
    "AWS::ApiGateway::RestApi": (),
    "AWS::ApiGatewayV2::Api": ("ProtocolType",),
    "AWS::CloudFront::Distribution": (),
    "AWS::EC2::Subnet": ("AvailabilityZone", "CidrBlock", "VpcId"),
    "AWS::EC2::VPC": ("CidrBlock",),
    "AWS::EC2::Volume": ("AvailabilityZone", "Encrypted", "KmsKeyId", "SnapshotId"),
    "AWS::ElastiCache::ServerlessCache": ("ServerlessCacheName", "KmsKeyId", "SubnetIds"),
    "AWS::Route53::HostedZone": ("Name",),
    "AWS::S3::Bucket": ("BucketName",),
    "AWS::SNS::Topic": ("TopicName", "FifoTopic"),
    "AWS::SQS::Queue": ("QueueName", "FifoQueue"),
    "AWS::SecretsManager::Secret": ("Name",),
}
"""Types that hold data or an address, and the properties of which a change replaces them."""

SERVING = (
    "AWS::AutoScaling::AutoScalingGroup",
    "AWS::ElastiCache::ServerlessCache",
    "AWS::EC2::VPCEndpoint",
    "AWS::EC2::NatGateway",
    "AWS::EC2::SecurityGroupEgress",
)
"""Types that stacks deployed later use at run time, whether or not they refer to them."""

REMADE = {
    "Cache": "results, sessions and leases: all of it can be lost",
    "DatabasePassword": "the instance sets the role's password to that of a new secret",
    "Credentials": "the instance writes its object again",
    "Zone": "the instance writes its record again",
}
"""Beginnings of names, in the stack Data, of what may go with database or cache: not the volume."""

NAMES = ("FunctionName", "AlarmName", "LogGroupName", "StateMachineName", "ServerlessCacheName")


def problems(before: Templates, after: Templates) -> list[str]:
    """What updating from one to the other would lose or could not do, a sentence each."""
    return [
        *_lost(before, after),
        *_shrunk(before, after),
        *_broken_references(after),
        *_vanished_exports(before, after),
        *_moved_names(before, after),
    ]


def windows(before: Templates, after: Templates) -> list[str]:
    """What functions of later stacks use and an earlier stack takes away while they still run: from
    that stack's update until their own, a few minutes, they are without it. A sentence each.
    """
    return sorted(
        f"{stack}/{name} ({resource['Type']}) goes before {', '.join(LATER_STACKS)} are updated"
        for stack, name, resource in _resources(before)
        if stack in FIRST_STACKS
        and resource["Type"] in SERVING
        and name not in after.get(stack, {}).get("Resources", {})
    )


def rolled_back(before: Templates, now: Templates) -> Templates:
    """What `make rollback` leads to: later stacks as they were, on the first ones as they are."""
    return {stack: (now if stack in FIRST_STACKS else before)[stack] for stack in before}


def _lost(before: Templates, after: Templates) -> Iterator[str]:
    for stack, name, resource in _resources(before):
        kind = resource["Type"]
        if kind not in REPLACED_BY:
            continue
        there = after.get(stack, {}).get("Resources", {}).get(name)
        kept = resource.get("DeletionPolicy") == "Retain"
        if there is None or there["Type"] != kind:
            if not kept and not _remade(stack, name) and not _api_of_another_kind(kind):
                yield f"{stack}/{name} ({kind}) would be deleted"
            continue
        for changed in REPLACED_BY[kind]:
            old, new = (r.get("Properties", {}).get(changed) for r in (resource, there))
            if old != new:
                yield f"{stack}/{name} ({kind}) would be replaced: {changed} {old} → {new}"


def _remade(stack: str, name: str) -> bool:
    own = name.removeprefix("TimescaleDB")
    return stack == "Data" and own.startswith(tuple(REMADE))


def _api_of_another_kind(kind: str) -> bool:
    # A choice that says so: `api` is for emulators.
    return kind in ("AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Api")


def _shrunk(before: Templates, after: Templates) -> Iterator[str]:
    for stack, name, resource in _resources(before):
        if resource["Type"] != "AWS::EC2::Volume":
            continue
        there = after.get(stack, {}).get("Resources", {}).get(name)
        if there and there["Properties"]["Size"] < resource["Properties"]["Size"]:
            sizes = f"{resource['Properties']['Size']} → {there['Properties']['Size']} GB"
            yield f"{stack}/{name} would shrink: {sizes}; set databaseDiskGb to what it is"


def _broken_references(after: Templates) -> Iterator[str]:
    """A weak reference is resolved when its own stack is deployed."""
    for stack, template in after.items():
        for reference in _found("Fn::GetStackOutput", template):
            if not isinstance(reference, Mapping):
                continue
            producer = str(reference["StackName"]).split("-")[-1]
            if reference["OutputName"] not in after.get(producer, {}).get("Outputs", {}):
                yield f"{stack} refers to {producer}.{reference['OutputName']}, which is not there"
            elif ORDER.index(producer) >= ORDER.index(stack):
                yield f"{stack} refers to {producer}, which is deployed after it"


def _vanished_exports(before: Templates, after: Templates) -> Iterator[str]:
    imported = {json.dumps(each) for t in before.values() for each in _found("Fn::ImportValue", t)}

    def exports(templates: Templates) -> set[str]:
        return {
            json.dumps(output["Export"]["Name"])
            for template in templates.values()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }

    for name in sorted((exports(before) - exports(after)) & imported):
        yield f"the export {name} would vanish while it is imported"


def _moved_names(before: Templates, after: Templates) -> Iterator[str]:
    """A name that another stack still has can't be taken; one that it has given up already is
    nobody's until the other stack's turn.
    """

    def named(templates: Templates) -> dict[str, str]:
        return {
            f"{kind} {json.dumps(resource['Properties'][kind])}": stack
            for stack, _, resource in _resources(templates)
            for kind in NAMES
            if kind in resource.get("Properties", {})
        }

    now = named(after)
    for name, stack in named(before).items():
        if name in now and now[name] != stack:
            yield f"{name} would move from {stack} to {now[name]}"


def _resources(templates: Templates) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for stack, template in templates.items():
        for name, resource in template.get("Resources", {}).items():
            yield stack, name, resource


def _found(key: str, value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            if name == key:
                yield part
            else:
                yield from _found(key, part)
    elif isinstance(value, list):
        for part in value:
            yield from _found(key, part)


def essence(templates: Templates) -> dict[str, Any]:
    """What `problems` reads of templates before an update, and no more."""
    kept: dict[str, Any] = {}
    for stack, template in sorted(templates.items()):
        resources = {}
        for name, resource in sorted(template["Resources"].items()):
            kind, properties = resource["Type"], resource.get("Properties", {})
            wanted = (*NAMES, *REPLACED_BY.get(kind, ()), *(("Size",) if "Volume" in kind else ()))
            read = {key: properties[key] for key in wanted if key in properties}
            if read or kind in REPLACED_BY or kind in SERVING:
                policy = resource.get("DeletionPolicy")
                resources[name] = {"Type": kind, "Properties": read} | (
                    {"DeletionPolicy": policy} if policy else {}
                )
        references = [
            {kind: reference}
            for kind in ("Fn::GetStackOutput", "Fn::ImportValue")
            for reference in _distinct(_found(kind, template))
        ]
        outputs = {
            name: {key: output[key] for key in ("Export",) if key in output}
            for name, output in sorted(template.get("Outputs", {}).items())
        }
        kept[stack] = {"Outputs": outputs, "References": references, "Resources": resources}
    return kept


def _distinct(values: Iterator[Any]) -> list[Any]:
    found = {json.dumps(value, sort_keys=True): value for value in values}
    return [found[key] for key in sorted(found)]


def read(directory: Path) -> dict[str, Any]:
    """The templates that `cdk synth` wrote."""
    return {
        path.name.removesuffix(".template.json").split("-")[-1]: json.loads(path.read_text("utf-8"))
        for path in sorted(directory.glob("*.template.json"))
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """1 when an update of what is deployed would lose something."""
    parser = argparse.ArgumentParser(description="What an update of the stacks would lose.")
    parser.add_argument("--release", action="store_true")
    release = parser.parse_args(arguments).release
    from infra.inventory import synthesised

    with tempfile.TemporaryDirectory() as scratch:
        synthesised({}, Path(scratch) / "now")
        now = read(Path(scratch) / "now" / "out")
    if release:
        RELEASED.write_text(json.dumps(essence(now), indent=1, sort_keys=True) + "\n", "utf-8")
        return 0
    found = problems(json.loads(RELEASED.read_text("utf-8")), now)
    for sentence in found:
        print(sentence)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
