"""What is stored, who sends it, and what it is likely to cost."""

from uuid import UUID

from fastapi import APIRouter

from pulseboard.contracts.envelope import ApiResponse
from pulseboard.contracts.usage import KeyReceived
from pulseboard.http.access import Member
from pulseboard.stores import database, received

router = APIRouter(prefix="/api/v1/usage", tags=["usage"])


@router.get("/keys/{key_id}/received")
def get_key_received(caller: Member, key_id: UUID) -> ApiResponse[KeyReceived]:
    """What has come in by a key of one's own; by any key for an admin."""
    owner_id = None if caller.is_admin else caller.user_id
    with database.connection() as connection:
        found = received.by_key(connection, key_id=key_id, owner_id=owner_id)
    return ApiResponse(data=found)
