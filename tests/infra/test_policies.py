"""Resource policies, roles and references: each principal that must act may, and no other."""

import ast
import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from infra.imports import modules
from tests.infra.conftest import ROOT, Assembly

pytestmark = pytest.mark.infra


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _statements(assembly: Assembly, kind: str) -> Iterator[dict[str, Any]]:
    for _, resource in assembly.resources(kind):
        properties = resource["Properties"]
        document = properties.get("PolicyDocument") or properties.get("KeyPolicy")
        yield from document["Statement"]


def allowed(statements: list[dict[str, Any]], *, service: str, action: str) -> list[dict[str, Any]]:
    """The conditions under which a service may do it. Empty where it may not."""
    return [
        statement.get("Condition", {})
        for statement in statements
        if statement["Effect"] == "Allow"
        and service in _list(statement.get("Principal", {}).get("Service", []))
        and any(fnmatchcase(action, pattern) for pattern in _list(statement["Action"]))
    ]


ACCOUNT = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_alarms_of_this_account_may_publish_and_decrypt(production: Assembly) -> None:
    """CloudWatch needs an Allow: a policy that holds a Deny alone replaces SNS's default one."""
    topic = list(_statements(production, "AWS::SNS::TopicPolicy"))
    conditions = allowed(topic, service="cloudwatch.amazonaws.com", action="sns:Publish")
    assert conditions == [ACCOUNT]
    key = list(_statements(production, "AWS::KMS::Key"))
    for service in ("cloudwatch", "events"):
        for action in ("kms:Decrypt", "kms:GenerateDataKey"):
            assert allowed(key, service=f"{service}.amazonaws.com", action=action)
    # EventBridge's publishing supports no condition.
    assert allowed(topic, service="events.amazonaws.com", action="sns:Publish") == [{}]


def test_the_bucket_may_notify_its_queue_and_cloudfront_may_read_its_own(
    production: Assembly,
) -> None:
    queue = list(_statements(production, "AWS::SQS::QueuePolicy"))
    assert allowed(queue, service="s3.amazonaws.com", action="sqs:SendMessage") == [ACCOUNT]
    bucket = list(_statements(production, "AWS::S3::BucketPolicy"))
    (condition,) = allowed(bucket, service="cloudfront.amazonaws.com", action="s3:GetObject")
    assert "AWS:SourceArn" in condition["StringEquals"]


def test_every_alarm_acts_on_a_topic_of_its_own_account(production: Assembly) -> None:
    alarms = list(production.resources("AWS::CloudWatch::Alarm"))
    assert alarms
    for name, alarm in alarms:
        for action in [*alarm["Properties"]["AlarmActions"], *alarm["Properties"]["OKActions"]]:
            assert "Alarms" in json.dumps(action), name


def test_people_reach_the_database_instance_by_session_manager(production: Assembly) -> None:
    roles = {name: r["Properties"] for name, r in production.resources("AWS::IAM::Role")}
    (instance,) = [
        role
        for role in roles.values()
        if "ec2.amazonaws.com" in json.dumps(role["AssumeRolePolicyDocument"])
    ]
    assert "AmazonSSMManagedInstanceCore" in json.dumps(instance["ManagedPolicyArns"])


def test_no_stack_locks_another_by_an_export(production: Assembly) -> None:
    """A strong reference can't change while it is imported: not the domain, not the cache."""
    for name, template in production.templates.items():
        for output in template.get("Outputs", {}).values():
            assert "Export" not in output, name
        assert "Fn::ImportValue" not in json.dumps(template), name


def test_only_migrate_has_new_code_before_the_migrations(production: Assembly) -> None:
    from infra.deploy import FIRST_STACKS, LATER_STACKS

    assert {*FIRST_STACKS, *LATER_STACKS} == set(production.templates)
    first = {
        resource["Properties"]["Handler"]
        for stack in FIRST_STACKS
        for resource in production.templates[stack]["Resources"].values()
        if resource["Type"] == "AWS::Lambda::Function"
    }
    assert first == {"functions.migrate.handler.handler"}


# What a function calls of AWS, by the module of ours that calls it.
_CALLS = {
    "pulseboard.ingest.spill_bucket": {"ingest": {"s3:PutObject"}, "drain": {
        "s3:GetObject", "s3:DeleteObject", "s3:PutObject", "s3:ListBucket"}},
    "pulseboard.db.database_url": {"*": {"s3:GetObject"}},
    "functions.notify.email": {"notify": {"ses:SendEmail"}},
}  # fmt: skip
_LAMBDA_ITSELF = {
    "logs:CreateLogStream", "logs:PutLogEvents",
    "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
    "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes",
}  # fmt: skip
"""What Lambda does with the function's role."""


def _may(assembly: Assembly) -> dict[str, dict[str, list[str]]]:
    """For each function, its allowed actions with their resources as text."""
    found: dict[str, dict[str, list[str]]] = {}
    for template in assembly.templates.values():
        resources = template["Resources"]
        roles = {
            r["Properties"]["Role"]["Fn::GetAtt"][0]: r["Properties"]["Handler"].split(".")[1]
            for r in resources.values()
            if r["Type"] == "AWS::Lambda::Function"
        }
        for policy in resources.values():
            if policy["Type"] != "AWS::IAM::Policy":
                continue
            for role in policy["Properties"]["Roles"]:
                if role.get("Ref") not in roles:
                    continue
                actions = found.setdefault(roles[role["Ref"]], {})
                for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                    assert statement["Effect"] == "Allow"
                    for action in _list(statement["Action"]):
                        actions.setdefault(action, []).extend(
                            json.dumps(resource) for resource in _list(statement["Resource"])
                        )
    return found


