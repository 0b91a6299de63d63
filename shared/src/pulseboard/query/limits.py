"""Limits of queries: each says what was too much, and what to narrow."""

from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.settings import settings


def too_much(message: str, field: str, hint: str) -> InvalidRequest:
    """The error of a limit."""
    return InvalidRequest(message, details=[ErrorDetail(field=field, message=message, hint=hint)])


def check_lines(series: int, lines: int, points: int) -> None:
    """Raise InvalidRequest for more series, lines or values than may be answered."""
    configured = settings()
    if lines > configured.query_max_series or series > configured.query_max_series * 10:
        raise too_much(
            f"The query selects {series} series; {configured.query_max_series} may be shown.",
            "query",
            "add a tag filter, or group by fewer tags",
        )
    if lines * points > configured.query_max_points:
        raise too_much(
            f"The answer would hold {lines * points} values "
            f"({lines} lines × {points} points); {configured.query_max_points} are allowed.",
            "step",
            "take a wider step, a shorter range or fewer series",
        )


def check_samples(samples: float) -> None:
    """Raise InvalidRequest for more samples than an expression may take into memory."""
    most = settings().query_max_samples
    if samples > most:
        raise too_much(
            f"The expression would take about {samples:.0f} samples; {most} are allowed.",
            "query",
            "take a shorter range, a wider step, or add a tag filter",
        )


def too_slow(seconds: float) -> InvalidRequest:
    """The error of a statement that was stopped."""
    return too_much(
        f"The query took longer than {seconds:.3g} s.",
        "query",
        "narrow the range, ask for fewer series or a wider step",
    )


def too_large(size: int) -> InvalidRequest:
    """The error of an answer of `size` bytes, as sent."""
    return too_much(
        f"The answer has {size} bytes; {settings().query_max_response_bytes} can be sent.",
        "query",
        "take a wider step, a shorter range or fewer series",
    )
