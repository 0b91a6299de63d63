"""Datadog's columns, without a database."""

import json
from typing import Any

import pytest
from cramjam import zstd
from hypothesis import given
from hypothesis import strategies as st

from bench import bodies
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders.datadog.protobuf import decode_series, decode_sketches
from pulseboard.ingest.decoders.datadog.version3 import decode_version3
from pulseboard.ingest.decoders.series_memo import SeriesMemo
from pulseboard.web.body import inflate_any
from tests.support.datadog_columns import (
    DOUBLES,
    FLOATS,
    INTEGERS,
    SKETCH,
    ZERO,
    Payload,
    deltas,
    packed,
    signed,
)
from tests.support.datadog_messages import field, payload, series, sketch

NOW = 1_800_000_000_000
S = NOW // 1000
LIMITS = BatchLimits(
    points=100, tags=5, errors=100, max_age=6 * 86_400, max_ahead=600, parts=1_000_000
)
WARM = SeriesMemo(1_000_000)


def batch_of(body: bytes) -> Batch:
    return decode_version3(body, now=NOW, limits=LIMITS, series_memo=WARM)


def samples(batch: Batch) -> list[tuple[str, dict[str, str], float, int]]:
    """Name, tags, value and seconds after NOW of each."""
    return [
        (key.name, json.loads(key.tags), value, (time - NOW) // 1000)
        for key, value, time in zip(batch.series, batch.values, batch.times, strict=True)
    ]


def test_as_the_agent_writes_it_byte_by_byte() -> None:
    """Not by our encoder: a gauge of one point, as the format is described."""
    columns = [
        (1, b"\x0asystem.cpu"),
        (2, b"\x08env:prod\x06canary"),
        (3, bytes([4, 2, 2])),  # Two tags: the first, and the one after it.
        (4, b"\x04host\x05web-1"),
        (5, bytes([1])),
        (6, bytes([2])),
        (7, bytes([4])),
        (10, bytes([0x33])),
        *((number, bytes([2])) for number in (11, 12, 13)),
        (14, bytes([10])),
        (15, bytes([1])),
        (16, signed([S])),
        (19, bytes.fromhex("0000000000004540")),
        (23, bytes([0])),
        (24, bytes([0])),
    ]
    body = field(3, b"".join(field(number, column) for number, column in columns))
    tags = {"host": "web-1", "env": "prod", "canary": "true"}
    assert samples(batch_of(body)) == [("system.cpu", tags, 42.0, 0)]


def test_values_stand_where_their_type_says() -> None:
    body = (
        Payload()
        .add("doubles", [(S, 0.1), (S + 10, -0.1)])
        .add("none", [(S, 0), (S, 0)], held=ZERO)
        .add("integers", [(S, -7), (S, 2**40)], held=INTEGERS)
        .add("floats", [(S - 5, 0.5)], held=FLOATS)
        .add("empty", [])
        .add("more", [(S, 3)], held=INTEGERS)
    ).encoded()
    for _ in range(2):  # Not series_memo, and series_memo.
        batch = batch_of(body)
        assert [(name, value, after) for name, _, value, after in samples(batch)] == [
            ("doubles", 0.1, 0),
            ("doubles", -0.1, 10),
            ("none", 0, 0),
            ("none", 0, 0),
            ("integers", -7, 0),
            ("integers", 2**40, 0),
            ("floats", 0.5, -5),
            ("more", 3, 0),
        ]
        assert batch.positions == [0, 0, 1, 1, 2, 2, 3, 5]
        assert batch.rejected == 0


def test_counts_rates_and_units_say_what_they_are() -> None:
    body = (
        Payload()
        .add("bare", [(S, 1)])
        .add("hits", [(S, 7)], kind=1, interval=10, unit="request")
        .add("speed", [(S, 0)], kind=2, interval=15)
        .add("size", [(S, 0)], unit="byte")
        .add("more", [(S, 0)], unit="request")
        .add("other", [(S, 1)], kind=9)
    ).encoded()
    said = batch_of(body).metadata
    assert (said["hits"].type, said["hits"].unit) == (MetricType.GAUGE, "request")
    assert "of each interval of 10 s" in said["hits"].text
    assert "a second, over each interval of 15 s" in said["speed"].text
    assert [said[name].unit for name in ("bare", "speed", "size", "more")] == [
        *("", "", "byte", "request")
    ]
    assert "other" not in said


@pytest.mark.parametrize("held", [DOUBLES, FLOATS, INTEGERS])
def test_sketches_become_the_five_metrics_of_version_2(held: int) -> None:
    points = [(S, 4, 1, 4, 2.5, 10), (S + 10, 2, -1, 1, 0, 0)]
    older = decode_sketches(payload([sketch("took", points, tags=["env:p"])]),
                            now=NOW, limits=LIMITS, series_memo=WARM)  # fmt: skip
    body = (
        Payload()
        .add("a", [(S, 3)], held=INTEGERS)
        .add("took", [(seconds, (count, total, least, most))
                      for seconds, count, least, most, _, total in points],
             kind=SKETCH, held=held, tags=["env:p"])
        .add("b", [(S, 5)], held=held)
    ).encoded()  # fmt: skip
    batch = batch_of(body)
    statistics = [each for each in samples(older) if each[0] != "took.bucket"]
    assert samples(batch)[1:-1] == statistics
    assert [samples(batch)[n][2] for n in (0, -1)] == [3, 5]
    assert batch.metadata["took.count"] == older.metadata["took.count"]


def test_a_sketch_of_zeros_has_only_a_count() -> None:
    body = Payload().add("t", [(S, (3, 0, 0, 0)), (S, (0, 0, 0, 0))], kind=SKETCH, held=ZERO)
    assert batch_of(body.encoded()).values == [3, 0, 0, 0, 0, 0, 0, 0, 0, 0]


def test_what_is_measured_is_the_same_in_both_versions() -> None:
    rows = [(f"m{n % 3}", {"instance": f"web-{n % 5}", "a": str(n % 2)}, NOW, n + 0.5)
            for n in range(30)]  # fmt: skip
    older, newer = (
        decode(inflate_any(body, limit=100_000), now=NOW, limits=LIMITS, series_memo=WARM)
        for decode, body in (
            (decode_series, bodies.datadog_series(rows)),
            (decode_version3, bodies.datadog_columns(rows)),
        )
    )
    assert samples(newer) == samples(older)
    assert newer.accepted == 30


def test_sets_of_tags_hold_earlier_sets() -> None:
    """As the Agent writes what all series of a host share once."""
    body = Payload().add("a", [(S, 1)], tags=["x:1", "y:2", "z:3"]).add("b", [(S, 1)], tags=["q:1"])
    sets = [2, *deltas([1, 2]), 2, *deltas([-1, 3]), 0, 2, *deltas([-3, -2])]
    batch = batch_of(body.encoded(_3=signed(sets), _12=signed(deltas([2, 4]))))
    shared = {"host": "web-1", "x": "1", "y": "2", "z": "3"}
    assert [tags for _, tags, _, _ in samples(batch)] == [shared, shared]


def test_what_is_said_of_all_series() -> None:
    body = (
        Payload(tags=["env:p", "x:1"], resources=["host", "of-all", "device", "sda", "odd"])
        .add("a", [(S, 1)], tags=["x:1"])
        .add("b", [(S, 1)], host="", tags=["env:other"])
    )
    assert [tags for _, tags, _, _ in samples(batch_of(body.encoded()))] == [
        {"host": "web-1", "device": "sda", "env": "p", "x": "1"},
        {"host": "of-all", "device": "sda", "env": "other,p", "x": "1"},
    ]
    with pytest.raises(PayloadTooLarge):
        batch_of(Payload(tags=[f"t{n}" for n in range(50)]).encoded())
    with pytest.raises(PayloadTooLarge):
        batch_of(Payload(tags=["x" * 70_000]).encoded())


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"metric": ""}, "no metric"),
        ({"metric": b"\xff\xfe"}, "UTF-8"),
        ({"tags": [b"a:\xff"]}, "UTF-8"),
        ({"metric": "x" * 201}, "201 characters"),
        ({"tags": [f"t{n}:x" for n in range(6)]}, "7 tags"),
        ({"tags": [f"t:{n}" for n in range(30)]}, "too many tags"),
        ({"tags": ["a:" + "x" * 1025]}, "1025 characters"),
        ({"tags": ["a:" + "x" * 70_000]}, "bytes; 65536 are allowed"),
        ({"resources": [("r", str(n)) for n in range(30)]}, "too many tags"),
        ({"points": [(S, float("nan"))]}, "not finite"),
        ({"points": [(NOW, 1)]}, "more than 600 seconds ahead"),
        ({"points": [(-(2**62), 1)]}, "older"),
        ({"points": [(S - 7 * 86_400, 1)]}, "older"),
    ],
)
def test_a_bad_series_is_named_and_the_others_are_stored(bad: dict[str, Any], says: str) -> None:
    body = Payload().add("a", [(S, 1)]).add(**{"metric": "bad", "points": [(S, 2)], **bad})
    batch = batch_of(body.add("b", [(S, 3)]).encoded())
    assert [(name, value) for name, _, value, _ in samples(batch)] == [("a", 1), ("b", 3)]
    assert [(issue.index, says in issue.message) for issue in batch.issues] == [(1, True)]


