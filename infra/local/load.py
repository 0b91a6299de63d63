"""Senders that behave as agents do, and a count of what they were promised: for `make life`.

A sample is acknowledged once, by a response of 2xx, and must be there ever after. What is
refused or not answered is sent again, unchanged, as agents do.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

METRIC = "life_total"
Key = tuple[str, int]
"""Sender, and milliseconds since 1970."""


@dataclass
class Ledger:
    """Samples that were acknowledged. For several threads."""

    acknowledged: dict[str, set[int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, sender: str, timestamp: int) -> None:
        """Note a sample as acknowledged."""
        with self._lock:
            self.acknowledged.setdefault(sender, set()).add(timestamp)

    @property
    def count(self) -> int:
        """Acknowledged samples."""
        with self._lock:
            return sum(map(len, self.acknowledged.values()))

    def snapshot(self) -> dict[str, set[int]]:
        """What must be stored now."""
        with self._lock:
            return {sender: set(times) for sender, times in self.acknowledged.items()}


def missing(acknowledged: Mapping[str, set[int]], stored: Mapping[str, set[int]]) -> list[Key]:
    """Acknowledged samples that are not stored, in order."""
    return sorted(
        (sender, timestamp)
        for sender, times in acknowledged.items()
        for timestamp in times - stored.get(sender, set())
    )


@dataclass
class Load:
    """`senders` that each send one sample each interval, in order, until `stop`."""

    url: str
    """Of API Gateway."""
    key: str
    """Of an agent; it may change at any time."""
    ledger: Ledger = field(default_factory=Ledger)
    timeout: float = 30.0
    interval: float = 1.0
    """Seconds between two samples of a sender."""
    refused: int = 0
    """Requests that were not acknowledged, and sent again."""
    reason: str = ""
    """Why, of the last one."""
    _threads: list[threading.Thread] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def start(self, senders: int) -> None:
        """Add this many."""
        for _ in range(senders):
            name = f"sender-{len(self._threads) + 1}"
            thread = threading.Thread(target=self._send, args=(name,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End them; what was not acknowledged need not be stored."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(self.timeout + 10)

    def _send(self, name: str) -> None:
        number, waiting = 0, list[dict[str, object]]()
        with httpx.Client(timeout=self.timeout, trust_env=False) as client:
            while not self._stopped.wait(self.interval):
                number += 1
                waiting.append(
                    {
                        "name": METRIC,
                        "tags": {"sender": name},
                        "timestamp": time.time_ns() // 1_000_000,
                        "value": number,
                    }
                )
                batch = waiting[:100]
                if self._accepted(client, batch):
                    for point in batch:
                        self.ledger.add(name, int(str(point["timestamp"])))
                    del waiting[: len(batch)]
                else:
                    self.refused += 1

    def _accepted(self, client: httpx.Client, batch: list[dict[str, object]]) -> bool:
        """Whether each of them is promised."""
        try:
            response = client.post(
                f"{self.url}/api/v1/metrics",
                json=batch,
                headers={"Authorization": f"Bearer {self.key}"},
            )
            if response.is_success and response.json()["data"]["accepted"] == len(batch):
                return True
            self.reason = f"{response.status_code} {response.text[:300]}"
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            self.reason = repr(error)
        return False


@dataclass
class Availability:
    """Asks something each interval, in seconds, and adds up the time without a response."""

    responds: Callable[[], bool]
    interval: float = 1.0
    seconds_without: float = 0.0
    asked: int = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """While this lasts."""
        self.seconds_without, self.asked = 0.0, 0
        done = threading.Event()
        thread = threading.Thread(target=self._ask, args=(done,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _ask(self, done: threading.Event) -> None:
        last_response, failing = time.monotonic(), False
        while not done.wait(self.interval):
            self.asked += 1
            if self.responds():
                now = time.monotonic()
                if failing:
                    self.seconds_without += now - last_response
                last_response, failing = now, False
            else:
                failing = True
        if failing:
            self.seconds_without += time.monotonic() - last_response
