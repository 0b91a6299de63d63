"""Which kept points a late sample touches."""

from array import array
from datetime import UTC, datetime

import pytest

from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.ingest import late_marks
from pulseboard.ingest.batch import Batch
from pulseboard.query.plan import Plan, plan
from pulseboard.query.result_cache import invalidation
from pulseboard.query.result_cache.extents import Segment

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
DAY = 86_400


def planned(query: str, step: str = "10s") -> Plan:
    params = QueryParams.model_validate(
        {"query": query, "start": (AT - 3600) * 1000, "end": AT * 1000, "step": step}
    )
    retention = dict.fromkeys(Tier, 30 * DAY)
    return plan(params, now=NOW, retention=retention, longest=DAY)


def part(plan: Plan, first: int, last: int, *, born: float) -> Segment:
    """Points from `first` to `last` seconds before now."""
    span = range((AT - first) // plan.step, (AT - last) // plan.step)
    return Segment(span, {"a": array("d", [1.0]) * len(span)}, born)


def test_a_batch_in_time_is_not_noted_and_a_late_one_by_metric_and_stretch() -> None:
    cpu, load = SeriesKey.of("cpu", {}), SeriesKey.of("load", {})
    times = [AT * 1000, (AT - 1200) * 1000, (AT - 1230) * 1000]
    batch = Batch(series=[cpu, load, cpu], times=times, values=[1.0] * 3)
    assert late_marks.stretches(batch, before=(AT - 2000) * 1000) == {}
    found = late_marks.stretches(batch, before=(AT - 70) * 1000)
    stretch = AT // late_marks.BUCKET
    assert found == {
        "load": {stretch - 2},
        "cpu": {stretch - 3},
        late_marks.ANY: {stretch - 2, stretch - 3},
    }


@pytest.mark.parametrize(
    ("query", "noted", "touched"),
    [
        ("cpu", "cpu", True),
        ("cpu", "load", False),
        ("rate(cpu[5m])", "cpu", True),
        ('{__name__=~"c.+"}', late_marks.ANY, True),
        ("cpu / load", "load", True),
    ],
)
def test_a_part_is_touched_by_its_own_metrics(query: str, noted: str, touched: bool) -> None:
    made = planned(query)
    kept = {1: part(made, 1800, 1200, born=AT - 100.0)}
    marks = {noted: {(AT - 1500) // late_marks.BUCKET: AT - 50.0}}
    good = invalidation.still_good(kept, plan=made, marks=marks, settled=0, young=AT)
    assert (good == {}) is touched


@pytest.mark.parametrize(
    ("born", "settled", "touched"),
    [(-100, 0, True), (-20, 0, False), (-20, 180, True)],
)
def test_a_part_read_after_the_sample_was_there_is_good(
    born: int, settled: int, touched: bool
) -> None:
    made = planned("cpu")
    kept = {1: part(made, 1800, 1200, born=AT + born)}
    marks = {"cpu": {(AT - 1500) // late_marks.BUCKET: AT - 50.0}}
    good = invalidation.still_good(kept, plan=made, marks=marks, settled=settled, young=AT)
    assert (good == {}) is touched


def test_a_part_that_was_just_read_for_another_is_good() -> None:
    made = planned("cpu")
    kept = {1: part(made, 1800, 1200, born=AT - 1.0)}
    marks = {"cpu": {(AT - 1500) // late_marks.BUCKET: float(AT)}}
    assert invalidation.still_good(kept, plan=made, marks=marks, settled=0, young=AT - 10) == kept


def test_a_window_reaches_back_and_a_stretch_elsewhere_touches_nothing() -> None:
    marks = {"cpu": {(AT - 7200) // late_marks.BUCKET: float(AT)}}
    for query, touched in (("cpu", False), ("max_over_time(cpu[3h])", True)):
        made = planned(query)
        kept = {1: part(made, 1800, 1200, born=AT - 100.0)}
        assert (
            invalidation.still_good(kept, plan=made, marks=marks, settled=0, young=AT) == {}
        ) is touched
