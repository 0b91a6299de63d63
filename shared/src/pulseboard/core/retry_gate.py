"""Limits retries after a failure: one caller tries again, the others need not wait."""

from threading import Lock


class RetryGate:
    """Open until a failure; then closed, except for one caller every `pause` seconds.

    Unlike a circuit breaker it closes at the first failure: it is for callers with a fallback,
    for whom a failed attempt costs more than a skipped one. Times are seconds
    since 1970; a clock that was set back opens it.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._retry_at: float | None = None
        self._lock = Lock()

    def __repr__(self) -> str:
        return f"<RetryGate {'open' if self._retry_at is None else 'closed'}>"

    def allows(self, now: float) -> bool:
        """Whether this caller should try. It must then report `succeeded` or `failed`."""
        with self._lock:
            if self._retry_at is None:
                return True
            if self._retry_at - self._pause <= now < self._retry_at:
                return False
            self._retry_at = now + self._pause
            return True

    def succeeded(self) -> None:
        """An attempt succeeded: open the gate."""
        with self._lock:
            self._retry_at = None

    def failed(self, now: float) -> None:
        """An attempt failed: close the gate for `pause` seconds."""
        with self._lock:
            self._retry_at = now + self._pause
