"""The metrics of an OpenTelemetry request as trees, with their resource and scope.

Both encodings become the same trees, with JSON's names. In protocol buffers points stay bytes.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, NamedTuple

from pulseboard.core.exceptions import PayloadTooLarge
from pulseboard.ingest.batch import BatchLimits
from pulseboard.ingest.decoders import otlp_schema as schema
from pulseboard.ingest.decoders.names import shown, tags_from
from pulseboard.ingest.decoders.otlp_origins import (
    AttributeChoice,
    Origins,
    Resource,
    Scope,
    ScopeClaim,
    digest,
    resource_of,
)
from pulseboard.ingest.decoders.otlp_values import (
    Tree,
    array,
    attributes,
    check_sizes,
    object_of,
    text_of,
)
from pulseboard.ingest.decoders.protobuf_wire import BYTES, WireError, fields, message
from pulseboard.ingest.parts_budget import PartsBudget

_LARGEST_MESSAGE = 100_000
_SHOWN = 200
Span = tuple[int, int]
# The fields that lead from a resource by scope, metric and kind to its points.
_METRICS_OF_SCOPE = 1
_KIND_OF_METRIC = 2
_WAY_TO_POINTS = (
    frozenset({2}),
    frozenset({2}),
    frozenset(number for number, field in schema.METRIC.items() if field.of is not None),
    frozenset({1}),
)
_HOLDERS = {
    "scopeMetrics",
    "metrics",
    *(field.name for field in schema.METRIC.values() if field.of),
}


class Metric(NamedTuple):
    """A metric with its resource and the tags of its scope.

    `context` is a digest of resource, scope and name, and of what tells them apart; empty in JSON.
    """

    tree: Tree
    resource: Resource
    scope_tags: dict[str, str]
    context: bytes


class RefusedPart(NamedTuple):
    """A resource, scope or metric that can't be read: which one, why, and how many points it has,
    as far as they can be counted.
    """

    what: str
    why: str
    points: int


class _Found(NamedTuple):
    """A metric before it is known which tags are plain. `raw` are the bytes of its origin."""

    tree: Tree
    resource: Resource
    scope: Scope
    raw: bytes


def in_protobuf(
    data: bytes,
    limits: BatchLimits,
    choice: AttributeChoice,
    origins: Origins,
    budget: PartsBudget,
) -> list[Metric | RefusedPart]:
    """The metrics of the binary encoding, in order. Raises WireError and PayloadTooLarge."""
    found = list(_Binary(data, limits, choice, budget).metrics())
    if (
        data
        and not found
        and all(number != 1 for number, _, _ in fields(data, 0, len(data), budget))
    ):
        raise WireError("it has no resource_metrics")
    return _told_apart(found, choice, origins)


def in_json(tree: Any, choice: AttributeChoice, origins: Origins) -> list[Metric | RefusedPart]:
    """The metrics of the JSON encoding, parsed, in order. Raises WireError."""
    if not isinstance(tree, dict):
        raise WireError("it is no JSON object")
    _check_members(tree)
    return _told_apart(list(_json_metrics(tree, choice)), choice, origins)


def _check_members(tree: Tree) -> None:
    """Unknown members are skipped, as protocol buffers require; a body of nothing else is none."""
    if tree and "resourceMetrics" not in tree:
        raise WireError("it has no resourceMetrics")


class _Room:
    """Counts resources, scopes and metrics while they are read."""

    __slots__ = ("_most", "left")

    def __init__(self, most: int) -> None:
        self._most = self.left = most

    def take(self) -> None:
        """Count one. Raises PayloadTooLarge."""
        self.left -= 1
        if self.left < 0:
            raise PayloadTooLarge(f"The body holds more than {self._most} metrics.")


class _Binary:
    """Reads the binary encoding; what can't be read is refused alone."""

    def __init__(
        self, data: bytes, limits: BatchLimits, choice: AttributeChoice, budget: PartsBudget
    ) -> None:
        self._data, self._choice, self._budget = data, choice, budget
        self._room = _Room(limits.points)

    def metrics(self) -> Iterator[_Found | RefusedPart]:
        """All metrics. Raises WireError when resources can't be told from each other."""
        data = self._data
        for number, kind, value in fields(data, 0, len(data), self._budget):
            if number != 1:
                continue
            self._room.take()
            if kind == BYTES:
                yield from self._of_resource(value)
            else:
                yield RefusedPart("a resource", f"it has wire type {kind}", 1)

    def _of_resource(self, span: Span) -> Iterator[_Found | RefusedPart]:
        try:
            raw, scopes = self._own_and_inner(span)
            tree = message(raw, 0, len(raw), schema.RESOURCE, self._budget)
            resource = _resource(tree, self._choice)
        except WireError as error:
            yield self._refused(f"the resource at byte {span[0]}", error, span, 0)
            return
        for inner in scopes:
            yield from self._of_scope(inner, resource, raw)

    def _of_scope(
        self, span: Span, resource: Resource, raw: bytes
    ) -> Iterator[_Found | RefusedPart]:
        try:
            raw_scope, metrics = self._own_and_inner(span)
            scope = _scope(message(raw_scope, 0, len(raw_scope), schema.SCOPE, self._budget))
        except WireError as error:
            yield self._refused(f"the scope at byte {span[0]}", error, span, _METRICS_OF_SCOPE)
            return
        for metric in metrics:
            try:
                tree = message(self._data, *metric, schema.METRIC, self._budget)
            except WireError as error:
                name = shown(self._name(metric), _SHOWN) or f"the metric at byte {metric[0]}"
                yield self._refused(name, error, metric, _KIND_OF_METRIC)
            else:
                yield _Found(tree, resource, scope, raw + raw_scope)

    def _own_and_inner(self, span: Span) -> tuple[bytes, list[Span]]:
        """The bytes of field 1, a resource or scope, and the spans of field 2, what it holds."""
        own: list[bytes] = []
        inner: list[Span] = []
        room = self._room
        for number, kind, value in fields(self._data, *span, self._budget):
            if number not in (1, 2):
                continue
            if kind != BYTES:
                raise WireError(f"its field {number} has wire type {kind}")
            if number == 1:
                own.append(small(self._data, *value))
                if len(own) > room.left:
                    room.left = -1
                    room.take()
            else:
                room.take()
                inner.append(value)
        return b"".join(own), inner

    def _refused(self, what: str, error: WireError, span: Span, level: int) -> RefusedPart:
        return RefusedPart(what, str(error), max(1, self._count(span, level)))

    def _count(self, span: Span, level: int) -> int:
        """The points of a resource (level 0), scope or metric, as far as they can be counted."""
        if level == len(_WAY_TO_POINTS):
            return 1
        count = 0
        with suppress(WireError):
            for number, kind, value in fields(self._data, *span, self._budget):
                if kind == BYTES and number in _WAY_TO_POINTS[level]:
                    count += self._count(value, level + 1)
        return count

    def _name(self, metric: Span) -> str:
        with suppress(WireError):
            for number, kind, value in fields(self._data, *metric, self._budget):
                if number == 1 and kind == BYTES:
                    return self._data[slice(*value)].decode(errors="surrogateescape")
        return ""


