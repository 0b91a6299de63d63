"""Which late samples of a batch are marked."""

from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.ingest import late_marks
from pulseboard.ingest.batch import Batch

NOW = 1_769_860_800
"""Seconds since 1970."""


def test_late_samples_are_marked_by_metric_and_time_bucket() -> None:
    cpu, load = SeriesKey.of("cpu", {}), SeriesKey.of("load", {})
    times = [NOW * 1000, (NOW - 1200) * 1000, (NOW - 1230) * 1000]
    batch = Batch(series=[cpu, load, cpu], times=times, values=[1.0] * 3)
    assert late_marks.time_buckets(batch, before=(NOW - 2000) * 1000) == {}
    found = late_marks.time_buckets(batch, before=(NOW - 70) * 1000)
    bucket = NOW // late_marks.BUCKET_SECONDS
    assert found == {
        "load": {bucket - 2},
        "cpu": {bucket - 3},
        late_marks.ANY_METRIC: {bucket - 2, bucket - 3},
    }


def test_a_late_stale_marker_is_marked_too() -> None:
    """It ends values that were cached."""
    cpu, load = SeriesKey.of("cpu", {}), SeriesKey.of("load", {})
    batch = Batch(series=[load], times=[NOW * 1000], values=[1.0])
    batch.stale_markers = [(cpu, (NOW - 1200) * 1000), (load, NOW * 1000)]
    bucket = NOW // late_marks.BUCKET_SECONDS
    assert late_marks.time_buckets(batch, before=(NOW - 70) * 1000) == {
        "cpu": {bucket - 2},
        late_marks.ANY_METRIC: {bucket - 2},
    }
