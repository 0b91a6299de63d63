"""Prometheus remote write 1.0: from a request's body to a batch.

https://prometheus.io/docs/specs/prw/remote_write_spec/. A snappy block holds a WriteRequest:

    WriteRequest  1 timeseries*  3 metadata*
    TimeSeries    1 labels*      2 samples*   3 exemplars*  4 histograms*
    Label         1 name         2 value
    Sample        1 value        2 timestamp
    Metadata      1 type         2 family     4 help        5 unit

Prometheus sends one sample per series, in eighteen bytes at its end. When the bytes of the labels
are in the series memo, such a series is decoded without parsing them. All others are parsed field
by field.
"""

from math import isfinite, nan
from struct import Struct
from typing import NamedTuple

from cramjam import DecompressionError, snappy
from pydantic_core import from_json

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import AcceptedTimes, Batch, BatchLimits, FamilyMarker
from pulseboard.ingest.decoders.names import (
    key_problem,
    metadata_text,
    name_problem,
    shown,
    value_problem,
)
from pulseboard.ingest.decoders.native_histogram import NativeHistogram
from pulseboard.ingest.decoders.otlp_values import shortest
from pulseboard.ingest.decoders.protobuf_wire import (
    BYTES,
    FIXED64,
    VARINT,
    Field,
    WireError,
    double,
    encoded_text,
    fields,
    message,
    signed,
    varint,
)
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from pulseboard.ingest.parts_budget import PartsBudget

# A sample field of 16 bytes with a value, then a timestamp of six bytes (1971 to 2109): the three
# bytes before the value, the value, the timestamp with the byte before it. A zero value is omitted.
_SAMPLE = Struct("<3sd7s")
_SAMPLE_SIZE = _SAMPLE.size
_BEFORE_VALUE = b"\x12\x10\x09"
_ZERO_SIZE = 9
_BEFORE_TIME = b"\x12\x07"
_TIMESERIES = _LABEL = 0x0A
_MORE = 0x80
_LABELS, _SAMPLES, _HISTOGRAMS = 1, 2, 4
# With those that have no value, which are none.
_MOST_LABELS = 1_000
_SHOWN = 200
_REASONS = 3

_SAMPLE_FIELDS = {1: FIXED64, 2: VARINT}
_LABEL_FIELDS = {1: Field("name", "text"), 2: Field("value", "text")}
_METADATA_FIELDS = {
    1: Field("type", "int"),
    2: Field("family", "text"),
    4: Field("help", "text"),
    5: Field("unit", "text"),
}
TYPES = {
    1: MetricType.COUNTER,
    2: MetricType.GAUGE,
    3: MetricType.HISTOGRAM,
    5: MetricType.SUMMARY,
    6: MetricType.GAUGE,
    7: MetricType.GAUGE,
}
SUFFIXES = {
    MetricType.COUNTER: {"": MetricType.COUNTER, "_total": MetricType.COUNTER},
    MetricType.HISTOGRAM: {
        "_bucket": MetricType.HISTOGRAM,
        "_sum": MetricType.COUNTER,
        "_count": MetricType.COUNTER,
    },
    MetricType.SUMMARY: {
        "": MetricType.SUMMARY,
        "_sum": MetricType.COUNTER,
        "_count": MetricType.COUNTER,
    },
}


def decode(
    body: bytes, *, now: int, limits: BatchLimits, inflated: int, series_memo: SeriesMemo
) -> Batch:
    """The samples of a body. `now` is in milliseconds since 1970, `inflated` a limit in bytes.

    Every NaN counts as a stale marker. Raises InvalidRequest for a body that is not a WriteRequest,
    PayloadTooLarge for more than the limits allow.
    """
    try:
        parser = WriteRequestParser(inflate(body, inflated), now, limits, series_memo)
        parser.parse()
    except WireError as error:
        raise InvalidRequest(
            f"The body is not a WriteRequest of remote write 1.0: {error}."
        ) from None
    separate_stale_markers(parser.batch)
    return parser.batch


