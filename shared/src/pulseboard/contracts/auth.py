"""People, sessions and API keys."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from pulseboard.contracts.base import Contract, UtcTime
from pulseboard.contracts.dashboards import Title

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, pattern=r"^[^@\s]+@[^@\s]+$", max_length=254
    ),
]


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 10:
        raise ValueError("a password has at least 10 characters")
    return value


Password = Annotated[SecretStr, Field(max_length=200)]
NewPassword = Annotated[SecretStr, Field(max_length=200), AfterValidator(_long_enough)]


class Role(StrEnum):
    """What a person may do: viewers read, editors also write, admins also manage people."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"


class Scope(StrEnum):
    """What an API key may do."""

    INGEST = "ingest"
    READ = "read"
    WRITE = "write"


class Login(Contract):
    """E-mail and password."""

    email: Email
    password: Password


class TokenLogin(Contract):
    """A single-use sign-in token, as the local stack prints it in a link."""

    token: SecretStr = Field(max_length=200)


class User(Contract):
    """A person."""

    id: UUID
    email: str
    role: Role
    disabled: bool = False
    created_at: UtcTime
    last_login_at: UtcTime | None = None


class CreateUser(Contract):
    """A new person."""

    email: Email
    password: NewPassword
    role: Role = Role.VIEWER


class UpdateUser(Contract):
    """Changes to a person by an admin; what is left out stays."""

    role: Role | None = None
    disabled: bool | None = None
    password: NewPassword | None = None


class ChangePassword(Contract):
    """A new password for oneself. It ends all other sessions."""

    current_password: Password
    new_password: NewPassword


class ApiKey(Contract):
    """A key as lists show it: never the secret itself."""

    id: UUID
    name: str
    prefix: str = Field(description="The first characters, to recognise it by.")
    scopes: list[Scope]
    owner_id: UUID
    created_at: UtcTime
    last_used_at: UtcTime | None = None
    revoked_at: UtcTime | None = None


class CreateApiKey(Contract):
    """A new key."""

    name: Title
    scopes: list[Scope] = Field(default_factory=lambda: [Scope.INGEST], min_length=1, max_length=3)


class CreatedApiKey(ApiKey):
    """A new key with its secret, shown this once."""

    key: str
