"""Access control: a route has one of these aliases as its first parameter.

    SignedIn     a person, by session cookie
    Editor       a person who is an editor or admin, by session cookie
    Admin        a person who is an admin, by session cookie
    Reader       any person, or a key with scope `read`
    PrometheusReader  the same, and a key also as the password of Basic, as Prometheus' clients do
    Writer       an editor or admin, or a key with scope `write`
    Ingester     an editor or admin, or a key with scope `ingest`
    EventWriter  the same, and a key also in the ways that third-party agents use
    AgentWriter  a key with scope `ingest`, sent in any of the ways that third-party agents use
    KeyChecker   the same, or in the URL: for an agent that checks whether its key is valid

A route without one (health, sign-in) is open to anyone; tests/unit/test_openapi.py lists those.
Browsers send session cookies by themselves, so unsafe methods by session are refused from foreign
origins.
"""

from base64 import b64decode
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Request, Security
from fastapi.security import SecurityScopes
from starlette.concurrency import run_in_threadpool

from pulseboard.auth import api_key_cache, api_keys_store, sessions
from pulseboard.contracts.vocabulary import Role, Scope
from pulseboard.core.caller import by_cloudfront
from pulseboard.core.exceptions import Forbidden, InvalidRequest, Unauthorized, Unavailable
from pulseboard.core.settings import settings
from pulseboard.db import database

SESSION_COOKIE = "pulseboard_session"
_RANKS = {Role.VIEWER: 0, Role.EDITOR: 1, Role.ADMIN: 2}
_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.EDITOR: frozenset(Scope),
    Role.ADMIN: frozenset(Scope),
}
_SECRET_PARAMETERS = frozenset({"u", "p", "token", "api_key", "application_key"})
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: a person by session, or a key on behalf of its owner."""

    user_id: UUID
    role: Role
    email: str
    key_id: UUID | None = None
    scopes: frozenset[Scope] = frozenset()

    @property
    def is_admin(self) -> bool:
        """Whether this is an admin in person; a key never is."""
        return self.key_id is None and self.role is Role.ADMIN

    @property
    def can_write(self) -> bool:
        """Whether this caller may change dashboards and rules of their own."""
        if self.key_id is not None:
            return Scope.WRITE in self.scopes
        return _RANKS[self.role] >= _RANKS[Role.EDITOR]


async def require(request: Request, needed: SecurityScopes) -> Principal:
    """The caller, if they have what the route's alias requires (`role:…`, `key:…`).

    Raises Unauthorized without a valid session or key, Forbidden without the role or scope.
    """
    secret = bearer(request)
    if secret is not None:
        return _noted(request, await _by_key(secret, needed))
    roles = [Role(name[5:]) for name in needed.scopes if name.startswith("role:")]
    return await run_in_threadpool(_by_session, request, roles)


async def require_prometheus(request: Request, needed: SecurityScopes) -> Principal:
    """As `require`, also by a key sent as third-party agents do: see `agent_key`."""
    secret = agent_key(request)
    return await (_by_key(secret, needed) if secret else require(request, needed))


async def require_agent(request: Request, needed: SecurityScopes) -> Principal:
    """The agent that sends samples, by its key: see `agent_key`.

    Raises Unauthorized without a valid key, Forbidden when it lacks the scope.
    """
    return _noted(request, await _by_agent_key(agent_key(request), needed))


def _noted(request: Request, caller: Principal) -> Principal:
    request.state.key_id = caller.key_id
    return caller


def key_of(request: Request) -> UUID | None:
    """The API key by which `require` or `require_agent` let a request pass, or None."""
    found: UUID | None = getattr(request.state, "key_id", None)
    return found


async def require_key_checker(request: Request, needed: SecurityScopes) -> Principal:
    """An agent that checks whether its key is valid; Datadog's can send it in the URL only.

    That URL must never be logged: docs/adr/0063-key-in-an-address.md. Raises as `require_agent`.
    """
    in_url = request.query_params.get("api_key", "").strip()
    return await _by_agent_key(agent_key(request) or in_url or None, needed)


async def is_known(request: Request) -> bool:
    """Whether a request has a valid session or key, whatever these may do.

    Raises Unavailable or RedisError when nobody can say.
    """
    if secret := bearer(request) or agent_key(request):
        if api_key_cache.get_fresh(secret):
            return True
        return await run_in_threadpool(_find_key, secret, for_ingest=True) is not None
    token = request.cookies.get(SESSION_COOKIE)
    return token is not None and await run_in_threadpool(sessions.find, token=token) is not None


async def _by_agent_key(secret: str | None, needed: SecurityScopes) -> Principal:
    if secret is None:
        raise Unauthorized(
            "Send an API key with the scope ingest: as Authorization: Bearer, Token or Basic (the "
            "key as password), or as DD-API-KEY."
        )
    return await _by_key(secret, needed)


def refuse_keys_in_url(request: Request) -> None:
    """Raises InvalidRequest for a key among the query parameters, since URLs end up in logs."""
    if found := _SECRET_PARAMETERS.intersection(request.query_params):
        raise InvalidRequest(
            f"The URL has a secret in the parameter `{min(found)}`, and URLs end up in logs: send "
            "the API key in a header (Authorization: Bearer, Token or Basic, or DD-API-KEY) and "
            "replace this one."
        )


def agent_key(request: Request) -> str | None:
    """The API key of a request by a third-party agent, or None. Never from the URL.

    Prometheus sends Bearer or Basic, InfluxDB's clients `Token`, Datadog's `DD-API-KEY`.
    """
    if key := request.headers.get("dd-api-key"):
        return key.strip()
    scheme, _, secret = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() in {"bearer", "token"}:
        # InfluxDB 1 clients send user:password as the token of a compatible server.
        return secret.strip().rpartition(":")[2] or None
    if scheme.lower() != "basic":
        return None
    try:
        pair = b64decode(secret.strip(), validate=True).decode()
    except ValueError:
        return None
    return pair.partition(":")[2].strip() or None


def bearer(request: Request) -> str | None:
    """The bearer secret of a request, or None. Never from the URL."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return secret.strip()


