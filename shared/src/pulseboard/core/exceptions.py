"""The exceptions that become error responses.

    PulseboardError
    ├── InvalidRequest          400  the request is not valid; `details` say where
    │   ├── LimitExceeded       400  it is, but asks for more than a limit allows
    │   └── NothingStored       400  of samples that were read, none can be stored
    ├── Unauthorized            401  nobody is signed in, or the key is unknown
    ├── Forbidden               403  somebody is, but may not
    ├── NotFound                404
    ├── Conflict                409  somebody else changed it first, or it exists already
    ├── PayloadTooLarge         413
    ├── UnsupportedMediaType    415
    ├── RateLimited             429  carries `retry_after`
    ├── Unavailable             503  carries `retry_after`; the client should retry
    └── Overloaded              503  the same, but nothing is broken: there is too much at once

`pulseboard.web.errors` turns them into HTTP; nothing else does.
"""

from collections.abc import Mapping, Sequence

from pulseboard.contracts.errors import ErrorCode, ErrorDetail, sentence


class PulseboardError(Exception):
    """An error with a code and a sentence that may be shown to the caller."""

    code: ErrorCode = ErrorCode.INTERNAL_ERROR
    status: int = 500

    def __init__(self, message: str, *, details: Sequence[ErrorDetail] | None = None) -> None:
        self.message = sentence(message)
        super().__init__(self.message)
        self.details = list(details) if details else None


class InvalidRequest(PulseboardError):
    """The request is not valid."""

    code = ErrorCode.VALIDATION_ERROR
    status = 400


class LimitExceeded(InvalidRequest):
    """The request asks for more than a limit allows."""


class NothingStored(InvalidRequest):
    """None of the samples can be stored. `refused` maps each reason to how many samples it has and
    to an example; empty when they have been counted.
    """

    refused: Mapping[str, tuple[int, str]] = {}


class Unauthorized(PulseboardError):
    """Nobody is signed in."""

    code = ErrorCode.UNAUTHORIZED
    status = 401


class Forbidden(PulseboardError):
    """The caller may not do this."""

    code = ErrorCode.FORBIDDEN
    status = 403


class NotFound(PulseboardError):
    """It does not exist, or the caller may not know that it does."""

    code = ErrorCode.NOT_FOUND
    status = 404


class Conflict(PulseboardError):
    """Somebody else changed it first, or it exists already."""

    code = ErrorCode.CONFLICT
    status = 409


class PayloadTooLarge(PulseboardError):
    """The body is larger than a limit."""

    code = ErrorCode.PAYLOAD_TOO_LARGE
    status = 413


class UnsupportedMediaType(PulseboardError):
    """The body is of a type that the route does not read."""

    code = ErrorCode.UNSUPPORTED_MEDIA_TYPE
    status = 415


class RateLimited(PulseboardError):
    """Too many attempts; `retry_after` is in seconds."""

    code = ErrorCode.RATE_LIMITED
    status = 429

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Overloaded(PulseboardError):
    """Too much is asked for at once; `retry_after` is in seconds."""

    code = ErrorCode.UNAVAILABLE
    status = 503

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(PulseboardError):
    """A required component does not respond; `retry_after` is in seconds."""

    code = ErrorCode.UNAVAILABLE
    status = 503

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after
