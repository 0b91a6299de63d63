"""The report of an import: what happened to each part of the file."""

from typing import Literal

from pulseboard.contracts.dashboards import ImportNote


class ImportReport:
    """Collects notes in the order of the file."""

    def __init__(self) -> None:
        self.notes: list[ImportNote] = []

    def imported(self, location: str, message: str) -> None:
        """A part was imported unchanged."""
        self._add("taken", location, message)

    def changed(self, location: str, message: str) -> None:
        """A part was imported in another form."""
        self._add("changed", location, message)

    def dropped(self, location: str, message: str) -> None:
        """A part was left out."""
        self._add("dropped", location, message)

    def _add(
        self, outcome: Literal["taken", "changed", "dropped"], location: str, message: str
    ) -> None:
        self.notes.append(ImportNote(outcome=outcome, place=location, message=message))
