"""What became of each part of an imported file."""

from typing import Literal

from pulseboard.contracts.dashboards import ImportNote


class Report:
    """Collects notes in the order of the file."""

    def __init__(self) -> None:
        self.notes: list[ImportNote] = []

    def taken(self, place: str, message: str) -> None:
        """Something was taken as it was."""
        self._add("taken", place, message)

    def changed(self, place: str, message: str) -> None:
        """Something was taken in another form."""
        self._add("changed", place, message)

    def dropped(self, place: str, message: str) -> None:
        """Something was left out."""
        self._add("dropped", place, message)

    def _add(
        self, outcome: Literal["taken", "changed", "dropped"], place: str, message: str
    ) -> None:
        self.notes.append(ImportNote(outcome=outcome, place=place, message=message))
