"""Limits of queries: each error says which limit was exceeded, and what to narrow."""

from collections.abc import Iterable

from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest, LimitExceeded
from pulseboard.core.settings import settings
from pulseboard.promql.budget import Budget

_TIMESTAMP_BYTES = 14
_LINE_BYTES = 40


def limit_exceeded(message: str, field: str, hint: str) -> InvalidRequest:
    """The error for a limit."""
    return LimitExceeded(message, details=[ErrorDetail(field=field, message=message, hint=hint)])


def check_lines(series: int, lines: int, points: int) -> None:
    """Raise InvalidRequest for more series, lines or values than a result may hold."""
    configured = settings()
    if lines > configured.query_max_series or series > configured.query_max_found:
        raise limit_exceeded(
            f"The query selects {max(series, lines)} series; "
            f"{configured.query_max_series} may be shown.",
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


def check_found(series: int) -> None:
    """Raise InvalidRequest for more series than one selector may find."""
    most = settings().query_max_found
    if series > most:
        raise limit_exceeded(
            f"The selector finds more than {most} series.", "query", "add a tag filter"
        )


def check_points(points: int) -> None:
    """Raise InvalidRequest for more points than a line may have, also where there is no line."""
    most = settings().query_max_points
    if points > most:
        raise limit_exceeded(
            f"The result would have {points} points; {most} values are allowed.",
            "step",
            "use a wider step or a shorter range",
        )


def result_bytes(points: int, keys: Iterable[str]) -> int:
    """About how many bytes of JSON a result has: lines are named by their labels as JSON."""
    lines = [len(key) for key in keys]
    return _TIMESTAMP_BYTES * points + sum(lines) + len(lines) * (_LINE_BYTES + 8 * points)


def check_samples(samples: float) -> None:
    """Raise InvalidRequest for an expression over more samples than may be read, cached or not."""
    new_budget().check_samples(samples)


def check_result(size: int) -> None:
    """Raise InvalidRequest for a result of more bytes, before compression, than it may have."""
    most = settings().query_max_result_bytes
    if size > most:
        raise limit_exceeded(
            f"The result has about {size} bytes before compression; {most} are allowed.",
            "query",
            "use a wider step, a shorter range, fewer series or shorter labels",
        )


def new_budget(
    seconds: float | None = None, *, samples: int | None = None, values: int | None = None
) -> Budget:
    """What one query may use; by default for `query_timeout`. `samples` and `values` are smaller
    bounds than the settings."""
    configured = settings()
    return Budget(
        samples=min(configured.query_max_samples, samples or configured.query_max_samples),
        values=min(configured.query_max_values, values or configured.query_max_values),
        values_at_once=configured.query_max_values_at_once,
        label_bytes=configured.query_max_label_bytes,
        seconds=configured.query_timeout if seconds is None else seconds,
    )


def timed_out(seconds: float) -> InvalidRequest:
    """The error for a query that took too long."""
    return limit_exceeded(
        f"The query took longer than {seconds:.3g} s.",
        "query",
        "use a shorter range, fewer series or a wider step",
    )


def batch_too_large(size: int) -> InvalidRequest:
    """The error for a query whose batch has results of `size` bytes already."""
    return limit_exceeded(
        f"The batch's results have about {size} bytes.",
        "queries",
        "send fewer queries together, with wider steps or shorter ranges",
    )


def response_too_large(size: int) -> InvalidRequest:
    """The error for a response body of `size` bytes, as sent."""
    return limit_exceeded(
        f"The response has {size} bytes; {settings().query_max_response_bytes} can be sent.",
        "query",
        "use a wider step, a shorter range or fewer series",
    )
