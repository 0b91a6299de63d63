"""Queries of time series."""

from fastapi import APIRouter, Request, Response

from pulseboard.auth.access import Reader
from pulseboard.contracts.envelope import ApiResponse
from pulseboard.contracts.queries import BatchAnswer, QueryBatch, QueryParams, QueryResult
from pulseboard.core.settings import settings
from pulseboard.query import engine as query_engine
from pulseboard.query import limits as query_limits
from pulseboard.query import response
from pulseboard.web.clock import Now

router = APIRouter(prefix="/api/v1", tags=["query"])


@router.post("/query", response_model=QueryResult)
def execute_query(caller: Reader, body: QueryParams, request: Request, now: Now) -> Response:
    """Execute one query; the result is columnar."""
    return response.single(request, query_engine.execute(body, now=now))


@router.post("/query/batch", response_model=ApiResponse[list[BatchAnswer]])
def execute_query_batch(caller: Reader, body: QueryBatch, request: Request, now: Now) -> Response:
    """Execute all queries of a dashboard; each has its own result or error."""
    limit = settings().query_batch_max
    if len(body.queries) > limit:
        raise query_limits.limit_exceeded(
            f"A batch may hold {limit} queries, this one has {len(body.queries)}.",
            "queries",
            "send them in several batches",
        )
    queries = [
        QueryParams.model_construct(
            **{
                **vars(query),
                "start": query.start or body.start,
                "end": query.end or body.end,
                "tier": None,
            }
        )
        for query in body.queries
    ]
    outcomes = query_engine.execute_batch(queries, now=now)
    return response.batch(request, [query.id for query in body.queries], outcomes)
