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
LIMITS = BatchLimits(
    points=100, tags=5, errors=10, max_age=6 * 86_400, max_ahead=600, parts=1_000_000
)
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
        batch = batch_of(bytes(cramjam.snappy.compress_raw(body)), known)
        # The second series has only a label: nothing to store, and nothing to refuse.
        assert stored(batch) == [("<SeriesKey m{}>", NOW, 0.0)]
        assert batch.rejected == 0


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
        ({"__name__": "with\0nul"}, 'the name "with nul"'),
        ({"__name__": "x" * 201}, "200 are allowed"),
        ({"__name__": "m", "a": "x\0y"}, "holds a NUL"),
        ({"__name__": "m", "a\n" * 51: "y"}, "100 are allowed"),
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


def test_native_histograms_out_of_time_are_refused_by_name_and_exemplars_ignored() -> None:
    request = message(
        "WriteRequest",
        timeseries=[
            series({"__name__": "lat"}, [], histograms=[message("Histogram", sum=3.0)]),
            series(UP, [(NOW, 1.0)], exemplars=[message("Exemplar", value=1.0)]),
        ],
    )
    batch = batch_of(packed(request))
    assert (batch.accepted, batch.rejected) == (1, 1)
    assert "lat{} at 0 is older" in refusals(batch)


def test_metadata_describes_each_metric_of_a_family() -> None:
    def said(kind: int, name: str) -> Any:
        return message("MetricMetadata", type=kind, metric_family_name=name, help="H", unit="s")

    batch = batch_of(
        packed(message("WriteRequest", metadata=[said(3, "lat"), said(2, "temp"), said(0, "b\0c")]))
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


def test_labels_after_samples_and_a_name_given_twice() -> None:
    name, sample = b"\x0a\x0d\x0a\x08__name__\x12\x01u", b"\x12\x07\x10" + _varint(NOW)
    late, twice = sample + name, name + name + sample
    body = b"".join(b"\x0a" + bytes([len(one)]) + one for one in (late, twice))
    batch = batch_of(bytes(cramjam.snappy.compress_raw(body)))
    assert [(key.name, time) for key, time in zip(batch.series, batch.times, strict=True)] == [
        ("u", NOW)
    ]
    assert [issue.message for issue in batch.issues] == ['u has the label "__name__" twice']


def _varint(value: int) -> bytes:
    low = [value >> shift & 0x7F | 0x80 for shift in (0, 7, 14, 21, 28)]
    return bytes([*low, value >> 35])


def test_a_sample_or_series_of_another_type_is_refused_and_no_zero() -> None:
    name = b"\x0a\x0d\x0a\x08__name__\x12\x01u"
    good = name + b"\x12\x10\x09" + struct.pack("<d", 7.0) + b"\x10" + _varint(NOW)
    # The value as an integer, the time as a double.
    bad = [
        name + b"\x12\x09\x08\x05\x10" + _varint(NOW),
        name + b"\x12\x12\x09" + struct.pack("<d", 1.0) + b"\x11" + struct.pack("<d", 1.0),
    ]
    body = b"\x08\x01" + b"".join(b"\x0a" + bytes([len(one)]) + one for one in [*bad, good])
    batch = batch_of(bytes(cramjam.snappy.compress_raw(body)))
    assert batch.values == [7.0]
    assert batch.rejected == 3
    assert [issue.message.partition("read: ")[2] for issue in batch.issues] == [
        "it has wire type 0",
        "the field 1 of a sample has wire type 0",
        "the field 2 of a sample has wire type 1",
    ]
