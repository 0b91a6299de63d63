"""Remote write: bytes encoded by Google's library, and any bytes at all."""

import math
import struct
from typing import Any

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders.remote_write import decode, refusals
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from tests.support.prometheus_messages import message, packed, series, write_request

NOW = 1_800_000_000_000
LIMITS = BatchLimits(points=100, tags=5, errors=10, max_age=6 * 86_400, max_ahead=600)
STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
UP = {"__name__": "up", "instance": "a:9090", "job": "x"}


def batch_of(body: bytes, known: SeriesMemo | None = None, limits: BatchLimits = LIMITS) -> Batch:
    room = SeriesMemo(1_000_000) if known is None else known
    return decode(body, now=NOW, limits=limits, inflated=100_000, series_memo=room)


def stored(batch: Batch) -> list[tuple[str, int, float]]:
    return [
        (repr(key), time, value)
        for key, time, value in zip(batch.series, batch.times, batch.values, strict=True)
    ]


def test_a_request_as_prometheus_sends_it_by_hand() -> None:
    # WriteRequest{timeseries{labels{__name__ up}, samples{1.5, 1800000000000}}}, snappy literal
    label = b"\x0a\x0e" + b"\x0a\x08__name__" + b"\x12\x02up"
    sample = b"\x12\x10\x09" + struct.pack("<d", 1.5) + b"\x10" + b"\x80\xa0\xf1\xc2\xb1\x34"
    body = b"\x0a" + bytes([len(label + sample)]) + label + sample
    batch = batch_of(bytes([len(body), (len(body) - 1) << 2]) + body)
    assert stored(batch) == [("<SeriesKey up{}>", 1_800_000_000_000, 1.5)]


@pytest.mark.parametrize("rounds", [1, 3])
def test_known_series_are_read_as_unknown_ones(rounds: int) -> None:
    known = SeriesMemo(1_000_000)
    lines = [
        (UP, [(NOW, 1.0)]),
        ({**UP, "job": "y"}, [(NOW, 0.0)]),
        ({"__name__": "many", "le": "+Inf"}, [(NOW - 2, -3.25), (NOW - 1, 4.0), (NOW, 5e300)]),
        ({"__name__": "early"}, [(0, 1.0)]),
        ({"__name__": "none", "empty": ""}, [(NOW, 1e-300)]),
    ]
    body = write_request(*lines)
    for _ in range(rounds):
        batch = batch_of(body, known)
        assert stored(batch) == [
            ('<SeriesKey up{"instance":"a:9090","job":"x"}>', NOW, 1.0),
            ('<SeriesKey up{"instance":"a:9090","job":"y"}>', NOW, 0.0),
            *(
                ('<SeriesKey many{"le":"+Inf"}>', NOW + ago, value)
                for ago, value in ((-2, -3.25), (-1, 4.0), (0, 5e300))
            ),
            ("<SeriesKey none{}>", NOW, 1e-300),
        ]
        assert batch.rejected == 1
        assert "early{} at 0 is older" in refusals(batch)
    assert len(known) == 5


def test_a_label_that_looks_like_a_sample_is_a_label() -> None:
    sample = b"\x12\x10\x09" + bytes(8) + b"\x10" + b"\x80\xa0\xf1\xc2\xb1\x34"
    labels = b"\x0a\x0d" + b"\x0a\x08__name__" + b"\x12\x01m"
    odd = b"\x0a" + bytes([5 + len(sample)]) + b"\x0a\x01a\x12" + bytes([len(sample)]) + sample
    known = SeriesMemo(1_000_000)
    for _ in range(2):
        body = b"".join(
            b"\x0a" + bytes([len(one)]) + one for one in (labels + sample, labels + odd)
        )
        with pytest.raises(InvalidRequest, match="UTF-8"):
            batch_of(bytes(cramjam.snappy.compress_raw(body)), known)


