"""Events: what happened at a time, such as a deploy."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from pulseboard.contracts.base import Contract, UtcTime
from pulseboard.contracts.vocabulary import Tags

MAX_TITLE = 500
MAX_TEXT = 20_000
MAX_SOURCE = 100
_NO_NUL = r"^[^\x00]*$"


class CreateEvent(Contract):
    """An event as it is sent. Without a time it happened when it arrived."""

    time: UtcTime | None = Field(default=None, examples=["2026-01-31T12:00:00Z"])
    title: Annotated[
        str, StringConstraints(min_length=1, max_length=MAX_TITLE, pattern=_NO_NUL)
    ] = Field(examples=["shop 1.4 deployed"])
    text: Annotated[str, StringConstraints(max_length=MAX_TEXT, pattern=_NO_NUL)] = ""
    tags: Tags = Field(default_factory=dict, examples=[{"service": "shop"}])
    source: Annotated[str, StringConstraints(max_length=MAX_SOURCE, pattern=_NO_NUL)] = Field(
        default="", examples=["github"]
    )


class Event(CreateEvent):
    """A stored event."""

    id: UUID
    time: UtcTime