def inflate(body: bytes, limit: int) -> bytes:
    """A snappy block of at most `limit` bytes. Raises InvalidRequest, PayloadTooLarge."""
    try:
        size = snappy.decompress_raw_len(body)
        if size > limit:
            raise PayloadTooLarge(f"The body inflates to {size} bytes; {limit} are accepted.")
        return bytes(snappy.decompress_raw(body))
    except DecompressionError as error:
        raise InvalidRequest(f"The body is not a snappy block: {error}.") from None


def refusals(batch: Batch) -> str:
    """What was not stored and why, as the single line that Prometheus logs."""
    total = batch.rejected + batch.accepted
    reasons = list(dict.fromkeys(issue.message for issue in batch.issues))
    text = "; ".join(reasons[:_REASONS])
    more = f"; and {len(reasons) - _REASONS} more reasons" if len(reasons) > _REASONS else ""
    return f"{batch.rejected} of {total} samples were not stored, the others were: {text}{more}\n"


class WriteRequestParser:
    """Parses a WriteRequest into a batch."""

    def __init__(self, data: bytes, now: int, limits: BatchLimits, series_memo: SeriesMemo) -> None:
        self.batch = Batch()
        self._data = data
        self._limits = limits
        self._window = AcceptedTimes(now, limits)
        self._series_memo = series_memo
        self._times: dict[bytes, int] = {}
        self._budget = PartsBudget(limits.parts)
        # The ids of keys: of each histogram's count, and of all its samples.
        self.histogram_counts: list[int] = []
        self.histogram_parts: list[int] = []

    def parse(self) -> None:
        """Parse all entries. Raises WireError and PayloadTooLarge."""
        data, stop, position = self._data, len(self._data), 0
        known, time_of, unpack = self._series_memo.young.get, self._times.get, _SAMPLE.unpack_from
        add_series = self.batch.series.append
        add_time, add_value = self.batch.times.append, self.batch.values.append
        for _ in range(self._limits.points):
            if position >= stop:
                return
            if data[position] != _TIMESERIES:
                position = self._other(position)
                continue
            # Most lengths have two bytes.
            if position + 2 < stop and (length := data[position + 1]) < _MORE:
                begin = position + 2
            elif position + 2 < stop and (high := data[position + 2]) < _MORE:
                length, begin = length - _MORE + high * _MORE, position + 3
            else:
                length, begin = varint(data, position + 1)
            position = begin + length
            if position > stop:
                raise WireError(f"a series of {length} bytes at byte {begin} passes the end")
            if length > _SAMPLE_SIZE:
                before, value, stamp = unpack(data, position - _SAMPLE_SIZE)
                time = time_of(stamp)
                if time is not None:
                    if before == _BEFORE_VALUE:
                        key = known(data[begin : position - _SAMPLE_SIZE])
                    elif data[position - _ZERO_SIZE : position - 7] == _BEFORE_TIME:
                        key, value = known(data[begin : position - _ZERO_SIZE]), 0.0
                    else:
                        key = None
                    if key is not None:
                        add_series(key)
                        add_time(time)
                        add_value(value)
                        continue
            self._series(begin, position)
        if position < stop:
            self._too_many()

    def _too_many(self) -> None:
        raise PayloadTooLarge(
            f"The body holds more than the {self._limits.points} samples that fit in one request: "
            "lower max_samples_per_send."
        )

    def _other(self, position: int) -> int:
        """Parse an entry that is not a series; returns the position after it."""
        data = self._data
        key, after = varint(data, position)
        kind = key & 7
        if kind == VARINT:
            end = varint(data, after)[1]
            length = end - after
        elif kind == BYTES:
            length, after = varint(data, after)
        else:
            length = 8 if kind == FIXED64 else 4
        # Iterating also validates the wire type and the end.
        for number, _, value in fields(
            data, position, min(after + length, len(data)), self._budget
        ):
            if number == 1:
                why = f"a series at byte {position} can't be read: it has wire type {kind}"
                self.batch.refuse(self._limits, len(self.batch.times), [("series", why)])
            elif number == 3 and kind == BYTES:
                try:
                    self._add_metadata(*value)
                except WireError as error:
                    why = f"metadata at byte {value[0]} can't be read: {error}"
                    self.batch.refuse(self._limits, len(self.batch.times), [("metadata", why)])
        return after + length

    def _add_metadata(self, begin: int, end: int) -> None:
        entry = message(self._data, begin, end, _METADATA_FIELDS, self._budget)
        family = entry.get("family", "")
        kind = TYPES.get(entry.get("type", 0), MetricType.UNKNOWN)
        unit, text = metadata_text(entry.get("unit", "")), metadata_text(entry.get("help", ""))
        for suffix, part in SUFFIXES.get(kind, {"": kind}).items():
            if name_problem(family + suffix) is None:
                self.batch.metadata[family + suffix] = MetricMetadata(part, unit, text)

    def _series(self, begin: int, end: int) -> None:
        """Add a series, or refuse it alone when it can't be read."""
        batch, limits, before = self.batch, self._limits, len(self.batch.times)
        histograms, parts = len(self.histogram_counts), len(self.histogram_parts)
        try:
            self._read_series(begin, end)
        except WireError as error:
            del self.histogram_counts[histograms:], self.histogram_parts[parts:]
            del batch.series[before:], batch.times[before:], batch.values[before:]
            why = f"a series at byte {begin} can't be read: {error}"
            batch.refuse(limits, before, [("series", why)])
        self._check_count()

    def _read_series(self, begin: int, end: int) -> None:
        data, position, budget = self._data, begin, self._budget
        room = budget.left
        while position < end and data[position] == _LABEL:
            room -= 1
            if room < 0:
                raise budget.spent()
            length, position = varint(data, position + 1)
            position += length
        if position > end:
            raise WireError("its labels pass its end")
        budget.left = room
        raw = data[begin:position]
        rest, late = self._rest(position, end)
        # The order of fields is free, though all senders write labels first.
        key = self._key(raw + late)
        for number, start, stop in rest:
            if number == _SAMPLES:
                self._sample(key, start, stop)
            else:
                self._histogram(key, start, stop)
            self._check_count()

    def _check_count(self) -> None:
        parts, histograms = len(self.histogram_parts), len(self.histogram_counts)
        items = len(self.batch.times) - parts + histograms + self.batch.rejected
        if items > self._limits.points or parts > self._limits.parts_of_histograms:
            self._too_many()

    def _rest(self, position: int, end: int) -> tuple[list[tuple[int, int, int]], bytes]:
        """Samples and histograms, each with its field's number and span; and the labels here."""
        found: list[tuple[int, int, int]] = []
        late = bytearray()
        for number, kind, value in fields(self._data, position, end, self._budget):
            if number not in (_LABELS, _SAMPLES, _HISTOGRAMS):
                continue
            if kind != BYTES:
                raise WireError(f"its field {number} has wire type {kind}")
            if number == _LABELS:
                late += encoded_text(number, self._data[value[0] : value[1]])
                continue
            found.append((number, *value))
            if len(found) > self._limits.points:
                self._too_many()
        return found, bytes(late)

    def _key(self, raw: bytes) -> "SeriesKey | Refusal":
        key = self._series_memo.find(raw)
        if key is None:
            parsed = _series_key(raw, self._limits, self._budget)
            if isinstance(parsed, Refusal):
                return parsed
            key = parsed
            self._series_memo.put(raw, key)
        return key

    def _sample(self, key: "SeriesKey | Refusal", begin: int, end: int) -> None:
        data, value, time = self._data, 0.0, 0
        for number, kind, found in fields(data, begin, end, self._budget):
            if kind != _SAMPLE_FIELDS.get(number, kind):
                raise WireError(f"the field {number} of a sample has wire type {kind}")
            if number == 1:
                value = double(data, found[0])
            elif number == 2:
                time = signed(found)
        batch = self.batch
        if isinstance(key, Refusal):
            batch.refuse(
                self._limits, len(batch.times), [("labels", key.problem)], subject=key.subject
            )
        elif time not in self._window:
            why = f"at {time} {self._window.why_not(time, seconds_likely=True)}"
            batch.refuse(self._limits, len(batch.times), [("timestamp", why)], subject=_shown(key))
        else:
            batch.series.append(key)
            batch.times.append(time)
            batch.values.append(value)
            stamp = data[end - 7 : end]
            if stamp == _stamp(time):
                self._times[stamp] = time

    def _histogram(self, key: "SeriesKey | Refusal", begin: int, end: int) -> None:
        """Add a native histogram as a classic one: `_bucket` by `le`, `_sum` and `_count`."""
        batch, limits = self.batch, self._limits
        found = NativeHistogram(self._data, begin, end, limits, self._budget)
        if isinstance(key, Refusal):
            batch.refuse(limits, len(batch.times), [("labels", key.problem)], subject=key.subject)
            return
        if found.time not in self._window:
            why = f"at {found.time} {self._window.why_not(found.time, seconds_likely=True)}"
            batch.refuse(limits, len(batch.times), [("timestamp", why)], subject=_shown(key))
            return
        if problem := name_problem(f"{key.name}_bucket"):
            batch.refuse(limits, len(batch.times), [("labels", problem)], subject=_shown(key))
            return
        # Of a histogram that ends, the buckets are those of the catalogue.
        if found.ends:
            batch.family_markers.append(
                FamilyMarker(f"{key.name}_bucket", key.tags, "le", found.time)
            )
        count, total = (SeriesKey(f"{key.name}_{part}", key.tags) for part in ("count", "sum"))
        value = nan if found.ends else found.count
        parts = [(count, value), (total, nan if found.ends else found.sum)]
        tags = from_json(key.tags) if found.buckets else {}
        parts += [
            (SeriesKey.of(f"{key.name}_bucket", {**tags, "le": shortest(bound)}), many)
            for bound, many in found.buckets
        ]
        self.histogram_counts.append(id(count))
        self.histogram_parts += [id(part) for part, _ in parts]
        for part, number in parts:
            batch.series.append(part)
            batch.times.append(found.time)
            batch.values.append(number)


