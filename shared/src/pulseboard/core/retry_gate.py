"""Whether something that failed is worth a try: one caller tries, the others need not wait."""

from threading import Lock


class Gate:
    """Open until a failure; then shut, but for one caller every `pause` seconds.

    Unlike a circuit breaker it shuts at the first failure: it is for callers that have another
    way, to whom a failed try costs more than a try not made. Times are any clock's seconds.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._again: float | None = None
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<Gate {'open' if self._again is None else 'shut'}>"

    def admits(self, now: float) -> bool:
        """Whether this caller should try. It must then say how it went."""
        with self._lock:
            if self._again is None:
                return True
            if now < self._again:
                return False
            self._again = now + self._pause
            return True

    def passed(self) -> None:
        """It works."""
        with self._lock:
            self._again = None

    def failed(self, now: float) -> None:
        """It does not."""
        with self._lock:
            self._again = now + self._pause
