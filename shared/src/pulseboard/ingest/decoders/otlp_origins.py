"""Where OpenTelemetry metrics come from: resources and scopes, and what keeps them apart.

Attributes of a resource that are chosen become tags of its series; all of them are on its
`target_info`, as in Prometheus. Two resources with the same tags would be one series: only one of
them has the plain tags, the series of the others carry a tag more, `otel.resource.id`. Of two
scopes that send the same metric for one resource, one has the plain tags; the series of the others
carry the tags of their scope. Who has them is decided by an `Origins`.

https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import NamedTuple, Protocol

from pulseboard.catalogue.series_key import SeriesKey, canonical_tags
from pulseboard.ingest.decoders.names import (
    key_problem,
    shown,
    surrogates_as_bytes,
    tags_from,
    value_problem,
)

TARGET_INFO = "target_info"
RESOURCE_ID = "otel.resource.id"
_ANONYMOUS = "unknown"
_SHOWN_TAGS = 300


@dataclass(frozen=True, slots=True)
class AttributeChoice:
    """What becomes tags: resource attributes, names or patterns with `*`, the first ones first
    where not all have room; and whether scopes always do. `info_tags` is the most that a
    `target_info` has; 0 leaves it out.
    """

    resource: Sequence[str]
    scope: bool = False
    info_tags: int = 64

    def place(self, name: str) -> int | None:
        """Where this attribute stands among the chosen ones; None when it is not chosen."""
        for place, pattern in enumerate(self.resource):
            if fnmatchcase(name, pattern):
                return place
        return None


class ResourceClaim(NamedTuple):
    """A resource by digests: 16 bytes of its tags, 8 of all its attributes."""

    tags: bytes
    resource: bytes


class ScopeClaim(NamedTuple):
    """That a scope sends a metric for a resource. Both digests have 8 bytes."""

    resource: ResourceClaim
    metric: bytes
    scope: bytes


class Origins(Protocol):
    """Decides who has the plain tags; the same for the same claims, as long as they are sent."""

    def resources(self, claims: Sequence[ResourceClaim]) -> Sequence[bool]:
        """For each resource, whether it has the plain tags."""

    def scopes(self, claims: Sequence[ScopeClaim]) -> Sequence[bool]:
        """For each scope and metric, whether it has the plain tags."""


class OriginsOfRequest:
    """Knows a single request: the first one has the plain tags."""

    def __init__(self) -> None:
        self._resources: dict[bytes, bytes] = {}
        self._scopes: dict[tuple[ResourceClaim, bytes], bytes] = {}

    def resources(self, claims: Sequence[ResourceClaim]) -> Sequence[bool]:
        """As in Origins."""
        return [self._resources.setdefault(tags, own) == own for tags, own in claims]

    def scopes(self, claims: Sequence[ScopeClaim]) -> Sequence[bool]:
        """As in Origins."""
        return [
            self._scopes.setdefault((resource, metric), scope) == scope
            for resource, metric, scope in claims
        ]


@dataclass(slots=True)
class Resource:
    """A resource of a request. `newest` is the time of its newest sample, milliseconds."""

    attributes: dict[str, str]
    choice: AttributeChoice
    tags: dict[str, str] = field(default_factory=dict)
    digest: bytes = b""
    plain: bool = True
    is_cut: bool = False
    newest: int | None = None

    def __post_init__(self) -> None:
        places = {name: self.choice.place(name) for name in self.attributes}
        chosen = [name for name, place in places.items() if place is not None]
        # Those that are named first in the choice are the last to go when there is no room.
        chosen.sort(key=lambda name: (places[name] or 0, name))
        self.tags = {name: self.attributes[name] for name in chosen if self.attributes[name]}
        self.digest = digest(self.attributes, 8)

    @property
    def id(self) -> str:
        """The value of the tag `otel.resource.id`."""
        return self.digest.hex()

    @property
    def claim(self) -> ResourceClaim:
        """What this resource asks for."""
        return ResourceClaim(digest(self.tags, 16), self.digest)

    def tags_beside(self, own: dict[str, str], most: int) -> dict[str, str]:
        """The tags of a series with tags of its own, at most `most` if these leave room.

        Its own tags stand above those of the resource. Attributes without room stay on
        `target_info`; the tag `otel.resource.id` then keeps the series from being that of another
        resource.
        """
        tags = self.tags | own
        if not self.plain or any(self.tags[name] != own[name] for name in self.tags.keys() & own):
            tags.setdefault(RESOURCE_ID, self.id)
        if len(tags) <= most:
            return tags
        room = most - len(own) - 1
        if room < 0:
            return tags
        self.is_cut = True
        kept = [name for name in self.tags if name not in own][:room]
        return {**{name: self.tags[name] for name in kept}, RESOURCE_ID: self.id, **own}

    def info(self) -> tuple[SeriesKey, list[str]] | None:
        """Its `target_info`, and notes on what is not in it; None when that would say nothing."""
        most = self.choice.info_tags
        has_more = len(self.tags) < sum(map(bool, self.attributes.values()))
        if not most or not (has_more or self.is_cut or not self.plain):
            return None
        service = self.attributes.get("service.name", "")
        if service and (namespace := self.attributes.get("service.namespace")):
            service = f"{namespace}/{service}"
        tags = {RESOURCE_ID: self.id, **self.tags}
        tags.setdefault("job", service)
        tags.setdefault("instance", self.attributes.get("service.instance.id", ""))
        for name in sorted(self.attributes):
            tags.setdefault(name, self.attributes[name])
        notes: list[str] = []
        stored: dict[str, str] = {}
        for name, value in tags.items():
            if not value:
                continue
            problem = key_problem(name) or value_problem(name, value)
            if not problem and len(stored) >= most:
                problem = f'has more than {most} attributes, and no room for "{shown(name)}"'
            if problem:
                notes.append(f"{TARGET_INFO} of the resource {self.shown()} {problem}")
            else:
                stored[name] = value
        return SeriesKey.of(TARGET_INFO, stored), notes

    def note(self) -> str | None:
        """What the sender is told when its series have another tag than its attributes."""
        if not self.plain:
            return (
                f"the resource {self.shown()} has the tags of another one that sends too: its "
                f'series carry the tag {RESOURCE_ID}="{self.id}". Add an attribute that tells them '
                "apart to PULSEBOARD_OTLP_RESOURCE_ATTRIBUTES"
            )
        if self.is_cut:
            return (
                f"the resource {self.shown()} has more attributes than its series have room for: "
                f"the others are on {TARGET_INFO}, and the series carry {RESOURCE_ID}="
                f'"{self.id}"'
            )
        return None

    def shown(self) -> str:
        """Its tags for a message."""
        return shown("{" + ", ".join(f'{k}="{v}"' for k, v in self.tags.items()), _SHOWN_TAGS) + "}"


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope: its tags, and the digest of all that it has."""

    tags: dict[str, str]
    digest: bytes

    @classmethod
    def of(cls, name: str, version: str, attributes: Mapping[str, str]) -> "Scope":
        """A scope with the tags that tell it apart."""
        tags = {"otel.scope.name": name, "otel.scope.version": version}
        tags |= {f"otel.scope.{key}": value for key, value in attributes.items()}
        told = {key: value for key, value in tags.items() if value}
        return cls(told or {"otel.scope.name": _ANONYMOUS}, digest(tags, 8))

    def common_tags(self, choice: AttributeChoice) -> dict[str, str]:
        """The tags that it gives whether or not another scope sends the same metric."""
        if not choice.scope:
            return {}
        return {
            key: value
            for key, value in self.tags.items()
            if key in ("otel.scope.name", "otel.scope.version") and value != _ANONYMOUS
        }


def digest(tags: Mapping[str, str], size: int, *more: str) -> bytes:
    """A digest of tags, whatever their order, and of more texts."""
    found = blake2b(digest_size=size)
    clean = {surrogates_as_bytes(key): surrogates_as_bytes(value) for key, value in tags.items()}
    found.update(canonical_tags(clean))
    for text in more:
        found.update(b"\0" + text.encode(errors="surrogatepass"))
    return found.digest()


def resource_of(pairs: Sequence[tuple[str, str]], choice: AttributeChoice) -> Resource:
    """A resource with these attributes."""
    return Resource(tags_from(pairs), choice)