def test_nan_is_a_stale_marker_and_infinity_a_value() -> None:
    batch = batch_of(
        write_request(
            (UP, [(NOW - 1, 1.0), (NOW, STALE)]),
            ({"__name__": "quantile"}, [(NOW, math.nan)]),
            ({"__name__": "wild"}, [(NOW, math.inf), (NOW - 1, -math.inf)]),
        )
    )
    assert stored(batch) == [
        ('<SeriesKey up{"instance":"a:9090","job":"x"}>', NOW - 1, 1.0),
        ("<SeriesKey wild{}>", NOW, math.inf),
        ("<SeriesKey wild{}>", NOW - 1, -math.inf),
    ]
    assert [(repr(key), time) for key, time in batch.stale_markers] == [
        ('<SeriesKey up{"instance":"a:9090","job":"x"}>', NOW),
        ("<SeriesKey quantile{}>", NOW),
    ]
    assert (batch.accepted, batch.rejected) == (5, 0)


def test_sums_that_overflow_are_no_infinities() -> None:
    batch = batch_of(write_request((UP, [(NOW, 1.7e308), (NOW - 1, 1.7e308)])))
    assert (batch.accepted, batch.rejected) == (2, 0)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ({"a": "x"}, "has no name"),
        ({"__name__": "with space"}, 'the name "with space"'),
        ({"__name__": "m", "__replica__": "1"}, "a leading __ is reserved"),
        ({"__name__": "m", "a-b": "1"}, 'the tag "a-b"'),
        ({"__name__": "m", "a": "x\ny"}, "control characters"),
        ({"__name__": "m", "a": "x" * 1025}, "1024 are allowed"),
        ({"__name__": "m", **{f"l{n}": "1" for n in range(6)}}, "more than the 5 labels"),
    ],
)
def test_a_bad_series_is_named_and_the_valid_ones_are_stored(
    labels: dict[str, str], says: str
) -> None:
    batch = batch_of(write_request((UP, [(NOW, 1.0)]), (labels, [(NOW, 1.0), (NOW, 2.0)])))
    assert (batch.accepted, batch.rejected) == (1, 2)
    assert says in refusals(batch)
    assert refusals(batch).count("\n") == 1


def test_labels_given_twice_are_refused() -> None:
    twice = [message("Label", name="a", value=value) for value in "xy"]
    request = message(
        "WriteRequest",
        timeseries=[
            message(
                "TimeSeries",
                labels=[message("Label", name="__name__", value="m"), *twice],
                samples=[message("Sample", timestamp=NOW, value=1.0)],
            )
        ],
    )
    assert 'the label "a" twice' in refusals(batch_of(packed(request)))


def test_native_histograms_are_refused_by_name_and_exemplars_ignored() -> None:
    request = message(
        "WriteRequest",
        timeseries=[
            series({"__name__": "lat"}, [], histograms=[message("Histogram", sum=3.0)]),
            series(UP, [(NOW, 1.0)], exemplars=[message("Exemplar", value=1.0)]),
        ],
    )
    batch = batch_of(packed(request))
    assert (batch.accepted, batch.rejected) == (1, 1)
    assert "lat{} is a native histogram" in refusals(batch)


