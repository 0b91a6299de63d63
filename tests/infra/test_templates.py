"""Properties of what a deploy makes, read from the templates themselves."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.config import DATABASE_CLIENTS
from infra.imports import files, folders, modules
from infra.routes import API_PATHS, routes
from pulseboard.core.observability import ALARMED, NAMESPACE
from tests.infra.conftest import ROOT, Assembly, Synthesise

pytestmark = pytest.mark.infra


def test_every_function_there_is_is_deployed(production: Assembly) -> None:
    written = {path.parent.name for path in (ROOT / "functions").glob("*/handler.py")}
    assert set(production.functions()) == written


def test_every_function_is_small_bounded_logged_and_watched(production: Assembly) -> None:
    groups = {
        resource["Properties"]["LogGroupName"]: resource["Properties"]["RetentionInDays"]
        for _, resource in production.resources("AWS::Logs::LogGroup")
        if "LogGroupName" in resource["Properties"]
    }
    alarms = {
        resource["Properties"]["AlarmName"]
        for _, resource in production.resources("AWS::CloudWatch::Alarm")
    }
    for name, function in production.functions().items():
        full_name = function["FunctionName"]
        assert function["Runtime"] == "python3.13", name
        assert function["Architectures"] == ["arm64"], name
        assert 0 < function["ReservedConcurrentExecutions"] <= 50, name
        assert "TracingConfig" not in function, "X-Ray is a choice"
        assert function["LoggingConfig"]["SystemLogLevel"] == "WARN", name
        assert function["LoggingConfig"]["LogFormat"] == "JSON", name
        assert groups[f"/aws/lambda/{full_name}"] <= 90, name
        assert {f"{full_name}-errors", f"{full_name}-throttles"} <= alarms, name


def test_functions_together_open_fewer_connections_than_the_database_accepts(
    production: Assembly,
) -> None:
    connections = sum(
        function["ReservedConcurrentExecutions"]
        * int(function["Environment"]["Variables"].get("PULSEBOARD_DATABASE_POOL_SIZE", 0))
        for function in production.functions().values()
    )
    assert 0 < connections <= DATABASE_CLIENTS


def test_no_function_is_called_again_for_a_call_that_failed(production: Assembly) -> None:
    """The next minute's call does what is left; two drains at once would do the work twice."""
    bounds = [
        resource["Properties"]
        for _, resource in production.resources("AWS::Lambda::EventInvokeConfig")
    ]
    assert len(bounds) == len(production.functions())
    assert {each["MaximumRetryAttempts"] for each in bounds} == {0}


def test_every_log_has_a_retention(production: Assembly) -> None:
    for name, group in production.resources("AWS::Logs::LogGroup"):
        assert 0 < group["Properties"]["RetentionInDays"] <= 90, name


def test_snap_start_is_a_choice_and_routes_lead_to_the_live_alias(
    production: Assembly, chosen: Assembly
) -> None:
    for assembly, names in ((production, set[str]()), (chosen, {"query", "dashboards"})):
        assert {name for name, f in assembly.functions().items() if "SnapStart" in f} == names
    quick = {route.function for route in routes()}
    api = production.templates["Api"]["Resources"]
    uris = [
        json.dumps(resource["Properties"]["IntegrationUri"])
        for resource in api.values()
        if resource["Type"] == "AWS::ApiGatewayV2::Integration"
    ]
    assert len(uris) == len(quick)
    assert all("Live" in uri for uri in uris)


def _function_in(uri: Any) -> str:
    """The function whose live alias an integration calls."""
    (name,) = {
        route.function
        for route in routes()
        if f'"{route.function.capitalize()}Live' in json.dumps(uri)
    }
    return name


