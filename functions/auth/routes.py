"""Sign-in, users, API keys, health and status."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from pulseboard import __version__
from pulseboard.auth import (
    api_key_cache,
    api_keys_store,
    login_tokens,
    passwords,
    rate_limits,
    sessions,
    users_store,
)
from pulseboard.auth.access import (
    SESSION_COOKIE,
    Admin,
    Editor,
    Reader,
    SignedIn,
    check_origin,
)
from pulseboard.contracts.api_keys import ApiKey, CreateApiKey, CreatedApiKey
from pulseboard.contracts.auth import (
    ChangePassword,
    CreateUser,
    Login,
    TokenLogin,
    UpdateUser,
    User,
)
from pulseboard.contracts.envelope import ApiResponse, PageMeta
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.contracts.status import ComponentStatus, Health, Status
from pulseboard.core.caller import client_address
from pulseboard.core.exceptions import InvalidRequest, Unauthorized, Unavailable
from pulseboard.core.settings import settings
from pulseboard.db import database, status
from pulseboard.ingest import spill

router = APIRouter(prefix="/api/v1", tags=["auth"])

Page = Annotated[int, Query(ge=1, description="Pages are numbered from 1.")]
PageSize = Annotated[int, Query(ge=1, le=1000, alias="pageSize")]


def _set_cookie(response: Response, token: str) -> None:
    """Give the browser its token for the whole lifetime of a session, from now on."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=settings().session_lifetime,
        path="/",
        httponly=True,
        secure=settings().cookie_secure,
        samesite="lax",
    )


def _start_session(request: Request, response: Response, user_id: UUID, generation: str) -> User:
    """A new session and its cookie; the browser's old session ends, so no token is ever reused."""
    old = request.cookies.get(SESSION_COOKIE)
    if old:
        sessions.end(token=old)
    with database.connection() as connection:
        user = users_store.record_login(connection, user_id=user_id)
    token = sessions.create(
        sessions.Session(user_id=user.id, role=user.role, email=user.email),
        generation=generation,
    )
    _set_cookie(response, token)
    return user


@contextmanager
def _ending_sessions(user_id: UUID) -> Iterator[None]:
    """End a user's sessions after a change of the user.

    The cache is checked first, so that nothing is changed while sessions would live on.
    """
    sessions.generation(user_id)
    yield
    sessions.end_all(user_id=user_id)


@router.get("/health")
def get_health() -> ApiResponse[Health]:
    """Alive. Open to anyone; reads neither database nor cache."""
    return ApiResponse(data=Health(version=__version__, agent_url=settings().agent_url))


@router.get("/status")
def get_status(caller: Reader) -> ApiResponse[Status]:
    """Components, circuit breaker, background jobs."""
    components = [status.check_cache()]
    jobs, metrics_count, series_count = [], 0, 0
    try:
        with database.connection() as connection:
            components.append(status.check_database(connection))
            components += status.check_ticks(connection)
            jobs = status.list_jobs(connection)
            metrics_count, series_count = status.count_metrics(connection)
    except Unavailable as error:
        components.append(ComponentStatus(name="database", ok=False, message=error.message))
    return ApiResponse(
        data=Status.model_validate(
            {
                "version": __version__,
                "time": datetime.now(UTC),
                "components": components,
                "circuit_breaker": status.breaker_state(),
                "jobs": jobs,
                "metrics_count": metrics_count,
                "series_count": series_count,
                "spill": spill.status(),
            }
        )
    )


@router.post("/auth/login")
def login(body: Login, request: Request, response: Response) -> ApiResponse[User]:
    """Start a session. Open to anyone; failed attempts are limited per account and address."""
    check_origin(request)
    subject = f"{body.email} {client_address(request)}"
    limits = settings()
    rate_limits.count(
        name="login", subject=subject, limit=limits.login_attempts, window=limits.login_window
    )
    with database.connection() as connection:
        found = users_store.find_credentials(connection, email=body.email)
        # Read again under the generation: a change after this ends the session that is created.
        generation = sessions.generation(found.id) if found else ""
        known = users_store.find_credentials(connection, user_id=found.id) if found else None
    # Without a connection: hashing takes long enough for others to want it.
    matches = passwords.verify(
        body.password.get_secret_value(), known.password_hash if known else None
    )
    if known is None or not matches or known.disabled:
        raise Unauthorized("Wrong email or password.")
    rate_limits.clear(name="login", subject=subject)
    return ApiResponse(data=_start_session(request, response, known.id, generation))


@router.post("/auth/token")
def login_with_token(body: TokenLogin, request: Request, response: Response) -> ApiResponse[User]:
    """Start a session with a single-use token from a sign-in link. Open to anyone."""
    check_origin(request)
    user_id = login_tokens.redeem(body.token.get_secret_value())
    if user_id is None:
        raise Unauthorized("This sign-in link was used already, or it is too old.")
    generation = sessions.generation(user_id)
    with database.connection() as connection:
        known = users_store.find_credentials(connection, user_id=user_id)
    if known is None or known.disabled:
        raise Unauthorized("This account is disabled.")
    return ApiResponse(data=_start_session(request, response, user_id, generation))


