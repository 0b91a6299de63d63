"""collectd's JSON, without a database."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.contracts.vocabulary import MetricType
from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.ingest.batch import Batch, BatchLimits
from pulseboard.ingest.decoders.collectd import decode
from pulseboard.ingest.decoders.series_memo import SeriesMemo

NOW = 1_800_000_000_000
LIMITS = BatchLimits(
    points=100, tags=5, errors=100, max_age=6 * 86_400, max_ahead=600, parts=1_000_000
)
WARM = SeriesMemo(1_000_000)
OCTETS: dict[str, Any] = {
    "host": "web-1", "plugin": "interface", "plugin_instance": "eth0", "type": "if_octets",
    "type_instance": "", "time": NOW / 1000 + 0.25, "interval": 10.0, "dsnames": ["rx", "tx"],
    "dstypes": ["derive", "derive"], "values": [1, 2.5], "meta": {"network:received": True},
}  # fmt: skip


def batch_of(body: Any) -> Batch:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode(raw, now=NOW, limits=LIMITS, series_memo=WARM)


def test_each_data_source_is_a_sample() -> None:
    for _ in range(2):  # Not series_memo, and series_memo.
        batch = batch_of([OCTETS])
        assert [key.name for key in batch.series] == [
            "interface_if_octets_rx",
            "interface_if_octets_tx",
        ]
        assert {key.tags for key in batch.series} == {b'{"host":"web-1","plugin_instance":"eth0"}'}
        assert (batch.values, batch.times) == ([1, 2.5], [NOW + 250] * 2)
        assert batch.metadata["interface_if_octets_rx"].type is MetricType.COUNTER


@pytest.mark.parametrize(
    ("plugin", "kind", "source", "name"),
    [
        ("load", "load", "shortterm", "load_shortterm"),
        ("cpu", "cpu", "value", "cpu"),
        ("df", "df_complex", "value", "df_df_complex"),
        ("curl-json", "a.b", "value", "curl-json_a.b"),
    ],
)
def test_names_without_repetition(plugin: str, kind: str, source: str, name: str) -> None:
    one = {"plugin": plugin, "type": kind, "dsnames": [source], "dstypes": ["gauge"], "values": [1]}
    batch = batch_of([{**OCTETS, **one, "type_instance": "idle"}])
    assert batch.series[0].name == name
    assert b'"type_instance":"idle"' in batch.series[0].tags
    assert batch.metadata[name].type is MetricType.GAUGE


def test_nan_is_left_out() -> None:
    batch = batch_of([{**OCTETS, "values": [None, 2]}])
    assert (batch.values, batch.skipped, batch.rejected) == ([2], 1, 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"values": [1]}, "as many values"),
        ({"values": 3}, "arrays"),
        ({"values": [1, "2"]}, "finite numbers"),
        ({"values": [1, True]}, "finite numbers"),
        ({"values": [1, float("inf")]}, "finite numbers"),
        ({"values": [1, 10**400]}, "finite numbers"),
        ({"dsnames": ["rx", 3]}, "texts as dsnames"),
        ({"plugin": ""}, "no plugin"),
        ({"type": 3}, "texts as host"),
        ({"time": None}, "no time"),
        ({"time": 1e306}, "no time"),
        ({"time": 1}, "older"),
        ({"time": NOW}, "ahead"),
        ({"host": "x" * 1025}, "1025 characters"),
        ({"plugin": "x" * 200}, "characters"),
    ],
)
def test_a_bad_value_list_is_named_and_the_others_are_stored(
    change: dict[str, Any], says: str
) -> None:
    batch = batch_of([OCTETS, {**OCTETS, **change}, 3, OCTETS])
    assert (batch.accepted, batch.rejected) == (4, 2)
    assert [issue.index for issue in batch.issues] == [1, 2]
    assert says in batch.issues[0].message
    assert batch.positions == [0, 0, 3, 3]


def test_bodies_that_are_none() -> None:
    for body in (b"", b"{}", b"[", b"3"):
        with pytest.raises(InvalidRequest):
            batch_of(body)
    with pytest.raises(PayloadTooLarge, match="BufferSize"):
        batch_of([OCTETS] * 51)
    assert batch_of([]).accepted == 0


_json = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
                     lambda inner: st.lists(inner, max_size=3), max_leaves=6)  # fmt: skip


@given(st.dictionaries(st.sampled_from(sorted(OCTETS)), _json))
def test_any_json_is_decoded_or_refused(change: dict[str, Any]) -> None:
    batch = batch_of([{**OCTETS, **change}])
    assert len(batch.series) == len(batch.times) == len(batch.values) == len(batch.positions)