def test_both_kinds_of_api_lead_every_route_of_the_one_table_to_its_function(
    production: Assembly, rest: Assembly
) -> None:
    table = {(f"{route.method} {route.path}", route.function) for route in routes()}
    http = production.templates["Api"]["Resources"]
    assert table == {
        (
            resource["Properties"]["RouteKey"],
            _function_in(
                http[resource["Properties"]["Target"]["Fn::Join"][1][1]["Ref"]]["Properties"][
                    "IntegrationUri"
                ]
            ),
        )
        for resource in http.values()
        if resource["Type"] == "AWS::ApiGatewayV2::Route"
    }
    other = rest.templates["Api"]["Resources"]
    assert table == {
        (
            f"{resource['Properties']['HttpMethod']} "
            + _rest_path(other, resource["Properties"]["ResourceId"]),
            _function_in(resource["Properties"]["Integration"]["Uri"]),
        )
        for resource in other.values()
        if resource["Type"] == "AWS::ApiGateway::Method"
    }


def _rest_path(resources: dict[str, Any], reference: dict[str, Any]) -> str:
    if "Ref" not in reference:
        return ""
    properties = resources[reference["Ref"]]["Properties"]
    return f"{_rest_path(resources, properties['ParentId'])}/{properties['PathPart']}"


def test_throttles_are_far_above_what_handlers_shed_themselves(
    production: Assembly, rest: Assembly
) -> None:
    capacity = sum(f["ReservedConcurrentExecutions"] for f in production.functions().values())
    ((_, stage),) = production.resources("AWS::ApiGatewayV2::Stage")
    ((_, rest_stage),) = rest.resources("AWS::ApiGateway::Stage")
    (all_methods,) = rest_stage["Properties"]["MethodSettings"]
    assert (all_methods["HttpMethod"], all_methods["ResourcePath"]) == ("*", "/*")
    for limits in (stage["Properties"]["DefaultRouteSettings"], all_methods):
        # A request takes some 20 ms at the least.
        assert limits["ThrottlingRateLimit"] >= capacity * 50
        assert limits["ThrottlingBurstLimit"] >= capacity * 50


def test_no_log_holds_an_address_with_its_query(production: Assembly, rest: Assembly) -> None:
    """Agents may show a key there: docs/adr/0063-key-in-an-address.md."""
    ((_, stage),) = production.resources("AWS::ApiGatewayV2::Stage")
    # The functions log what failed (tests/unit/test_access_log.py); successes cost money.
    assert "AccessLogSettings" not in stage["Properties"]
    for served in ("ingest", "query", "auth"):
        variables = production.functions()[served]["Environment"]["Variables"]
        assert variables["PULSEBOARD_ACCESS_LOG"] == "errors"
    ((_, rest_stage),) = rest.resources("AWS::ApiGateway::Stage")
    settings = rest_stage["Properties"]["AccessLogSetting"]
    assert settings["DestinationArn"]
    # Values of which none is, or holds, what follows the question mark.
    assert set(json.loads(settings["Format"]).values()) <= {
        f"$context.{name}"
        for name in (
            *("requestId", "requestTime", "routeKey", "identity.sourceIp", "status"),
            *("responseLength", "responseLatency", "integrationErrorMessage"),
        )
    }
    for method in rest_stage["Properties"]["MethodSettings"]:
        assert method.get("LoggingLevel", "OFF") == "OFF"
        assert not method.get("DataTraceEnabled")
    ((_, distribution),) = production.resources("AWS::CloudFront::Distribution")
    config = distribution["Properties"]["DistributionConfig"]
    assert "Logging" not in config
    to_api = config["CacheBehaviors"]
    assert {behavior["PathPattern"] for behavior in to_api} == set(API_PATHS)
    for behavior in [config["DefaultCacheBehavior"], *to_api]:
        assert "RealtimeLogConfigArn" not in behavior
    # CloudFront's policy without caching: a response would be cached under its URL.
    assert {b["CachePolicyId"] for b in to_api} == {"4135ea2d-6df8-44a3-9df3-4b5a84be39ad"}
    for assembly in (production, rest):
        for kind in (
            "AWS::CloudFront::RealtimeLogConfig",
            # CloudFront's newer logs, and API Gateway's.
            "AWS::Logs::DeliverySource",
            "AWS::WAFv2::LoggingConfiguration",
        ):
            assert not list(assembly.resources(kind)), kind
        for name, function in assembly.functions().items():
            variables = function.get("Environment", {}).get("Variables", {})
            assert "POWERTOOLS_LOGGER_LOG_EVENT" not in variables, name


