"""Events: from a request's body to those to store. Our own JSON, and Datadog's shapes of it.

POST /api/v1/events   ours: {time, title, text, tags: {…}, source}
                      Datadog's API: {title, text, date_happened, tags: ["a:b"], host, …}
POST /api/v2/events   Datadog's API: {"data": {"attributes": {title, message, timestamp, …}}}
POST /intake/         Datadog's Agent: {"events": {"<source>": [{msg_title, msg_text, …}]}}
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from pulseboard.contracts.errors import ErrorDetail
from pulseboard.contracts.events import CreateEvent
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import BatchLimits
from pulseboard.ingest.decoders.json_body import check_structure, is_number, parse_json
from pulseboard.ingest.decoders.names import shown, tags_from

_OWN = frozenset({"time", "title", "text", "tags", "source"})
# Fields of Datadog's events that become tags, under their own names.
_AS_TAGS = (
    *("host", "device_name", "alert_type", "priority", "aggregation_key", "event_type"),
    *("category", "status"),
)
_SHOWN = 200


class RefusedEvent(ValueError):
    """An event can't be stored; the message says why."""


def parse(body: bytes, *, limits: BatchLimits) -> CreateEvent:
    """One event, in our own shape or that of Datadog's API. Raises InvalidRequest."""
    found = _object(body, limits)
    if found.keys() <= _OWN and not isinstance(found.get("tags"), list):
        return _validated(found)
    if not found.keys() & {"date_happened", "alert_type", "priority", "host", "source_type_name"}:
        unknown = [key for key in found if key not in _OWN]
        if unknown:
            raise InvalidRequest(
                f'There is no field "{shown(unknown[0])}": an event has time, title, text, tags '
                "and source.",
                details=[ErrorDetail(field=shown(unknown[0]), message="there is no such field")],
            )
    return _validated(_from_api(found))


def parse_version2(body: bytes, *, limits: BatchLimits) -> CreateEvent:
    """One event in the shape of version 2 of Datadog's API. Raises InvalidRequest."""
    data = _object(body, limits).get("data")
    attributes = data.get("attributes") if isinstance(data, dict) else None
    if not isinstance(attributes, dict):
        raise InvalidRequest('The body has no event: {"data": {"attributes": {…}}} is meant.')
    named = {**attributes, "text": attributes.get("message"), "source_type_name": "datadog"}
    inner = attributes.get("attributes")
    if isinstance(inner, dict):
        named |= {key: inner[key] for key in ("status", "priority") if key in inner}
    event = _from_api(named)
    if "timestamp" in attributes:
        event["time"] = attributes["timestamp"]
    return _validated(event)


def parse_intake(body: bytes, *, limits: BatchLimits) -> tuple[list[CreateEvent], list[str]] | None:
    """The events of Datadog's Agent, and why others can't be stored; None when it sends none.

    Raises InvalidRequest when the body can't be read.
    """
    found = _object(body, limits)
    if "events" not in found:
        return None
    by_source = found["events"]
    if not isinstance(by_source, dict):
        raise InvalidRequest("`events` must be an object of arrays, by source.")
    events: list[CreateEvent] = []
    refused: list[str] = []
    for position, (source, item) in enumerate(_items(by_source)):
        if position >= limits.points:
            raise PayloadTooLarge(f"The body has more than {limits.points} events.")
        try:
            if not isinstance(item, dict):
                raise RefusedEvent("is no object")
            named = {
                "title": item.get("msg_title"),
                "text": item.get("msg_text"),
                "date_happened": item.get("timestamp"),
                "host": item.get("host") or found.get("internalHostname"),
                "source_type_name": item.get("source_type_name") or source,
                **{key: item.get(key) for key in (*_AS_TAGS, "tags") if key != "host"},
            }
            events.append(_validated(_from_api(named)))
        except (RefusedEvent, InvalidRequest) as why:
            if len(refused) < limits.errors:
                refused.append(f"event {position} {why}")
    return events, refused


def _items(by_source: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for source, items in by_source.items():
        for item in items if isinstance(items, list) else [items]:
            yield source, item


def _object(body: bytes, limits: BatchLimits) -> dict[str, Any]:
    check_structure(body, limits)
    found = parse_json(body)
    if not isinstance(found, dict):
        raise InvalidRequest("The body must be an object.")
    return found


def _from_api(found: dict[str, Any]) -> dict[str, Any]:
    """Our fields of an event with Datadog's names."""
    pairs = [(name, said) for name in _AS_TAGS if (said := _text(found.get(name), name))]
    given = [] if found.get("tags") is None else found["tags"]
    if isinstance(given, dict):
        pairs += [(key, _text(value, f"tags.{key}")) for key, value in given.items()]
    elif isinstance(given, list):
        # A tag without a value becomes `tag="true"`, as those of metrics.
        parts = (_text(tag, f"tags.{place}").partition(":") for place, tag in enumerate(given))
        pairs += [(key, value if colon else "true") for key, colon, value in parts if key]
    else:
        raise InvalidRequest("`tags` must be an array of texts.")
    text = found.get("text")
    title = found.get("title") or (text[:_SHOWN] if isinstance(text, str) else None)
    event: dict[str, Any] = {
        "title": title,
        "text": text or "",
        "tags": tags_from(pairs),
        "source": _text(found.get("source_type_name"), "source_type_name")
        or _text(found.get("source"), "source"),
    }
    happened = found.get("date_happened")
    if happened is not None:
        if not is_number(happened):
            raise InvalidRequest("`date_happened` must be seconds since 1970.")
        event["time"] = happened * 1000
    elif found.get("time") is not None:
        event["time"] = found["time"]
    return event


def _text(value: Any, name: str) -> str:
    """A text, or a number or flag as JSON writes it; empty for null. Raises InvalidRequest."""
    if value is None or isinstance(value, str):
        return value or ""
    if not isinstance(value, int | float):
        raise InvalidRequest(f"`{shown(name)}` must be text.")
    return to_json(value).decode()


def _validated(found: dict[str, Any]) -> CreateEvent:
    try:
        return CreateEvent.model_validate(found)
    except ValidationError as error:
        details = [
            ErrorDetail(
                field=".".join(shown(str(part)) for part in one["loc"]) or "event",
                message=one["msg"].removeprefix("Value error, "),
            )
            for one in error.errors()
        ]
        first = details[0]
        raise InvalidRequest(f"{first.field}: {first.message}.", details=details) from None


def at(event: CreateEvent, now: int) -> datetime:
    """When it happened; `now` in milliseconds since 1970."""
    return event.time or datetime.fromtimestamp(now / 1000, tz=UTC)
