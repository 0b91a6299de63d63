"""The base of all contracts: casing in JSON, time and interval types.

JSON is camelCase on the wire; snake_case is accepted too. Times are UTC.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Protocol, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

_UNIT_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
INTERVAL_PATTERN = r"^([0-9]{1,9}(ms|s|m|h|d|w))+$"
_INTERVAL_PART = re.compile(r"([0-9]{1,9})(ms|s|m|h|d|w)")


class Contract(BaseModel):
    """The base model: camelCase in JSON, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        json_schema_serialization_defaults_required=True,
        str_strip_whitespace=False,
    )


def interval_seconds(text: str) -> float:
    """Seconds in an interval such as ``90s``, ``5m`` or ``1h30m``.

    Raises ValueError when the text is no interval.
    """
    if not re.fullmatch(INTERVAL_PATTERN, text):
        raise ValueError('an interval is a number with a unit, such as "90s", "5m" or "1h30m"')
    return float(sum(int(n) * _UNIT_SECONDS[unit] for n, unit in _INTERVAL_PART.findall(text)))


def format_interval(value: timedelta | float) -> str:
    """The single-unit interval equal to `value` (seconds or timedelta): ``90s``, ``5m``."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    milliseconds = round(seconds * 1000)
    for unit, size in (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    if milliseconds % 1000 == 0:
        return f"{milliseconds // 1000}s"
    return f"{milliseconds}ms"


_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""The ends of the calendar that datetimes have, in seconds since 1970."""


def datetime_at(seconds: float) -> datetime:
    """The time at `seconds` since 1970; of one outside the years 1 to 9999, the nearest in them."""
    return datetime.fromtimestamp(min(max(seconds, _FIRST), _LAST), UTC)


def _known_interval(text: str) -> str:
    interval_seconds(text)
    return text


Interval = Annotated[
    str,
    Field(pattern=INTERVAL_PATTERN, max_length=40, examples=["30s", "5m", "1h"]),
    AfterValidator(_known_interval),
]
"""A length of time as users write it: ``90s``, ``5m``, ``1h30m``."""


def _positive_interval(text: str) -> str:
    if interval_seconds(text) <= 0:
        raise ValueError("the interval must be longer than zero")
    return text


PositiveInterval = Annotated[Interval, AfterValidator(_positive_interval)]


def _from_milliseconds(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a time is ISO 8601 with a zone, or whole milliseconds since 1970")
    if isinstance(value, int | float):
        try:
            return datetime.fromtimestamp(value / 1000, tz=UTC)
        except (OverflowError, OSError, ValueError):
            raise ValueError("the time is outside the calendar") from None
    return value


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError('a time needs its zone, such as "2026-01-31T12:00:00Z"')
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is outside the calendar in UTC") from None


def iso_utc(value: datetime) -> str:
    """ISO 8601 in UTC with a ``Z``, to the millisecond, as all times in the API."""
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


UtcTime = Annotated[
    datetime,
    BeforeValidator(_from_milliseconds),
    AfterValidator(_in_utc),
    PlainSerializer(iso_utc, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time: ISO 8601 with a zone, or milliseconds since 1970; written as ``…Z``."""


class _Range(Protocol):
    start: datetime
    end: datetime


_RangeT = TypeVar("_RangeT", bound=_Range)


def start_before_end(contract: _RangeT) -> _RangeT:
    """Validates a contract with a range. Raises ValueError for one that holds no time."""
    if contract.start >= contract.end:
        raise ValueError("start must be before end")
    return contract