def test_nobody_outside_reaches_database_and_cache(production: Assembly) -> None:
    open_to_all = [
        name
        for name, rule in production.resources("AWS::EC2::SecurityGroupIngress")
        if "CidrIp" in rule["Properties"] or "CidrIpv6" in rule["Properties"]
    ]
    assert open_to_all == []
    for name, group in production.resources("AWS::EC2::SecurityGroup"):
        assert "SecurityGroupIngress" not in group["Properties"], name
    sources = {
        rule["Properties"]["SourceSecurityGroupId"]["Fn::GetAtt"][0]
        for _, rule in production.resources("AWS::EC2::SecurityGroupIngress")
    }
    assert all(source.startswith("Functions") for source in sources)
    assert not list(production.resources("AWS::EC2::NatGateway"))


def test_what_is_stored_is_encrypted(production: Assembly) -> None:
    for name, volume in production.resources("AWS::EC2::Volume"):
        assert volume["Properties"]["Encrypted"] is True, name
        assert volume["DeletionPolicy"] == "Retain", name
    for name, bucket in production.resources("AWS::S3::Bucket"):
        assert bucket["Properties"]["BucketEncryption"], name
        assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values()), name
    for name, topic in production.resources("AWS::SNS::Topic"):
        assert topic["Properties"]["KmsMasterKeyId"], name
    for name, queue in production.resources("AWS::SQS::Queue"):
        assert queue["Properties"].get("SqsManagedSseEnabled", True), name
    for _, template in production.resources("AWS::EC2::LaunchTemplate"):
        data = template["Properties"]["LaunchTemplateData"]
        assert data["MetadataOptions"]["HttpTokens"] == "required"
        assert all(disk["Ebs"]["Encrypted"] for disk in data["BlockDeviceMappings"])
    for function in production.functions().values():
        url = function["Environment"]["Variables"].get("REDIS_URL")
        assert url is None or json.dumps(url).count("rediss://") == 1


def test_no_secret_stands_in_a_template(production: Assembly) -> None:
    for name, template in production.templates.items():
        text = json.dumps(template)
        assert "resolve:secretsmanager" not in text, name
        assert 'SecretString":' not in text.replace("GenerateSecretString", ""), name


ALLOWED_ACTIONS = {
    "*": {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments",
          "xray:PutTelemetryRecords"},
    "inside": {"ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
               "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses",
               "ec2:UnassignPrivateIpAddresses", "s3:GetObject"},
    "ingest": {"s3:PutObject"},
    "drain": {"s3:GetObject", "s3:DeleteObject", "s3:PutObject", "s3:ListBucket",
              "sqs:ReceiveMessage", "sqs:DeleteMessage",
              "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility", "sqs:GetQueueUrl"},
    "notify": {"ses:SendEmail"},
}  # fmt: skip


def _actions(production: Assembly) -> dict[str, set[str]]:
    """What each function's role may do."""
    found: dict[str, set[str]] = {}
    for stack, template in production.templates.items():
        resources = template["Resources"]
        roles = {
            name: function["Properties"]["Handler"].split(".")[1]
            for function in resources.values()
            if function["Type"] == "AWS::Lambda::Function"
            for name in [function["Properties"]["Role"]["Fn::GetAtt"][0]]
        }
        for name, short in roles.items():
            assert "ManagedPolicyArns" not in resources[name]["Properties"], f"{stack}/{name}"
            found[short] = set()
        for policy in resources.values():
            if policy["Type"] != "AWS::IAM::Policy":
                continue
            for role in policy["Properties"]["Roles"]:
                for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                    actions = statement["Action"]
                    if role.get("Ref") in roles:
                        found[roles[role["Ref"]]] |= (
                            {actions} if isinstance(actions, str) else set(actions)
                        )
    return found


