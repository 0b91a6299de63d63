"""Sign-in, people, API keys, health and status."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from pulseboard.contracts.auth import (
    ApiKey,
    ChangePassword,
    CreateApiKey,
    CreatedApiKey,
    CreateUser,
    Login,
    TokenLogin,
    UpdateUser,
    User,
)
from pulseboard.contracts.envelope import ApiResponse
from pulseboard.contracts.status import Health, Status
from pulseboard.http.access import Admin, Member, Reader, SignedIn

router = APIRouter(prefix="/api/v1", tags=["auth"])

Page = Annotated[int, Query(ge=1, description="Pages count from 1.")]
PageSize = Annotated[int, Query(ge=1, le=1000, alias="pageSize")]


@router.get("/health")
def get_health() -> ApiResponse[Health]:
    """Alive. Open to anyone; asks neither database nor cache."""
    raise NotImplementedError


@router.get("/status")
def get_status(caller: Reader) -> ApiResponse[Status]:
    """Parts, circuit breaker, background jobs."""
    raise NotImplementedError


@router.post("/auth/login")
def login(body: Login, response: Response) -> ApiResponse[User]:
    """Start a session. Open to anyone; failed tries are limited per account and address."""
    raise NotImplementedError


@router.post("/auth/token")
def login_with_token(body: TokenLogin, response: Response) -> ApiResponse[User]:
    """Start a session with a single-use token from a sign-in link. Open to anyone."""
    raise NotImplementedError


@router.post("/auth/logout", status_code=204)
def logout(caller: SignedIn) -> None:
    """End this session."""
    raise NotImplementedError


@router.get("/auth/me")
def get_me(caller: SignedIn) -> ApiResponse[User]:
    """Who is signed in."""
    raise NotImplementedError


@router.post("/auth/password", status_code=204)
def change_password(caller: SignedIn, body: ChangePassword) -> None:
    """Change one's own password; ends all other sessions of this person."""
    raise NotImplementedError


@router.get("/users")
def get_users(caller: Admin, page: Page = 1, page_size: PageSize = 50) -> ApiResponse[list[User]]:
    """All people, newest first."""
    raise NotImplementedError


@router.post("/users", status_code=201)
def create_user(caller: Admin, body: CreateUser) -> ApiResponse[User]:
    """Add a person. 409 when the e-mail is taken."""
    raise NotImplementedError


@router.patch("/users/{user_id}")
def update_user(caller: Admin, user_id: UUID, body: UpdateUser) -> ApiResponse[User]:
    """Disable, re-role or give a new password. Ends that person's sessions.

    409 when it would leave no admin.
    """
    raise NotImplementedError


@router.get("/api-keys")
def get_api_keys(
    caller: Member, page: Page = 1, page_size: PageSize = 50
) -> ApiResponse[list[ApiKey]]:
    """One's own keys; all keys for an admin."""
    raise NotImplementedError


@router.post("/api-keys", status_code=201)
def create_api_key(caller: Member, body: CreateApiKey) -> ApiResponse[CreatedApiKey]:
    """Make a key. The secret is shown this once."""
    raise NotImplementedError


@router.delete("/api-keys/{key_id}", status_code=204)
def revoke_api_key(caller: Member, key_id: UUID) -> None:
    """Revoke a key of one's own; any key for an admin."""
    raise NotImplementedError