@pytest.mark.parametrize("column", [11, 12, 13])
@pytest.mark.parametrize("ref", [-1, 3, 2**62])
def test_a_series_that_refers_to_what_is_not_there_is_refused_alone(column: int, ref: int) -> None:
    body = Payload().add("a", [(S, 1)], tags=["x:1"]).add("b", [(S, 2)]).add("c", [(S, 3)])
    refs = signed(deltas([1, ref + (ref == 3), 1]))
    batch = batch_of(body.encoded(**{f"_{column}": refs}))
    assert batch.values == [1, 3]
    assert "not in the body" in batch.issues[0].message


@pytest.mark.parametrize(
    "changed",
    [
        {"_11": b""},
        {"_12": b""},
        {"_13": signed([1])},
        {"_14": b""},
        {"_15": packed([1])},
        {"_15": packed([1, 2])},
        {"_16": signed([S])},
        {"_19": b""},
        {"_19": b"\0" * 15},
        {"_10": packed([0x43, 0x33])},
        {"_10": packed([0x13, 0x33])},
        {"_10": packed([0x34, 0x33])},
        {"_10": b"\xff"},
        {"_10": b"\xff" * 11},
        {"_1": b"\x09ab"},
        {"_2": b"\x80"},
        {"_3": signed([3, 1])},
        {"_3": signed([-1, 1])},
        {"_5": packed([2])},
        {"_5": packed([-1])},
    ],
)
def test_columns_that_do_not_fit_are_refused_whole(changed: dict[str, bytes]) -> None:
    body = Payload().add("a", [(S, 1)], tags=["x:1"]).add("b", [(S, 2)])
    with pytest.raises(InvalidRequest, match="version 3"):
        batch_of(body.encoded(**changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"_26": b""},
        {"_26": signed([-5])},
        {"_26": signed([9])},
        {"_14": packed([-1])},
        {"_16": signed([S, 1, 1])},
        {"_19": b"\0" * 24},
    ],
)
def test_what_only_describes_or_is_left_over_is_no_reason_to_refuse(
    changed: dict[str, bytes],
) -> None:
    assert batch_of(Payload().add("a", [(S, 1)], unit="byte").encoded(**changed)).accepted == 1


