"""Users: the people who sign in."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from pulseboard.contracts.auth import User
from pulseboard.contracts.vocabulary import Role
from pulseboard.core.exceptions import Conflict, NotFound

_COLUMNS = "id, email, role, disabled, created_at, last_login_at"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What sign-in needs to know."""

    id: UUID
    email: str
    role: str
    disabled: bool
    password_hash: str


def create_user(
    connection: psycopg.Connection[Any], *, email: str, password_hash: str, role: Role
) -> User:
    """Add a user. Raises Conflict when the email is in use."""
    with connection.cursor(row_factory=class_row(User)) as cursor:
        cursor.execute(
            f"""
            insert into users (email, password_hash, role) values (%s, %s, %s)
            on conflict (lower(email)) do nothing
            returning {_COLUMNS}
            """,
            (email, password_hash, role),
        )
        user = cursor.fetchone()
    if user is None:
        raise Conflict(f"There is already a user with the email {email}.")
    return user


def get_user(connection: psycopg.Connection[Any], *, user_id: UUID) -> User:
    """Raises NotFound. Served by the primary key."""
    with connection.cursor(row_factory=class_row(User)) as cursor:
        cursor.execute(f"select {_COLUMNS} from users where id = %s", (user_id,))
        user = cursor.fetchone()
    if user is None:
        raise NotFound("There is no such user.")
    return user


def count_users(connection: psycopg.Connection[Any]) -> int:
    """How many people there are."""
    row = connection.execute("select count(*) from users").fetchone()
    return int(row[0]) if row else 0


def list_users(
    connection: psycopg.Connection[Any], *, page: int, page_size: int
) -> tuple[list[User], int]:
    """A page of people, newest first, and how many there are."""
    with connection.cursor(row_factory=class_row(User)) as cursor:
        cursor.execute(
            f"select {_COLUMNS} from users order by created_at desc, id limit %s offset %s",
            (page_size, (page - 1) * page_size),
        )
        found = cursor.fetchall()
    return found, count_users(connection)


def find_credentials(
    connection: psycopg.Connection[Any], *, email: str | None = None, user_id: UUID | None = None
) -> Credentials | None:
    """By email (served by users_email) or id (primary key)."""
    with connection.cursor(row_factory=class_row(Credentials)) as cursor:
        cursor.execute(
            """
            select id, email, role, disabled, password_hash from users
            where (%(email)s::text is null or lower(email) = lower(%(email)s))
              and (%(id)s::uuid is null or id = %(id)s)
              and (%(email)s::text is not null or %(id)s::uuid is not null)
            """,
            {"email": email, "id": user_id},
        )
        return cursor.fetchone()


def oldest_admin(connection: psycopg.Connection[Any]) -> str | None:
    """The email of the admin who was made first, active ones before disabled ones."""
    row = connection.execute(
        "select email from users where role = 'admin' order by disabled, created_at limit 1"
    ).fetchone()
    return str(row[0]) if row else None


def record_login(connection: psycopg.Connection[Any], *, user_id: UUID) -> User:
    """Store the time of a sign-in."""
    connection.execute("update users set last_login_at = now() where id = %s", (user_id,))
    return get_user(connection, user_id=user_id)


def set_password(connection: psycopg.Connection[Any], *, user_id: UUID, password_hash: str) -> None:
    """Replace the hash."""
    connection.execute(
        "update users set password_hash = %s where id = %s", (password_hash, user_id)
    )


def update_user(
    connection: psycopg.Connection[Any],
    *,
    user_id: UUID,
    role: Role | None,
    disabled: bool | None,
    password_hash: str | None,
) -> User:
    """Change what is given. Raises NotFound, and Conflict when no active admin would be left."""
    with connection.transaction(), connection.cursor(row_factory=class_row(User)) as cursor:
        # Locks all admins: two demotions at once can't both see the other as the last one.
        connection.execute("select id from users where role = 'admin' order by id for update")
        cursor.execute(
            f"""
            update users set
              role = coalesce(%s, role),
              disabled = coalesce(%s, disabled),
              password_hash = coalesce(%s, password_hash)
            where id = %s
            returning {_COLUMNS}
            """,
            (role, disabled, password_hash, user_id),
        )
        user = cursor.fetchone()
        if user is None:
            raise NotFound("There is no such user.")
        row = connection.execute(
            "select exists (select from users where role = 'admin' and not disabled)"
        ).fetchone()
        if not (row and row[0]):
            raise Conflict("This is the last active admin: make another one first.")
    return user
