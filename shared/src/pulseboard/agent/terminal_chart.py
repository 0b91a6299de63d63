"""A line chart for terminals, drawn with braille characters of two by four dots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from rich.text import Text

DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Of a braille character, by column and row: https://www.unicode.org/charts/PDF/U2800.pdf"""
_BRAILLE = 0x2800
_STEPS = (60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_AXIS = "bright_black"
Values = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis: evenly spaced ticks from `low` to `high`."""

    low: float
    high: float
    step: float

    @property
    def ticks(self) -> list[float]:
        """The values at which lines and labels are drawn."""
        count = round((self.high - self.low) / self.step)
        return [self.low + number * self.step for number in range(count + 1)]


def scale(low: float, high: float, *, most: int) -> Scale:
    """Round numbers around `low` to `high`, at most `most` ticks (two at least)."""
    if not high > low:
        room = abs(low) / 2 or 1.0
        low, high = low - room, high + room
    elif 0 < low < high / 2:
        # Start at zero when the line is not far above it.
        low = 0.0
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 2.5, 5, 10, 20, 25, 50):
        step = factor * power
        bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
        if round((top - bottom) / step) + 1 <= max(2, most):
            break
    return Scale(bottom, top, step)


def short(value: float) -> str:
    """A number in few characters: 1.5k, 20M, 0.002."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{unit}"
    return f"{value:.4g}" if abs(value) > 1e-12 else "0"


def draw(
    times: Sequence[int],
    lines: Sequence[tuple[str, Values]],
    *,
    width: int,
    height: int,
    zone: tzinfo | None,
) -> Text | None:
    """Lines, each with its colour, over their times (ms since 1970) in `width` × `height`
    characters, axes included; None with fewer than two times or no values.
    """
    every = [value for _, values in lines for value in values if value is not None]
    if len(times) < 2 or not every:
        return None
    rows = max(3, height - 2)
    axis = scale(min(every), max(every), most=max(2, rows // 3 + 1))
    labels = _labels(axis, rows)
    margin = max(map(len, labels.values())) + 1
    columns = max(10, width - margin - 1)
    dots, colours = _plot(lines, len(times), axis, rows, columns)
    chart = Text(no_wrap=True, overflow="crop")
    for row in range(rows):
        label = labels.get(row, "")
        chart.append(f"{label:>{margin}}", _AXIS)
        chart.append("┤" if label else "│", _AXIS)
        for column in range(columns):
            mask = dots[row][column]
            if mask:
                chart.append(chr(_BRAILLE + mask), colours[row][column])
            else:
                chart.append("┈" if label else " ", "bright_black dim")
        chart.append("\n")
    ruler, names = _times(times, columns, zone)
    chart.append(" " * margin + "└" + ruler + "\n", _AXIS)
    chart.append(" " * (margin + 1) + names, _AXIS)
    return chart


def _labels(axis: Scale, rows: int) -> dict[int, str]:
    """The labels by row, counted from the top."""
    return {
        round((axis.high - tick) / (axis.high - axis.low) * (rows - 1)): short(tick)
        for tick in axis.ticks
    }


def _plot(
    lines: Sequence[tuple[str, Values]], count: int, axis: Scale, rows: int, columns: int
) -> tuple[list[list[int]], list[list[str]]]:
    dots = [[0] * columns for _ in range(rows)]
    colours = [[""] * columns for _ in range(rows)]
    across, down = columns * 2 - 1, rows * 4 - 4

    def put(x: int, y: int, colour: str) -> None:
        # Ticks are in the middle of their rows: the outer dots stay empty.
        y += 2
        dots[y // 4][x // 2] |= DOTS[x % 2][y % 4]
        colours[y // 4][x // 2] = colour

    # The first line is drawn last, on top.
    for colour, values in reversed(lines):
        before: tuple[int, int] | None = None
        for index, value in enumerate(values):
            if value is None:
                before = None
                continue
            x = round(index / (count - 1) * across)
            y = round((axis.high - value) / (axis.high - axis.low) * down)
            for point in _between(before or (x, y), (x, y)):
                put(*point, colour)
            before = (x, y)
    return dots, colours


def _between(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    (x0, y0), (x1, y1) = start, end
    steps = max(abs(x1 - x0), abs(y1 - y0), 1)
    return [
        (round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps))
        for step in range(steps + 1)
    ]


def _times(times: Sequence[int], columns: int, zone: tzinfo | None) -> tuple[str, str]:
    """The ruler under the chart and the times on it."""
    first, last = times[0] / 1000, times[-1] / 1000
    length = last - first
    room = max(2, columns // 14)
    step = next((each for each in _STEPS if length / each <= room), 0)
    if not step:
        step = math.ceil(length / room / 86_400) * 86_400
    if length < 120:
        step = max(1, math.ceil(length / room / 5) * 5)
    shape = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86_400 else "%d %b"
    offset = datetime.fromtimestamp(first, zone).astimezone(zone).utcoffset()
    shift = offset.total_seconds() if offset else 0.0
    ruler, names = ["─"] * columns, [" "] * columns
    tick = math.ceil((first + shift) / step) * step - shift
    label_end = -2
    while tick <= last:
        column = min(columns - 1, round((tick - first) / length * (columns - 1)))
        ruler[column] = "┴"
        time = datetime.fromtimestamp(tick, zone)
        midnight = step < 86_400 and time.hour == time.minute == time.second == 0
        name = time.strftime("%d %b" if midnight else shape)
        begin = max(0, min(columns - len(name), column - len(name) // 2))
        if begin > label_end + 1:
            names[begin : begin + len(name)] = name
            label_end = begin + len(name)
        tick += step
    return "".join(ruler), "".join(names).rstrip()
