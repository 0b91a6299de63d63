"""API keys."""

from uuid import UUID

from pydantic import Field

from pulseboard.contracts.base import Contract, UtcTime
from pulseboard.contracts.vocabulary import Scope, Title


class ApiKey(Contract):
    """A key as lists show it: never the secret itself."""

    id: UUID
    name: str
    prefix: str = Field(description="The first characters, to identify the key.")
    scopes: list[Scope]
    owner_id: UUID
    created_at: UtcTime
    last_used_at: UtcTime | None = None
    revoked_at: UtcTime | None = None


class CreateApiKey(Contract):
    """A new key."""

    name: Title
    scopes: list[Scope] = Field(default_factory=lambda: [Scope.INGEST], min_length=1, max_length=3)


class CreatedApiKey(ApiKey):
    """A new key with its secret, which is shown only once."""

    key: str