def _json_metrics(tree: Tree, choice: AttributeChoice) -> Iterator[_Found | RefusedPart]:
    for place, each in enumerate(array(tree, "resourceMetrics")):
        where = f"resourceMetrics[{place}]"
        try:
            scopes = array(_object(each), "scopeMetrics")
            own = object_of(each, "resource")
            check_sizes(own)
            resource = _resource(own, choice)
        except WireError as error:
            yield _refused(where, error, each)
            continue
        for number, inner in enumerate(scopes):
            yield from _metrics_of_scope(inner, f"{where}.scopeMetrics[{number}]", resource)


def _metrics_of_scope(each: Any, where: str, resource: Resource) -> Iterator[_Found | RefusedPart]:
    try:
        metrics = array(_object(each), "metrics")
        own = object_of(each, "scope")
        check_sizes(own)
        scope = _scope(own)
    except WireError as error:
        yield _refused(where, error, each)
        return
    for place, metric in enumerate(metrics):
        try:
            text_of(_object(metric), "name")
        except WireError as error:
            yield _refused(f"{where}.metrics[{place}]", error, metric)
        else:
            yield _Found(metric, resource, scope, b"")


def _object(value: Any) -> Tree:
    if not isinstance(value, dict):
        raise WireError("it is not an object")
    return value


def _refused(what: str, error: WireError, tree: Any) -> RefusedPart:
    return RefusedPart(what, str(error), max(1, points_in(tree)))


def points_in(tree: Any) -> int:
    """How many data points a resource, scope or metric in JSON has, as far as can be counted."""
    count, left = 0, [tree]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            points = each.get("dataPoints")
            count += len(points) if isinstance(points, list) else 0
            left += (value for name, value in each.items() if name in _HOLDERS)
    return count


def _told_apart(
    parts: Sequence[_Found | RefusedPart], choice: AttributeChoice, origins: Origins
) -> list[Metric | RefusedPart]:
    """The metrics, with tags that no other resource and scope has, among what was refused."""
    found = [each for each in parts if isinstance(each, _Found)]
    resources = list({id(each.resource): each.resource for each in found}.values())
    for resource, plain in zip(
        resources, origins.resources([each.claim for each in resources]), strict=True
    ):
        resource.plain = plain
    names = [text_of(each.tree, "name") for each in found]
    common = [each.scope.common_tags(choice) for each in found]
    claims = [
        ScopeClaim(each.resource.claim, digest(tags, 8, name), each.scope.digest)
        for each, name, tags in zip(found, names, common, strict=True)
    ]
    metrics: list[Metric] = []
    for each, name, tags, plain in zip(found, names, common, origins.scopes(claims), strict=True):
        scope_tags = tags if plain else each.scope.tags
        context = b""
        if each.raw:
            hashed = blake2b(each.raw, digest_size=16)
            hashed.update(b"%d%d\0" % (each.resource.plain, plain))
            hashed.update(name.encode(errors="surrogateescape"))
            context = hashed.digest()
        metrics.append(Metric(each.tree, each.resource, scope_tags, context))
    told = iter(metrics)
    return [next(told) if isinstance(each, _Found) else each for each in parts]


def small(data: bytes, start: int, stop: int) -> bytes:
    """The bytes of a message to be parsed as one tree. Raises WireError when it is too large."""
    if stop - start > _LARGEST_MESSAGE:
        raise WireError(f"a message of {stop - start} bytes; {_LARGEST_MESSAGE} are accepted")
    return data[start:stop]


def _resource(tree: Tree, choice: AttributeChoice) -> Resource:
    return resource_of(list(attributes(tree)), choice)


def _scope(tree: Tree) -> Scope:
    return Scope.of(text_of(tree, "name"), text_of(tree, "version"), tags_from(attributes(tree)))
