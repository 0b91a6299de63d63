"""Charts in the terminal: axes with round numbers, dots where the values are."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulseboard.agent import terminal_chart

START = 1_700_000_000_000


def rows(*lines: list[float | None], width: int = 60, height: int = 12) -> list[str]:
    times = [START + number * 60_000 for number in range(len(lines[0]))]
    drawn = terminal_chart.draw(
        times, [("cyan", line) for line in lines], width=width, height=height, zone=UTC
    )
    assert drawn is not None
    return drawn.plain.split("\n")


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (3, 97, [0, 20, 40, 60, 80, 100]),
        (0.01, 0.04, [0, 0.01, 0.02, 0.03, 0.04]),
        (5, 5, [2, 4, 6, 8]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
    ],
)
def test_ticks_are_round_numbers(low: float, high: float, ticks: list[float]) -> None:
    assert terminal_chart.scale(low, high, most=6).ticks == pytest.approx(ticks)


@given(
    st.floats(-1e15, 1e15, allow_subnormal=False),
    st.floats(-1e15, 1e15, allow_subnormal=False),
    st.integers(2, 9),
)
def test_the_axis_holds_the_values_and_few_ticks(one: float, other: float, most: int) -> None:
    low, high = min(one, other), max(one, other)
    axis = terminal_chart.scale(low, high, most=most)
    room = abs(axis.step) * 1e-6
    assert axis.low <= low + room
    assert axis.high >= high - room
    assert 2 <= len(axis.ticks) <= max(3, most)


def test_every_row_keeps_to_the_width_and_times_stand_under_the_ruler() -> None:
    drawn = rows([float(number) for number in range(60)], width=60)
    assert max(map(len, drawn)) <= 60
    assert len(drawn) == 12
    assert "22:15" in drawn[-1]
    assert drawn[-2].lstrip()[0] == "└"


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right_and_gaps_are_empty() -> None:
    drawn = rows([0.0, 1.0, 2.0, None, None, None, 6.0, 7.0, 8.0])
    dots = [[0x2800 < ord(each) < 0x2900 for each in row] for row in drawn[:-2]]
    drawn_rows = [row for row in dots if True in row]
    assert drawn_rows[0].index(True) > drawn_rows[-1].index(True)
    middle = [any(row[column] for row in dots) for column in range(len(drawn[0]))]
    assert False in middle[middle.index(True) : len(middle) - middle[::-1].index(True)]


def test_one_time_or_no_values_are_no_chart() -> None:
    nothing = [("cyan", [None, None])]
    assert terminal_chart.draw([0, 1], nothing, width=60, height=9, zone=UTC) is None
    assert terminal_chart.draw([0], [("cyan", [1.0])], width=60, height=9, zone=UTC) is None


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1500, "1.5k"), (2e7, "20M"), (0.002, "0.002"), (-3e9, "-3G")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert terminal_chart.short(value) == text