def test_roles_may_do_what_is_listed_and_nothing_more(production: Assembly) -> None:
    functions = production.functions()
    for name, actions in _actions(production).items():
        inside = ALLOWED_ACTIONS["inside"] if "VpcConfig" in functions[name] else set()
        assert actions <= ALLOWED_ACTIONS["*"] | inside | ALLOWED_ACTIONS.get(name, set()), name
        assert not any("*" in action for action in actions), name


# What a module that reaches out is called by, and what it reaches.
_REACHES = {
    "pulseboard.db.database": {"database", "s3"},
    "pulseboard.db.cache": {"cache"},
    "pulseboard.ingest.spill": {"s3"},
    "pulseboard.db.migrate": {"database"},
    "httpx": {"internet"},
    "urllib.request": {"internet"},
    "http.client": {"internet"},
}


def test_each_function_reaches_what_its_code_calls(production: Assembly) -> None:
    endpoints = {
        part
        for _, endpoint in production.resources("AWS::EC2::VPCEndpoint")
        for part in ("s3", "secretsmanager")
        if json.dumps(endpoint["Properties"]["ServiceName"]).endswith(f'.{part}"]]}}')
        or part in json.dumps(endpoint["Properties"]["ServiceName"])
    }
    assert endpoints == {"s3"}, "an interface endpoint costs $7 a month"
    for name, function in production.functions().items():
        imported = modules(f"functions.{name}.handler")
        calls = set[str]().union(*(reached for m, reached in _REACHES.items() if m in imported))
        if "VpcConfig" in function:
            reach = {"database", "cache"} | endpoints
        else:
            reach = {"internet", "s3", "secretsmanager"}
        assert calls <= reach, f"{name} calls {calls - reach}, which it can't reach"


def test_a_functions_asset_holds_all_it_imports_and_no_other_function(
    production: Assembly,
) -> None:
    for name, function in production.functions().items():
        asset = production.directory / f"asset.{function['Code']['S3Key'].removesuffix('.zip')}"
        held = {path.name for path in (asset / "functions").iterdir() if path.is_dir()}
        assert held == set(folders(name))
        assert {path.name for path in (asset / "functions").glob("*.py")} == set(files(name))
        assert (asset / "functions" / name / "handler.py").is_file()
        assert {path.name for path in asset.iterdir()} == {"functions"}


def test_changing_one_handler_changes_one_function(
    production: Assembly, synthesise: Synthesise
) -> None:
    def code(assembly: Assembly) -> dict[str, str]:
        return {name: f["Code"]["S3Key"] for name, f in assembly.functions().items()}

    def versions(assembly: Assembly) -> set[str]:
        return {name for name, _ in assembly.resources("AWS::Lambda::Version")}

    handler = ROOT / "functions" / "query" / "__snapshot_test__.py"
    handler.write_text("# a change\n")
    try:
        changed = synthesise(fresh=True)
    finally:
        handler.unlink()
    before, after = code(production), code(changed)
    assert {name for name in before if before[name] != after[name]} == {"query"}
    assert len(versions(production) - versions(changed)) == 1
    layers = {r["Properties"]["Content"]["S3Key"] for _, r in
              production.resources("AWS::Lambda::LayerVersion")}  # fmt: skip
    assert layers == {r["Properties"]["Content"]["S3Key"] for _, r in
                      changed.resources("AWS::Lambda::LayerVersion")}  # fmt: skip
    for stack in set(production.templates) - {"Api"}:
        assert production.templates[stack] == changed.templates[stack], stack