@router.post("/auth/logout", status_code=204)
def logout(caller: SignedIn, request: Request, response: Response) -> None:
    """End this session."""
    token = request.cookies.get(SESSION_COOKIE)
    if token:
        sessions.end(token=token)
    response.delete_cookie(SESSION_COOKIE, path="/")


@router.get("/auth/me")
def get_me(caller: SignedIn, request: Request, response: Response) -> ApiResponse[User]:
    """The user who is signed in.

    Renews the cookie: a session ends some days after its last use, not after its start.
    """
    token = request.cookies.get(SESSION_COOKIE)
    if token:
        _set_cookie(response, token)
    with database.connection() as connection:
        return ApiResponse(data=users_store.get_user(connection, user_id=caller.user_id))


@router.post("/auth/password", status_code=204)
def change_password(
    caller: SignedIn, body: ChangePassword, request: Request, response: Response
) -> None:
    """Change your own password; ends all your other sessions."""
    subject = str(caller.user_id)
    limits = settings()
    rate_limits.count(
        name="password", subject=subject, limit=limits.login_attempts, window=limits.login_window
    )
    with database.connection() as connection, _ending_sessions(caller.user_id):
        known = users_store.find_credentials(connection, user_id=caller.user_id)
        current = body.current_password.get_secret_value()
        if not passwords.verify(current, known.password_hash if known else None):
            raise InvalidRequest(
                "The current password is wrong.",
                details=[ErrorDetail(field="currentPassword", message="Not your password.")],
            )
        users_store.set_password(
            connection,
            user_id=caller.user_id,
            password_hash=passwords.hash_password(body.new_password.get_secret_value()),
        )
    rate_limits.clear(name="password", subject=subject)
    _start_session(request, response, caller.user_id, sessions.generation(caller.user_id))


@router.get("/users")
def get_users(caller: Admin, page: Page = 1, page_size: PageSize = 50) -> ApiResponse[list[User]]:
    """All users, newest first."""
    with database.connection() as connection:
        found, total = users_store.list_users(connection, page=page, page_size=page_size)
    return ApiResponse(data=found, meta=PageMeta(total=total, page=page, page_size=page_size))


@router.post("/users", status_code=201)
def create_user(caller: Admin, body: CreateUser) -> ApiResponse[User]:
    """Add a user. 409 when the email is in use."""
    password_hash = passwords.hash_password(body.password.get_secret_value())
    with database.connection() as connection:
        created = users_store.create_user(
            connection, email=body.email, password_hash=password_hash, role=body.role
        )
    return ApiResponse(data=created)


@router.patch("/users/{user_id}")
def update_user(caller: Admin, user_id: UUID, body: UpdateUser) -> ApiResponse[User]:
    """Disable a user, or set the role or a new password. Ends the user's sessions.

    409 when it would leave no admin.
    """
    password = body.password.get_secret_value() if body.password else None
    with database.connection() as connection, _ending_sessions(user_id):
        changed = users_store.update_user(
            connection,
            user_id=user_id,
            role=body.role,
            disabled=body.disabled,
            password_hash=passwords.hash_password(password) if password else None,
        )
    api_key_cache.reset()
    return ApiResponse(data=changed)


@router.get("/api-keys")
def get_api_keys(
    caller: Editor, page: Page = 1, page_size: PageSize = 50
) -> ApiResponse[list[ApiKey]]:
    """Your own keys; all keys for an admin."""
    owner_id = None if caller.is_admin else caller.user_id
    with database.connection() as connection:
        found, total = api_keys_store.list_keys(
            connection, owner_id=owner_id, page=page, page_size=page_size
        )
    return ApiResponse(data=found, meta=PageMeta(total=total, page=page, page_size=page_size))


@router.post("/api-keys", status_code=201)
def create_api_key(caller: Editor, body: CreateApiKey) -> ApiResponse[CreatedApiKey]:
    """Create a key. The secret is shown only once."""
    with database.connection() as connection:
        created = api_keys_store.create_key(
            connection, owner_id=caller.user_id, name=body.name, scopes=body.scopes
        )
    return ApiResponse(data=created)


@router.delete("/api-keys/{key_id}", status_code=204)
def revoke_api_key(caller: Editor, key_id: UUID) -> None:
    """Revoke one of your keys; any key for an admin."""
    owner_id = None if caller.is_admin else caller.user_id
    with database.connection() as connection:
        hashed = api_keys_store.revoke_key(connection, key_id=key_id, owner_id=owner_id)
    api_key_cache.invalidate_everywhere(hashed)
