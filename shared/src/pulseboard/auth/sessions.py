"""Sessions: stored in Redis; the browser has only a random token.

`session:{sha256 of the token}` holds the person and the generation of that person's sessions;
`session-generation:{user}` holds another random value when all of a user's sessions must end
(another password, another role, disabled). A session whose generation is missing is over: an
evicted key ends sessions, and never brings one back. Each command touches one key: a cluster allows
no more.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from uuid import UUID

from pulseboard.contracts.vocabulary import Role
from pulseboard.core.settings import settings
from pulseboard.db.cache import client


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in."""

    user_id: UUID
    role: Role
    email: str


def _key(token: str) -> str:
    return "session:" + hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _generation_key(user_id: UUID) -> str:
    return f"session-generation:{user_id}"


def generation(user_id: UUID) -> str:
    """The generation of a user's sessions, begun if there is none; read it before checking the
    credentials.
    """
    lifetime = settings().session_lifetime * 2
    while True:
        found = _current_generation(user_id)
        if found is not None:
            return found
        client().set(_generation_key(user_id), secrets.token_urlsafe(16), ex=lifetime, nx=True)


def _current_generation(user_id: UUID) -> str | None:
    found = client().getex(_generation_key(user_id), ex=settings().session_lifetime * 2)
    return found.decode() if isinstance(found, bytes) else found


def create(session: Session, *, generation: str) -> str:
    """Start a session and return its token, 256 random bits.

    A `generation` from before the credentials were checked makes a session that a change of the
    person in between has ended already.
    """
    token = secrets.token_urlsafe(32)
    document = {
        "user_id": str(session.user_id),
        "role": str(session.role),
        "email": session.email,
        "generation": generation,
    }
    client().set(_key(token), json.dumps(document), ex=settings().session_lifetime)
    return token


def find(*, token: str) -> Session | None:
    """The session of a token, its life prolonged; None when unknown or over."""
    found = client().getex(_key(token), ex=settings().session_lifetime)
    if found is None:
        return None
    document = json.loads(found)
    user_id = UUID(document["user_id"])
    # The generation lives on with each use, as the session does.
    if _current_generation(user_id) != str(document["generation"]):
        end(token=token)
        return None
    return Session(user_id=user_id, role=Role(document["role"]), email=document["email"])


def end(*, token: str) -> None:
    """End one session; an unknown one is no error."""
    client().delete(_key(token))


def end_all(*, user_id: UUID) -> None:
    """End every session of a person.

    The generation outlives every session that was created under it.
    """
    lifetime = settings().session_lifetime * 2
    client().set(_generation_key(user_id), secrets.token_urlsafe(16), ex=lifetime)
