"""The current time as a dependency, which tests and benchmarks replace."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends


async def now() -> datetime:
    """The current time. Asynchronous, so that FastAPI needs no thread for it."""
    return datetime.now(UTC)


Now = Annotated[datetime, Depends(now)]
