"""Datadog's series and sketches, without a database."""

import json
import zlib
from gzip import compress as gzip
from typing import Any

import pytest
from cramjam import zstd
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders import events
from pulseboard.ingest.decoders.datadog.json_series import decode_json
from pulseboard.ingest.decoders.datadog.protobuf import decode_series, decode_sketches
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from pulseboard.web.body import inflate_any
from tests.support.datadog_messages import field, payload, series, sketch

NOW = 1_800_000_000_000
S = NOW // 1000
LIMITS = BatchLimits(
    points=100, tags=5, errors=100, max_age=6 * 86_400, max_ahead=600, parts=1_000_000
)
WARM = SeriesMemo(1_000_000)


def from_json(body: Any) -> Batch:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode_json(raw, now=NOW, limits=LIMITS, series_memo=WARM)


def from_wire(*all_series: bytes) -> Batch:
    return decode_series(payload(all_series), now=NOW, limits=LIMITS, series_memo=WARM)


def samples(batch: Batch) -> list[tuple[str, dict[str, str], float, int]]:
    """Name, tags, value and seconds after NOW of each."""
    return [
        (key.name, json.loads(key.tags), value, (time - NOW) // 1000)
        for key, value, time in zip(batch.series, batch.values, batch.times, strict=True)
    ]


V1 = {
    "metric": "system.load.1",
    "points": [[S, 0.5], [S + 10, 1]],
    "type": "gauge",
    "host": "web-1",
    "tags": ["env:prod", "url:http://x", "canary"],
}
V2 = {
    "metric": "system.load.1",
    "points": [{"timestamp": S, "value": 0.5}, {"timestamp": S + 10, "value": 1}],
    "type": 3,
    "resources": [{"type": "host", "name": "web-1"}],
    "tags": ["env:prod", "url:http://x", "canary"],
}
TAGS = {"host": "web-1", "env": "prod", "url": "http://x", "canary": "true"}


def test_three_forms_are_the_same() -> None:
    wire = series("system.load.1", [(S, 0.5), (S + 10, 1)], tags=V1["tags"])  # type: ignore[arg-type]
    expected = [("system.load.1", TAGS, 0.5, 0), ("system.load.1", TAGS, 1, 10)]
    for _ in range(2):  # Not series_memo, and series_memo.
        for batch in (from_json({"series": [V1]}), from_json({"series": [V2]}), from_wire(wire)):
            assert samples(batch) == expected
            assert (batch.rejected, batch.positions) == (0, [0, 0])
            assert batch.metadata["system.load.1"].type is MetricType.GAUGE


def test_tags_of_all_kinds() -> None:
    one = {"metric": "a", "points": [[S, 1]], "device": "sda",
           "tags": ["x:1", "x:2", "", "empty:", "a-b:c"]}  # fmt: skip
    [(_, tags, _, _)] = samples(from_json({"series": [one]}))
    assert tags == {"device": "sda", "x": "1,2", "a-b": "c"}
    [(_, tags, _, _)] = samples(from_json({"series": [{**one, "tags": None, "host": None}]}))
    assert tags == {"device": "sda"}


def test_counts_and_rates_say_what_they_are() -> None:
    wire = from_wire(
        series("hits", [(S, 7)], kind=1, interval=10, unit="request"),
        series("speed", [(S, 0)], kind=2, interval=15),
        series("other", [(S, 1)], kind=9),
    )
    hit = {"metric": "hits", "points": [[S, 7]], "type": "count", "interval": 10, "unit": "request"}
    speed = {"metric": "speed", "points": [[S, 0]], "type": "rate", "interval": 15}
    named = from_json(
        {"series": [hit, speed, {"metric": "other", "points": [[S, 1]], "type": "strange"}]}
    )
    assert wire.values == named.values == [7, 0, 1]
    assert wire.metadata == named.metadata
    hits = wire.metadata["hits"]
    assert (hits.type, hits.unit) == (MetricType.GAUGE, "request")
    assert "of each interval of 10 s" in hits.text
    assert "do not use rate()" in hits.text
    assert "a second, over each interval of 15 s" in wire.metadata["speed"].text
    assert "other" not in wire.metadata


def test_distributions_become_five_metrics_and_a_sketch_buckets_too() -> None:
    statistics = [("count", 4), ("sum", 10.0), ("min", 1.0), ("max", 4.0), ("avg", 2.5)]
    expected = [(f"took.{name}", {"host": "web-1", "env": "p"}, value, 0)
                for name, value in statistics]  # fmt: skip
    body = payload([sketch("took", [(S, 4, 1, 4, 2.5, 10)], tags=["env:p"])])
    for _ in range(2):
        batch = decode_sketches(body, now=NOW, limits=LIMITS, series_memo=WARM)
        found = samples(batch)
        buckets = [sample for sample in found if sample[0] == "took.bucket"]
        assert [sample for sample in found if sample not in buckets] == expected
        assert buckets[-1][1] == {"host": "web-1", "env": "p", "le": "+Inf"}
        assert buckets[-1][2] == 4
        assert "do not use rate()" in batch.metadata["took.count"].text
    one = {"metric": "took", "host": "web-1", "tags": ["env:p"], "points": [[S, [4, 1, 2, 3]]]}
    assert samples(from_json({"series": [one]})) == expected
    mixed = {**one, "points": [[S, [1]], [S, []], [S, ["x"]], [S, [float("nan")]], [S, 3]]}
    batch = from_json({"series": [mixed]})
    assert (len(batch.values), batch.rejected) == (6, 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"metric": None}, "has no metric"),
        ({"metric": ""}, "has no metric"),
        ({"metric": "x" * 201}, "201 characters"),
        ({"points": None}, "no array of points"),
        ({"points": [[S]]}, "no number"),
        ({"points": [[S, "1"]]}, "no number"),
        ({"points": [[S, True]]}, "no number"),
        ({"points": [[None, 1]]}, "no number"),
        ({"points": [[S, float("nan")]]}, "not finite"),
        ({"points": [[float("inf"), 1]]}, "not finite"),
        ({"points": [[S, 10**400]]}, "not finite"),
        ({"points": [[1e306, 1]]}, "not finite"),
        ({"points": [[NOW, 1]]}, "(seconds) that is more than 600 seconds ahead"),
        ({"points": [[S - 7 * 86_400, 1]]}, "older"),
        ({"tags": "env:prod"}, "array of texts"),
        ({"tags": [1]}, "array of texts"),
        ({"tags": [f"t{n}:x" for n in range(6)]}, "7 tags"),
        ({"tags": ["a:" + "x" * 1025]}, "1025 characters"),
        ({"tags": ["a:x\0y"]}, "holds a NUL"),
    ],
)
def test_a_bad_series_is_named_and_the_others_are_stored(change: dict[str, Any], says: str) -> None:
    bad = {**V1, "points": [[S, 1]], **change}
    batch = from_json({"series": [{**V1, "points": [[S, 1]]}, bad, 3, V2]})
    assert (batch.accepted, batch.rejected) == (3, 2)
    assert [issue.index for issue in batch.issues] == [1, 2]
    assert says in batch.issues[0].message
    assert batch.positions == [0, 3, 3]