def test_metadata_describes_each_metric_of_a_family() -> None:
    def said(kind: int, name: str) -> Any:
        return message("MetricMetadata", type=kind, metric_family_name=name, help="H", unit="s")

    batch = batch_of(
        packed(message("WriteRequest", metadata=[said(3, "lat"), said(2, "temp"), said(0, "b c")]))
    )
    assert batch.accepted == batch.rejected == 0
    assert batch.metadata == {
        "lat_bucket": MetricMetadata(MetricType.HISTOGRAM, "s", "H"),
        "lat_sum": MetricMetadata(MetricType.COUNTER, "s", "H"),
        "lat_count": MetricMetadata(MetricType.COUNTER, "s", "H"),
        "temp": MetricMetadata(MetricType.GAUGE, "s", "H"),
    }


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "snappy"),
        (b"\xff" * 9, "snappy"),
        (bytes(cramjam.snappy.compress_raw(b"\x0a\x05\x0a")), "passes the end"),
        (bytes(cramjam.snappy.compress_raw(b"\x0a")), "middle of an integer"),
        (bytes(cramjam.snappy.compress_raw(b"\x0b")), "not known"),
        (bytes(cramjam.snappy.compress_raw(b"\x0a\x04\x12\x00\x0a\x00")), "labels come after"),
    ],
)
def test_what_is_no_write_request_says_why(body: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        batch_of(body)


def test_the_declared_size_is_checked_before_inflating() -> None:
    with pytest.raises(PayloadTooLarge, match="4294967295"):
        batch_of(b"\xff\xff\xff\xff\x0f" + b"\x00")


def test_more_samples_than_a_request_may_hold() -> None:
    lines = [(UP, [(NOW - n, 1.0)]) for n in range(101)]
    assert batch_of(write_request(*lines[:100])).accepted == 100
    with pytest.raises(PayloadTooLarge, match="max_samples_per_send"):
        batch_of(write_request(*lines))
    with pytest.raises(PayloadTooLarge):
        batch_of(write_request((UP, [(NOW - n, 1.0) for n in range(101)])))
    tiny = b"\x0a\xa0\x1f" + b"\x12\x00" * 2_000
    with pytest.raises(PayloadTooLarge):
        batch_of(bytes(cramjam.snappy.compress_raw(tiny)))


TEXT = st.text(max_size=6)
SERIES = st.tuples(
    st.dictionaries(TEXT | st.sampled_from(["__name__", "a", "job"]), TEXT, max_size=4),
    st.lists(
        st.tuples(
            st.sampled_from([NOW, NOW - 1, 0, -1, 2**62]),
            st.floats() | st.sampled_from([0.0, STALE]),
        ),
        max_size=3,
    ),
)
KNOWN = SeriesMemo(100_000)


@given(st.lists(SERIES, max_size=5))
def test_whatever_is_known_already_reads_the_same(lines: list[Any]) -> None:
    body = write_request(*lines)
    first, second = batch_of(body), batch_of(body, KNOWN)
    again = batch_of(body, KNOWN)
    for other in (second, again):
        assert stored(other) == stored(first)
        assert other.rejected == first.rejected
        assert [(repr(key), at) for key, at in other.stale_markers] == [
            (repr(key), at) for key, at in first.stale_markers
        ]
    assert first.accepted + first.rejected == sum(len(samples) for _, samples in lines)


@given(st.lists(SERIES, max_size=3), st.data())
def test_any_bytes_are_decoded_or_refused(lines: list[Any], data: st.DataObject) -> None:
    plain = bytearray(cramjam.snappy.decompress_raw(write_request(*lines)))
    for _ in range(data.draw(st.integers(0, 4))):
        if plain:
            offset = data.draw(st.integers(0, len(plain) - 1))
            plain[offset : offset + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    for body in (bytes(cramjam.snappy.compress_raw(bytes(plain))), bytes(plain)):
        try:
            batch = batch_of(body, KNOWN)
        except (InvalidRequest, PayloadTooLarge):
            continue
        assert not any(map(math.isnan, batch.values))
        assert len(batch.series) == len(batch.times) == len(batch.values)
        assert len(batch.issues) <= LIMITS.errors


def test_the_series_memo_is_bounded() -> None:
    known = SeriesMemo(100_000)
    for number in range(10_000):
        known.put(b"%d" % number, SeriesKey("m", b"{}"))
        if number % 100 == 0:
            assert known.find(b"0") is not None
    assert len(known) <= 100_000 // 400
    known.put(b"x" * 60_000, SeriesKey("m", b"{}"))
    assert known.find(b"x" * 60_000) is None
