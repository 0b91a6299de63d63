"""What collectd's plugin write_http sends as JSON: from a request's body to a batch.

https://www.collectd.org/documentation/manpages/collectd.conf.html#plugin-write_http. A value list

    {"host": "web-1", "plugin": "interface", "plugin_instance": "eth0", "type": "if_octets",
     "type_instance": "", "time": 1700000000.1, "interval": 10, "dstypes": ["derive", "derive"],
     "dsnames": ["rx", "tx"], "values": [1, 2]}

has the data sources of its type (types.db): each becomes a sample of the metric
`{plugin}_{type}_{data source}`, here `interface_if_octets_rx`. Redundant parts are left out: a type
with the plugin's name, a data source named "value". Host and instances become tags.
"""

from typing import Any

from pydantic_core import to_json

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import AcceptedTimes, Batch, BatchLimits
from pulseboard.ingest.decoders.json_body import check_structure, finite, milliseconds, parse_json
from pulseboard.ingest.decoders.names import name_problem, tags_from, tags_problem
from pulseboard.ingest.decoders.series_memo import SeriesMemo

_IDENTITY = ("host", "plugin", "plugin_instance", "type", "type_instance")
_TAGS = ("host", "plugin_instance", "type_instance")
_KINDS = {
    "counter": MetricMetadata(MetricType.COUNTER),
    "derive": MetricMetadata(MetricType.COUNTER),
    "gauge": MetricMetadata(MetricType.GAUGE),
    "absolute": MetricMetadata(
        MetricType.GAUGE, text="A count since the last reading, as collectd sends it: add it up."
    ),
}
_SHOWN = 100


class _RefusedValueList(ValueError):
    """A value list can't be stored; the message says why."""


def decode(body: bytes, *, now: int, limits: BatchLimits, series_memo: SeriesMemo) -> Batch:
    """The samples of a body, not compressed. `now` in milliseconds since 1970.

    Null values (NaN in collectd) are skipped. Issues give the index of the value list.
    Raises InvalidRequest, PayloadTooLarge.
    """
    check_structure(body, limits)
    lists = parse_json(body)
    if not isinstance(lists, list):
        raise InvalidRequest("The body must be an array of value lists, as write_http sends it.")
    batch, window = Batch(), AcceptedTimes(now, limits)
    for position, value_list in enumerate(lists):
        try:
            _add_value_list(value_list, position, batch, window, limits, series_memo)
        except _RefusedValueList as bad:
            batch.refuse(limits, position, [("valueList", str(bad))])
        if len(batch.values) > limits.points:
            raise PayloadTooLarge(
                f"The body has more than the {limits.points} values that are accepted at once: "
                "a smaller BufferSize helps."
            )
    return batch


def _add_value_list(
    value_list: Any,
    position: int,
    batch: Batch,
    window: AcceptedTimes,
    limits: BatchLimits,
    series_memo: SeriesMemo,
) -> None:
    if not isinstance(value_list, dict):
        raise _RefusedValueList("must be an object")
    identity = [value_list.get(name, "") for name in _IDENTITY]
    if not all(isinstance(part, str) for part in identity):
        raise _RefusedValueList(f"must have texts as {', '.join(_IDENTITY)}")
    values, names, kinds = (value_list.get(name) for name in ("values", "dsnames", "dstypes"))
    if not (isinstance(values, list) and isinstance(names, list) and isinstance(kinds, list)):
        raise _RefusedValueList("must have arrays as values, dsnames and dstypes")
    if not len(values) == len(names) == len(kinds):
        raise _RefusedValueList("must have as many values as dsnames and dstypes")
    time = _milliseconds(value_list.get("time"))
    if time not in window:
        raise _RefusedValueList(f"has a time that {window.why_not(time)}")
    found: list[tuple[SeriesKey, float]] = []
    skipped = 0
    for value, name, kind in zip(values, names, kinds, strict=True):
        if value is None:
            skipped += 1
            continue
        number = finite(value)
        if number is None:
            raise _RefusedValueList("must have finite numbers as values")
        if not isinstance(name, str):
            raise _RefusedValueList("must have texts as dsnames")
        key = _key(identity, name, limits, series_memo)
        metadata = _KINDS.get(kind) if isinstance(kind, str) else None
        if metadata is not None and key.name not in batch.metadata:
            batch.metadata[key.name] = metadata
        found.append((key, number))
    batch.skipped += skipped
    for key, number in found:
        batch.series.append(key)
        batch.times.append(time)
        batch.values.append(number)
        batch.positions.append(position)


def _key(
    identity: list[str], source: str, limits: BatchLimits, series_memo: SeriesMemo
) -> SeriesKey:
    try:
        raw = to_json([*identity, source])
    except ValueError:
        raise _RefusedValueList("has a text that is not UTF-8") from None
    key = series_memo.find(raw)
    if key is None:
        parts = dict(zip(_IDENTITY, identity, strict=True))
        plugin, kind = parts["plugin"], parts["type"]
        if not plugin or not kind:
            raise _RefusedValueList("has no plugin or no type")
        words = [plugin, "" if kind == plugin else kind, "" if source == "value" else source]
        name = "_".join(word for word in words if word)
        tags = tags_from((tag, parts[tag]) for tag in _TAGS if parts[tag])
        if problem := name_problem(name) or tags_problem(tags, limits.tags):
            raise _RefusedValueList(problem)
        key = SeriesKey.of(name, tags)
        series_memo.put(raw, key)
    return key


def _milliseconds(seconds: Any) -> int:
    time = milliseconds(seconds)
    if time is None:
        raise _RefusedValueList("has no time in seconds")
    return round(time)
