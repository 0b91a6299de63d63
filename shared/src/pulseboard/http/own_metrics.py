"""Counts requests, and writes Pulseboard's own figures when they are due.

No thread does it, since a Lambda has none between requests: the request that finds them due
writes them after its own work, a few milliseconds every ten seconds in each process.
"""

import time
from functools import wraps
from typing import Protocol

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pulseboard import own_metrics
from pulseboard.domain.batch import Batch
from pulseboard.http.access import Principal
from pulseboard.stores import own_metrics as own_metrics_store


class OwnMetrics:
    """Around the whole app: each request counts under its function and its class of status."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does, then tell what is due."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, sending)
        finally:
            function = _function(scope)
            if function:
                own_metrics.count(
                    "pulseboard_requests", function=function, status=f"{status // 100}xx"
                )
            told = own_metrics.take()
            if told:
                await run_in_threadpool(own_metrics_store.write, told)


def _function(scope: Scope) -> str | None:
    """The function of the route that answered, as deployments know it."""
    module = getattr(scope.get("endpoint"), "__module__", "")
    root, _, rest = module.partition(".")
    return rest.partition(".")[0] if root == "functions" and "." in rest else None


class Store(Protocol):
    """What stores a batch that came by a protocol."""

    def __call__(self, batch: Batch, *, caller: Principal, protocol: str) -> None:
        """Store it, or raise Unavailable."""


class _Storing(Protocol):
    def __call__(self, batch: Batch, *, caller: Principal) -> None: ...


def counted(store: _Storing) -> Store:
    """`store`, with what it takes and refuses counted by protocol, and how late samples come."""

    @wraps(store)
    def storing(batch: Batch, *, caller: Principal, protocol: str) -> None:
        newest = max(batch.times, default=None)
        if newest is not None:
            late = max(0.0, time.time() - newest / 1000)
            own_metrics.highest("pulseboard_ingest_lag_seconds", late)
        store(batch, caller=caller)
        own_metrics.count("pulseboard_samples_accepted", batch.accepted, protocol=protocol)
        own_metrics.count("pulseboard_samples_refused", batch.rejected, protocol=protocol)

    return storing
