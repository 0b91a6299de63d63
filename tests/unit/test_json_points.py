"""From bytes to samples, without a database."""

import gzip
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.agent import host, run
from pulseboard.agent.host_metadata import UNITS_AND_TEXTS
from pulseboard.catalogue.series_key import MetricMetadata, RecentIds, canonical_tags, identity
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders.json_points import parse
from pulseboard.web.body import inflate

NOW = 1_800_000_000_000
LIMITS = BatchLimits(
    points=100, tags=5, errors=10, max_age=6 * 86_400, max_ahead=600, parts=1_000_000
)
GOOD = {"name": "cpu", "value": 1.5, "tags": {"host": "a"}, "timestamp": NOW}


def batch_of(body: Any, limits: BatchLimits = LIMITS) -> Batch:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse(raw, now=NOW, limits=limits)


@pytest.mark.parametrize("body", [GOOD, [GOOD], {"points": [GOOD]}])
def test_the_three_shapes_mean_the_same(body: Any) -> None:
    batch = batch_of(body)
    [key] = batch.series
    assert key.identity == identity("cpu", b'{"host":"a"}')
    assert (batch.accepted, batch.rejected) == (1, 0)
    assert (batch.times, batch.values) == ([NOW], [1.5])


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"value": "12"}, "value", "must be a number"),
        ({"value": True}, "value", "must be a number"),
        ({"value": None}, "value", "must be a number"),
        ({"name": "no spaces"}, "name", "must begin with a letter"),
        ({"name": "x" * 201}, "name", "at most 200"),
        ({"tags": {"__name__": "x"}}, "tags.__name__", "reserved"),
        ({"tags": {"a-b": "x"}}, "tags.a-b", "a tag key"),
        ({"tags": {"a": "x\0y"}}, "tags.a", "control"),
        ({"tags": {"a": 1}}, "tags.a", "must be text"),
        ({"tags": {"a": "x" * 1025}}, "tags.a", "at most 1024"),
        ({"tags": {f"t{i}": "x" for i in range(6)}}, "tags", "at most 5"),
        ({"tags": []}, "tags", "must be an object"),
        ({"timestamp": 1.5}, "timestamp", "whole milliseconds"),
        ({"timestamp": -1}, "timestamp", "greater than 0"),
        ({"timestamp": NOW // 1000}, "timestamp", "not seconds"),
        ({"timestamp": NOW + 601_000}, "timestamp", "ahead"),
        ({"timestamp": 10**40}, "timestamp", "ahead"),
        ({"colour": "red"}, "colour", "no such field"),
        ({"type": "speed"}, "type", "gauge, counter"),
        ({"unit": "x" * 101}, "unit", "at most 100"),
        ({"description": 1}, "description", "must be text"),
        ({"description": "a\0b"}, "description", "NUL"),
    ],
)
def test_a_bad_point_is_named_and_the_valid_ones_are_stored(
    change: dict[str, Any], field: str, says: str
) -> None:
    batch = batch_of([GOOD, {**GOOD, **change}])
    assert (batch.accepted, batch.rejected) == (1, 1)
    [issue] = batch.issues
    assert (issue.index, issue.field) == (1, field)
    assert says in issue.message
    with pytest.raises(InvalidRequest) as refused:
        batch_of([{**GOOD, **change}])
    assert refused.value.details
    assert refused.value.details[0].field == f"points.0.{field}"


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_values_that_are_not_finite_are_refused_by_position(literal: bytes) -> None:
    batch = batch_of(b'[{"name":"a","value":1},{"name":"a","value":' + literal + b"}]")
    assert [(issue.index, issue.field) for issue in batch.issues] == [(1, "value")]
    assert "finite" in batch.issues[0].message


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"[]", "no point"),
        (b'{"points":[]}', "no point"),
        (b'{"points":3}', "array"),
        (b'{"points":[],"more":1}', "more"),
        (b"3", "must be a point"),
        (b'[{"name":\n oops}]', "line 2 column 2"),
        (b'[{"name":"\\ud800","value":1}]', "must be UTF-8"),
        (b"[" * 900 + b"]" * 900, "not valid JSON"),
        (b"[1]", "points.0: must be an object"),
        (b"\xff\xfe", "not valid JSON"),
    ],
)
def test_a_body_without_points_says_why(body: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says.replace(".", r"\.")):
        batch_of(body)


def test_too_many_points_and_too_much_structure_are_too_large() -> None:
    with pytest.raises(PayloadTooLarge, match="at most 100"):
        batch_of([GOOD] * 101)
    with pytest.raises(PayloadTooLarge, match="structure"):
        batch_of(b"[" + b"[[]]," * 100_000 + b"1]")
    commas = [{**GOOD, "tags": {"t": ",[{" * 300}}] * 100
    assert batch_of(commas).accepted == 100


