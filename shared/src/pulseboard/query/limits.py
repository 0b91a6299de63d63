"""Limits of queries: each error says which limit was exceeded, and what to narrow."""

from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.settings import settings


def limit_exceeded(message: str, field: str, hint: str) -> InvalidRequest:
    """The error for a limit."""
    return InvalidRequest(message, details=[ErrorDetail(field=field, message=message, hint=hint)])


def check_lines(series: int, lines: int, points: int) -> None:
    """Raise InvalidRequest for more series, lines or values than a result may hold."""
    configured = settings()
    if lines > configured.query_max_series or series > configured.query_max_series * 10:
        raise limit_exceeded(
            f"The query selects {series} series; {configured.query_max_series} may be shown.",
            "query",
            "add a tag filter, or group by fewer tags",
        )
    if lines * points > configured.query_max_points:
        raise limit_exceeded(
            f"The result would hold {lines * points} values "
            f"({lines} lines × {points} points); {configured.query_max_points} are allowed.",
            "step",
            "use a wider step, a shorter range or fewer series",
        )


def check_samples(samples: float) -> None:
    """Raise InvalidRequest for more samples than an expression may read into memory."""
    most = settings().query_max_samples
    if samples > most:
        raise limit_exceeded(
            f"The expression would read about {samples:.0f} samples; {most} are allowed.",
            "query",
            "use a shorter range, a wider step, or add a tag filter",
        )


def timed_out(seconds: float) -> InvalidRequest:
    """The error for a statement that was cancelled after its timeout."""
    return limit_exceeded(
        f"The query took longer than {seconds:.3g} s.",
        "query",
        "use a shorter range, fewer series or a wider step",
    )


def response_too_large(size: int) -> InvalidRequest:
    """The error for a response body of `size` bytes, as sent."""
    return limit_exceeded(
        f"The response has {size} bytes; {settings().query_max_response_bytes} can be sent.",
        "query",
        "use a wider step, a shorter range or fewer series",
    )
