"""What one query may use, checked while it is evaluated."""

from threading import Lock
from time import monotonic

from pulseboard.contracts.errors import ErrorDetail
from pulseboard.core.exceptions import InvalidRequest, LimitExceeded, Overloaded


class SharedValues:
    """How many values the evaluations of a process hold together, in any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.held = 0

    def change(self, by: int, most: int) -> None:
        """So many more are held, or less where `by` is negative. Raises Overloaded for more than
        `most`; then nothing has changed."""
        with self._lock:
            if by > 0 and self.held + by > most:
                raise Overloaded(
                    "Too many large queries are being evaluated at once. Try again in a moment, "
                    "or use a shorter range, a wider step, or aggregate earlier."
                )
            self.held += by


SHARED = SharedValues()
"""Of this process."""


class Budget:
    """How many samples a query may read, how many values it may hold at once, how many bytes of
    labels it may make, and for how many seconds it may run, from now on. `values_at_once`: how
    many all evaluations of the process may hold together.

    Its methods raise InvalidRequest for what exceeds it, Overloaded for what all of them exceed.
    """

    def __init__(
        self, *, samples: int, values: int, label_bytes: int, seconds: float,
        values_at_once: int = 2**62,
    ) -> None:  # fmt: skip
        self._samples = samples
        self._values = values
        self._values_at_once = values_at_once
        self._label_bytes = label_bytes
        self._seconds = seconds
        self._deadline = monotonic() + seconds
        self.samples_read = 0
        self._labels_made = 0
        self.held = 0
        """Values that are held now."""

    def __repr__(self) -> str:
        return f"<Budget {self.left():.1f} of {self._seconds:.3g} s, {self.samples_read:.0f} read>"

    def left(self) -> float:
        """The seconds that are left."""
        seconds = self._deadline - monotonic()
        if seconds <= 0:
            raise self.timed_out()
        return seconds

    def timed_out(self) -> InvalidRequest:
        """The error of a query that runs for too long."""
        message = f"The query took longer than {self._seconds:.3g} s."
        hint = "use a shorter range, fewer series or a wider step"
        return InvalidRequest(
            message, details=[ErrorDetail(field="query", message=message, hint=hint)]
        )

    @property
    def samples_left(self) -> int:
        """How many more samples may be read."""
        return max(0, int(self._samples - self.samples_read))

    def too_many_samples(self) -> InvalidRequest:
        """The error of an expression for which more samples are stored than may be read."""
        return _exceeded(
            f"The expression would read more than {self._samples} samples, which are allowed.",
            "use a shorter range, a wider step, or add a tag filter",
        )

    def check_samples(self, samples: float) -> None:
        """So many samples are about to be read."""
        total = self.samples_read + samples
        if total > self._samples:
            raise _exceeded(
                f"The expression would read about {total:.0f} samples; {self._samples} are "
                "allowed.",
                "use a shorter range, a wider step, or add a tag filter",
            )

    def add_samples(self, samples: int) -> None:
        """So many have been read."""
        self.check_samples(samples)
        self.samples_read += samples

    def hold(self, values: int) -> None:
        """So many values are held from now on, and no others."""
        self._check_values(values)
        SHARED.change(values - self.held, self._values_at_once)
        self.held = values

    def __enter__(self) -> "Budget":
        """An evaluation: at its end nothing is held any more."""
        return self

    def __exit__(self, *_: object) -> None:
        SHARED.change(-self.held, self._values_at_once)
        self.held = 0

    def check_more(self, values: int) -> None:
        """So many values are about to be held beside the others; call it before they are made."""
        self._check_values(self.held + values)

    def _check_values(self, values: int) -> None:
        """So many values, and no others, are about to be held."""
        self.left()
        if values > self._values:
            raise _exceeded(
                f"The expression would hold {values} values in memory at once; {self._values} are "
                "allowed.",
                "use a shorter range, a wider step, or aggregate earlier",
            )

    def add_label_bytes(self, count: int) -> None:
        """Labels of so many bytes are about to be made."""
        self._labels_made += count
        if self._labels_made > self._label_bytes:
            raise _exceeded(
                f"The expression would make more than {self._label_bytes} bytes of labels.",
                "use shorter replacements, or aggregate earlier",
            )


def _exceeded(message: str, hint: str) -> InvalidRequest:
    return LimitExceeded(message, details=[ErrorDetail(field="query", message=message, hint=hint)])


def unlimited() -> Budget:
    """A budget that nothing exceeds."""
    return Budget(samples=2**62, values=2**62, label_bytes=2**62, seconds=10.0**9)
