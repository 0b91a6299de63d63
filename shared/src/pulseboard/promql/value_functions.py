"""Functions of each value by itself: numbers, angles and dates."""

import math
from collections.abc import Callable

import numpy as np

from pulseboard.promql.array_types import Floats


def _sign(values: Floats) -> Floats:
    # NaN and zeros stay as they are.
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


def _rounded(values: Floats, to: Floats | float = 1.0) -> Floats:
    # Halves are rounded up; dividing by the inverse is exact for 0.1 and the like.
    rounded: Floats = np.floor(values * (1 / to) + 0.5) / (1 / to)
    return rounded


ELEMENTWISE: dict[str, Callable[..., Floats]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "sgn": _sign,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "deg": lambda values: values * 180 / math.pi,
    "rad": lambda values: values * math.pi / 180,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "clamp_min": np.maximum,
    "clamp_max": np.minimum,
    "clamp": lambda values, low, high: np.maximum(low, np.minimum(high, values)),
    "round": _rounded,
}

_DAY = 86_400
_LAST = 253_402_300_800.0
"""The end of the year 9999: later times have no date."""
_Dates = np.ndarray[tuple[int, ...], np.dtype[np.datetime64]]


def _years(days: _Dates) -> _Dates:
    return days.astype("datetime64[Y]")


def _months(days: _Dates) -> _Dates:
    return days.astype("datetime64[M]")


def _count(duration: object) -> Floats:
    return np.asarray(duration).astype(np.int64).astype(np.float64)


_OF_DAYS: dict[str, Callable[[_Dates], Floats]] = {
    "year": lambda days: _count(_years(days)) + 1970,
    "month": lambda days: np.mod(_count(_months(days)), 12) + 1,
    "day_of_month": lambda days: _count(days - _months(days).astype("datetime64[D]")) + 1,
    "day_of_year": lambda days: _count(days - _years(days).astype("datetime64[D]")) + 1,
    # 1970 began with a Thursday; Sunday is 0.
    "day_of_week": lambda days: np.mod(_count(days) + 4, 7),
    "days_in_month": lambda days: _count(
        (_months(days) + 1).astype("datetime64[D]") - _months(days).astype("datetime64[D]")
    ),
}


def date_part(function: str, values: Floats) -> Floats:
    """A part of the date of times in seconds since 1970, in UTC; NaN where there is none."""
    known = np.abs(values) < _LAST
    seconds = np.trunc(np.where(known, values, 0.0))
    if function in ("minute", "hour"):
        unit = 60 if function == "minute" else 3_600
        found = np.floor(np.mod(seconds, 60 * unit if unit == 60 else _DAY) / unit)
    else:
        days = np.floor(seconds / _DAY).astype(np.int64).astype("datetime64[D]")
        found = _OF_DAYS[function](days)
    return np.where(known, found, math.nan)
