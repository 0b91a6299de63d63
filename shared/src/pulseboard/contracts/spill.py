"""Samples that were accepted while the database was away."""

from pydantic import Field

from pulseboard.contracts.base import Contract


class SpillStatus(Contract):
    """Accepted samples that wait for the database: batches, and those that never can be written."""

    files: int = Field(default=0, ge=0)
    bytes: int = Field(default=0, ge=0)
    oldest_seconds: float = Field(default=0, ge=0)
    dead: int = Field(default=0, ge=0)
