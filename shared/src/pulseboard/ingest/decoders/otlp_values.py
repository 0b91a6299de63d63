"""The values in OTLP's trees, of the types that protocol buffers' JSON encoding gives them.

https://protobuf.dev/programming-guides/json/: null is as good as absent, 64-bit integers may be
text, doubles may be text and `NaN`, `Infinity` and `-Infinity` are. Nothing else is converted, so
that no two values become one: the reader of an ill-typed member raises WireError with its name.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from math import isinf, isnan
from typing import Any

from pydantic_core import to_json

from pulseboard.ingest.decoders.names import shown, surrogates_as_bytes
from pulseboard.ingest.decoders.otlp_schema import DEPTH
from pulseboard.ingest.decoders.protobuf_wire import WireError

Tree = dict[str, Any]

_DIGITS = re.compile(r"-?[0-9]{1,20}")
_REAL = re.compile(r"-?[0-9]{1,400}(?:\.[0-9]{0,1100})?(?:[eE][+-]?[0-9]{1,9})?")
_NO_NUMBERS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_BASE64 = re.compile("[A-Za-z0-9+/_-]*={0,2}")
_SHOWN = 40


def _given(value: Any) -> str:
    if isinstance(value, str):
        return f'"{shown(value, _SHOWN)}"'
    # Of a long number its text is long to make.
    if isinstance(value, int) and abs(value) >= 1 << 80:
        return "a long one"
    return str(value)[:_SHOWN] if isinstance(value, int | float) else "an array or object"


def objects(tree: Tree, name: str) -> list[Tree]:
    """An array of messages; empty when there is none. Raises WireError."""
    found = array(tree, name)
    for place, each in enumerate(found):
        if not isinstance(each, dict):
            raise WireError(f"{name}[{place}] is not an object")
    return found


def array(tree: Tree, name: str) -> list[Any]:
    """An array of anything; empty when there is none. Raises WireError."""
    found = tree.get(name)
    if found is None:
        return []
    if not isinstance(found, list):
        raise WireError(f"{name} is not an array")
    return found


def object_of(tree: Tree, name: str) -> Tree:
    """A message; empty when there is none. Raises WireError."""
    found = tree.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise WireError(f"{name} is not an object")
    return found


def text_of(tree: Tree, name: str) -> str:
    """A text; empty when there is none. Raises WireError."""
    found = tree.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise WireError(f"{name} is not text")
    return found


def flag_of(tree: Tree, name: str) -> bool:
    """True or false; false when there is none. Raises WireError."""
    found = tree.get(name)
    if found is not None and not isinstance(found, bool):
        raise WireError(f"{name} is neither true nor false")
    return bool(found)


def whole_of(tree: Tree, name: str) -> int:
    """An unsigned integer; 0 when there is none. Raises WireError."""
    found = tree.get(name)
    return 0 if found is None else integer(found, name, signed=False)


def integer(value: Any, name: str, *, signed: bool) -> int:
    """A whole number of 64 bits, also as text. Raises WireError."""
    number = value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        number = int(value)
    elif isinstance(value, float) and value.is_integer():
        # 1.0 and 1e3 are whole numbers of JSON.
        number = int(value)
    if type(number) is not int:
        raise WireError(f"{name} is not a whole number: {_given(value)}")
    least, most = (-(1 << 63), (1 << 63) - 1) if signed else (0, (1 << 64) - 1)
    if not least <= number <= most:
        kind = "signed" if signed else "unsigned"
        raise WireError(f"{name} is not a number of 64 bits, {kind}: {_given(value)}")
    return number


def real(value: Any, name: str) -> float:
    """A double, also as text. Raises WireError."""
    number = None
    if isinstance(value, str):
        if (found := _NO_NUMBERS.get(value)) is not None:
            return found
        if _REAL.fullmatch(value):
            number = float(value)
            if isinf(number):
                raise _too_large(name)
    elif type(value) in (int, float):
        try:
            number = float(value)
        except OverflowError:
            raise _too_large(name) from None
    if number is None:
        raise WireError(f"{name} is not a number: {_given(value)}")
    return number


def _too_large(name: str) -> WireError:
    return WireError(f'{name} is too large for a double; infinity is written as "Infinity"')


def check_sizes(tree: Any) -> None:
    """Refuse numbers in JSON that no double holds: they are parsed as infinite, which text alone
    means. Raises WireError with the member's name.
    """
    left: list[tuple[str, Any]] = [("", tree)]
    while left:
        name, value = left.pop()
        if isinstance(value, dict):
            left += value.items()
        elif isinstance(value, list):
            left += ((name, each) for each in value)
        elif isinstance(value, float) and isinf(value):
            raise _too_large(shown(name))


def attributes(tree: Tree) -> Iterator[tuple[str, str]]:
    """Keys and values, as text, of attributes. Raises WireError."""
    for each in objects(tree, "attributes"):
        key = text_of(each, "key")
        try:
            value = attribute_text(object_of(each, "value"))
        except WireError as error:
            raise WireError(f'the attribute "{shown(key)}": {error}') from None
        yield key, value


def attribute_text(value: Tree) -> str:
    """An attribute's value as text: numbers as Prometheus writes them, maps as JSON, bytes in
    base64, an array of these as JSON and any other between commas; empty without a value.
    Raises WireError.
    """
    inner = object_of(value, "arrayValue")
    values = objects(inner, "values")
    if inner and not any("arrayValue" in each or "kvlistValue" in each for each in values):
        return ",".join(map(attribute_text, values))
    plain = _plain(value, DEPTH)
    if isinstance(plain, str):
        return plain
    return to_json(plain).decode() if isinstance(plain, list | dict) else ""


def _plain(value: Tree, depth: int) -> Any:
    """A value as text, or as arrays and objects of texts."""
    for name, read in _SCALARS.items():
        if value.get(name) is not None:
            return read(value, name)
    is_array = value.get("arrayValue") is not None
    if not is_array and value.get("kvlistValue") is None:
        return None
    if not depth:
        raise WireError(f"its value is nested in more than {DEPTH} levels")
    if is_array:
        inner = objects(object_of(value, "arrayValue"), "values")
        return [_clean(_plain(each, depth - 1)) for each in inner]
    pairs = objects(object_of(value, "kvlistValue"), "values")
    named = [(text_of(each, "key"), object_of(each, "value")) for each in pairs]
    named.sort(key=lambda pair: pair[0])
    return {surrogates_as_bytes(key): _clean(_plain(each, depth - 1)) for key, each in named}


def _boolean(value: Tree, name: str) -> str:
    return "true" if flag_of(value, name) else "false"


def _integer(value: Tree, name: str) -> str:
    return str(integer(value[name], name, signed=True))


def _double(value: Tree, name: str) -> str:
    return shortest(real(value[name], name))


def _bytes(value: Tree, name: str) -> str:
    found = value[name]
    if isinstance(found, bytes):
        return b64encode(found).decode()
    if not isinstance(found, str) or not _BASE64.fullmatch(found):
        raise WireError(f"{name} is not base64")
    bare = found.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return b64encode(b64decode(bare + "=" * (-len(bare) % 4))).decode()
    except ValueError:
        raise WireError(f"{name} is not base64") from None


_SCALARS = {
    "stringValue": text_of,
    "boolValue": _boolean,
    "intValue": _integer,
    "doubleValue": _double,
    "bytesValue": _bytes,
}


def _clean(value: Any) -> Any:
    return surrogates_as_bytes(value) if isinstance(value, str) else value


def shortest(value: float) -> str:
    """A bound, quantile or attribute as Prometheus writes it: without a trailing `.0`."""
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value).removesuffix(".0")
