"""API keys, kept as SHA-256 of a 256-bit random secret."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from pulseboard.contracts.auth import Role, Scope


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A valid key, with its owner's role."""

    id: UUID
    scopes: tuple[Scope, ...]
    owner_id: UUID
    owner_role: Role
    owner_email: str


def find_by_secret(connection: psycopg.Connection[Any], *, secret: str) -> KnownKey | None:
    """The key with this secret, if it is neither revoked nor its owner disabled."""
    raise NotImplementedError
