"""The format of errors in the API."""

from enum import StrEnum

from pydantic import Field

from pulseboard.contracts.base import Contract


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

    field: str = Field(description="Path to the value, such as `points.3.value`.")
    message: str
    hint: str | None = None
    position: int | None = Field(
        default=None, description="Character offset inside the value, from 0, for expressions."
    )


class ApiError(Contract):
    """The body of every response that is not a success."""

    error: str = Field(description="A readable message.")
    code: ErrorCode
    details: list[ErrorDetail] | None = None
    request_id: str | None = None
