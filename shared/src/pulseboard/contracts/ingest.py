"""The result of an ingest request."""

from pydantic import Field

from pulseboard.contracts.base import Contract


class IngestIssue(Contract):
    """A sample that was refused, by its index in the batch."""

    index: int = Field(ge=0)
    field: str
    message: str


class IngestResult(Contract):
    """The result for a batch. `errors` holds the first 100."""

    accepted: int = Field(ge=0)
    rejected: int = Field(ge=0)
    errors: list[IngestIssue] = Field(default_factory=list)
