"""API keys, stored as the SHA-256 of a 256-bit random secret.

A fast hash is right here: a secret of full entropy can't be guessed from its hash, and ingest
checks one with each request.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from pulseboard.contracts.api_keys import ApiKey, CreatedApiKey
from pulseboard.contracts.vocabulary import Role, Scope
from pulseboard.core.exceptions import NotFound

SECRET_PREFIX = "pb_"  # noqa: S105
SHOWN_CHARACTERS = 10
_COLUMNS = "id, name, prefix, scopes, owner_id, created_at, last_used_at, revoked_at"


@dataclass(frozen=True, slots=True)
class ActiveKey:
    """A key that is not revoked, of an owner who is not disabled."""

    id: UUID
    scopes: tuple[Scope, ...]
    owner_id: UUID
    owner_role: Role
    owner_email: str


def hash_secret(secret: str) -> bytes:
    """The hash that is stored of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def create_key(
    connection: psycopg.Connection[Any], *, owner_id: UUID, name: str, scopes: Sequence[Scope]
) -> CreatedApiKey:
    """Create a key. Its secret is in the result and nowhere else."""
    secret = SECRET_PREFIX + secrets.token_urlsafe(32)
    with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        cursor.execute(
            f"""
            insert into api_keys (owner_id, name, prefix, key_hash, scopes)
            values (%s, %s, %s, %s, %s)
            returning {_COLUMNS}
            """,
            (
                owner_id,
                name,
                secret[:SHOWN_CHARACTERS],
                hash_secret(secret),
                sorted({str(scope) for scope in scopes}),
            ),
        )
        created = cursor.fetchone()
    assert created is not None, "an insert without a conflict clause returns its row"
    return CreatedApiKey(**created.model_dump(), key=secret)


def find_by_secret(connection: psycopg.Connection[Any], *, secret: str) -> ActiveKey | None:
    """The key with this secret, if it is neither revoked nor its owner disabled.

    `last_used_at` is written at most once a minute, and not at all where the database is read-only
    or the row is locked: a key is no less valid then. Served by the unique index on key_hash.
    """
    row = connection.execute(
        """
        select k.id, k.scopes, k.owner_id, u.role, u.email,
          (k.last_used_at is null or k.last_used_at < now() - interval '1 minute')
            and current_setting('transaction_read_only') = 'off'
        from api_keys k join users u on u.id = k.owner_id
        where k.key_hash = %s and k.revoked_at is null and not u.disabled
        """,
        (hash_secret(secret),),
    ).fetchone()
    if row is None:
        return None
    if row[5]:
        # Served by api_keys_pkey.
        connection.execute(
            """
            update api_keys set last_used_at = now()
            where id = (select id from api_keys where id = %s for update skip locked)
            """,
            (row[0],),
        )
    return ActiveKey(
        id=row[0],
        scopes=tuple(Scope(scope) for scope in row[1]),
        owner_id=row[2],
        owner_role=Role(row[3]),
        owner_email=row[4],
    )


def list_keys(
    connection: psycopg.Connection[Any], *, owner_id: UUID | None, page: int, page_size: int
) -> tuple[list[ApiKey], int]:
    """A page of keys, newest first, and the total; an `owner_id` of None means all owners'.

    Served by api_keys_owner.
    """
    parameters = {"owner": owner_id, "limit": page_size, "offset": (page - 1) * page_size}
    condition = "(%(owner)s::uuid is null or owner_id = %(owner)s)"
    with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        cursor.execute(
            f"""
            select {_COLUMNS} from api_keys where {condition}
            order by created_at desc, id limit %(limit)s offset %(offset)s
            """,
            parameters,
        )
        found = cursor.fetchall()
    row = connection.execute(
        f"select count(*) from api_keys where {condition}", parameters
    ).fetchone()
    return found, int(row[0]) if row else 0


def find_by_ids(connection: psycopg.Connection[Any], *, ids: Sequence[UUID]) -> dict[UUID, ApiKey]:
    """The keys with these ids; unknown ids are left out. Served by api_keys_pkey."""
    with connection.cursor(row_factory=class_row(ApiKey)) as cursor:
        cursor.execute(f"select {_COLUMNS} from api_keys where id = any(%s)", (list(ids),))
        return {key.id: key for key in cursor}


def revoke_key(
    connection: psycopg.Connection[Any], *, key_id: UUID, owner_id: UUID | None
) -> bytes:
    """Revoke for good; revoking again is no error. Returns the hash of the secret.

    Raises NotFound when it is not this owner's.
    """
    row = connection.execute(
        """
        update api_keys set revoked_at = coalesce(revoked_at, now())
        where id = %(id)s and (%(owner)s::uuid is null or owner_id = %(owner)s)
        returning key_hash
        """,
        {"id": key_id, "owner": owner_id},
    ).fetchone()
    if row is None:
        raise NotFound("There is no such API key.")
    return bytes(row[0])
