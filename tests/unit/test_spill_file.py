"""The format of a spilled batch, and the gate that decides whether to try the database."""

import json
from struct import pack, unpack_from
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulseboard.catalogue.series_key import MetricMetadata, SeriesKey
from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.retry_gate import RetryGate
from pulseboard.ingest.batch import Batch, FamilyMarker
from pulseboard.ingest.spill_file import (
    SpilledBatch,
    Unreadable,
    arrival_time,
    decode,
    encode,
    file_name,
)
from tests.support.decoders import decode_checked, decoders

_KEYS = st.builds(
    SeriesKey.of,
    st.from_regex(r"[a-z_:][a-z0-9_:.]{0,20}", fullmatch=True),
    st.dictionaries(st.sampled_from(["host", "region", "path"]), st.text(max_size=20), max_size=3),
)
_TIMES = st.integers(0, 2**42)
_SAMPLES = st.tuples(_KEYS, _TIMES, st.floats(allow_nan=False, allow_infinity=False))


@st.composite
def _spilled(draw: st.DrawFn) -> SpilledBatch:
    samples = draw(st.lists(_SAMPLES, max_size=30))
    batch = Batch(
        series=[key for key, _, _ in samples],
        times=[time for _, time, _ in samples],
        values=[value for _, _, value in samples],
        stale_markers=draw(st.lists(st.tuples(_KEYS, _TIMES), max_size=5)),
        family_markers=draw(
            st.lists(st.builds(FamilyMarker, st.text(), st.just(b'{"a":"b"}'), st.text(), _TIMES))
        ),
        metadata=draw(
            st.dictionaries(
                st.text(max_size=9),
                st.builds(MetricMetadata, st.sampled_from(MetricType), st.text(max_size=5)),
                max_size=3,
            )
        ),
    )
    return SpilledBatch(batch, draw(st.none() | st.uuids()), draw(_TIMES))


@settings(max_examples=40)
@given(_spilled())
def test_what_is_read_is_what_was_written(spilled: SpilledBatch) -> None:
    read = decode(encode(spilled))
    assert (read.key_id, read.arrived) == (spilled.key_id, spilled.arrived)
    was, now = spilled.batch, read.batch
    assert [key.identity for key in now.series] == [key.identity for key in was.series]
    assert (now.times, now.values) == (was.times, was.values)
    assert [(key.identity, t) for key, t in now.stale_markers] == [
        (key.identity, t) for key, t in was.stale_markers
    ]
    assert now.metadata == was.metadata
    assert now.family_markers == was.family_markers


def _one(value: float = 1.0) -> SpilledBatch:
    key = SeriesKey.of("cpu", {"host": "a"})
    return SpilledBatch(
        Batch(series=[key], times=[5], values=[value]), UUID(int=9), 1_700_000_000_000
    )


@given(st.data())
def test_damage_is_noticed_wherever_it_is(data: st.DataObject) -> None:
    whole = encode(_one())
    offset = data.draw(st.integers(0, len(whole) - 1))
    cut = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[offset] ^= data.draw(st.integers(1, 255))
    for wrong in (bytes(damaged), whole[:cut]):
        with pytest.raises(Unreadable):
            decode(wrong)


@given(st.binary(max_size=200))
def test_what_is_no_batch_is_unreadable(noise: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(noise)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=6,
)


@given(
    st.sampled_from(["key", "arrived", "before", "samples", "ends", "series", "descriptions"]),
    _JSON,
)
def test_a_sealed_file_of_another_shape_is_read_or_unreadable(name: str, other: object) -> None:
    """As another version may write one: it must not stop the drain."""
    (_, seed) = decoders()["spilled"].seeds
    (size,) = unpack_from("<I", seed)
    head = {**json.loads(seed[4 : 4 + size]), name: other}
    created = json.dumps(head).encode()
    decode_checked(decoders()["spilled"], pack("<I", len(created)) + created + seed[4 + size :])


def test_names_sort_by_arrival_and_differ_between_batches() -> None:
    one, other = encode(_one(1)), encode(_one(2))
    early, late = file_name(one, arrived=999), file_name(one, arrived=1_700_000_000_000)
    assert early < late
    assert arrival_time(early) == 999
    assert early == file_name(one, arrived=999) != file_name(other, arrived=999)
    for foreign in (f"{early}.reason.txt", f".{early}", "notes.txt", "", "x-y.pbspill"):
        assert arrival_time(foreign) is None


def test_a_repeated_series_is_stored_once() -> None:
    key = SeriesKey.of("cpu", {"host": "a" * 100})
    few, many = (
        encode(SpilledBatch(Batch([key] * n, list(range(n)), [0.0] * n), UUID(int=0), 0))
        for n in (10, 1000)
    )
    assert len(many) < 20 * len(few)


def test_a_gate_lets_one_try_after_each_pause() -> None:
    gate = RetryGate(2.0)
    assert gate.allows(0.0)
    gate.failed(1.0)
    assert [gate.allows(at) for at in (1.0, 2.9, 3.0, 3.1, 4.9, 5.0)] == [
        False, False, True, False, False, True
    ]  # fmt: skip
    gate.succeeded()
    assert gate.allows(5.1)
    assert repr(gate) == "<RetryGate open>"
