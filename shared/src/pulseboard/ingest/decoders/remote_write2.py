"""Prometheus remote write 2.0: from a request's body to a batch.

https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/. A snappy block holds a Request:

    Request     4 symbols*       5 timeseries*
    TimeSeries  1 labels_refs*   2 samples*   3 histograms*   4 exemplars*   5 metadata
    Metadata    1 type           3 help_ref   4 unit_ref

Labels are pairs of indices into the symbols. A series is read as 1.0 would have written it, so
that both versions share their series memo. Exemplars and start times are not stored.
"""

from collections.abc import Iterable

from pulseboard.catalogue.series_key import MetricMetadata
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders import remote_write
from pulseboard.ingest.decoders.names import metadata_text, name_problem
from pulseboard.ingest.decoders.protobuf_wire import (
    BYTES,
    Field,
    WireError,
    encoded_text,
    fields,
    message,
    varints,
)
from pulseboard.ingest.decoders.series_memo import SeriesMemo

_SYMBOLS, _TIMESERIES = 4, 5
_REFS, _SAMPLES, _HISTOGRAMS, _METADATA = 1, 2, 3, 5
_METADATA_FIELDS = {1: Field("type", "int"), 3: Field("help", "uint"), 4: Field("unit", "uint")}


class Written:
    """How many samples and native histograms of a decoded request are stored.

    It knows the keys of histograms by their `id`: the batch holds them for as long as it lives.
    """

    def __init__(self, counts: Iterable[int], parts: Iterable[int]) -> None:
        self._counts, self._parts = frozenset(counts), frozenset(parts)

    def of(self, batch: Batch) -> tuple[int, int]:
        """Samples and histograms; of a batch that was stored, what was refused is gone."""
        if not self._parts:
            return batch.accepted, 0
        stored = list(map(id, batch.keys()))
        histograms = sum(one in self._counts for one in stored)
        return sum(one not in self._parts for one in stored), histograms


def decode(
    body: bytes, *, now: int, limits: BatchLimits, inflated: int, series_memo: SeriesMemo
) -> tuple[Batch, Written]:
    """The samples of a body, and what counts those that are stored. As `remote_write.decode`."""
    try:
        parser = _RequestParser(remote_write.inflate(body, inflated), now, limits, series_memo)
        parser.parse()
    except WireError as error:
        raise InvalidRequest(f"The body is not a Request of remote write 2.0: {error}.") from None
    remote_write.separate_stale_markers(parser.batch)
    return parser.batch, Written(parser.histogram_counts, parser.histogram_parts)


class _RequestParser(remote_write.WriteRequestParser):
    """Parses a Request into a batch."""

    def parse(self) -> None:
        """Parse all series. Raises WireError and PayloadTooLarge."""
        data = self._data
        symbols: list[bytes] = []
        spans: list[tuple[int, int]] = []
        for number, kind, value in fields(data, 0, len(data), self._budget):
            if number in (_SYMBOLS, _TIMESERIES) and kind != BYTES:
                raise WireError(f"its field {number} has wire type {kind}")
            if number == _SYMBOLS:
                symbols.append(data[value[0] : value[1]])
            elif number == _TIMESERIES:
                spans.append(value)
        self._symbols = symbols
        self._labels: dict[tuple[int, int], bytes] = {}
        for begin, end in spans:
            self._series(begin, end)

    def _read_series(self, begin: int, end: int) -> None:
        data = self._data
        refs: list[int] = []
        found: list[tuple[int, int, int]] = []
        described: tuple[int, int] | None = None
        for number, kind, value in fields(data, begin, end, self._budget):
            if number == _REFS:
                refs += varints(data, *value) if kind == BYTES else [value]
            elif number in (_SAMPLES, _HISTOGRAMS):
                if kind != BYTES:
                    raise WireError(f"its field {number} has wire type {kind}")
                found.append((number, *value))
                if len(found) > self._limits.points:
                    self._too_many()
            elif number == _METADATA and kind == BYTES:
                described = value
        if len(refs) % 2:
            raise WireError("its references to labels are no pairs")
        self._budget.spend(len(refs))
        raw = b"".join(map(self._label, refs[::2], refs[1::2]))
        key = self._key(raw)
        for number, start, stop in found:
            if number == _SAMPLES:
                self._sample(key, start, stop)
            else:
                self._histogram(key, start, stop)
            self._check_count()
        if described is not None and not isinstance(key, remote_write.Refusal):
            self._describe(key.name, described, histogram=bool(found) and found[0][0] != _SAMPLES)

    def _label(self, name: int, value: int) -> bytes:
        known = self._labels.get((name, value))
        if known is None:
            content = encoded_text(1, self._symbol(name)) + encoded_text(2, self._symbol(value))
            known = self._labels[name, value] = encoded_text(1, content)
        return known

    def _symbol(self, ref: int) -> bytes:
        if ref >= len(self._symbols):
            raise WireError(f"it refers to symbol {ref} of {len(self._symbols)}")
        return self._symbols[ref]

    def _describe(self, name: str, span: tuple[int, int], *, histogram: bool) -> None:
        entry = message(self._data, *span, _METADATA_FIELDS, self._budget)
        kind = remote_write.TYPES.get(entry.get("type", 0), MetricType.UNKNOWN)
        unit, text = (
            metadata_text(self._symbol(entry.get(which, 0)).decode(errors="surrogateescape"))
            for which in ("unit", "help")
        )
        if kind is MetricType.UNKNOWN and not unit and not text:
            return
        # Each series says what its family is; `_sum` and `_count` of a family are counters.
        parts = remote_write.SUFFIXES.get(kind, {}) if histogram else {"": _part(name, kind)}
        for suffix, part in parts.items():
            if name_problem(name + suffix) is None:
                self.batch.metadata[name + suffix] = MetricMetadata(part, unit, text)


def _part(name: str, kind: MetricType) -> MetricType:
    of_family = kind in (MetricType.HISTOGRAM, MetricType.SUMMARY)
    return MetricType.COUNTER if of_family and name.endswith(("_sum", "_count")) else kind
