"""Decodes Datadog's JSON: series of versions 1 and 2, and distribution points."""

from collections.abc import Iterator
from types import NoneType
from typing import Any

from pydantic_core import to_json

from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders.datadog.collector import (
    KINDS,
    SHOWN,
    RefusedSeries,
    SeriesCollector,
)
from pulseboard.ingest.decoders.json_body import check_structure, finite, is_number, parse_json
from pulseboard.ingest.decoders.names import metadata_text, shown
from pulseboard.ingest.decoders.series_memo import SeriesMemo


def decode_json(body: bytes, *, now: int, limits: BatchLimits, series_memo: SeriesMemo) -> Batch:
    """The samples of a JSON body of either version, inflated. `now` in milliseconds since 1970.

    Issues give the index of the series. Raises InvalidRequest, PayloadTooLarge.
    """
    check_structure(body, limits)
    parsed = parse_json(body)
    if not isinstance(parsed, dict):
        raise InvalidRequest('The body must be an object: {"series": […]}.')
    if parsed and "series" not in parsed:
        raise InvalidRequest(f'The body has "{shown(min(parsed))}" and no `series`.')
    series = parsed.get("series")
    if not isinstance(series, list | NoneType):
        raise InvalidRequest("`series` must be an array.")
    collector = SeriesCollector(now, limits, series_memo)
    for position, item in enumerate(series or ()):
        collector.position = position
        try:
            _add_series(item, collector)
        except RefusedSeries as refusal:
            collector.refuse(str(refusal))
    return collector.batch


def _add_series(item: Any, collector: SeriesCollector) -> None:
    if not isinstance(item, dict):
        raise RefusedSeries("must be an object with metric and points")
    metric, points = item.get("metric"), item.get("points")
    if not isinstance(metric, str):
        raise RefusedSeries("has no metric")
    if not isinstance(points, list):
        raise RefusedSeries(f'"{shown(metric)}" has no array of points')
    resources = list(_json_resources(item))
    tags = [] if item.get("tags") is None else item["tags"]
    if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise RefusedSeries(f'"{shown(metric)}" must have an array of texts as tags')
    try:
        raw = to_json([metric, resources, tags])
    except ValueError:
        raise RefusedSeries(f'"{shown(metric)}" has a text that is not UTF-8') from None
    key: SeriesKey | None = None
    statistics: list[SeriesKey] | None = None
    for point in points:
        seconds, value = _json_point(point)
        if isinstance(value, list):
            statistics = statistics or collector.statistics(raw, metric, resources, tags)
            if values := _summary(value):
                collector.add_statistics(statistics, seconds, values)
            else:
                collector.refuse(f'"{shown(metric)}" has a point without values that are numbers')
        else:
            if key is None:
                key = collector.series_memo.find(raw) or collector.key(raw, metric, resources, tags)
                interval, unit = item.get("interval"), item.get("unit")
                collector.describe(
                    key.name,
                    _json_kind(item.get("type")),
                    int(finite(interval) or 0) if is_number(interval) else 0,
                    metadata_text(unit)[:SHOWN] if isinstance(unit, str) else "",
                )
            collector.add(key, seconds, value)


def _json_resources(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("host", "device"):
        value = item.get(name)
        if isinstance(value, str):
            yield name, value
    resources = item.get("resources")
    for resource in resources if isinstance(resources, list) else []:
        if isinstance(resource, dict):
            kind, value = resource.get("type"), resource.get("name")
            if isinstance(kind, str) and isinstance(value, str):
                yield kind, value


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