@pytest.mark.parametrize("odd", [{"resources": 5}, {"resources": [5, {"type": 1}]}, {"host": 3},
                                 {"interval": 10**400}, {"interval": "x"}, {"unit": 3},
                                 {"type": []}, {"type": True}])  # fmt: skip
def test_what_only_describes_is_no_reason_to_refuse(odd: dict[str, Any]) -> None:
    assert from_json({"series": [{**V2, **odd}]}).accepted == 2


@pytest.mark.parametrize("body", [{}, {"series": []}, {"series": None}])
def test_the_agents_probe_is_empty(body: Any) -> None:
    assert from_json(body).accepted == 0
    assert from_wire().accepted == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"3", b"{", b'{"series": 3}'])
def test_no_series_says_why(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        from_json(body)


def test_a_series_that_is_no_text_is_refused_alone() -> None:
    broken = field(2, b"\xff\xfe") + field(4, field(1, 1.0) + field(2, S))
    batch = from_wire(series("a", [(S, 1)]), broken, b"", series("b", [(S, 2)]))
    assert [name for name, *_ in samples(batch)] == ["a", "b"]
    assert "UTF-8" in batch.issues[0].message
    assert "no metric" in batch.issues[1].message


def test_too_much_is_too_large() -> None:
    many = [(S + n, 1.0) for n in range(101)]
    with pytest.raises(PayloadTooLarge):
        from_wire(series("a", many))
    with pytest.raises(PayloadTooLarge):
        from_wire(*[series("a", [(S, 1)])] * 101)
    with pytest.raises(PayloadTooLarge):
        from_json({"series": [{**V1, "points": many}]})
    with pytest.raises(PayloadTooLarge):
        from_json(b'{"series":[' + b"[[]]," * 100_000 + b"1]}")
    with pytest.raises(PayloadTooLarge):
        from_wire(field(3, ["x"] * 2000))


def test_compressions_are_detected_by_content_and_bounded() -> None:
    plain = json.dumps({"series": [V1]}).encode()
    for packed in (gzip(plain), zlib.compress(plain), bytes(zstd.compress(plain)), plain):
        assert inflate_any(packed, limit=len(plain)) == plain
        with pytest.raises(PayloadTooLarge):
            inflate_any(packed, limit=len(plain) - 1)
        if packed is not plain:
            with pytest.raises(InvalidRequest):
                inflate_any(packed[:-3], limit=10_000)


_names = st.from_regex(r"[a-z][a-z.]{0,6}", fullmatch=True)
_finite = st.floats(allow_nan=False, allow_infinity=False)
_tag_values = st.text(st.characters(min_codepoint=33, max_codepoint=500, exclude_categories=["Cc"]),
                      min_size=1, max_size=6)  # fmt: skip


_tags = st.dictionaries(_names.filter(lambda key: key != "host"), _tag_values, max_size=4)
_points = st.lists(st.tuples(st.integers(S - 1000, S), _finite), max_size=4)


@given(st.lists(st.tuples(_names, _tags, _points), max_size=6))
def test_what_was_written_is_read(
    written: list[tuple[str, dict[str, str], list[tuple[int, float]]]],
) -> None:
    batch = from_wire(
        *(series(name, points, tags=[f"{key}:{value}" for key, value in tags.items()])
          for name, tags, points in written)
    )  # fmt: skip
    assert batch.rejected == 0
    assert samples(batch) == [
        (name, {"host": "web-1", **tags}, value, seconds - S)
        for name, tags, points in written
        for seconds, value in points
    ]


def _settled(decode: Any, body: bytes) -> None:
    try:
        batch = decode(body, now=NOW, limits=LIMITS, series_memo=WARM)
    except (InvalidRequest, PayloadTooLarge):
        return
    assert len(batch.series) == len(batch.times) == len(batch.values) == len(batch.positions)


_GOOD = payload([series("a", [(S, 1), (S, 2)], tags=["x:y"], kind=1, interval=10)])
_SKETCHED = payload([sketch("a", [(S, 1, 1, 1, 1, 1)], tags=["x:y"])])


@given(st.binary(max_size=100), st.integers(0, 150), st.integers(0, 5))
def test_any_bytes_are_decoded_or_refused(junk: bytes, at: int, cut: int) -> None:
    for decode in (decode_series, decode_sketches, decode_json):
        for good in (b"", _GOOD, _SKETCHED, json.dumps({"series": [V1, V2]}).encode()):
            _settled(decode, good[:at] + junk + good[at + cut :])


_json = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
                     lambda inner: st.lists(inner, max_size=3), max_leaves=6)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["metric", "points", "type", "host", "tags", "resources",
                                        "interval", "unit", "device"]), _json))  # fmt: skip
