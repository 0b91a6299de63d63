"""API keys for the benchmarks, checked with each request as any agent's are."""

from typing import Any
from uuid import uuid4

import psycopg

from pulseboard.auth import api_keys_store, users_store
from pulseboard.contracts.vocabulary import Role, Scope


def make(connection: psycopg.Connection[Any], *scopes: Scope) -> str:
    """The secret of a new key with these scopes, of a new editor who can't sign in."""
    owner = users_store.create_user(
        connection, email=f"bench-{uuid4()}@example.com", password_hash="!", role=Role.EDITOR
    )
    created = api_keys_store.create_key(connection, owner_id=owner.id, name="bench", scopes=scopes)
    return created.key