def _calls_in(file: Path) -> set[str]:
    """Actions of AWS that a module of ours calls, by botocore's own lists of operations."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    words = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    loader = botocore.session.get_session()
    found = set[str]()
    for service, prefix in (("s3", "s3"), ("secretsmanager", "secretsmanager"), ("ses", "ses"),
                            ("sesv2", "ses"), ("sqs", "sqs"), ("sns", "sns")):  # fmt: skip
        if service not in words:
            continue
        operations = {
            xform_name(name): name for name in loader.get_service_model(service).operation_names
        }
        named = {c.func.attr for c in calls if isinstance(c.func, ast.Attribute)}
        # A paginator is asked for by the name of its operation.
        for name in (named | words) & operations.keys():
            action = operations[str(name)].removesuffix("V2").replace("Objects", "Bucket")
            found.add(f"{prefix}:{action}")
    return found


def test_the_table_of_calls_is_what_modules_call() -> None:
    roots = (ROOT / "shared" / "src", ROOT)
    seen = set[str]()
    for root, package in zip(roots, ("pulseboard", "functions"), strict=True):
        for file in (root / package).rglob("*.py"):
            if "boto3" not in file.read_text(encoding="utf-8"):
                continue
            module = ".".join(file.relative_to(root).with_suffix("").parts)
            if module.startswith("pulseboard.agent"):
                continue
            seen.add(module)
            known = set[str]().union(*_CALLS.get(module, {}).values())
            # Only an external database's functions read a secret: tests/infra/test_templates.py.
            assert _calls_in(file) - {"secretsmanager:GetSecretValue"} == known, module
    assert seen == set(_CALLS)


def _text(value: Any) -> str:
    """A resource of a policy, with a word for each part that AWS fills in."""
    if isinstance(value, dict) and "Fn::Join" in value:
        return "".join(_text(part) for part in value["Fn::Join"][1])
    return value if isinstance(value, str) else f"<{json.dumps(value)}>"


REQUESTS = {
    "s3:PutObject": ("Spill", "/waiting/a"), "s3:PutObject dead": ("Spill", "/dead/a"),
    "s3:GetObject": ("Spill", "/waiting/a"), "s3:DeleteObject": ("Spill", "/waiting/a"),
    "s3:DeleteObject dead": ("Spill", "/dead/a"), "s3:ListBucket": ("Spill", ""),
    "s3:GetObject credentials": ("Credentials", "/database.json"),
    "s3:GetObject other": ("Credentials", "/other.json"),
    "s3:PutObject credentials": ("Credentials", "/database.json"),
    "s3:GetObject page": ("Spa", "/index.html"), "s3:PutObject page": ("Spa", "/index.html"),
}  # fmt: skip
"""What could be asked of S3: the bucket by its name in the templates, and the key."""

ANSWERED = {
    "ingest": {"s3:PutObject", "s3:GetObject credentials"},
    "drain": {"s3:PutObject dead", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket",
              "s3:GetObject credentials"},
    "notify": set[str](),
}  # fmt: skip


def _permits(resources: list[str], bucket: str, key: str) -> bool:
    for text in map(json.loads, resources):
        head, _, pattern = _text(text).partition(">")
        if bucket in head and fnmatchcase(key, pattern):
            return True
    return False


def test_the_policies_permit_these_requests_and_no_others(chosen: Assembly) -> None:
    may = _may(chosen)
    for name, actions in may.items():
        permitted = {
            request
            for request, (bucket, key) in REQUESTS.items()
            if _permits(actions.get(request.split()[0], []), bucket, key)
        }
        assert permitted == ANSWERED.get(name, {"s3:GetObject credentials"}), name


def test_each_function_may_do_what_it_calls_and_nothing_else(chosen: Assembly) -> None:
    functions = chosen.functions()
    may = _may(chosen)
    assert set(may) == set(functions)
    for name, actions in may.items():
        imported = modules(f"functions.{name}.handler")
        calls = set[str]().union(
            *(
                by.get(name, by.get("*", set()))
                for module, by in _CALLS.items()
                if module in imported
            )
        )
        if "VpcConfig" not in functions[name]:
            calls -= {"s3:GetObject"}
        assert calls <= set(actions), f"{name} may not {calls - set(actions)}"
        assert set(actions) <= calls | _LAMBDA_ITSELF, f"{name} needs no {set(actions) - calls}"
        for action, resources in actions.items():
            if not action.startswith("ec2:"):
                assert '"*"' not in resources, f"{name}: {action} on everything"
    assert all('"/waiting/*"' in resource for resource in may["ingest"]["s3:PutObject"])
    for name in set(functions) - {"drain", "notify"}:
        assert all("/database.json" in resource for resource in may[name]["s3:GetObject"]), name
