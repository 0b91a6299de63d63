"""How much work one request may make of its decoder."""

from pulseboard.core.exceptions import PayloadTooLarge


class PartsBudget:
    """The parts that may still be read of one request: fields, lines, values, known or not.

    Readers in a hot loop lower `left` themselves and raise `spent()` below zero. `points` of them
    may be what a schema marks as points.
    """

    __slots__ = ("_most", "_most_points", "left", "points_left")

    def __init__(self, most: int, points: int = 0) -> None:
        self._most = self.left = most
        self._most_points = self.points_left = points

    def __repr__(self) -> str:
        return f"<PartsBudget {self.left} of {self._most}>"

    def spend(self, parts: int) -> None:
        """Count parts before they are read. Raises PayloadTooLarge beyond the budget."""
        self.left -= parts
        if self.left < 0:
            raise self.spent()

    def spend_point(self) -> None:
        """Count a point. Raises PayloadTooLarge beyond the budget."""
        self.points_left -= 1
        if self.points_left < 0:
            raise PayloadTooLarge(
                f"The body holds more than the {self._most_points} samples that fit in one "
                "request: send smaller batches."
            )

    def spent(self) -> PayloadTooLarge:
        """The error for a request with more parts."""
        return PayloadTooLarge(
            f"The body has more than the {self._most} parts (fields, lines and values) that are "
            "accepted at once: send less at a time, or raise PULSEBOARD_INGEST_MAX_PARTS."
        )
