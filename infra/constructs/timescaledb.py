"""TimescaleDB on one EC2 instance that replaces itself, with its data on a volume that stays.

The instance is the one member of an Auto Scaling group: a deploy never replaces it, a failed
check does. It attaches the volume and sets its own DNS name when it starts (`database.sh`).
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_dlm as dlm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.config import DATABASE_CLIENTS, Config
from infra.nag import accept

START = Path(__file__).parents[1] / "stacks" / "database.sh"
IMAGE = "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"
HOST = "database.pulseboard.internal"
CREDENTIALS = "database.json"
"""Password and certificate, as the instance writes them for the functions."""
VERSIONS = {"POSTGRES": "17", "POSTGRES_VERSION": "17.*", "TIMESCALEDB_VERSION": "2.28.3*"}
"""Of a new database; afterwards those on its volume, until `make update-database`."""


def script(values: Mapping[str, str]) -> str:
    """The instance's user data. Raises ValueError when a value is missing."""
    text = START.read_text(encoding="utf-8")
    for key, value in {**VERSIONS, **values}.items():
        text = text.replace(f"@{key}@", value if value.startswith("${") else shlex.quote(value))
    if missing := re.findall(r"@[A-Z_]+@", text):
        raise ValueError(f"{START.name}: no value for {', '.join(missing)}")
    return text


class TimescaleInstance(Construct):
    """`host` listens on pgBouncer's port once the first boot is complete (about five minutes)."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        *,
        config: Config,
        vpc: ec2.IVpc,
        subnet: ec2.ISubnet,
        security_group: ec2.ISecurityGroup,
        secret: secretsmanager.ISecret,
        credentials: s3.IBucket,
    ) -> None:
        super().__init__(scope, name)
        stack = cdk.Stack.of(self)
        self.host = HOST
        self.volume = ec2.Volume(
            self,
            "Data",
            availability_zone=subnet.availability_zone,
            size=cdk.Size.gibibytes(config.database_disk_gb),
            volume_type=ec2.EbsDeviceVolumeType.GP3,
            encrypted=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        cdk.Tags.of(self.volume).add("pulseboard-backup", config.stage)
        zone = route53.PrivateHostedZone(self, "Zone", zone_name=HOST, vpc=vpc)
        values = {
            "REGION": stack.region,
            "VOLUME": self.volume.volume_id,
            "SECRET": secret.secret_arn,
            "ZONE": zone.hosted_zone_id,
            "NAME": HOST,
            "CLIENTS": str(DATABASE_CLIENTS),
            "CREDENTIALS": f"s3://{credentials.bucket_name}/{CREDENTIALS}",
        }
        text = script(values)
        template = ec2.LaunchTemplate(
            self,
            "Template",
            instance_type=ec2.InstanceType(config.database_instance),
            machine_image=ec2.MachineImage.from_ssm_parameter(IMAGE),
            user_data=ec2.UserData.custom(text),
            role=self._role(config, secret=secret, zone=zone, credentials=credentials),
            security_group=security_group,
            associate_public_ip_address=True,
            require_imdsv2=True,
            detailed_monitoring=False,
            block_devices=[
                ec2.BlockDevice(
                    device_name="/dev/sda1",
                    volume=ec2.BlockDeviceVolume.ebs(
                        12, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3
                    ),
                )
            ],
        )
        self.group = autoscaling.AutoScalingGroup(
            self,
            "Group",
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnets=[subnet]),
            launch_template=template,
            min_capacity=1,
            max_capacity=1,
        )
        cdk.Tags.of(self.group).add("pulseboard-role", "database")
        self.burstable = config.database_instance.startswith("t")
        accept(
            self.group,
            "One member, replaced on failure; the alarms watch the database itself.",
            "AwsSolutions-AS3",
        )
        self._snapshots(config)

    def _role(
        self,
        config: Config,
        *,
        secret: secretsmanager.ISecret,
        zone: route53.IHostedZone,
        credentials: s3.IBucket,
    ) -> iam.Role:
        stack = cdk.Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
            # Session Manager and Run Command: nothing else leads into the instance.
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name("AmazonSSMManagedInstanceCore")
            ],
        )
        accept(
            role,
            "AWS keeps the list of what its agent calls.",
            "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/AmazonSSMManagedInstanceCore]",
        )
        secret.grant_read(role)
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["s3:PutObject"], resources=[credentials.arn_for_objects(CREDENTIALS)]
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["route53:ChangeResourceRecordSets"], resources=[zone.hosted_zone_arn]
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["ec2:AttachVolume"],
                resources=[
                    stack.format_arn(
                        service="ec2", resource="volume", resource_name=self.volume.volume_id
                    )
                ],
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["ec2:AttachVolume"],
                resources=[stack.format_arn(service="ec2", resource="instance", resource_name="*")],
                conditions={"StringEquals": {"aws:ResourceTag/stage": config.stage}},
            )
        )
        accept(
            role,
            "The instance that takes over has an id that nobody knows before; a tag limits it.",
            "AwsSolutions-IAM5[Resource::arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:instance/*]",
        )
        return role

    def _snapshots(self, config: Config) -> None:
        role = iam.Role(self, "SnapshotRole", assumed_by=iam.ServicePrincipal("dlm.amazonaws.com"))
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[
                    "ec2:CreateSnapshot",
                    "ec2:CreateSnapshots",
                    "ec2:DeleteSnapshot",
                    "ec2:DescribeInstances",
                    "ec2:DescribeVolumes",
                    "ec2:DescribeSnapshots",
                    "ec2:CreateTags",
                ],
                resources=["*"],
            )
        )
        accept(
            role,
            "Snapshots have no name before they are created, and describing supports no resource.",
            "AwsSolutions-IAM5[Resource::*]",
        )
        dlm.CfnLifecyclePolicy(
            self,
            "Snapshots",
            description="Daily snapshots of the database volume of Pulseboard",
            state="ENABLED",
            execution_role_arn=role.role_arn,
            policy_details={
                "resourceTypes": ["VOLUME"],
                "targetTags": [{"key": "pulseboard-backup", "value": config.stage}],
                "schedules": [
                    {
                        "name": "daily",
                        "createRule": {"interval": 24, "intervalUnit": "HOURS", "times": ["03:00"]},
                        "retainRule": {"count": 7},
                        "copyTags": True,
                    }
                ],
            },
        )
