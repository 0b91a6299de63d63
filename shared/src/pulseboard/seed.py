"""Seeds a new database: an admin, the built-in dashboards and two example alert rules."""

import secrets
from dataclasses import dataclass
from uuid import UUID

from pulseboard.alerts import rules_store
from pulseboard.auth import api_keys_store, login_tokens, passwords, users_store
from pulseboard.contracts.alerts import (
    AlertCondition,
    AlertSeverity,
    CreateAlertRule,
    NoDataPolicy,
    Reducer,
)
from pulseboard.contracts.vocabulary import Role, Scope
from pulseboard.dashboards import built_in
from pulseboard.db import database

ADMIN_EMAIL = "admin@localhost"


@dataclass(frozen=True, slots=True)
class Admin:
    """The created admin. The password is stored nowhere else in plain text.

    `first_page` is the path of the dashboard to open first.
    """

    user_id: str
    email: str
    password: str
    first_page: str


def is_empty() -> bool:
    """Whether nobody is in the database yet: it is new, or another one's data is still to come."""
    with database.connection() as connection:
        return users_store.count_users(connection) == 0


def seed(email: str = ADMIN_EMAIL) -> Admin:
    """Create the admin, dashboards and rules. Raises Conflict when the admin exists."""
    password = secrets.token_urlsafe(15)
    with database.connection() as connection, connection.transaction():
        user = users_store.create_user(
            connection,
            email=email,
            password_hash=passwords.hash_password(password),
            role=Role.ADMIN,
        )
        first, *_ = built_in.create(connection, owner_id=user.id)
        for rule in example_rules():
            rules_store.create_rule(connection, owner_id=user.id, fields=rule)
    return Admin(
        user_id=str(user.id),
        email=email,
        password=password,
        first_page=f"/dashboards/{first.id}",
    )


def begin(email: str) -> dict[str, str]:
    """A new environment's admin, dashboards and agent key: `email`, `password`, `apiKey`, `token`
    and the path of the first `page`.

    The token signs in once, within ten minutes. Raises Conflict when the admin exists.
    """
    admin = seed(email)
    with database.connection() as connection:
        key = api_keys_store.create_key(
            connection, owner_id=UUID(admin.user_id), name="First agent", scopes=[Scope.INGEST]
        )
    return {
        "email": admin.email,
        "password": admin.password,
        "apiKey": key.key,
        "token": login_tokens.create(user_id=UUID(admin.user_id)),
        "page": admin.first_page,
    }


def example_rules() -> list[CreateAlertRule]:
    """Two example rules: a busy processor, and a host that stopped sending."""
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
