"""What time it is, as an argument: tests and benchmarks put another clock in its place."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends


def now() -> datetime:
    """This moment."""
    return datetime.now(UTC)


Now = Annotated[datetime, Depends(now)]
