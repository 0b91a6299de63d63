"""What all decoders have in common: bytes become a batch within limits, or an error."""

import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.core.exceptions import InvalidRequest, PayloadTooLarge
from pulseboard.web.body import inflate_any
from tests.support.decoders import decode_checked, decoders

ROOT = Path(__file__).parents[2]
DECODERS = decoders()


@pytest.mark.parametrize("name", DECODERS)
def test_seeds_of_fuzzing_are_decoded(name: str) -> None:
    for seed in DECODERS[name].seeds:
        batch = decode_checked(DECODERS[name], seed)
        assert batch is not None
    assert batch is not None
    assert batch.accepted > 0


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.data())
def test_any_bytes_are_decoded_or_refused(name: str, data: st.DataObject) -> None:
    decoder = DECODERS[name]
    body = bytearray(data.draw(st.sampled_from([b"", *decoder.seeds])))
    for _ in range(data.draw(st.integers(0, 5))):
        offset = data.draw(st.integers(0, len(body)))
        body[offset : offset + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=6))
    decode_checked(decoder, bytes(body))


@given(
    st.sampled_from([b"", b"\x28\xb5\x2f\xfd", b"\x1f\x8b\x08", b"\x78\x9c", b"\x78\x01"]),
    st.binary(max_size=60),
)
def test_any_bytes_are_inflated_or_refused_cleanly(head: bytes, rest: bytes) -> None:
    with suppress(InvalidRequest, PayloadTooLarge):
        assert len(inflate_any(head + rest, limit=1000)) <= 1000


def test_make_fuzz_knows_each_decoder() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = re.search(r"^FUZZED = (.*)$", makefile, re.MULTILINE)
    assert named
    assert set(named[1].split()) == set(DECODERS)
