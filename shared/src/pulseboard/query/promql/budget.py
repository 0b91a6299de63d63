"""What one query may use, checked while it is evaluated."""

from time import monotonic

from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest


class Budget:
    """How many samples a query may read, how many values it may hold at once, how many bytes of
    labels it may make, and for how many seconds it may run, from now on.

    Its methods raise InvalidRequest for what exceeds it.
    """

    def __init__(self, *, samples: int, values: int, label_bytes: int, seconds: float) -> None:
        self._samples = samples
        self._values = values
        self._label_bytes = label_bytes
        self._seconds = seconds
        self._deadline = monotonic() + seconds
        self._samples_read = 0.0
        self._labels_made = 0
        self.held = 0
        """Values that are held now."""

    def __repr__(self) -> str:
        return f"<Budget {self.left():.1f} of {self._seconds:.3g} s, {self._samples_read:.0f} read>"

    def left(self) -> float:
        """The seconds that are left."""
        seconds = self._deadline - monotonic()
        if seconds <= 0:
            raise self.timed_out()
        return seconds

    def timed_out(self) -> InvalidRequest:
        """The error of a query that runs for too long."""
        return _exceeded(
            f"The query took longer than {self._seconds:.3g} s.",
            "use a shorter range, fewer series or a wider step",
        )

    def check_samples(self, samples: float) -> None:
        """So many samples are about to be read."""
        total = self._samples_read + samples
        if total > self._samples:
            raise _exceeded(
                f"The expression would read about {total:.0f} samples; {self._samples} are "
                "allowed.",
                "use a shorter range, a wider step, or add a tag filter",
            )

    def add_samples(self, samples: int) -> None:
        """So many have been read."""
        self.check_samples(samples)
        self._samples_read += samples

    def hold(self, values: int) -> None:
        """So many values are held from now on, and no others."""
        self.left()
        if values > self._values:
            raise _exceeded(
                f"The expression would hold {values} values in memory at once; {self._values} are "
                "allowed.",
                "use a shorter range, a wider step, or aggregate earlier",
            )
        self.held = values

    def add_label_bytes(self, count: int) -> None:
        """Labels of so many bytes are about to be made."""
        self._labels_made += count
        if self._labels_made > self._label_bytes:
            raise _exceeded(
                f"The expression would make more than {self._label_bytes} bytes of labels.",
                "use shorter replacements, or aggregate earlier",
            )


def _exceeded(message: str, hint: str) -> InvalidRequest:
    return InvalidRequest(message, details=[ErrorDetail(field="query", message=message, hint=hint)])


def unlimited() -> Budget:
    """A budget that nothing exceeds."""
    return Budget(samples=2**62, values=2**62, label_bytes=2**62, seconds=10.0**9)
