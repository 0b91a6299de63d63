"""Prometheus' JSON: parameters in, results and errors out."""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from pulseboard.core.exceptions import InvalidRequest, PulseboardError
from pulseboard.promql.functions import Type
from pulseboard.promql.lexer import seconds, tokens
from pulseboard.query.exact_queries import ExactLine, ExactResult
from pulseboard.web.prometheus_errors import TOOK_LONGER

_LONGEST = 253_402_300_799.0
"""The last second that a time can be, in seconds since 1970."""
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)

TRUNCATED = "results truncated due to limit"
"""Prometheus' warning for a list that is longer than its limit."""


class CannotExecute(PulseboardError):
    """A query that can be parsed but not computed: 422, as in Prometheus."""

    status = 422

    @classmethod
    def of(cls, error: InvalidRequest) -> "CannotExecute":
        """The same error as one of execution, or of its time."""
        kind = TimedOut if TOOK_LONGER in error.message else cls
        return kind(error.message, details=error.details)


class TimedOut(CannotExecute):
    """A query that had no time left: 503, as in Prometheus."""

    status = 503


def invalid(parameter: str, message: str) -> InvalidRequest:
    """The error for a parameter."""
    return InvalidRequest(f'invalid parameter "{parameter}": {message}')


def time_of(text: str, parameter: str) -> float:
    """A time in seconds since 1970: a number, or RFC 3339. Raises InvalidRequest."""
    found = _rfc3339(text) if "T" in text.upper() else _number(text)
    if found is None or not abs(found) <= _LONGEST:
        raise invalid(parameter, f'cannot parse "{text}" to a valid timestamp')
    # In whole milliseconds, as Prometheus keeps them.
    return round(found * 1000) / 1000


def duration_of(text: str, parameter: str) -> float:
    """A duration in seconds: a number, or such as `1h30m`. Raises InvalidRequest."""
    found = _number(text)
    if found is None:
        try:
            token, end = tokens(text)
            found = seconds(token) if token.kind == "duration" and end.kind == "end" else None
        except (InvalidRequest, ValueError):
            found = None
    if found is None or not abs(found) <= _LONGEST:
        raise invalid(parameter, f'cannot parse "{text}" to a valid duration')
    return found


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _rfc3339(text: str) -> float | None:
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    try:
        whole = datetime.fromisoformat(match[1].upper() + match[3].upper().replace("Z", "+00:00"))
    except ValueError:
        return None
    # Not by way of UTC: of a time at the calendar's edge, that is no datetime.
    return whole.timestamp() + float(match[2] or 0)


def encode_result(result: ExactResult, *, time: float, limit: int = 0) -> bytes:
    """A result of a query as the body of its response; `time` is that of an instant query."""
    lines = result.lines
    warnings = result.warnings
    if limit and len(lines) > limit:
        lines = lines[:limit]
        warnings = [*warnings, TRUNCATED]
    content = _content(result, lines, time)
    return _enveloped(content, warnings, result.infos)


def encode_data(data: Any, *, warnings: Sequence[str] = ()) -> bytes:
    """Any other data as the body of its response."""
    return _enveloped(orjson.dumps(data), warnings, ())


def _enveloped(content: bytes, warnings: Sequence[str], infos: Sequence[str]) -> bytes:
    extra = b""
    if warnings:
        extra += b',"warnings":' + orjson.dumps(list(dict.fromkeys(warnings)))
    if infos:
        extra += b',"infos":' + orjson.dumps(list(dict.fromkeys(infos)))
    return b'{"status":"success","data":' + content + extra + b"}"


def _content(result: ExactResult, lines: Sequence[ExactLine], time: float) -> bytes:
    if result.type is Type.STRING:
        value = b"[" + _time(time).encode() + b"," + orjson.dumps(result.text) + b"]"
        return b'{"resultType":"string","result":' + value + b"}"
    if result.type is Type.SCALAR:
        value = f"[{_time(time)},{_value(lines[0].values[0])}]".encode()
        return b'{"resultType":"scalar","result":' + value + b"}"
    kind = b"vector" if result.type is Type.VECTOR else b"matrix"
    series = b",".join(_series(line, time, single=kind == b"vector") for line in lines)
    return b'{"resultType":"' + kind + b'","result":[' + series + b"]}"


def _series(line: ExactLine, time: float, *, single: bool) -> bytes:
    metric = b'{"metric":' + orjson.dumps(line.labels)
    if single:
        return metric + f',"value":[{_time(time)},{_value(line.values[-1])}]}}'.encode()
    points = ",".join(
        [
            f"[{_time(at)},{_value(value)}]"
            for at, value in zip(line.times, line.values, strict=True)
        ]
    )
    return metric + f',"values":[{points}]}}'.encode()


def _time(seconds: float) -> str:
    whole = int(seconds)
    return str(whole) if whole == seconds else f"{seconds:.3f}".rstrip("0").rstrip(".")


def _value(value: float) -> str:
    return f'"{format_value(value)}"'


def format_value(value: float) -> str:
    """A value as Prometheus writes it."""
    text = repr(value)
    if text.endswith(".0"):
        return text[:-2]
    if "e" in text and 1e-6 <= abs(value) < 1e21:
        return f"{Decimal(text):f}"
    return {"nan": "NaN", "inf": "+Inf", "-inf": "-Inf"}.get(text, text)
