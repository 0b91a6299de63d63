"""Single-use sign-in tokens, for the link that the local stack prints."""

import hashlib
import secrets
from uuid import UUID

from pulseboard.db.cache import client

LIFETIME = 600
"""Seconds."""


def _key(token: str) -> str:
    return "login-token:" + hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def create(*, user_id: UUID) -> str:
    """A token that signs this person in once, within ten minutes."""
    token = secrets.token_urlsafe(32)
    client().set(_key(token), str(user_id), ex=LIFETIME)
    return token


def redeem(token: str) -> UUID | None:
    """Redeem a token and return its person. None when it is unknown, used or expired."""
    found = client().getdel(_key(token))
    return UUID(found.decode() if isinstance(found, bytes) else found) if found else None