def test_any_json_is_decoded_or_refused(change: dict[str, Any]) -> None:
    _settled(decode_json, json.dumps({"series": [{**V1, **change}]}).encode())


def test_a_number_written_as_several_loses_only_its_series() -> None:
    bad = field(2, "a") + field(4, field(2, S) + field(2, b"\x01\x02"))
    good = field(2, "b") + field(4, field(2, S))
    batch = from_wire(bad, good)
    assert (batch.accepted, batch.rejected) == (1, 1)
    assert "wire type 2" in batch.issues[0].message


@pytest.mark.parametrize("tags", ["", 0, {}])
def test_tags_that_are_no_array_are_refused(tags: Any) -> None:
    good = {"metric": "good", "points": [[S, 7]], "host": None, "tags": None, "resources": None}
    batch = from_json({"series": [{"metric": "m", "points": [[S, 1]], "tags": tags}, good]})
    assert [name for name, *_ in samples(batch)] == ["good"]
    assert [issue.message for issue in batch.issues] == ['"m" must have an array of texts as tags']


def test_a_body_without_series_says_so() -> None:
    with pytest.raises(InvalidRequest, match='has "serie" and no `series`'):
        from_json({"serie": [{"metric": "m", "points": [[S, 1]]}]})
    with pytest.raises(InvalidRequest, match="must be an array"):
        from_json({"series": ""})
    assert from_json({}).accepted == 0
    assert from_json({"series": None}).accepted == 0


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_fields_of_another_type_refuse_their_series_alone(number: int) -> None:
    bad = series("m", [(S, 1.0)]) + field(number, 5)
    batch = from_wire(bad, series("good", [(S, 7.0)]))
    assert [name for name, *_ in samples(batch)] == ["good"]
    assert f"its field {number} is a number" in batch.issues[0].message


def test_events_are_made_of_texts_numbers_and_flags() -> None:
    body = {"title": "t", "host": "h", "priority": 5, "tags": ["a:b", True], "alert_type": None}
    event = events.parse(json.dumps(body).encode(), limits=LIMITS)
    assert event.tags == {"host": "h", "priority": "5", "a": "b", "true": "true"}
    for bad, field_name in (
        ({"host": ["h"]}, "host"),
        ({"tags": [{"a": 1}]}, "tags.0"),
        ({"tags": {"a": []}}, "tags.a"),
        ({"source_type_name": {}}, "source_type_name"),
    ):
        with pytest.raises(InvalidRequest, match=f"`{field_name}` must be text"):
            events.parse(json.dumps({"title": "t", "host": "h", **bad}).encode(), limits=LIMITS)