def test_version_2_says_that_it_is() -> None:
    with pytest.raises(InvalidRequest, match="version 2"):
        batch_of(payload([series("a", [(S, 1)])]))
    with pytest.raises(InvalidRequest):
        batch_of(b'{"series": []}')
    with pytest.raises(InvalidRequest, match="not packed"):
        batch_of(field(3, field(10, 0x33)))


def test_nothing_is_nothing() -> None:
    assert batch_of(b"").accepted == batch_of(field(3, b"")).accepted == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"_15": packed([2**63])},
        {"_10": packed([0x33] * 101)},
        {"_1": b"\0" * 102},
        {"_2": b"\0" * 2000},
        {"_3": signed([0] * 2000)},
        {"_16": signed([0] * 101)},
        {"_18": b"\0" * 4 * 301},
        # Each set holds the one before it four times.
        {"_3": signed([24, 1, *([0] * 23), *([1, -1] * 60)])},
    ],
)
def test_too_much_is_too_large(changed: dict[str, bytes]) -> None:
    body = Payload().add("a", [(S, 1)], tags=["x:1"])
    with pytest.raises(PayloadTooLarge):
        batch_of(body.encoded(**changed))


def test_names_count_as_if_each_series_wrote_them_out() -> None:
    """A small body would make a large batch otherwise."""
    many = BatchLimits(
        points=1_000, tags=30, errors=100, max_age=86_400, max_ahead=600, parts=1_000_000
    )
    body, tags = Payload(), [f"t{n}:{'x' * 1_000}" for n in range(30)]
    for number in range(600):
        body.add(f"m{number}", [(S, 1)], tags=tags)
    encoded = body.encoded()
    assert len(encoded) < 100_000
    with pytest.raises(PayloadTooLarge, match="names and tags"):
        decode_version3(encoded, now=NOW, limits=many, series_memo=SeriesMemo(1_000_000))


