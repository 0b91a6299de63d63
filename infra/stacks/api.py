"""The HTTP functions behind API Gateway: one table of routes, two kinds of API."""

import json

import aws_cdk as cdk
from aws_cdk import aws_apigateway as rest
from aws_cdk import aws_apigatewayv2 as http
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.config import Config
from infra.constructs.python_function import PythonFunction
from infra.nag import accept
from infra.routes import Route, routes
from infra.stacks.data import DataStack
from infra.stacks.network import NetworkStack

RATE_LIMIT = 5_000
"""Requests a second. Far above what the handlers refuse themselves with 503 and Retry-After:
API Gateway's own 429 makes Prometheus drop its samples.
"""
BURST_LIMIT = 5_000
_LOGGED = {
    "requestId": "$context.requestId",
    "ip": "$context.identity.sourceIp",
    "time": "$context.requestTime",
    "route": "$context.routeKey",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "latency": "$context.responseLatency",
    "integrationError": "$context.integrationErrorMessage",
}
_LOGS = (
    "The functions log what failed, with the caller's address, which API Gateway does not know "
    "behind CloudFront; a line for each success is the context accessLog=all."
)
_PUBLIC = "The application itself decides: sessions for people, scoped keys for agents."


class ApiStack(cdk.Stack):
    """`domain` and `path` are where CloudFront finds the API; `functions` are by name."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        config: Config,
        network: NetworkStack,
        data: DataStack,
    ) -> None:
        super().__init__(scope, name)
        self.config = config
        table = routes()
        shared = data.shared_by(self)
        environment = {"PULSEBOARD_PUBLIC_URL": f"https://{config.domain}"} if config.domain else {}
        # The stack's own random id: unknown outside the account, and in no template.
        self.edge_secret = cdk.Fn.select(2, cdk.Fn.split("/", self.stack_id))
        if not config.local:
            environment["PULSEBOARD_EDGE_SECRET"] = self.edge_secret
            # By name: CloudFormation splits no reference to another stack.
            cdk.CfnOutput(self, "EdgeId", value=self.edge_secret)
        # A web ACL guards CloudFront only: nobody may go around it.
        if config.web_acl_arn and not config.local:
            environment["PULSEBOARD_EDGE_ONLY"] = "true"
        environment["PULSEBOARD_ACCESS_LOG"] = config.access_log
        spill = {"PULSEBOARD_SPILL_BUCKET": data.spill.bucket.bucket_name}
        self.functions = {
            function: PythonFunction(
                self,
                function,
                shared=shared,
                alias=True,
                environment={**environment, **(spill if function == "ingest" else {})},
            )
            for function in sorted({route.function for route in table})
        }
        data.spill.let_write(self.functions["ingest"])
        self.access_log = (
            logs.LogGroup(
                self,
                "AccessLog",
                log_group_name=f"/pulseboard/{config.stage}/api",
                retention=logs.RetentionDays.ONE_MONTH,
                removal_policy=cdk.RemovalPolicy.DESTROY,
            )
            if config.access_log == "all"
            else None
        )
        if config.api == "http":
            self._http_api(table)
        else:
            self._rest_api(table)
        cdk.CfnOutput(self, "ApiId", value=self.api_id)
        # A deploy compares it with what it is to be: `infra/deploy.py`, check_database.
        cdk.CfnOutput(self, "Database", value=config.serving)
        if not config.web_acl_arn and not config.local:
            # Not by CloudFront, which would add more than a dollar to a million requests.
            agents = f"https://{self.domain}{self.path}"
            cdk.CfnOutput(self, "AgentUrl", value=agents)
            self.functions["auth"].lambda_function.add_environment("PULSEBOARD_AGENT_URL", agents)

    @property
    def edge_id(self) -> str:
        """The edge secret, for other stacks."""
        return cdk.Token.as_string(
            {
                "Fn::GetStackOutput": {
                    "StackName": self.stack_name,
                    "Region": {"Ref": "AWS::Region"},
                    "OutputName": "EdgeId",
                }
            }
        )

    def _http_api(self, table: list[Route]) -> None:
        api = http.HttpApi(self, "Http", api_name=f"pulseboard-{self.config.stage}",
                           create_default_stage=False)  # fmt: skip
        stage = http.CfnStage(
            self,
            "Stage",
            api_id=api.api_id,
            stage_name="$default",
            auto_deploy=True,
            default_route_settings=http.CfnStage.RouteSettingsProperty(
                throttling_burst_limit=BURST_LIMIT,
                throttling_rate_limit=RATE_LIMIT,
                # By route: ten metrics a route that nothing reads.
                detailed_metrics_enabled=False,
            ),
            access_log_settings=http.CfnStage.AccessLogSettingsProperty(
                destination_arn=self.access_log.log_group_arn, format=json.dumps(_LOGGED)
            )
            if self.access_log
            else None,
        )
        accept(stage, _LOGS, "AwsSolutions-APIG1")
        targets = {
            name: integrations.HttpLambdaIntegration(
                name.capitalize(), function.function, scope_permission_to_route=False
            )
            for name, function in self.functions.items()
        }
        for route in table:
            for created in api.add_routes(
                path=route.path,
                methods=[http.HttpMethod[route.method]],
                integration=targets[route.function],
            ):
                accept(created, _PUBLIC, "AwsSolutions-APIG4")
                stage.node.add_dependency(created)
        self.api_id = api.api_id
        self.domain = f"{api.api_id}.execute-api.{self.region}.{self.url_suffix}"
        self.path = ""
        self.metrics_dimensions = {"ApiId": api.api_id}

    def _rest_api(self, table: list[Route]) -> None:
        api = rest.RestApi(
            self,
            "Rest",
            rest_api_name=f"pulseboard-{self.config.stage}",
            cloud_watch_role=False,
            binary_media_types=["*/*"],
            deploy_options=rest.StageOptions(
                stage_name="live",
                throttling_rate_limit=RATE_LIMIT,
                throttling_burst_limit=BURST_LIMIT,
                access_log_destination=rest.LogGroupLogDestination(self.access_log)
                if self.access_log
                else None,
                access_log_format=rest.AccessLogFormat.custom(json.dumps(_LOGGED))
                if self.access_log
                else None,
            ),
        )
        for name, function in self.functions.items():
            lambda_.CfnPermission(
                self,
                f"{name.capitalize()}Permission",
                action="lambda:InvokeFunction",
                function_name=function.function.function_arn,
                principal="apigateway.amazonaws.com",
                source_arn=api.arn_for_execute_api(),
            )
        for route in table:
            method = api.root.resource_for_path(route.path).add_method(
                route.method,
                rest.AwsIntegration(
                    service="lambda",
                    proxy=True,
                    path=f"2015-03-31/functions/{self.functions[route.function].function.function_arn}"
                    "/invocations",
                ),
            )
            accept(method, _PUBLIC, "AwsSolutions-APIG4", "AwsSolutions-COG4")
        for rule, why in {
            "AwsSolutions-APIG1": _LOGS,
            "AwsSolutions-APIG2": "The application validates: its errors say which field and why.",
            "AwsSolutions-APIG3": "The web ACL sits on CloudFront (context webAclArn).",
            "AwsSolutions-APIG6": "Execution logs would hold request bodies.",
        }.items():
            accept(api, why, rule)
        self.api_id = api.rest_api_id
        self.domain = f"{api.rest_api_id}.execute-api.{self.region}.{self.url_suffix}"
        self.path = "/live"
        self.metrics_dimensions = {"ApiName": f"pulseboard-{self.config.stage}"}
