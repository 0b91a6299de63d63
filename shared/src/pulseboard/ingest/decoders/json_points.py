"""Decodes Pulseboard's own JSON: from a request's body to a batch, naming every refused point.

A valid body passes a compiled validator in one call, straight from the bytes. Only when that fails
is the body parsed into objects and validated point by point, to separate valid from invalid ones.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, with_config
from pydantic_core import ErrorDetails
from typing_extensions import TypedDict

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.contracts.vocabulary import (
    MAX_TAG_VALUE,
    MAX_UNIT,
    METRIC_NAME_PATTERN,
    MetricType,
)
from pulseboard.core.exceptions import InvalidRequest, NothingStored, PayloadTooLarge
from pulseboard.ingest.batch import AcceptedTimes, Batch, BatchLimits
from pulseboard.ingest.decoders.json_body import check_structure, parse_json
from pulseboard.ingest.decoders.names import shown

# The contract's rules as patterns that run inside the compiled validator: TagKey without a
# leading double underscore, TagValue without control characters. (The JSON parser already refuses
# lone surrogates.)
_TAG_KEY = r"^(?:[a-zA-Z][a-zA-Z0-9_.]*|_(?:[a-zA-Z0-9.][a-zA-Z0-9_.]*)?)$"
_TAG_VALUE = r"^[^\x00-\x1f\x7f]*$"
_FIELDS = frozenset({"name", "value", "tags", "timestamp", "type", "unit", "description"})
_METADATA_TEXT = r"^[^\x00]*$"
_NO_METADATA = MetricMetadata()
# A request has few distinct series: the tags of a host are repeated in each of its points.
_KEYS_PER_BODY = 20_000


@with_config(ConfigDict(extra="forbid"))
class _Point(TypedDict):
    """MetricPoint as a plain dictionary: several times cheaper to create than a model."""

    name: Annotated[str, StringConstraints(pattern=METRIC_NAME_PATTERN, max_length=200)]
    value: Annotated[float, Field(strict=True, allow_inf_nan=False)]
    tags: NotRequired[
        dict[
            Annotated[str, StringConstraints(pattern=_TAG_KEY, max_length=100)],
            Annotated[str, StringConstraints(pattern=_TAG_VALUE, max_length=MAX_TAG_VALUE)],
        ]
    ]
    timestamp: NotRequired[Annotated[int, Field(strict=True, gt=0)] | None]
    type: NotRequired[Literal["gauge", "counter", "histogram", "summary", "unknown"] | None]
    unit: NotRequired[
        Annotated[str, StringConstraints(pattern=_METADATA_TEXT, max_length=MAX_UNIT)] | None
    ]
    description: NotRequired[
        Annotated[str, StringConstraints(pattern=_METADATA_TEXT, max_length=MAX_TAG_VALUE)] | None
    ]


@with_config(ConfigDict(extra="forbid"))
class _Envelope(TypedDict):
    points: list[_Point]


@lru_cache(maxsize=1)
def _list_of_points() -> TypeAdapter[list[_Point]]:
    return TypeAdapter(list[_Point])


@lru_cache(maxsize=1)
def _envelope() -> TypeAdapter[_Envelope]:
    return TypeAdapter(_Envelope)


@lru_cache(maxsize=1)
def _point() -> TypeAdapter[_Point]:
    return TypeAdapter(_Point)


def parse(body: bytes, *, now: int, limits: BatchLimits) -> Batch:
    """The samples in a JSON body (not compressed). `now` is in milliseconds since 1970.

    Points without a timestamp get `now`. Of a (series, time) given twice the last value counts, as
    of a key given twice in an object. Raises InvalidRequest when the body is not JSON or holds no
    valid point, PayloadTooLarge when it holds more than `limits` allow.
    """
    if not body.strip():
        raise InvalidRequest("The body is empty: send a point, an array, or an object of points.")
    check_structure(body, limits)
    batch = Batch()
    valid = _all_valid(body)
    if valid is None:
        _check_count(len(candidates := _candidates(body)), limits)
        _add_points(batch, _valid_points(candidates, batch, limits), now, limits)
    else:
        _check_count(len(valid), limits)
        _add_points(batch, enumerate(valid), now, limits)
    if batch.accepted == 0:
        raise nothing_valid(batch)
    batch.issues.sort(key=lambda issue: issue.index)
    del batch.issues[limits.errors :]
    return batch


def _check_count(count: int, limits: BatchLimits) -> None:
    if count == 0:
        raise InvalidRequest("There is no point in the body.")
    if count > limits.points:
        raise PayloadTooLarge(
            f"The body has {count} points; at most {limits.points} fit in one request."
        )


def _all_valid(body: bytes) -> list[_Point] | None:
    """All points when every one is valid, else None."""
    try:
        if body.lstrip()[:1] == b"[":
            return _list_of_points().validate_json(body)
        if b'"points"' in body[:100]:
            return _envelope().validate_json(body)["points"]
    except ValidationError:
        return None
    return None


def _candidates(body: bytes) -> list[Any]:
    """The points as parsed JSON, not validated. Raises InvalidRequest for malformed JSON."""
    parsed = parse_json(body)
    if isinstance(parsed, list):
        return parsed
    if not isinstance(parsed, dict):
        raise InvalidRequest(
            "The body must be a point, an array of points, or an object with `points`."
        )
    if "points" not in parsed:
        return [parsed]
    if len(parsed) > 1:
        other = next(key for key in parsed if key != "points")
        raise InvalidRequest(
            f'There is no field "{shown(other)}" beside `points`.',
            details=[ErrorDetail(field=shown(other), message="there is no such field")],
        )
    if not isinstance(parsed["points"], list):
        raise InvalidRequest(
            "`points` must be an array.",
            details=[ErrorDetail(field="points", message="must be an array")],
        )
    return parsed["points"]


def _valid_points(
    candidates: list[Any], batch: Batch, limits: BatchLimits
) -> Iterable[tuple[int, _Point]]:
    """The valid points with their indices; the invalid ones become the batch's issues."""
    validate = _point().validate_python
    for index, candidate in enumerate(candidates):
        if not isinstance(candidate, dict):
            batch.refuse(limits, index, [("", "must be an object with name and value")])
            continue
        unknown = [key for key in candidate if key not in _FIELDS]
        if unknown:
            batch.refuse(
                limits,
                index,
                [
                    (
                        shown(key),
                        "there is no such field; a point has name, value, tags and timestamp, and "
                        "may have type, unit and description",
                    )
                    for key in unknown[:10]
                ],
            )
            continue
        tags = candidate.get("tags")
        if isinstance(tags, dict) and len(tags) > limits.tags:
            batch.refuse(limits, index, [("tags", _too_many(len(tags), limits))])
            continue
        try:
            yield index, validate(candidate)
        except ValidationError as error:
            batch.refuse(limits, index, [_explain(one) for one in error.errors()])


