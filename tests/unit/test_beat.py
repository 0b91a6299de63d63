"""The beat's times: its own expressions in JSONata, evaluated for each half second of a start."""

from datetime import UTC, datetime
from typing import Any

import jsonata
import pytest

from infra.stacks.loop import TICK_MS, definition

MARK = 1_800_000_000_000
BEGIN = definition(evaluate="e", notify="n", partition="aws")["States"]["Begin"]["Assign"]


def _value(name: str, start: int) -> int:
    expression = (
        str(BEGIN[name]).removeprefix("{% ").removesuffix(" %}").replace("$states", "states")
    )
    at = datetime.fromtimestamp(start / 1000, UTC).isoformat(timespec="milliseconds")
    context: dict[str, Any] = {
        "states": {"context": {"Execution": {"StartTime": at.replace("+00:00", "Z")}}}
    }
    return int(jsonata.Jsonata(expression).evaluate(context))


def _marks(start: int) -> list[int]:
    first = _value("first", start)
    return [first + n * TICK_MS for n in range(_value("ticks", start))]


@pytest.mark.parametrize("phase", range(0, 10_000, 500))
def test_no_tick_is_late_and_none_is_nobodys(phase: int) -> None:
    """Whenever in a minute EventBridge starts it, and up to two seconds earlier or later."""
    marks = _marks(MARK + phase)
    assert MARK + phase - marks[0] < 2_000
    assert marks[0] - (MARK + phase) <= TICK_MS
    for jitter in (-1_999, -1_000, -1, 0, 1, 1_000, 1_999):
        following = _marks(MARK + phase + 60_000 + jitter)
        assert following[0] - marks[-1] <= TICK_MS, (phase, jitter)
    assert marks[-1] - (MARK + phase) <= 70_000, "it ends before the run after the next"
