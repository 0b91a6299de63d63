"""Samples that were accepted while the database was unavailable."""

from pydantic import Field

from pulseboard.contracts.base import Contract


class SpillStatus(Contract):
    """Accepted samples that wait for the database, and batches that can't be written."""

    files: int = Field(default=0, ge=0)
    bytes: int = Field(default=0, ge=0)
    oldest_seconds: float = Field(default=0, ge=0)
    newest_seconds: float = Field(default=0, ge=0)
    dead: int = Field(default=0, ge=0)
