"""Datadog's service checks: the state of each becomes a sample of `{check}.status`."""

from typing import Any

from pydantic_core import to_json

from pulseboard.core.exceptions import InvalidRequest
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders.datadog.collector import RefusedSeries, SeriesCollector
from pulseboard.ingest.decoders.json_body import check_structure, parse_json
from pulseboard.ingest.decoders.names import shown
from pulseboard.ingest.decoders.series_memo import SeriesMemo

_STATES = range(4)
_TEXT = "State of a service check: 0 is ok, 1 warning, 2 critical, 3 unknown."


def decode_checks(body: bytes, *, now: int, limits: BatchLimits, series_memo: SeriesMemo) -> Batch:
    """The states of a JSON body, inflated: an array of checks, or one. Messages are not stored.

    Issues give the index of the check. Raises InvalidRequest, PayloadTooLarge.
    """
    check_structure(body, limits)
    parsed = parse_json(body)
    checks = [parsed] if isinstance(parsed, dict) else parsed
    if not isinstance(checks, list):
        raise InvalidRequest("The body must be an array of service checks.")
    collector = SeriesCollector(now, limits, series_memo)
    for position, item in enumerate(checks):
        collector.position = position
        try:
            _add_check(item, collector, now)
        except RefusedSeries as refusal:
            collector.refuse(str(refusal))
    return collector.batch


def _add_check(item: Any, collector: SeriesCollector, now: int) -> None:
    name = item.get("check") if isinstance(item, dict) else None
    if not isinstance(name, str) or not name:
        raise RefusedSeries("must be an object with check and status")
    state, tags = item.get("status"), [] if item.get("tags") is None else item["tags"]
    if type(state) is not int or state not in _STATES:
        raise RefusedSeries(f'"{shown(name)}" has the status {state!r}; 0, 1, 2 or 3 is meant')
    if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise RefusedSeries(f'"{shown(name)}" must have an array of texts as tags')
    host = item.get("host_name")
    resources = [("host", host)] if isinstance(host, str) else []
    metric = f"{name}.status"
    try:
        raw = to_json([metric, resources, tags])
    except ValueError:
        raise RefusedSeries(f'"{shown(name)}" has a text that is not UTF-8') from None
    key = collector.series_memo.find(raw) or collector.key(raw, metric, resources, tags)
    collector.describe(key.name, "gauge", 0, "", text=_TEXT)
    seconds = item.get("timestamp")
    collector.add(key, now / 1000 if seconds is None else seconds, state)
