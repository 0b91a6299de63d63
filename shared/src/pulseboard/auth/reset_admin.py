"""The way back for an admin whose password is lost: a new one, from the database's own side."""

import secrets
from dataclasses import dataclass, field
from typing import Any

import psycopg
import redis
from redis.exceptions import RedisClusterException

from pulseboard.auth import passwords, sessions, users_store
from pulseboard.contracts.vocabulary import Role


class NoSuchAdmin(Exception):
    """There is nobody to give a password; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Changed:
    """The admin with the new password, which is stored nowhere in plain text."""

    email: str
    password: str = field(repr=False)
    sessions_ended: bool


def reset(connection: psycopg.Connection[Any], *, email: str | None) -> Changed:
    """Give this admin, by default the oldest active one, a new password and end all sessions.

    A disabled admin becomes active again. Raises NoSuchAdmin.
    """
    if email is None:
        email = users_store.oldest_admin(connection)
    known = users_store.find_credentials(connection, email=email) if email else None
    if known is None or known.role != Role.ADMIN:
        whom = f"{email} is no admin of" if email else "There is no admin in"
        raise NoSuchAdmin(f"{whom} this database: name one with --email, or start Pulseboard once")
    password = secrets.token_urlsafe(15)
    users_store.update_user(
        connection,
        user_id=known.id,
        role=None,
        disabled=False,
        password_hash=passwords.hash_password(password),
    )
    try:
        sessions.end_all(user_id=known.id)
    except (redis.RedisError, RedisClusterException):
        return Changed(known.email, password, sessions_ended=False)
    return Changed(known.email, password, sessions_ended=True)
