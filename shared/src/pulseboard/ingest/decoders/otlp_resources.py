"""The metrics of an OpenTelemetry request as trees, with the tags of their resource and scope.

Both encodings become the same trees, with JSON's names. In protocol buffers points stay bytes.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from math import isfinite
from typing import Any, NamedTuple

from pulseboard.core.exceptions import PayloadTooLarge
from pulseboard.ingest.batch import BatchLimits
from pulseboard.ingest.decoders import otlp_schema as schema
from pulseboard.ingest.decoders.names import tags_from
from pulseboard.ingest.decoders.protobuf_wire import BYTES, WireError, fields, message

Tree = dict[str, Any]
_LARGEST_MESSAGE = 100_000


@dataclass(frozen=True, slots=True)
class AttributeChoice:
    """Which resource attributes become tags, and whether the scope does."""

    resource: Collection[str]
    scope: bool = False


class Metric(NamedTuple):
    """A metric with the tags of its resource and scope.

    `context` is a digest of resource, scope and name; empty in JSON.
    """

    tree: Tree
    tags: dict[str, str]
    context: bytes


def in_protobuf(data: bytes, limits: BatchLimits, choice: AttributeChoice) -> Iterator[Metric]:
    """The metrics of the binary encoding. Raises WireError and PayloadTooLarge."""
    room = limits.points
    for start, stop in _messages(data, 0, len(data), 1):
        resource = b"".join(small(data, *span) for span in _messages(data, start, stop, 1))
        from_resource = _resource_tags(message(resource, 0, len(resource), schema.RESOURCE), choice)
        for inner_start, inner_stop in _messages(data, start, stop, 2):
            scope = b"".join(
                small(data, *span) for span in _messages(data, inner_start, inner_stop, 1)
            )
            tags = from_resource | _scope_tags(message(scope, 0, len(scope), schema.SCOPE), choice)
            for span in _messages(data, inner_start, inner_stop, 2):
                tree = message(data, *span, schema.METRIC)
                context = blake2b(resource, digest_size=16)
                context.update(scope + b"\0" + str(tree.get("name")).encode())
                yield Metric(tree, tags, context.digest())
                room -= 1
            room -= 1
        room -= 1
        if room < 0:
            raise PayloadTooLarge(f"The body holds more than {limits.points} metrics.")


def _messages(data: bytes, start: int, stop: int, wanted: int) -> Iterator[tuple[int, int]]:
    for number, kind, value in fields(data, start, stop):
        if number == wanted and kind == BYTES:
            yield value


def small(data: bytes, start: int, stop: int) -> bytes:
    """The bytes of a message to be parsed as one tree. Raises WireError when it is too large."""
    if stop - start > _LARGEST_MESSAGE:
        raise WireError(f"a message of {stop - start} bytes; {_LARGEST_MESSAGE} are accepted")
    return data[start:stop]


def in_json(tree: Any, choice: AttributeChoice) -> Iterator[Metric]:
    """The metrics of the JSON encoding, parsed. Raises WireError."""
    if not isinstance(tree, dict):
        raise WireError("it is no JSON object")
    for resource in objects(tree, "resourceMetrics"):
        from_resource = _resource_tags(object_of(resource, "resource"), choice)
        for scope in objects(resource, "scopeMetrics"):
            tags = from_resource | _scope_tags(object_of(scope, "scope"), choice)
            for metric in objects(scope, "metrics"):
                yield Metric(metric, tags, b"")


def objects(tree: Tree, name: str) -> list[Tree]:
    """An array of messages; empty when there is none. Raises WireError."""
    found = tree.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise WireError(f"{name} is not an array of objects")
    return found


def object_of(tree: Tree, name: str) -> Tree:
    """A message; empty when there is none. Raises WireError."""
    found = tree.get(name) or {}
    if not isinstance(found, dict):
        raise WireError(f"{name} is not an object")
    return found


def _resource_tags(resource: Tree, choice: AttributeChoice) -> dict[str, str]:
    pairs = attributes(resource)
    return tags_from(pair for pair in pairs if pair[0] in choice.resource)


def _scope_tags(scope: Tree, choice: AttributeChoice) -> dict[str, str]:
    if not choice.scope:
        return {}
    pairs = (("otel.scope.name", scope.get("name")), ("otel.scope.version", scope.get("version")))
    return tags_from((key, str(value)) for key, value in pairs if value)


def attributes(tree: Tree) -> Iterator[tuple[str, str]]:
    """Keys and values, as text, of the attributes that can be tags. Raises WireError."""
    for each in objects(tree, "attributes"):
        value = _text(object_of(each, "value"))
        if value is not None:
            yield str(each.get("key", "")), value


def _text(value: Tree) -> str | None:
    """An attribute's value as text; None for maps and bytes, which can't be tags."""
    if (found := value.get("stringValue")) is not None:
        return str(found)
    if (found := value.get("boolValue")) is not None:
        return "true" if found else "false"
    if (found := value.get("intValue")) is not None:
        return str(found)
    if (found := value.get("doubleValue")) is not None:
        return shortest(number(found, "doubleValue"))
    if "arrayValue" not in value:
        return None
    inner = (_text(each) for each in objects(object_of(value, "arrayValue"), "values"))
    return ",".join(text for text in inner if text is not None)


def number(value: Any, name: str) -> float:
    """A number of any size, also as text. Raises WireError."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise WireError(f"{name} is not a number") from None


def integer(value: Any, name: str) -> int:
    """A whole number, also as text. Raises WireError."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise WireError(f"{name} is not a whole number") from None


def shortest(value: float) -> str:
    """A bound or quantile as Prometheus writes it: without a trailing `.0`."""
    return repr(value).removesuffix(".0") if isfinite(value) else "+Inf"
