"""Places of panels: whatever is asked for, no panel covers another."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from pulseboard.contracts.dashboards import Position
from pulseboard.dashboards.layout import apart, overlap

places = st.integers(1, 12).flatmap(
    lambda w: st.builds(
        Position,
        x=st.integers(0, 12 - w),
        y=st.integers(0, 20),
        w=st.just(w),
        h=st.integers(1, 8),
    )
)


@settings(max_examples=40)
@given(st.lists(places, max_size=8))
def test_places_are_taken_apart_and_free_ones_stay(wanted: list[Position]) -> None:
    placed = apart(wanted)
    assert not [pair for pair in combinations(placed, 2) if overlap(*pair)]
    assert [(at.x, at.w, at.h) for at in placed] == [(at.x, at.w, at.h) for at in wanted]
    if not any(overlap(*pair) for pair in combinations(wanted, 2)):
        assert placed == wanted