@pytest.mark.parametrize("body", [field(3, field(30, b"") * 1_001), field(9, b"") * 1_002])
def test_columns_come_in_few_pieces(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="pieces"):
        batch_of(body)


def test_a_column_may_come_in_pieces() -> None:
    columns = Payload().add("a", [(S, 1), (S - 1, 2)], tags=["x:1"]).columns()
    times = [field(16, signed([timestamp])) for timestamp in (S, -1)]
    rest = b"".join(field(number, one) for number, one in columns.items() if number != 16)
    assert [
        after for *_, after in samples(batch_of(field(3, times[0] + rest) + field(3, times[1])))
    ] == [0, -1]


def test_sets_that_double_themselves_cost_nothing() -> None:
    body = Payload().add("a", [(S, 1)], tags=["x:1"])
    doubling = [one for n in range(1, 60) for one in (2, *deltas([-n, -n]))]
    batch = batch_of(body.encoded(_3=signed([1, 1, *doubling]), _12=signed([60])))
    assert "too many tags" in batch.issues[0].message
    empty = [one for n in range(1, 60) for one in (2, *deltas([-n, -n]))]
    assert batch_of(body.encoded(_3=signed([0, *empty]), _12=signed([60]))).accepted == 1


def test_each_column_may_be_compressed_by_itself() -> None:
    """So does the Agent: frame after frame, also of the fields' own heads."""
    body = Payload().add("a", [(S, 1)], tags=["x:1"]).encoded()
    frames = b"".join(bytes(zstd.compress(body[n : n + 7])) for n in range(0, len(body), 7))
    assert inflate_any(frames, limit=len(body)) == body
    with pytest.raises(PayloadTooLarge):
        inflate_any(frames, limit=len(body) - 1)


_names = st.from_regex(r"[a-z][a-z.]{0,6}", fullmatch=True)
_tag_values = st.text(st.characters(min_codepoint=33, max_codepoint=500, exclude_categories=["Cc"]),
                      min_size=1, max_size=6)  # fmt: skip
_tags = st.lists(st.tuples(_names, _tag_values).map(":".join), max_size=4, unique=True)
_held = {
    ZERO: st.just(0),
    INTEGERS: st.integers(-(2**53), 2**53),
    FLOATS: st.floats(width=32, allow_nan=False, allow_infinity=False),
    DOUBLES: st.floats(allow_nan=False, allow_infinity=False),
}


@st.composite
def _series(draw: st.DrawFn) -> dict[str, Any]:
    held = draw(st.sampled_from(list(_held)))
    return {
        "metric": draw(_names),
        "points": draw(st.lists(st.tuples(st.integers(S - 1000, S), _held[held]), max_size=4)),
        "held": held,
        "kind": draw(st.integers(0, 3)),
        "host": draw(st.sampled_from(["", "web-1", "web-2"])),
        "tags": draw(_tags),
        "unit": draw(st.sampled_from(["", "byte", "request"])),
        "interval": draw(st.integers(0, 60)),
    }


@given(st.lists(_series(), max_size=6))
def test_versions_2_and_3_say_the_same(written: list[dict[str, Any]]) -> None:
    created = Payload()
    for one in written:
        created.add(**one)
    older = payload(series(**{k: v for k, v in one.items() if k != "held"}) for one in written)
    known = SeriesMemo(1_000_000)
    before = decode_series(older, now=NOW, limits=LIMITS, series_memo=known)
    after = decode_version3(created.encoded(), now=NOW, limits=LIMITS, series_memo=known)
    assert samples(after) == samples(before)
    assert after.metadata == before.metadata
    assert (after.positions, after.rejected) == (before.positions, before.rejected)
