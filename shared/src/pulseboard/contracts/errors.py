"""The format of errors in the API."""

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field

from pulseboard.contracts.base import Contract

MAX_SENTENCE = 1_000
"""Characters of a sentence of an error."""


def sentence(text: str) -> str:
    """A text of an error. What it quotes of a request may be of any length: its middle is left out,
    which `…` shows.
    """
    if len(text) <= MAX_SENTENCE:
        return text
    half = MAX_SENTENCE // 2
    return f"{text[: half - 1]}…{text[-half:]}"


Sentence = Annotated[str, AfterValidator(sentence)]


class ErrorCode(StrEnum):
    """Machine-readable reasons; each has one HTTP status."""

    VALIDATION_ERROR = "VALIDATION_ERROR"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    NOT_FOUND = "NOT_FOUND"
    CONFLICT = "CONFLICT"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    RATE_LIMITED = "RATE_LIMITED"
    UNAVAILABLE = "UNAVAILABLE"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class ErrorDetail(Contract):
    """One error: where it is, and what to do about it."""

    field: Sentence = Field(description="Path to the value, such as `points.3.value`.")
    message: Sentence
    hint: Sentence | None = None
    position: int | None = Field(
        default=None, description="Character offset inside the value, from 0, for expressions."
    )


class ApiError(Contract):
    """The body of every response that is not a success."""

    error: Sentence = Field(description="A readable message.")
    code: ErrorCode
    details: list[ErrorDetail] | None = None
    request_id: str | None = None