async def _by_key(secret: str, needed: SecurityScopes) -> Principal:
    key_scopes = [Scope(name[4:]) for name in needed.scopes if name.startswith("key:")]
    # A cached key needs no thread, in which a lookup may wait for the database.
    found = api_key_cache.get_fresh(secret) or await run_in_threadpool(
        _find_key, secret, for_ingest=Scope.INGEST in key_scopes
    )
    if found is None:
        raise Unauthorized("This API key is unknown, revoked, or its owner is disabled.")
    if not key_scopes:
        raise Forbidden("API keys can't be used here: sign in.")
    # A key can do no more than its owner: it must not outlive a demotion.
    scopes = _SCOPES[found.owner_role].intersection(found.scopes)
    if not scopes.intersection(key_scopes):
        raise Forbidden(f'This API key, or its owner, lacks the scope "{key_scopes[0]}".')
    return Principal(
        user_id=found.owner_id,
        role=found.owner_role,
        email=found.owner_email,
        key_id=found.id,
        scopes=scopes,
    )


def _find_key(secret: str, *, for_ingest: bool) -> api_keys_store.ActiveKey | None:
    """The key from the database.

    While the database is away, ingest uses the last known key, since its samples are spilled.
    """
    can_spill = for_ingest and settings().spills
    try:
        with database.fail_fast_connection() if can_spill else database.connection() as connection:
            found = api_keys_store.find_by_secret(connection, secret=secret)
    except Unavailable:
        last_known = api_key_cache.get_last_known(secret) if can_spill else None
        if last_known is None:
            raise
        return last_known
    if found is None:
        api_key_cache.invalidate(secret)
    else:
        api_key_cache.put(secret, found)
    return found


def _by_session(request: Request, roles: list[Role]) -> Principal:
    token = request.cookies.get(SESSION_COOKIE)
    session = sessions.find(token=token) if token else None
    if session is None:
        raise Unauthorized("Sign in first, or send an API key as a bearer token.")
    if request.method not in _SAFE_METHODS:
        check_origin(request)
    if roles and _RANKS[session.role] < min(_RANKS[role] for role in roles):
        raise Forbidden(f"This needs the role {roles[0]}.")
    return Principal(user_id=session.user_id, role=session.role, email=session.email)


def check_origin(request: Request) -> None:
    """Refuse a browser's request that another site sent (cross-site request forgery).

    Browsers send `Origin` with every unsafe request; a request without one is not a browser's.
    Raises Forbidden.
    """
    if request.headers.get("sec-fetch-site") == "cross-site":
        raise Forbidden("This request came from another site.")
    origin = request.headers.get("origin")
    if origin is None:
        return
    public = settings().public_url
    # CloudFront calls the API by the API's own host name and forwards the browser's in a header.
    # Another site's page can send that header only after a preflight, which is never allowed.
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    allowed = {urlsplit(public).netloc if public else host}
    # While a domain's record is missing people sign in by CloudFront's own name; that CloudFront
    # was called by it is certain.
    if by_cloudfront(request):
        allowed.add(host)
    if urlsplit(origin).netloc not in allowed:
        raise Forbidden("This request came from another site.")


SignedIn = Annotated[Principal, Security(require, scopes=["role:viewer"])]
Editor = Annotated[Principal, Security(require, scopes=["role:editor"])]
Admin = Annotated[Principal, Security(require, scopes=["role:admin"])]
Reader = Annotated[Principal, Security(require, scopes=["role:viewer", "key:read"])]
PrometheusReader = Annotated[
    Principal, Security(require_prometheus, scopes=["role:viewer", "key:read"])
]
Writer = Annotated[Principal, Security(require, scopes=["role:editor", "key:write"])]
Ingester = Annotated[Principal, Security(require, scopes=["role:editor", "key:ingest"])]
EventWriter = Annotated[
    Principal, Security(require_prometheus, scopes=["role:editor", "key:ingest"])
]
AgentWriter = Annotated[Principal, Security(require_agent, scopes=["key:ingest"])]
KeyChecker = Annotated[Principal, Security(require_key_checker, scopes=["key:ingest"])]