class Refusal(NamedTuple):
    """A series that can't be stored, and why."""

    subject: str
    problem: str


def _series_key(raw: bytes, limits: BatchLimits, budget: PartsBudget) -> SeriesKey | Refusal:
    name = ""
    names = 0
    tags: dict[str, str] = {}
    count = 0
    problem: str | None = None
    for read, (_, _, (begin, end)) in enumerate(fields(raw, 0, len(raw), budget)):
        if read == _MOST_LABELS:
            problem = f"has more than {_MOST_LABELS} labels, with those without a value"
            break
        label = message(raw, begin, end, _LABEL_FIELDS, budget)
        key, value = label.get("name", ""), label.get("value", "")
        if key == "__name__":
            name = name or value
            names += 1
            if names > 1:
                problem = 'has the label "__name__" twice'
        elif key in tags:
            problem = f'has the label "{shown(key)}" twice'
        elif value:
            problem = problem or key_problem(key) or value_problem(key, value)
            tags[key] = value
            count += 1
            if count > limits.tags:
                problem = f"has more than the {limits.tags} labels that are allowed"
                break
    problem = name_problem(name) or problem
    if problem is None:
        return SeriesKey.of(name, tags)
    return Refusal(shown(name, _SHOWN) or "a series", problem)


def _stamp(time: int) -> bytes:
    """A timestamp as a field of six bytes; a time that needs fewer gives bytes that match none."""
    low = [time >> shift & 0x7F | 0x80 for shift in (0, 7, 14, 21, 28)]
    return bytes([0x10, *low, time >> 35 & 0x7F])


def _shown(key: SeriesKey | Refusal) -> str:
    if isinstance(key, Refusal):
        return key.subject
    return f"{key.name}{key.tags.decode()}"[:_SHOWN]


def separate_stale_markers(batch: Batch) -> None:
    """Turn NaNs into stale markers."""
    if isfinite(sum(batch.values)):
        return
    numbers = []
    for position, value in enumerate(batch.values):
        if value == value:
            numbers.append(position)
        else:
            batch.stale_markers.append((batch.series[position], batch.times[position]))
    batch.series = [batch.series[position] for position in numbers]
    batch.times = [batch.times[position] for position in numbers]
    batch.values = [batch.values[position] for position in numbers]
