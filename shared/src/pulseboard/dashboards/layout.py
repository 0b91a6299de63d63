"""Positions of panels on the grid: checks of a whole layout, and a free position for a panel."""

from collections.abc import Collection, Sequence
from uuid import UUID

from pulseboard.contracts.dashboards import PanelLayout, Position
from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest


def check(layout: Sequence[PanelLayout], *, panels: Collection[UUID]) -> None:
    """A layout names each of the board's panels once and lets none cover another.

    Raises InvalidRequest that names each item.
    """
    details: list[ErrorDetail] = []
    seen: set[UUID] = set()
    for index, item in enumerate(layout):
        if item.i in seen:
            details.append(_detail(index, "this panel is listed twice"))
        elif item.i not in panels:
            details.append(_detail(index, "this panel is not on the dashboard"))
        seen.add(item.i)
    details += [
        ErrorDetail(field="layout", message=f"panel {missing} has no position")
        for missing in sorted(set(panels) - seen, key=str)
    ]
    if not details:
        details = [
            _detail(second, f"covers the panel of layout.{first}")
            for second in range(len(layout))
            for first in range(second)
            if overlap(layout[first], layout[second])
        ]
    if details:
        raise InvalidRequest("This layout can't be used.", details=details[:100])


def overlap(one: Position, other: Position) -> bool:
    """Whether two rectangles share a cell."""
    return (
        one.x < other.x + other.w
        and other.x < one.x + one.w
        and one.y < other.y + other.h
        and other.y < one.y + one.h
    )


def below(occupied: Sequence[Position], wanted: Position) -> Position:
    """`wanted` itself when it is free, else the same size in a new row under everything."""
    if not any(overlap(item, wanted) for item in occupied):
        return wanted
    bottom = max(item.y + item.h for item in occupied)
    return wanted.model_copy(update={"y": bottom})


def apart(wanted: Sequence[Position]) -> list[Position]:
    """The places in their order; one that an earlier one covers stands below all before it."""
    placed: list[Position] = []
    for place in wanted:
        placed.append(below(placed, place))
    return placed


def under(occupied: Sequence[Position], wanted: Position) -> Position:
    """`wanted` right under those of `occupied` that share its columns; at the top without any."""
    bottoms = [
        other.y + other.h
        for other in occupied
        if wanted.x < other.x + other.w and other.x < wanted.x + wanted.w
    ]
    return wanted.model_copy(update={"y": max(bottoms, default=0)})


def _detail(index: int, message: str) -> ErrorDetail:
    return ErrorDetail(field=f"layout.{index}", message=message)
