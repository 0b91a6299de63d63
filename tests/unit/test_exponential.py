"""Exponential histograms of OpenTelemetry and Prometheus become classic buckets."""

import random
from collections.abc import Mapping
from dataclasses import replace
from math import ceil, inf, log2
from struct import pack
from typing import Any

import cramjam
import pytest
from pydantic_core import to_json

from pulseboard.core.exceptions import PayloadTooLarge
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders import otlp, remote_write, remote_write2
from pulseboard.ingest.decoders.datadog.sketch import of_sketch
from pulseboard.ingest.decoders.exponential import Exponential, classic
from pulseboard.ingest.decoders.protobuf_wire import encoded_text, encoded_varint
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from tests.support.remote_write2_messages import native, request2, sample, zigzagged

NOW = 1_700_000_000_000
LIMITS = BatchLimits(
    points=10_000, tags=32, errors=100, max_age=3600, max_ahead=60, parts=1_000_000
)
INFLATED = 1_000_000
STALE = pack("<Q", 0x7FF0000000000002)


def buckets_of(batch: Batch, name: str = "latency_bucket") -> dict[float, float]:
    """Cumulative counts by upper bound."""
    found = {}
    for key, value in zip(batch.series, batch.values, strict=True):
        if key.name == name:
            [le] = [part for part in key.tags.decode().split('"') if part[:1] in "-+0123456789"]
            found[float(le)] = value
    return dict(sorted(found.items()))


def quantile(share: float, buckets: Mapping[float, float]) -> float:
    """As Prometheus' histogram_quantile, for positive values."""
    rank, below, before = share * buckets[inf], 0.0, 0.0
    for bound, count in buckets.items():
        if count >= rank and bound != inf:
            return below + (bound - below) * (rank - before) / (count - before)
        below, before = bound, count
    return below


def counts_of(values: list[float], schema: int) -> dict[int, float]:
    """Indices as Prometheus has them."""
    counts: dict[int, float] = {}
    for value in values:
        index = ceil(log2(value) * 2**schema)
        counts[index] = counts.get(index, 0) + 1
    return counts


def samples(size: int = 5_000) -> list[float]:
    chance = random.Random(19)
    return sorted(chance.lognormvariate(-2, 1.2) for _ in range(size))


@pytest.mark.parametrize("schema", [-2, 0, 2, 5, 8])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 0.999])
def test_quantiles_are_off_by_a_bucket_at_most(schema: int, share: float) -> None:
    values = samples()
    histogram = Exponential(schema, counts_of(values, schema), {})
    buckets = {**dict(classic(histogram, LIMITS)), inf: float(len(values))}
    true = values[ceil(share * len(values)) - 1]
    width = 2 ** (2.0 ** -min(schema, LIMITS.histogram_scale))
    assert true / width <= quantile(share, buckets) <= true * width


def test_counts_stay_exact_and_grow_with_their_bounds() -> None:
    values = samples()
    histogram = Exponential(8, counts_of(values, 8), counts_of(values, 8), 7, 1e-9)
    found = classic(histogram, LIMITS)
    assert found == sorted(found)
    assert [count for _, count in found] == sorted(count for _, count in found)
    assert found[-1][1] == 2 * len(values) + 7
    for bound, count in found:
        if bound > 0.01:
            assert count == len(values) + 7 + sum(value <= bound for value in values)
    assert len(found) <= LIMITS.histogram_buckets + 1


@pytest.mark.parametrize("index", [-(1 << 31), -1100, 1024, 1 << 31])
def test_bounds_beyond_all_doubles_are_no_buckets(index: int) -> None:
    found = classic(Exponential(0, {index: 3.0, 1: 2.0}, {index: 1.0}), LIMITS)
    assert all(abs(bound) != inf for bound, _ in found)
    assert len(found) <= LIMITS.histogram_buckets + 1


def test_the_bounds_stay_while_values_move_within_their_block() -> None:
    few = classic(Exponential(2, {3: 1.0}, {}), LIMITS)
    more = classic(Exponential(2, {3: 5.0, 9: 2.0}, {}), LIMITS)
    assert [bound for bound, _ in few] == [bound for bound, _ in more]
    assert (few[0][0], few[-1][0]) == (1, 16)


CHOICE = otlp.AttributeChoice(("service.name",), True, 32)


