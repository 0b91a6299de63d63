"""Questions to the time series."""

from fastapi import APIRouter

from pulseboard.contracts.envelope import ApiResponse
from pulseboard.contracts.queries import BatchAnswer, QueryBatch, QueryParams, QueryResult
from pulseboard.http.access import Reader

router = APIRouter(prefix="/api/v1", tags=["query"])


@router.post("/query")
def execute_query(caller: Reader, body: QueryParams) -> QueryResult:
    """Answer one question, columnar."""
    raise NotImplementedError


@router.post("/query/batch")
def execute_query_batch(caller: Reader, body: QueryBatch) -> ApiResponse[list[BatchAnswer]]:
    """Answer all questions of a dashboard; each has its own result or error."""
    raise NotImplementedError
