"""The current time as a dependency, which tests and benchmarks replace."""

import time
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends


async def now() -> datetime:
    """The current time. Asynchronous, so that FastAPI needs no thread for it."""
    return datetime.fromtimestamp(time.time(), UTC)


Now = Annotated[datetime, Depends(now)]