def test_alarms_notify_and_each_has_a_runbook(production: Assembly) -> None:
    runbooks = (ROOT / "docs" / "runbooks.md").read_text(encoding="utf-8")
    for name, alarm in production.resources("AWS::CloudWatch::Alarm"):
        properties = alarm["Properties"]
        assert properties["AlarmActions"], name
        anchor = properties["AlarmDescription"].split("#")[1]
        assert f"\n## {anchor}\n" in runbooks, f"docs/runbooks.md says nothing of {anchor}"


def test_nag_is_clean_and_every_exception_has_its_reason(production: Assembly) -> None:
    # A finding that is not accepted ends the synthesis itself: see the test below.
    report = json.loads((production.directory / "validation-report.json").read_text())
    failed = [p for p in report["pluginReports"] if p.get("conclusion") != "success"]
    assert not failed
    calls = [
        node
        for folder in ("stacks", "constructs")
        for file in (ROOT / "infra" / folder).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "accept"
    ]
    assert len(calls) > 5
    for call in calls:
        reason = call.args[1]
        assert not isinstance(reason, ast.Constant) or len(str(reason.value)) > 20


def test_nag_refuses_what_nobody_accepted(layers: Path, tmp_path: Path) -> None:
    import aws_cdk as cdk
    from aws_cdk import aws_s3 as s3

    from infra.app import build

    app = build(outdir=tmp_path, context={"layers": str(layers)})
    s3.Bucket(cdk.Stack(app, "Careless"), "Open")
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()


