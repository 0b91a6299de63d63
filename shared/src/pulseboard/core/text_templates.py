"""Messages and labels of rules: texts with placeholders, as in rule files of Prometheus.

    {{ $labels.host }} at {{ $value | humanize1024 }}B      {{host}} at {{value}}

Go's text templates (https://pkg.go.dev/text/template), of which rules use pipelines: fields,
numbers, texts, and the functions of
https://prometheus.io/docs/prometheus/latest/configuration/template_reference/ that make texts of
numbers. Control structures and queries are refused by their name. A bare `{{name}}` is a value of
the rule, or a label; a name that nothing has is empty.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache, partial
from math import isfinite, isinf, isnan
from typing import Any

from pulseboard.contracts.base import datetime_at

_CACHED = 10_000
"""Parsed texts that are kept."""

MAX_RENDERED = 16_000
"""Characters of a filled text, and of the result of a function."""

_DEEPEST = 20
_EXPONENT_FROM = 6
_NO_DATA = "no data"
_TRIMMED = " \t\r\n"
_SPACES = (" ", "\t", "\r", "\n")
# Texts that are not closed reach to the end, so that nothing is searched twice.
_TEXT = r"""(?:"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|`[^`]*+(?:`|\Z))"""
_INSIDE = re.compile(rf"(?:{_TEXT}|(?!\}}\}}).)*+", re.DOTALL)
_TOKEN = re.compile(
    rf"(?P<space>\s++)|(?P<text>{_TEXT})"
    r"""|(?P<number>[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?+(?![\w.]))"""
    r"""|(?P<label>(?:\$labels|\.Labels)\.[\w.]++)"""
    r"""|(?P<variable>\$(?:value|labels|externalURL)\b|\.(?:Value|Labels|ExternalURL)\b)"""
    r"""|(?P<word>\$?[a-zA-Z_][\w.]*+)|(?P<pipe>\|)|(?P<open>\()|(?P<close>\))|(?P<other>.)""",
    re.DOTALL,
)
_VERB = re.compile(r"%([-+ 0#]{0,3}([\d*]*+)(?:\.([\d*]*+))?+)([a-zA-Z%])")
_WIDEST = 99
"""The largest width and precision that `printf` fills a value to."""
_REFERENCE = re.compile(r"\$(?:\{(\w++)\}|(\w++)|\$)")
_WORD_START = re.compile(r"(?<![\w'])[a-z]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class TemplateError(ValueError):
    """A text that is no template, or a value that a function does not take. Says why."""


@dataclass(frozen=True, slots=True)
class TemplateData:
    """What placeholders stand for. `value` is None without data, `names` those of the rule."""

    value: float | None
    labels: Mapping[str, str]
    names: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""


@dataclass(frozen=True, slots=True)
class _Name:
    """A bare name: of the rule's values, or of a label."""

    name: str


@dataclass(frozen=True, slots=True)
class _Label:
    name: str


@dataclass(frozen=True, slots=True)
class _Variable:
    """`value`, `labels` or `externalURL`."""

    name: str


@dataclass(frozen=True, slots=True)
class _Call:
    function: str


# An operand may be a pipeline in parentheses.
_Operand = _Name | _Label | _Variable | _Call | str | int | float | tuple[Any, ...]
_Command = tuple[_Operand, ...]
_Pipeline = tuple[_Command, ...]


@dataclass(frozen=True, slots=True)
class _Parsed:
    """Texts and pipelines in their order, and what is wrong with those that can't be read."""

    parts: tuple[str | _Pipeline, ...]
    problems: tuple[str, ...]


def format_go(value: float) -> str:
    """A number as Go's `%v` writes it: as short as possible, with an exponent from a million on."""
    if not isfinite(value):
        return "NaN" if isnan(value) else "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(float(value))).normalize().as_tuple()
    if not isinstance(exponent, int):
        raise TemplateError("it is no number")
    power = len(digits) + exponent - 1 if any(digits) else 0
    shown = "".join(map(str, digits))
    if any(digits) and not -4 <= power < _EXPONENT_FROM:
        fraction = f".{shown[1:]}" if len(shown) > 1 else ""
        text = f"{shown[0]}{fraction}e{power:+03d}"
    else:
        text = f"{Decimal((0, digits, exponent)):f}"
    return f"-{text}" if sign else text


def _four(value: float) -> str:
    return f"{value:+}".title() if isinf(value) else "NaN" if isnan(value) else f"{value:.4g}"


def _scaled(value: float, prefixes: Sequence[str], base: float) -> str:
    prefix = ""
    for each in prefixes:
        if abs(value) < base:
            break
        prefix = each
        value /= base
    return f"{_four(value)}{prefix}"


def _small(value: float) -> str:
    prefix = ""
    for each in "munpfazy":
        if abs(value) >= 1:
            break
        prefix = each
        value *= 1000
    return f"{_four(value)}{prefix}"


def _humanize(value: float) -> str:
    if value == 0 or not isfinite(value):
        return _four(value)
    return _scaled(value, "kMGTPEZY", 1000.0) if abs(value) >= 1 else _small(value)


def _humanize1024(value: float) -> str:
    if abs(value) <= 1 or not isfinite(value):
        return _four(value)
    return _scaled(value, ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"), 1024.0)


def _humanize_duration(value: float) -> str:
    if not isfinite(value):
        return _four(value)
    if value == 0:
        return "0s"
    if abs(value) < 1:
        return f"{_small(value)}s"
    sign, seconds = ("-", -value) if value < 0 else ("", value)
    whole = int(seconds)
    if whole < 60:
        return f"{sign}{_four(seconds)}s"
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (whole % 60, "s")]
    while parts[0][0] == 0:
        del parts[0]
    return sign + " ".join(f"{number}{unit}" for number, unit in parts)


def _humanize_percentage(value: float) -> str:
    return f"{_four(value * 100)}%"


def _humanize_timestamp(value: float) -> str:
    if not isfinite(value):
        return _four(value)
    at = datetime_at(value)
    fraction = f"{at.microsecond:06d}"[:3].rstrip("0")
    return f"{at:%Y-%m-%d %H:%M:%S}{'.' + fraction if fraction else ''} +0000 UTC"


def _re_replace_all(pattern: Any, replacement: Any, text: Any) -> str:
    # Imports RE2, which few texts need.
    from pulseboard.core.patterns import compiled

    try:
        found = compiled(_text(pattern))
    except ValueError as error:
        raise TemplateError(f"reReplaceAll: the pattern is not valid in RE2: {error}") from error
    template, subject = _text(replacement), _text(text)
    parts: list[str] = []
    end = size = 0
    for match in found.finditer(subject):
        replaced = _REFERENCE.sub(partial(_group, match), template)
        size += len(replaced)
        if size > MAX_RENDERED:
            raise TemplateError("reReplaceAll: the result is too long")
        parts += (subject[end : match.start()], replaced)
        end = match.end()
    return "".join([*parts, subject[end:]])


def _group(match: Any, reference: "re.Match[str]") -> str:
    name = reference[1] or reference[2]
    if name is None:
        return "$"
    if name.isdigit():
        return (match[int(name)] or "") if int(name) <= match.re.groups else ""
    return (match[name] or "") if name in match.re.groupindex else ""


def _title(text: str) -> str:
    """As Go's `strings.Title`: letters after what is no letter, digit, `_` or apostrophe."""
    return _WORD_START.sub(lambda found: found[0].upper(), text)


def _strip_port(text: str) -> str:
    host, colon, port = text.rpartition(":")
    return host.strip("[]") if colon and port.isdigit() else text


def _strip_domain(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon:
        host, port = text, ""
    return host.partition(".")[0] + colon + port


def _printf(template: Any, *values: Any) -> str:
    given = list(values)

    def one(found: "re.Match[str]") -> str:
        flags, verb = found[1], found[4]
        _check_width(found)
        if verb == "%":
            return "%"
        if not given:
            return f"%!{verb}(MISSING)"
        value = given.pop(0)
        if value is None:
            return _NO_DATA
        number = isinstance(value, int | float)
        if verb == "v":
            return f"%{flags.replace('0', '') if not number else flags}s" % _text(value)
        if verb in "eEfFgG" and isinstance(value, float):
            if not isfinite(value):
                return _four(value)
            return format_go(value) if verb in "gG" and not flags else f"%{flags}{verb}" % value
        if verb in "dxX" and isinstance(value, int):
            return f"%{flags}{verb}" % value
        if verb == "s" and isinstance(value, str):
            return f"%{flags}s" % value
        if verb == "q" and isinstance(value, str):
            return json.dumps(value, ensure_ascii=False)
        kind = {str: "string", float: "float64"}.get(type(value), type(value).__name__)
        return f"%!{verb}({kind}={_text(value)})"

    return _VERB.sub(one, _text(template))


def _check_width(verb: "re.Match[str]") -> None:
    """Raise TemplateError for a width or precision that is not written, or would be long."""
    for digits in (verb[2], verb[3] or ""):
        if "*" in digits:
            raise TemplateError(f"printf: {verb[0]} is not supported: write the width as a number")
        if len(digits.lstrip("0")) > len(str(_WIDEST)):
            raise TemplateError(
                f"printf: {verb[0][:20]} is too wide: {_WIDEST} is the largest width"
            )


def _index(labels: Any, name: Any) -> str:
    if not isinstance(labels, Mapping):
        raise TemplateError("index takes $labels and a name")
    return str(labels.get(_text(name), ""))


def _print(*values: Any) -> str:
    text = ""
    for number, value in enumerate(values):
        both = number and not isinstance(value, str) and not isinstance(values[number - 1], str)
        text += (" " if both else "") + _text(value)
    return text


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case None:
            return _NO_DATA
        case float():
            return format_go(value)
        case Mapping():
            return "map[" + " ".join(f"{key}:{value[key]}" for key in sorted(value)) + "]"
    return str(value)


def _number(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError) as error:
        raise TemplateError(f"{_text(value)!r} is no number") from error


_OF_NUMBERS: dict[str, Callable[[float], str]] = {
    "humanize": _humanize,
    "humanize1024": _humanize1024,
    "humanizeDuration": _humanize_duration,
    "humanizePercentage": _humanize_percentage,
    "humanizeTimestamp": _humanize_timestamp,
}
_OF_TEXTS: dict[str, Callable[[str], str]] = {
    "title": _title,
    "toUpper": str.upper,
    "toLower": str.lower,
    "stripPort": _strip_port,
    "stripDomain": _strip_domain,
}
_OTHER: dict[str, tuple[Callable[..., str], int, int | None]] = {
    "printf": (_printf, 1, None),
    "print": (_print, 0, None),
    "reReplaceAll": (_re_replace_all, 3, 3),
    "index": (_index, 2, 2),
}
"""With the least and the most values that each takes."""
FUNCTIONS = frozenset({*_OF_NUMBERS, *_OF_TEXTS, *_OTHER})
KEYWORDS = frozenset(
    {"if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"}
)


def _parse_action(text: str) -> _Pipeline | None:
    """The pipeline between braces; None for a comment. Raises TemplateError."""
    inside = text.strip(_TRIMMED)
    if inside.startswith("/*") and inside.endswith("*/"):
        return None
    tokens = _tokens(inside)
    if tokens and tokens[0][0] == "word" and tokens[0][1] in KEYWORDS:
        raise TemplateError(f"{tokens[0][1]} is not supported: use values and functions")
    pipeline, rest = _parse_pipeline(tokens, 0)
    if rest != len(tokens):
        raise TemplateError(f"{tokens[rest][1]!r} is not expected")
    return pipeline


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens = []
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup or "other"
        if kind == "other":
            raise TemplateError(f"{found[0]!r} is not expected")
        if kind != "space":
            tokens.append((kind, found[0]))
    return tokens


def _parse_pipeline(
    tokens: Sequence[tuple[str, str]], start: int, depth: int = 0
) -> tuple[_Pipeline, int]:
    if depth > _DEEPEST:
        raise TemplateError("too many parentheses")
    commands: list[_Command] = []
    operands: list[_Operand] = []
    at = start
    while at < len(tokens):
        kind, text = tokens[at]
        if kind == "close":
            break
        at += 1
        if kind == "pipe":
            commands.append(_command(operands, first=not commands))
            operands = []
        elif kind == "open":
            inner, at = _parse_pipeline(tokens, at, depth + 1)
            if at >= len(tokens):
                raise TemplateError("a parenthesis is not closed")
            at += 1
            operands.append(inner)
        else:
            operands.append(_operand(kind, text, head=not operands))
    commands.append(_command(operands, first=not commands))
    if len(commands) == 1 and len(commands[0]) == 1:
        (only,) = commands[0]
        # Alone, even the name of a function is a name: a tag may be called "title".
        if isinstance(only, _Call):
            return ((_Name(only.function),),), at
    return tuple(commands), at


def _command(operands: list[_Operand], *, first: bool) -> _Command:
    if not operands:
        raise TemplateError("a value is missing")
    head = operands[0]
    if isinstance(head, _Call):
        if head.function == "printf" and len(operands) > 1 and isinstance(operands[1], str):
            for verb in _VERB.finditer(operands[1]):
                _check_width(verb)
        return tuple(operands)
    if isinstance(head, _Name) and (len(operands) > 1 or not first):
        raise TemplateError(f"{head.name} is not supported: it is no function of messages")
    if len(operands) > 1 or not first:
        raise TemplateError("a function is missing")
    return tuple(operands)


def _operand(kind: str, text: str, *, head: bool) -> _Operand:
    match kind:
        case "text":
            if len(text) < 2 or text[-1] != text[0]:
                raise TemplateError("a text is not closed")
            return _unquoted(text)
        case "number":
            return float(text) if any(sign in text for sign in ".eE") else int(text)
        case "label":
            return _Label(text.removeprefix("$labels.").removeprefix(".Labels."))
        case "variable":
            return _Variable(text[1:2].lower() + text[2:])
    if text in FUNCTIONS:
        if not head:
            raise TemplateError(f"{text} has to come first, or after |")
        return _Call(text)
    if text.startswith("$"):
        raise TemplateError(f"{text} is not known: use $value, $labels.name or $externalURL")
    return _Name(text)


def _unquoted(text: str) -> str:
    if text.startswith("`"):
        return text[1:-1]
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1])


@lru_cache(maxsize=_CACHED)
def _parse(text: str) -> _Parsed:
    parts: list[str | _Pipeline] = []
    problems: list[str] = []
    end, trim = 0, False
    while (start := text.find("{{", end)) >= 0:
        before = text[end:start]
        before = before.lstrip(_TRIMMED) if trim else before
        found = _INSIDE.match(text, start + 2)
        inside = found[0] if found else ""
        close = start + 2 + len(inside)
        if not text.startswith("}}", close):
            problems.append(f"{text[start : start + 80]}: }}}} is missing")
            break
        end = close + 2
        if inside.startswith("-") and inside[1:2] in _SPACES:
            before, inside = before.rstrip(_TRIMMED), inside[1:]
        trim = inside.endswith("-") and inside[-2:-1] in _SPACES
        inside = inside[:-1] if trim else inside
        parts.append(before)
        try:
            pipeline = _parse_action(inside)
        except TemplateError as error:
            problems.append(f"{text[start:end][:80]}: {error}")
            parts.append(text[start:end])
            continue
        if pipeline is not None:
            parts.append(pipeline)
    rest = text[end:]
    parts.append(rest.lstrip(_TRIMMED) if trim else rest)
    return _Parsed(tuple(part for part in parts if part), tuple(problems))


def problems_of(text: str) -> tuple[str, ...]:
    """What of a text can't be filled, each with its placeholder; it stays as it is written."""
    return _parse(text).problems


def render(text: str, data: TemplateData, *, longest: int = MAX_RENDERED) -> str:
    """The text with its placeholders filled, at most `longest` characters of it.

    A placeholder whose function fails says so in its place.
    """
    if "{{" not in text:
        return text
    filled: list[str] = []
    size = 0
    for part in _parse(text).parts:
        shown = part if isinstance(part, str) else _shown(part, data)
        filled.append(shown)
        size += len(shown)
        if size > longest:
            break
    return "".join(filled)[:longest]


def _shown(pipeline: _Pipeline, data: TemplateData) -> str:
    try:
        return _text(_evaluate(pipeline, data))
    except TemplateError as error:
        return f"<error: {error}>"


def _evaluate(pipeline: _Pipeline, data: TemplateData) -> Any:
    result: Any = None
    for number, command in enumerate(pipeline):
        head, *rest = command
        if not isinstance(head, _Call):
            result = _value(head, data)
            continue
        values = [_value(one, data) for one in rest] + ([result] if number else [])
        result = _call(head.function, values)
        if len(_text(result)) > MAX_RENDERED:
            raise TemplateError(f"{head.function}: the result is too long")
    return result


def _call(function: str, values: list[Any]) -> str:
    least, most = 1, 1
    if function in _OTHER:
        call, least, many = _OTHER[function]
        most = len(values) if many is None else many
        if least <= len(values) <= most:
            return call(*values)
    elif len(values) == 1:
        if values[0] is None:
            return _NO_DATA
        if function in _OF_NUMBERS:
            try:
                return _OF_NUMBERS[function](_number(values[0]))
            except TemplateError as error:
                raise TemplateError(f"{function}: {error}") from error
        return _OF_TEXTS[function](_text(values[0]))
    raise TemplateError(f"{function} does not take {len(values)} values")


def _value(operand: _Operand, data: TemplateData) -> Any:
    match operand:
        case _Name(name=name):
            return data.names.get(name, data.labels.get(name, ""))
        case _Label(name=name):
            return data.labels.get(name, "")
        case _Variable(name="value"):
            return data.value
        case _Variable(name="labels"):
            return data.labels
        case _Variable():
            return data.external_url
        case tuple():
            return _evaluate(operand, data)
    return operand
