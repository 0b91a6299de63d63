"""What time it is, as an argument: tests and benchmarks put another clock in its place."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends


async def now() -> datetime:
    """This moment. Asynchronous, so that no thread is waited for."""
    return datetime.now(UTC)


Now = Annotated[datetime, Depends(now)]