def test_arrival_is_the_default_time_and_one_series_has_one_key() -> None:
    batch = batch_of([GOOD, {**GOOD, "value": 7}, {"name": "cpu", "value": 2}])
    assert (batch.times, batch.values) == ([NOW] * 3, [1.5, 7.0, 2.0])
    assert len(batch.series_by_identity()) == 2
    assert batch.accepted == 3


def test_tags_have_one_form_and_empty_ones_are_absent() -> None:
    assert canonical_tags({"b": "2", "a": "1", "c": ""}) == b'{"a":"1","b":"2"}'
    assert identity("a", b"{}") != identity("b", b"{}")


@given(
    st.lists(
        st.one_of(
            st.fixed_dictionaries(
                {
                    "name": st.from_regex(r"\A[a-z_:][a-z0-9_:.]{0,8}\Z"),
                    "value": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
                },
                optional={
                    "tags": st.dictionaries(
                        st.from_regex(r"\A[a-z][a-z0-9_.]{0,4}\Z"),
                        st.text(
                            st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]),
                            max_size=9,
                        ),
                        max_size=5,
                    ),
                    "timestamp": st.none() | st.integers(NOW - 1000, NOW),
                },
            ).map(lambda point: (True, point)),
            st.sampled_from(
                [None, 3, "x", {}, {"name": "a"}, {"name": "", "value": 1}, [GOOD]]
            ).map(lambda junk: (False, junk)),
        ),
        min_size=1,
        max_size=10,
    )
)
def test_valid_points_are_all_stored_and_invalid_ones_all_named(
    mixed: list[tuple[bool, Any]],
) -> None:
    points = [point for _, point in mixed]
    bad = {index for index, (good, _) in enumerate(mixed) if not good}
    wide = BatchLimits(
        points=100, tags=5, errors=1000, max_age=86_400, max_ahead=600, parts=1_000_000
    )
    if len(bad) == len(mixed):
        with pytest.raises(InvalidRequest):
            batch_of(points, wide)
        return
    batch = batch_of({"points": points}, wide)
    assert (batch.accepted, batch.rejected) == (len(mixed) - len(bad), len(bad))
    assert {issue.index for issue in batch.issues} == bad


@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(body: bytes) -> None:
    try:
        batch_of(inflate(body, limit=1000))
    except (InvalidRequest, PayloadTooLarge):
        return


def test_gzip_is_detected_by_content_and_bounded() -> None:
    packed = gzip.compress(b"x" * 1000)
    assert inflate(packed, limit=1000) == b"x" * 1000
    assert inflate(packed + gzip.compress(b"y"), limit=1001) == b"x" * 1000 + b"y"
    assert inflate(b"[]", limit=10) == b"[]"
    with pytest.raises(PayloadTooLarge):
        inflate(packed, limit=999)
    with pytest.raises(InvalidRequest, match="complete"):
        inflate(packed[:-9], limit=1000)
    with pytest.raises(InvalidRequest, match="broken"):
        inflate(packed + b"junk", limit=2000)


def test_the_map_of_ids_is_bounded_and_keeps_what_is_used() -> None:
    ids = RecentIds(100)
    keys = [b"%d" % number for number in range(1000)]
    for number, key in enumerate(keys):
        ids.put({key: number})
        assert ids.find({keys[0]: None}) == {keys[0]: 0}
    assert len(ids) <= 100
    ids.invalidate({keys[0]})
    assert ids.find({keys[0]: None}) == {}


def test_points_may_say_what_their_metric_is() -> None:
    metadata = {"type": "counter", "unit": "By", "description": "Bytes sent."}
    batch = batch_of(
        [GOOD, {**GOOD, **metadata}, {**GOOD, "unit": None}, {**GOOD, "name": "plain"}]
    )
    assert batch.metadata == {"cpu": MetricMetadata(MetricType.COUNTER, "By", "Bytes sent.")}
    [more] = batch_of({**GOOD, "unit": "s"}).metadata.values()
    assert more == MetricMetadata(unit="s")


def test_the_agent_says_it_once_a_metric_and_batch() -> None:
    points, before = host.collect(None, tags={"host": "here"}, now=NOW / 1000)
    body = run.encode([*points, *points])
    listed = json.loads(body)["points"]
    with_unit = [point["name"] for point in listed if "unit" in point]
    assert sorted(with_unit) == sorted({point.name for point in points})
    batch = batch_of(body, replace(LIMITS, points=1000))
    assert batch.rejected == 0
    assert batch.metadata["memory_used_bytes"].unit == "By"
    assert all(each.type == MetricType.GAUGE and each.text for each in batch.metadata.values())
    # The metrics that need two readings are described too.
    rates = {name for name, _, _ in host.rates(before, replace(host.read(), at=before.at + 5))}
    assert rates <= UNITS_AND_TEXTS.keys()
