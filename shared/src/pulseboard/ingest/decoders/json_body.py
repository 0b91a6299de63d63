"""A JSON body from outside, parsed within bounds."""

import re
from math import isfinite
from typing import Any

from pydantic_core import from_json

from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import BatchLimits

_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


def check_structure(body: bytes, limits: BatchLimits) -> None:
    """Refuse, before parsing, a small body that would unfold into a great tree.

    An array costs the parser some hundred bytes for each of the two it has on the wire.
    Raises PayloadTooLarge.
    """
    opens = 8 * limits.points + 1000
    commas = 2 * limits.points * (limits.tags + 4) + 1000
    for text in (body, None):
        bare = _STRINGS.sub(b"", body) if text is None else text
        if bare.count(b"[") + bare.count(b"{") <= opens and bare.count(b",") <= commas:
            return
    raise PayloadTooLarge(
        f"The body has more structure than {limits.points} points can have "
        f"(at most {limits.points} points with {limits.tags} tags each)."
    )


def parse_json(body: bytes) -> Any:
    """The body as Python's own types; NaN and Infinity are let through. Raises InvalidRequest."""
    try:
        return from_json(body)
    except ValueError as error:
        raise InvalidRequest(
            f"The body is not valid JSON: {error}.",
            details=[ErrorDetail(field="body", message=str(error))],
        ) from None


def is_number(value: Any) -> bool:
    """Whether this is a number of JSON; true and false are none."""
    return type(value) in (int, float)


def finite(value: Any) -> float | None:
    """A number as a finite float; None for all else."""
    if not is_number(value):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def milliseconds(seconds: Any) -> float | None:
    """A time in seconds as one in milliseconds, not rounded; None when that is not finite."""
    moment = finite(seconds)
    return None if moment is None else finite(moment * 1000)
