"""Merged results equal those that are read whole, whatever was queried before."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from pulseboard.catalogue import series_key
from pulseboard.query.result_cache import extents
from pulseboard.query.result_cache.extents import Extent

NAN = float("nan")


def read(span: range, now: int, lines: int) -> Extent:
    """What the database holds at `now`: the points before are settled, the others are mutable."""
    known = {}
    for line in range(lines):
        values = array("d", (value(line, point, now) for point in span))
        if extents.has_values(values):
            known[series_key.line_key("cpu", {"host": str(line)})] = values
    return Extent(span, known, float(now))


def value(line: int, point: int, now: int) -> float:
    if (point // 7 + line) % 3 == 0:
        return NAN
    settled = point < now
    return float(point * 10 + line) if settled else float(point * 10 + line) + now / 1000


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
def test_merged_equals_read_whole(queries: list[tuple[int, int, int]], lines: int) -> None:
    chunks: dict[int, Extent] = {}
    now = 0
    for start, count, later in queries:
        now = max(now, start + count // 2) + later
        wanted = range(start, start + count)
        known = [chunks[n] for n in extents.chunk_numbers(wanted) if n in chunks]
        fresh = [read(gap, now, lines) for gap in extents.find_gaps(wanted, known)]
        merged = extents.merge(wanted, [*known, *fresh])
        whole = extents.merge(wanted, [read(wanted, now, lines)])
        assert same(merged, whole)
        for extent in fresh:
            chunks |= extents.settled_chunks(extent, first_mutable=now, cached=chunks)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), max_size=6))
def test_gaps_and_extents_cover_the_whole_span(spans: list[tuple[int, int]]) -> None:
    wanted = range(10, 40)
    known = [Extent(range(start, start + length)) for start, length in spans]
    gaps = extents.find_gaps(wanted, known)
    covered = {point for each in known for point in each.span} & set(wanted)
    assert {point for gap in gaps for point in gap} == set(wanted) - covered


def test_line_keys_are_decoded() -> None:
    tags = {"b": 'quote " and ü', "a": ""}
    assert series_key.labels_of(series_key.line_key("cpu", tags)) == ("cpu", tags)
    reordered = dict(reversed(tags.items()))
    assert series_key.line_key("cpu", tags) == series_key.line_key("cpu", reordered)


def test_a_missing_value_in_a_newer_extent_hides_the_older_value() -> None:
    old = Extent(range(3), {"a": array("d", [1.0, 2.0, 3.0])}, 5.0)
    new = Extent(range(1, 3), {"b": array("d", [8.0, 9.0])}, 7.0)
    both = extents.union(old, new)
    assert both.read_at == 5.0
    assert [v == v for v in both.lines["a"]] == [True, False, False]


def test_what_was_noted_of_points_stays_with_them() -> None:
    old = Extent(range(3), {"a": array("d", [1.0, 2.0, 3.0])}, 5.0, notes=("one", "both"))
    new = Extent(range(2, 5), {"a": array("d", [4.0, 5.0, 6.0])}, 6.0, notes=("both", "two"))
    assert extents.union(old, new).notes == ("one", "both", "two")
    assert old.cut(range(1, 2)).notes == ("one", "both")