def _add_points(
    batch: Batch, points: Iterable[tuple[int, _Point]], now: int, limits: BatchLimits
) -> None:
    """Add valid points to the batch; refuse those with a time or number of tags out of bounds."""
    window = AcceptedTimes(now, limits)
    oldest, newest = window.oldest, window.newest
    known: dict[tuple[str, tuple[tuple[str, str], ...]], SeriesKey] = {}
    series, times, values, positions = batch.series, batch.times, batch.values, batch.positions
    metadata = batch.metadata
    for index, point in points:
        time = point.get("timestamp")
        if time is None:
            time = now
        elif not oldest <= time <= newest:
            why = window.why_not(time, seconds_likely=True)
            batch.refuse(limits, index, [("timestamp", why)])
            continue
        tags = point.get("tags") or {}
        if len(tags) > limits.tags:
            batch.refuse(limits, index, [("tags", _too_many(len(tags), limits))])
            continue
        name = point["name"]
        identity = (name, tuple(tags.items()))
        key = known.get(identity)
        if key is None:
            key = SeriesKey.of(name, tags)
            if len(known) < _KEYS_PER_BODY:
                known[identity] = key
        series.append(key)
        times.append(time)
        values.append(point["value"])
        positions.append(index)
        if "unit" in point or "type" in point or "description" in point:
            metadata[name] = _metadata(point, metadata.get(name, _NO_METADATA))


def _metadata(point: _Point, known: MetricMetadata) -> MetricMetadata:
    """What is said of a point's metric; what it leaves out stays as other points have it."""
    type_ = point.get("type")
    return MetricMetadata(
        MetricType(type_) if type_ and type_ != "unknown" else known.type,
        point.get("unit") or known.unit,
        point.get("description") or known.text,
    )


def nothing_valid(batch: Batch, *, counted: bool = False) -> NothingStored:
    """The error for a batch of which no point can be stored; whether its key knows already."""
    details = [
        ErrorDetail(field=f"points.{issue.index}.{issue.field}".rstrip("."), message=issue.message)
        for issue in batch.issues
    ]
    first = details[0]
    count = "The point" if batch.rejected == 1 else f"None of the {batch.rejected} points"
    verb = "cannot" if batch.rejected == 1 else "can"
    error = NothingStored(
        f"{count} {verb} be stored; {first.field}: {first.message}.", details=details
    )
    if not counted:
        error.refused = {
            reason: (found.count, found.example) for reason, found in batch.reasons.items()
        }
    return error


def _too_many(count: int, limits: BatchLimits) -> str:
    return f"has {count} tags; a point may have at most {limits.tags}"


def _explain(problem: ErrorDetails) -> tuple[str, str]:
    """Field and message of a validation error."""
    location = [str(part) for part in problem["loc"] if part != "[key]"]
    path = ".".join(shown(part) for part in location)
    kind = problem["type"]
    subject = (
        "tag key" if "[key]" in problem["loc"] else "tag" if len(location) > 1 else location[0]
    )
    message = _MESSAGES.get((kind, subject)) or _MESSAGES.get((kind, "")) or problem["msg"]
    return path, message.format(**problem.get("ctx", {}))


_MESSAGES = {
    ("missing", ""): "is missing",
    ("finite_number", ""): "must be a finite number: NaN and Infinity are not stored",
    ("float_type", ""): "must be a number",
    ("string_type", ""): "must be text",
    ("string_unicode", ""): "must be UTF-8",
    ("literal_error", "type"): "is gauge, counter, histogram, summary or unknown",
    ("string_pattern_mismatch", "unit"): "must not have a NUL",
    ("string_pattern_mismatch", "description"): "must not have a NUL",
    ("dict_type", ""): "must be an object of tag keys and text values",
    ("string_too_long", ""): "may have at most {max_length} characters",
    ("string_pattern_mismatch", "name"): "must begin with a letter, _ or : and go on with "
    "letters, digits, _ : and .",
    ("string_pattern_mismatch", "tag key"): "a tag key begins with a letter or one _ and goes on "
    "with letters, digits, _ and .; a leading __ is reserved",
    ("string_pattern_mismatch", "tag"): "must not have control characters",
    ("int_type", ""): "must be whole milliseconds since 1970",
    ("int_from_float", ""): "must be whole milliseconds since 1970",
    ("greater_than", ""): "must be milliseconds since 1970, greater than {gt}",
}