def point(**more: Any) -> bytes:
    """A request with one exponential histogram, in JSON."""
    data = {
        "timeUnixNano": str(NOW * 1_000_000),
        "count": "12",
        "sum": 20.5,
        "scale": 1,
        "zeroCount": "2",
        "positive": {"offset": 0, "bucketCounts": ["4", "0", "6"]},
        **more,
    }
    metric = {
        "name": "latency",
        "unit": "s",
        "exponentialHistogram": {"aggregationTemporality": 2, "dataPoints": [data]},
    }
    return to_json({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})


def from_otlp(body: bytes) -> Batch:
    return otlp.from_json_text(
        body, now=NOW, limits=LIMITS, choice=CHOICE, series_memo=SeriesMemo(10_000)
    )


def test_an_exponential_histogram_of_opentelemetry() -> None:
    batch = from_otlp(point())
    assert (batch.rejected, batch.issues) == (0, [])
    buckets = buckets_of(batch)
    # Scale 1: offset 0 is (1, √2], the third is (2, 2√2].
    assert (buckets[0], buckets[1], buckets[2**0.5], buckets[2]) == (2, 2, 6, 6)
    assert (buckets[2**1.5], buckets[16], buckets[inf]) == (12, 12, 12)
    values = {key.name: value for key, value in zip(batch.series, batch.values, strict=True)}
    assert (values["latency_count"], values["latency_sum"]) == (12, 20.5)
    assert {name: found.type.value for name, found in batch.metadata.items()} == {
        "latency_bucket": "histogram",
        "latency_sum": "counter",
        "latency_count": "counter",
    }


def test_negative_values_come_first() -> None:
    buckets = buckets_of(from_otlp(point(negative={"offset": 1, "bucketCounts": ["5"]})))
    # (√2, 2] on the negative side ends at -√2.
    assert (buckets[-2], buckets[-(2**0.5)], buckets[0]) == (0, 5, 7)


@pytest.mark.parametrize("scale", [-12, 21])
def test_an_unknown_scale_is_refused_by_name(scale: int) -> None:
    batch = from_otlp(point(scale=scale))
    assert (batch.accepted, batch.rejected) == (0, 1)
    assert f"latency has the scale {scale}" in batch.issues[0].message


def test_no_recorded_value_ends_the_whole_histogram() -> None:
    batch = from_otlp(point(flags=1))
    assert [key.name for key, _ in batch.stale_markers] == ["latency_count", "latency_sum"]
    assert [marker.name for marker in batch.family_markers] == ["latency_bucket"]


def label(name: bytes, value: bytes) -> bytes:
    return encoded_text(1, encoded_text(1, name) + encoded_text(2, value))


def from_version1(content: bytes) -> Batch:
    return remote_write.decode(
        bytes(cramjam.snappy.compress_raw(content)),
        now=NOW,
        limits=LIMITS,
        inflated=INFLATED,
        series_memo=SeriesMemo(10_000),
    )


def from_version2(content: bytes) -> tuple[Batch, tuple[int, int]]:
    batch, written = remote_write2.decode(
        bytes(cramjam.snappy.compress_raw(content)),
        now=NOW,
        limits=LIMITS,
        inflated=INFLATED,
        series_memo=SeriesMemo(10_000),
    )
    return batch, written.of(batch)


def check_native(batch: Batch) -> None:
    buckets = buckets_of(batch)
    assert (buckets[0], buckets[1], buckets[2**0.5], buckets[2]) == (2, 2, 6, 6)
    assert (buckets[2**1.5], buckets[inf]) == (12, 12)
    assert all(b'"job":"api"' in key.tags for key in batch.series if key.name != "up")
    values = {key.name: value for key, value in zip(batch.series, batch.values, strict=True)}
    assert (values["latency_count"], values["latency_sum"]) == (12, 20.5)


def test_a_native_histogram_of_remote_write_1() -> None:
    series = label(b"__name__", b"latency") + label(b"job", b"api") + encoded_text(4, native(NOW))
    batch = from_version1(encoded_text(1, series))
    assert batch.rejected == 0
    check_native(batch)