def test_cfn_lint_is_clean(production: Assembly) -> None:
    templates = sorted(str(path) for path in production.directory.glob("*.template.json"))
    done = subprocess.run(
        [Path(sys.executable).parent / "cfn-lint", "--non-zero-exit-code", "warning",
         "--ignore-checks", "W3005", "--regions", "eu-central-1", "--", *templates],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_external_database_has_no_instance_and_its_functions_read_its_secret(
    external: Assembly, synthesise: Synthesise
) -> None:
    assert not list(external.resources("AWS::EC2::Volume"))
    assert list(external.resources("AWS::EC2::NatGateway"))
    assert "secretsmanager:GetSecretValue" in _actions(external)["query"]
    for function in external.functions().values():
        assert "ReservedConcurrentExecutions" not in function
    private = synthesise(database="external", databaseSecret="tiger")
    kinds = {
        endpoint["Properties"]["VpcEndpointType"]
        for _, endpoint in private.resources("AWS::EC2::VPCEndpoint")
    }
    assert kinds == {"Gateway", "Interface"}, "without a NAT gateway nothing else leads there"


def test_functions_verify_the_database_and_only_the_network_reads_the_credentials(
    production: Assembly,
) -> None:
    for name, function in production.functions().items():
        variables = function["Environment"]["Variables"]
        if "DATABASE_URL" in variables:
            # Its file of certificates, and verify-full: tests/unit/test_database_url.py.
            assert json.dumps(variables["PULSEBOARD_DATABASE_CREDENTIALS"]).count("s3://") == 1
            assert "sslmode" not in variables["DATABASE_URL"], name
    (policy,) = [
        resource["Properties"]["PolicyDocument"]["Statement"]
        for name, resource in production.resources("AWS::S3::BucketPolicy")
        if "Credentials" in name
    ]
    (denied,) = [s for s in policy if s["Action"] == "s3:GetObject"]
    assert (denied["Effect"], denied["Principal"]) == ("Deny", {"AWS": "*"})
    assert set(denied["Condition"]["StringNotEquals"]) == {"aws:SourceVpce"}
    readers = {name for name, actions in _actions(production).items() if "s3:GetObject" in actions}
    assert readers == set(production.functions()) - {"notify"}


def test_a_domain_has_its_records_in_its_zone_or_leaves_them_to_a_person(
    chosen: Assembly, external: Assembly
) -> None:
    ((_, cdn),) = chosen.resources("AWS::CloudFront::Distribution")
    assert cdn["Properties"]["DistributionConfig"]["Aliases"] == ["metrics.example.com"]
    records = [r["Properties"] for _, r in chosen.resources("AWS::Route53::RecordSet")]
    assert {r["Type"] for r in records} == {"A", "AAAA"}
    for record in records:
        assert (record["Name"], record["HostedZoneId"]) == ("metrics.example.com", "Z123")
        assert "DomainName" in json.dumps(record["AliasTarget"]["DNSName"])
    assert not list(external.resources("AWS::Route53::RecordSet"))
    for assembly in (chosen, external):
        outputs = assembly.templates["Frontend"]["Outputs"]
        assert "DistributionDomain" in outputs
        assert ("Records" in outputs) == (assembly is chosen)


def test_beside_a_web_acl_the_apis_own_address_is_closed(
    chosen: Assembly, production: Assembly
) -> None:
    ((_, cdn),) = chosen.resources("AWS::CloudFront::Distribution")
    assert cdn["Properties"]["DistributionConfig"]["WebACLId"]
    served = {route.function for route in routes()}
    for name, function in chosen.functions().items():
        variables = function["Environment"]["Variables"]
        assert (variables.get("PULSEBOARD_EDGE_ONLY") == "true") == (name in served), name
    for function in production.functions().values():
        assert "PULSEBOARD_EDGE_ONLY" not in function["Environment"]["Variables"]


def test_zones_and_addresses_are_a_choice_and_stages_differ(
    chosen: Assembly, production: Assembly
) -> None:
    from infra.config import network_of

    zones = {s["Properties"]["AvailabilityZone"] for _, s in chosen.resources("AWS::EC2::Subnet")}
    assert zones == {"eu-central-1b", "eu-central-1c"}
    ((_, volume),) = chosen.resources("AWS::EC2::Volume")
    assert volume["Properties"]["AvailabilityZone"] == "eu-central-1b"
    ((_, vpc),) = chosen.resources("AWS::EC2::VPC")
    assert vpc["Properties"]["CidrBlock"] == "10.99.0.0/18"
    ((_, vpc),) = production.resources("AWS::EC2::VPC")
    assert vpc["Properties"]["CidrBlock"] == network_of("production") == "10.42.0.0/20"
    stages = ("production", "staging", "test", "dev", "demo")
    assert len({network_of(stage) for stage in stages}) == len(stages)


def test_names_of_the_whole_account_carry_the_region(production: Assembly) -> None:
    """Else the same stage could not be deployed in a second region."""
    for kind, path in (
        ("AWS::CloudFront::ResponseHeadersPolicy", ("ResponseHeadersPolicyConfig", "Name")),
        ("AWS::CloudFront::OriginAccessControl", ("OriginAccessControlConfig", "Name")),
        ("AWS::CloudFront::Function", ("Name",)),
    ):
        found = list(production.resources(kind))
        assert found, kind
        for name, resource in found:
            value: Any = resource["Properties"]
            for part in path:
                value = value[part]
            assert "AWS::Region" in json.dumps(value), name
    for kind, named in (("IAM::Role", "RoleName"), ("S3::Bucket", "BucketName")):
        for name, resource in production.resources(f"AWS::{kind}"):
            assert named not in resource["Properties"], name


def test_what_alarms_read_is_what_functions_write_by_default(production: Assembly) -> None:
    read = {
        alarm["Properties"]["MetricName"]
        for _, alarm in production.resources("AWS::CloudWatch::Alarm")
        if alarm["Properties"].get("Namespace") == NAMESPACE
    }
    assert read == ALARMED
    assert not list(production.resources("AWS::CloudWatch::Dashboard"))
    for function in production.functions().values():
        assert function["Environment"]["Variables"]["PULSEBOARD_METRICS"] == "alarms"


def test_agents_have_an_address_beside_cloudfront_unless_it_is_closed(
    production: Assembly, chosen: Assembly
) -> None:
    value = json.dumps(production.templates["Api"]["Outputs"]["AgentUrl"]["Value"])
    assert "https://" in value
    assert ".execute-api." in value
    assert "AgentUrl" not in chosen.templates["Api"]["Outputs"]
    # And the browser's "Add data" says the same address.
    variables = production.functions()["auth"]["Environment"]["Variables"]
    assert json.dumps(variables["PULSEBOARD_AGENT_URL"]) == value
    assert "PULSEBOARD_AGENT_URL" not in chosen.functions()["auth"]["Environment"]["Variables"]


def test_what_aws_runs_is_watched(production: Assembly, external: Assembly) -> None:
    watched = {
        alarm["Properties"]["AlarmName"].removeprefix("pulseboard-production-"): alarm
        for _, alarm in production.resources("AWS::CloudWatch::Alarm")
    }
    expected = {
        "database-instance": ("AWS/EC2", "StatusCheckFailed"),
        "database-credits": ("AWS/EC2", "CPUCreditBalance"),
        "cache-full": ("AWS/ElastiCache", "BytesUsedForCache"),
        "cache-throttled": ("AWS/ElastiCache", "ThrottledCmds"),
        "cdn-errors": ("AWS/CloudFront", "5xxErrorRate"),
    }
    for name, (namespace, metric) in expected.items():
        properties = watched[name]["Properties"]
        assert (properties["Namespace"], properties["MetricName"]) == (namespace, metric)
    # CloudFront's metrics are in one region, and an alarm of another would never fire.
    condition = production.templates["Monitoring"]["Conditions"][watched["cdn-errors"]["Condition"]]
    assert condition == {"Fn::Equals": [{"Ref": "AWS::Region"}, "us-east-1"]}
    # A tick without a database writes no metric: that is the alarm.
    missing = watched["tick-missing"]["Properties"]
    assert (missing["MetricName"], missing["TreatMissingData"]) == ("TickSeconds", "breaching")
    sources = [
        rule["Properties"]["EventPattern"]["source"]
        for _, rule in production.resources("AWS::Events::Rule")
        if "EventPattern" in rule["Properties"]
    ]
    assert sorted(sources) == [["aws.dlm"], ["aws.ec2"]]
    assert not any(
        "EventPattern" in rule["Properties"] for _, rule in external.resources("AWS::Events::Rule")
    )


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"database": "rds"}, "ec2, external"),
        ({"database": "external"}, "databaseSecret"),
        ({"api": "soap"}, "http, rest"),
        ({"reserve": "maybe"}, "true or false"),
        ({"databaseDiskGb": "many"}, "whole number"),
        ({"domain": "example.com"}, "certificateArn"),
        ({"certificateArn": "arn:aws:acm:eu-central-1:1:certificate/x"}, "us-east-1 only"),
        ({"hostedZone": "Z1"}, "domain=NAME"),
        ({"zones": "eu-central-1a"}, "two different"),
        ({"cidr": "10.0.0.0/24"}, "between /16 and /20"),
        ({"cidr": "10.0.0.1/20"}, "host bits"),
        ({"stage": "My Stage"}, "lower-case"),
        ({"accessLog": "some"}, "errors, all"),
        ({"snapStart": "query,evaluate"}, "evaluate: one or more of"),
        ({"cdn": "false"}, "publicUrl"),
    ],
)
def test_context_that_makes_no_sense_is_refused_with_what_would(
    synthesise: Synthesise, context: dict[str, str], message: str
) -> None:
    from infra.config import ConfigError

    with pytest.raises(ConfigError, match=message):
        synthesise(**context)


def test_the_cdk_asks_nobody_for_news() -> None:
    """Behind a proxy that intercepts TLS each command would warn that it can't."""
    assert json.loads((ROOT / "cdk.json").read_text())["notices"] is False


def test_synth_needs_no_environment(layers: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.app"],
        cwd=ROOT,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "CDK_OUTDIR": str(tmp_path / "out"),
             "CDK_CONTEXT_JSON": json.dumps({"layers": str(layers)})},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (done.stdout, done.stderr) == ("", ""), "what passes says nothing"
    assert list((tmp_path / "out").glob("*.template.json"))
