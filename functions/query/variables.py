"""The values of dashboards' variables."""

from fastapi import APIRouter

from pulseboard.auth.access import Reader
from pulseboard.contracts.envelope import ApiResponse
from pulseboard.contracts.variables import ResolvedVariable, ResolveVariables
from pulseboard.query.variables import resolve
from pulseboard.web.clock import Now

router = APIRouter(prefix="/api/v1/variables", tags=["query"])


@router.post("/resolve")
def resolve_variables(
    caller: Reader, body: ResolveVariables, now: Now
) -> ApiResponse[list[ResolvedVariable]]:
    """List the values of variables, and what is chosen, for a whole chain at once.

    Each variable has its own error, such as a query that can't be read.
    """
    return ApiResponse(data=resolve.resolve(body, now=now))
