"""Users and sessions."""

from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from pulseboard.contracts.base import Contract, UtcTime
from pulseboard.contracts.vocabulary import Role

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


class Login(Contract):
    """Email and password."""

    email: Email
    password: Password


class TokenLogin(Contract):
    """A single-use sign-in token, as the local stack prints it in a link."""

    token: SecretStr = Field(max_length=200)


class User(Contract):
    """A user."""

    id: UUID
    email: str
    role: Role
    disabled: bool = False
    created_at: UtcTime
    last_login_at: UtcTime | None = None


class CreateUser(Contract):
    """A new user."""

    email: Email
    password: NewPassword
    role: Role = Role.VIEWER


class UpdateUser(Contract):
    """Changes to a user by an admin; fields that are left out stay as they are."""

    role: Role | None = None
    disabled: bool | None = None
    password: NewPassword | None = None


class ChangePassword(Contract):
    """A new password for the current user. It ends all other sessions."""

    current_password: Password
    new_password: NewPassword
