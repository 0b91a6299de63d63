"""Parses the JSON body of a request within bounds."""

import json
import re
from contextlib import suppress
from math import isfinite
from typing import Any

from pydantic_core import from_json

from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import BatchLimits

_NOT_UTF8 = ("unicode", "surrogate", "hex escape")
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


def check_structure(body: bytes, limits: BatchLimits) -> None:
    """Refuse, before parsing, a small body that would become a large tree.

    An empty array is two bytes in the body and some hundred bytes in memory. Raises
    PayloadTooLarge.
    """
    opens = 8 * limits.points + 1000
    commas = 2 * limits.points * (limits.tags + 7) + 1000
    for text in (body, None):
        bare = _STRINGS.sub(b"", body) if text is None else text
        if bare.count(b"[") + bare.count(b"{") <= opens and bare.count(b",") <= commas:
            return
    raise PayloadTooLarge(
        f"The body has more structure than {limits.points} points can have "
        f"(at most {limits.points} points with {limits.tags} tags each)."
    )


def parse_json(body: bytes) -> Any:
    """The body as Python values; NaN and Infinity are allowed. Raises InvalidRequest.

    Texts that are not UTF-8, as bytes or as escapes of half a character, hold lone surrogates: they
    are refused by name, and take nothing else with them.
    """
    try:
        return from_json(body)
    except ValueError as error:
        if any(word in str(error) for word in _NOT_UTF8):
            with suppress(ValueError, RecursionError):
                return json.loads(body.decode(errors="surrogateescape"))
        raise InvalidRequest(
            f"The body is not valid JSON: {error}.",
            details=[ErrorDetail(field="body", message=str(error))],
        ) from None


def is_number(value: Any) -> bool:
    """Whether this is a JSON number; true and false are not."""
    return type(value) in (int, float)


def finite(value: Any) -> float | None:
    """A number as a finite float; None for anything else."""
    if not is_number(value):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if isfinite(number) else None


def milliseconds(seconds: Any) -> float | None:
    """A time in seconds as one in milliseconds, not rounded; None when that is not finite."""
    number = finite(seconds)
    return None if number is None else finite(number * 1000)
