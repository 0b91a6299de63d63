"""Spliced answers are the cold ones, whatever was asked before."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from pulseboard.catalogue import series_key
from pulseboard.query.result_cache import extents
from pulseboard.query.result_cache.extents import Segment

NAN = float("nan")


def read(span: range, moment: int, lines: int) -> Segment:
    """What the database holds at `moment`: points change until then, and not after."""
    known = {}
    for line in range(lines):
        values = array("d", (value(line, point, moment) for point in span))
        if extents.has_values(values):
            known[series_key.line_key("cpu", {"host": str(line)})] = values
    return Segment(span, known, float(moment))


def value(line: int, point: int, moment: int) -> float:
    if (point // 7 + line) % 3 == 0:
        return NAN
    settled = point < moment
    return float(point * 10 + line) if settled else float(point * 10 + line) + moment / 1000


def same(one: dict[str, "array[float]"], other: dict[str, "array[float]"]) -> bool:
    return {key: values.tobytes() for key, values in one.items()} == {
        key: values.tobytes() for key, values in other.items()
    }


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(1, 200), st.integers(0, 30)),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 4),
)
def test_spliced_is_cold(questions: list[tuple[int, int, int]], lines: int) -> None:
    chunks: dict[int, Segment] = {}
    moment = 0
    for start, count, later in questions:
        moment = max(moment, start + count // 2) + later
        wanted = range(start, start + count)
        known = [chunks[n] for n in extents.chunk_numbers(wanted) if n in chunks]
        fresh = [read(hole, moment, lines) for hole in extents.missing(wanted, known)]
        spliced = extents.assemble(wanted, [*known, *fresh])
        cold = extents.assemble(wanted, [read(wanted, moment, lines)])
        assert same(spliced, cold)
        for segment in fresh:
            chunks |= extents.to_keep(segment, closed=moment, kept=chunks)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=6))
def test_missing_and_known_make_the_whole(spans: list[tuple[int, int]]) -> None:
    wanted = range(10, 40)
    known = [Segment(range(start, start + length)) for start, length in spans]
    holes = extents.missing(wanted, known)
    covered = {point for each in known for point in each.span} & set(wanted)
    assert {point for hole in holes for point in hole} == set(wanted) - covered


def test_line_keys_are_read_back() -> None:
    tags = {"b": 'quote " and ü', "a": ""}
    assert series_key.labels_of(series_key.line_key("cpu", tags)) == ("cpu", tags)
    reordered = dict(reversed(tags.items()))
    assert series_key.line_key("cpu", tags) == series_key.line_key("cpu", reordered)


def test_a_gap_in_a_newer_segment_hides_the_older_value() -> None:
    old = Segment(range(3), {"a": array("d", [1.0, 2.0, 3.0])}, 5.0)
    new = Segment(range(1, 3), {"b": array("d", [8.0, 9.0])}, 7.0)
    joined = extents.union(old, new)
    assert joined.born == 5.0
    assert [v == v for v in joined.lines["a"]] == [True, False, False]
