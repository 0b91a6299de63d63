"""The report of an import: what happened to each part of the file, grouped by reason."""

import re
from collections import Counter
from typing import Literal

from pulseboard.contracts.dashboards import ImportNote

_QUOTED = re.compile(r'"[^"]*+"')
_WORST_FIRST = ("dropped", "changed", "taken")


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

    def sorted(self) -> list[ImportNote]:
        """The notes: what was dropped first, and what happened most often first among these."""
        often = Counter((note.outcome, note.reason) for note in self.notes)
        return sorted(
            self.notes,
            key=lambda note: (
                _WORST_FIRST.index(note.outcome),
                -often[note.outcome, note.reason],
                note.reason,
            ),
        )

    def _add(
        self, outcome: Literal["taken", "changed", "dropped"], location: str, message: str
    ) -> None:
        # Notes of one kind differ in what they quote or name behind the colon.
        reason = _QUOTED.sub("…", message).split(":")[0][:200]
        if outcome == "taken":
            reason = "imported"
        self.notes.append(
            ImportNote(outcome=outcome, place=location, message=message, reason=reason)
        )
