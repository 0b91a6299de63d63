"""Series of either version as JSON, and distributions' points."""

from collections.abc import Iterator
from typing import Any

from pydantic_core import to_json

from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders.datadog.collector import KINDS, SHOWN, Bad, Taking
from pulseboard.ingest.decoders.json_body import check_structure, finite, is_number, parse_json
from pulseboard.ingest.decoders.series_memo import SeriesMemo


def decode_json(body: bytes, *, now: int, limits: BatchLimits, series_memo: SeriesMemo) -> Batch:
    """The samples of a JSON body of either version, inflated. `now` in milliseconds since 1970.

    Issues name series by their place. Raises InvalidRequest, PayloadTooLarge.
    """
    check_structure(body, limits)
    parsed = parse_json(body)
    if not isinstance(parsed, dict):
        raise InvalidRequest('The body must be an object: {"series": […]}.')
    series = parsed.get("series") or []
    if not isinstance(series, list):
        raise InvalidRequest("`series` must be an array.")
    taking = Taking(now, limits, series_memo)
    for place, one in enumerate(series):
        taking.place = place
        try:
            _take_json(one, taking)
        except Bad as bad:
            taking.refuse(str(bad))
    return taking.batch


def _take_json(one: Any, taking: Taking) -> None:
    if not isinstance(one, dict):
        raise Bad("must be an object with metric and points")
    metric, points = one.get("metric"), one.get("points")
    if not isinstance(metric, str):
        raise Bad("has no metric")
    if not isinstance(points, list):
        raise Bad(f'"{metric[:SHOWN]}" has no array of points')
    resources = list(_json_resources(one))
    tags = one.get("tags") or []
    if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise Bad(f'"{metric[:SHOWN]}" must have an array of texts as tags')
    raw = to_json([metric, resources, tags])
    key: SeriesKey | None = None
    spread: list[SeriesKey] | None = None
    for point in points:
        seconds, value = _json_point(point)
        if isinstance(value, list):
            spread = spread or taking.statistics(raw, metric, resources, tags)
            if values := _summary(value):
                taking.add_statistics(spread, seconds, values)
            else:
                taking.refuse(f'"{metric[:SHOWN]}" has a point without values that are numbers')
        else:
            if key is None:
                key = taking.series_memo.find(raw) or taking.key(raw, metric, resources, tags)
                interval, unit = one.get("interval"), one.get("unit")
                taking.describe(
                    key.name,
                    _json_kind(one.get("type")),
                    int(finite(interval) or 0) if is_number(interval) else 0,
                    unit[:SHOWN] if isinstance(unit, str) else "",
                )
            taking.add(key, seconds, value)


def _json_resources(one: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("host", "device"):
        value = one.get(name)
        if isinstance(value, str):
            yield name, value
    resources = one.get("resources")
    for resource in resources if isinstance(resources, list) else []:
        if isinstance(resource, dict):
            kind, called = resource.get("type"), resource.get("name")
            if isinstance(kind, str) and isinstance(called, str):
                yield kind, called


def _json_point(point: Any) -> tuple[Any, Any]:
    if isinstance(point, dict):
        return point.get("timestamp"), point.get("value")
    if isinstance(point, list) and len(point) == 2:
        return point[0], point[1]
    return None, None


def _json_kind(kind: Any) -> str:
    if isinstance(kind, str):
        return kind if kind in KINDS else ""
    return KINDS[kind] if type(kind) is int and 0 <= kind < len(KINDS) else ""


def _summary(values: list[Any]) -> tuple[float, ...] | None:
    numbers = [
        number for value in values if is_number(value) and (number := finite(value)) is not None
    ]
    if not numbers or len(numbers) < len(values):
        return None
    total = sum(numbers)
    return len(numbers), total, min(numbers), max(numbers), total / len(numbers)
