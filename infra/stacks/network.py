"""VPC, security groups and endpoints. There is no NAT gateway unless the context requests one:
a Lambda in here reaches the database, the cache and S3, and nothing else. S3's gateway endpoint
costs nothing; one of Secrets Manager is $7 a month, and only an external database needs it.
"""

import json

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.config import Config

PGBOUNCER_PORT = 6432
POSTGRES_PORT = 5432
CACHE_PORT = 6379


class NetworkStack(cdk.Stack):
    """`vpc`, and one security group for each side of a connection."""

    def __init__(self, scope: Construct, name: str, *, config: Config) -> None:
        super().__init__(scope, name)
        self.local = config.local
        # The next deploy starts from these: `infra/deploy.py`, chosen.
        cdk.CfnOutput(self, "Choices", value=json.dumps(dict(config.given), sort_keys=True))
        private = (
            ec2.SubnetType.PRIVATE_WITH_EGRESS if config.nat else ec2.SubnetType.PRIVATE_ISOLATED
        )
        self.private = ec2.SubnetSelection(subnet_type=private)
        self.public = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(config.cidr),
            availability_zones=list(config.zones) or None,
            max_azs=None if config.zones else 2,
            nat_gateways=1 if config.nat else 0,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    cidr_mask=24,
                    map_public_ip_on_launch=False,
                ),
                ec2.SubnetConfiguration(name="private", subnet_type=private, cidr_mask=22),
            ],
        )
        self.s3_endpoint = self.vpc.add_gateway_endpoint(
            "S3", service=ec2.GatewayVpcEndpointAwsService.S3
        )
        self.functions_group = self._group("Functions", "Lambda functions")
        self.database_group = self._group("Database", "TimescaleDB and pgBouncer")
        self.cache_group = self._group("Cache", "ElastiCache")
        self._open(self.functions_group, self.cache_group, CACHE_PORT)
        self._open(self.functions_group, self.cache_group, CACHE_PORT + 1)
        # S3's gateway endpoint has addresses of its own; there is no other route.
        self.functions_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "S3 gateway")
        if config.database == "ec2":
            self._open(self.functions_group, self.database_group, PGBOUNCER_PORT)
            for port in (80, 443):
                self.database_group.add_egress_rule(
                    ec2.Peer.any_ipv4(), ec2.Port.tcp(port), "packages and AWS"
                )
        # While its secret is named, also beside a database of our own: a move from one to the
        # other takes neither away before the functions have changed over.
        if config.database_secret:
            self.functions_group.add_egress_rule(
                ec2.Peer.any_ipv4(), ec2.Port.tcp_range(1024, 65535), "the external database"
            )
        if not config.local:
            if config.database_secret and not config.nat:
                self._secrets_manager()
            self._flow_logs()

    def _secrets_manager(self) -> None:
        group = self._group("Endpoints", "interface endpoints")
        self._open(self.functions_group, group, 443)
        self.vpc.add_interface_endpoint(
            "SecretsManager",
            service=ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
            subnets=ec2.SubnetSelection(
                subnets=[self.vpc.select_subnets(subnet_type=self.private.subnet_type).subnets[0]]
            ),
            security_groups=[group],
            open=False,
        )

    def _group(self, name: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, name, vpc=self.vpc, description=description, allow_all_outbound=False
        )

    def _open(self, source: ec2.SecurityGroup, target: ec2.SecurityGroup, port: int) -> None:
        if self.local:
            # The emulator has no type for rules that name another group, and no network.
            return
        target.add_ingress_rule(source, ec2.Port.tcp(port), "from the functions")
        source.add_egress_rule(target, ec2.Port.tcp(port), "to it")

    def _flow_logs(self) -> None:
        group = logs.LogGroup(
            self,
            "FlowLogs",
            retention=logs.RetentionDays.ONE_WEEK,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        role = iam.Role(
            self, "FlowLogsRole", assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com")
        )
        ec2.FlowLog(
            self,
            "Rejected",
            resource_type=ec2.FlowLogResourceType.from_vpc(self.vpc),
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(group, role),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
