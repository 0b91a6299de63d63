"""What a first start puts in: an admin and a public dashboard of this machine."""

import secrets
from dataclasses import dataclass

from pulseboard.contracts.alerts import (
    AlertCondition,
    AlertSeverity,
    CreateAlertRule,
    NoDataPolicy,
    Reducer,
)
from pulseboard.contracts.auth import Role
from pulseboard.contracts.dashboards import (
    CreateDashboard,
    CreatePanel,
    PanelOptions,
    PanelQuery,
    PanelType,
    Position,
    Threshold,
)
from pulseboard.stores import alert_rules, dashboards, database, passwords, users

ADMIN_EMAIL = "admin@localhost"


@dataclass(frozen=True, slots=True)
class Admin:
    """The admin that was made, with the password that nothing else knows."""

    user_id: str
    email: str
    password: str


def seed() -> Admin:
    """Make the admin and the dashboard. Raises Conflict when the admin is there already."""
    password = secrets.token_urlsafe(15)
    with database.connection() as connection, connection.transaction():
        user = users.create_user(
            connection,
            email=ADMIN_EMAIL,
            password_hash=passwords.hash_password(password),
            role=Role.ADMIN,
        )
        dashboards.create_dashboard(connection, owner_id=user.id, body=this_machine())
        for rule in example_rules():
            alert_rules.create_rule(connection, owner_id=user.id, fields=rule)
    return Admin(user_id=str(user.id), email=ADMIN_EMAIL, password=password)


def example_rules() -> list[CreateAlertRule]:
    """Two rules to look at: a busy processor, and a host that stopped sending."""
    return [
        CreateAlertRule(
            name="High CPU",
            query="cpu_usage_percent",
            condition=AlertCondition.GT,
            threshold=90,
            duration="1m",
            reducer=Reducer.AVG,
            message="{{host}} is at {{value}} % CPU, the limit is {{threshold}} %.",
        ),
        CreateAlertRule(
            name="Host silent",
            query="cpu_usage_percent",
            condition=AlertCondition.LT,
            threshold=0,
            duration="1m",
            window="1m",
            severity=AlertSeverity.CRITICAL,
            no_data=NoDataPolicy.ALERT,
            message="{{host}} has stopped sending metrics.",
        ),
    ]


def this_machine() -> CreateDashboard:
    """The dashboard of the host agent's metrics."""
    percent = PanelOptions(unit="percent", min=0, max=100)
    full = PanelOptions(
        unit="percent",
        min=0,
        max=100,
        thresholds=[
            Threshold(value=0, color="green"),
            Threshold(value=75, color="yellow"),
            Threshold(value=90, color="red"),
        ],
    )
    rate = PanelOptions(unit="bytes/s", min=0)
    panels = [
        _panel("Processor", PanelType.AREA, (0, 0, 6, 6), percent, cpu_usage_percent="busy"),
        _panel(
            "Load",
            PanelType.LINE,
            (6, 0, 6, 6),
            PanelOptions(min=0),
            load_1="1 min",
            load_5="5 min",
            load_15="15 min",
        ),
        _panel("Memory used", PanelType.STAT, (0, 6, 3, 5), full, memory_used_percent="{{host}}"),
        _panel(
            "Memory",
            PanelType.AREA,
            (3, 6, 6, 5),
            PanelOptions(unit="bytes", min=0, stacked=True),
            memory_used_bytes="used",
            memory_available_bytes="available",
        ),
        _panel("Swap used", PanelType.GAUGE, (9, 6, 3, 5), full, swap_used_percent="{{host}}"),
        _panel("Disks used", PanelType.BAR, (0, 11, 4, 6), full, disk_used_percent="{{mount}}"),
        _panel(
            "Disk traffic",
            PanelType.LINE,
            (4, 11, 4, 6),
            rate,
            disk_read_bytes_per_second="read",
            disk_write_bytes_per_second="write",
        ),
        _panel(
            "Network",
            PanelType.LINE,
            (8, 11, 4, 6),
            rate,
            network_receive_bytes_per_second="in {{interface}}",
            network_transmit_bytes_per_second="out {{interface}}",
        ),
    ]
    return CreateDashboard(
        name="This machine",
        description="What the host agent sees here, every ten seconds.",
        is_public=True,
        panels=panels,
    )


def _panel(
    title: str,
    kind: PanelType,
    place: tuple[int, int, int, int],
    options: PanelOptions,
    **queries: str,
) -> CreatePanel:
    x, y, w, h = place
    return CreatePanel(
        title=title,
        type=kind,
        options=options,
        position=Position(x=x, y=y, w=w, h=h),
        queries=[PanelQuery(query=metric, alias=alias) for metric, alias in queries.items()],
    )