def test_remote_write_2_has_samples_histograms_and_metadata() -> None:
    described = encoded_varint(1, 3) + encoded_varint(3, 7) + encoded_varint(4, 6)
    histogram = encoded_text(1, bytes([1, 2, 3, 4])) + encoded_text(3, native(NOW))
    up = encoded_text(1, bytes([1, 5, 3, 4])) + encoded_text(2, sample(NOW, 1.0))
    batch, written = from_version2(request2(histogram + encoded_text(5, described), up))
    assert (batch.rejected, written) == (0, (1, 1))
    check_native(batch)
    found = batch.metadata["latency_bucket"]
    assert (found.type.value, found.unit, found.text) == ("histogram", "s", "Duration.")


def test_remote_write_2_without_histograms_counts_samples() -> None:
    series = (
        encoded_text(1, bytes([1, 5]))
        + encoded_text(2, sample(NOW, 1))
        + encoded_text(2, sample(NOW, 2))
    )
    batch, written = from_version2(request2(series))
    assert (batch.values, written) == ([1, 2], (2, 0))


def test_what_remote_write_2_can_not_store_is_refused_alone() -> None:
    unnamed = encoded_text(1, bytes([3, 4])) + encoded_text(2, sample(NOW, 1.0))
    dangling = encoded_text(1, bytes([1, 99])) + encoded_text(2, sample(NOW, 1.0))
    odd = encoded_text(1, bytes([1])) + encoded_text(2, sample(NOW, 1.0))
    good = encoded_text(1, bytes([1, 5])) + encoded_text(2, sample(NOW, 3.0))
    batch, written = from_version2(request2(unnamed, dangling, odd, good))
    assert (batch.rejected, batch.values, written) == (3, [3.0], (1, 0))
    reasons = " ".join(issue.message for issue in batch.issues)
    assert "has no name" in reasons
    assert "refers to symbol 99 of 8" in reasons


def test_a_stale_native_histogram_ends_whole() -> None:
    series = encoded_text(1, bytes([1, 2])) + encoded_text(3, native(NOW, STALE))
    batch, written = from_version2(request2(series))
    assert sorted(key.name for key, _ in batch.stale_markers) == ["latency_count", "latency_sum"]
    assert [marker.name for marker in batch.family_markers] == ["latency_bucket"]
    assert written == (0, 1)


def test_custom_buckets_keep_their_bounds() -> None:
    span = zigzagged(1, 0) + encoded_varint(2, 3)
    deltas = b"".join(zigzagged(12, delta) for delta in (1, 1, 1))
    bounds = encoded_text(16, pack("<2d", 0.5, 2.5))
    content = encoded_varint(1, 6) + zigzagged(4, -53) + encoded_text(11, span) + deltas
    series = encoded_text(1, bytes([1, 2]))
    series += encoded_text(3, content + bounds + encoded_varint(15, NOW))
    batch, _ = from_version2(request2(series))
    assert buckets_of(batch) == {0.5: 1, 2.5: 3, inf: 6}


def test_as_many_native_histograms_as_prometheus_sends_fit() -> None:
    limits = replace(LIMITS, points=2_000)
    one = encoded_text(1, bytes([1, 2])) + encoded_text(3, native(NOW))
    body = bytes(cramjam.snappy.compress_raw(request2(*[one] * 2_000)))
    more = bytes(cramjam.snappy.compress_raw(request2(*[one] * 2_001)))
    memo = SeriesMemo(10_000)
    batch, written = remote_write2.decode(
        body, now=NOW, limits=limits, inflated=INFLATED, series_memo=memo
    )
    assert (batch.rejected, written.of(batch)) == (0, (0, 2_000))
    with pytest.raises(PayloadTooLarge, match="max_samples_per_send"):
        remote_write2.decode(more, now=NOW, limits=limits, inflated=INFLATED, series_memo=memo)


def test_the_bins_of_datadog_sketches_give_percentiles() -> None:
    values = samples()
    gamma = 1 + 1 / 64
    bins: dict[int, int] = {}
    for value in values:
        key = round(log2(value) / log2(gamma)) + 1338
        bins[key] = bins.get(key, 0) + 1
    histogram = of_sketch([*bins, 0], [*bins.values(), 10])
    found = {**dict(classic(histogram, LIMITS)), inf: len(values) + 10.0}
    for share in (0.5, 0.9, 0.99):
        true = values[ceil(share * (len(values) + 10)) - 11]
        width = 2**0.25 * gamma
        assert true / width <= quantile(share, found) <= true * width
