"""Sessions: server-side in Redis, known to the browser by a random token only."""

from dataclasses import dataclass
from uuid import UUID

from pulseboard.contracts.auth import Role


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in."""

    user_id: UUID
    role: Role
    email: str


def find(*, token: str) -> Session | None:
    """The session of a token, its life prolonged; None when unknown or over."""
    raise NotImplementedError
