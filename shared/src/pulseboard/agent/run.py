"""The agent's two loops: one measures at multiples of the interval, one delivers the queue.

They run in separate threads so that a slow server never delays a measurement.
"""

import json
import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping

from pulseboard.agent import host
from pulseboard.agent.queue import Queue
from pulseboard.agent.relay import Gathering, RelayServer
from pulseboard.agent.sender import MAX_WAIT, PushOutcome, Sender, backoff
from pulseboard.contracts.points import MetricPoint

log = logging.getLogger("pulseboard.agent")

FLUSH_SECONDS = 2.0
"""Time to deliver the rest of the queue on shutdown; what is left stays on disk."""


def encode(points: list[MetricPoint]) -> bytes:
    """The JSON body of a batch. The first point of a metric says what is known of it."""
    listed, described = [], set()
    for point in points:
        known = {"type", "unit", "description"} if point.name in described else None
        described.add(point.name)
        listed.append(
            point.model_dump(mode="json", by_alias=True, exclude_none=True, exclude=known)
        )
    return json.dumps({"points": listed}, separators=(",", ":")).encode()


class Delivery:
    """Sends the queue oldest first. A batch leaves it when delivered or refused for good."""

    def __init__(self, queue: Queue, sender: Sender, *, first_wait: float = 1.0) -> None:
        self._queue = queue
        self._sender = sender
        self._first_wait = first_wait
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._failures = 0
        self._state = ""
        self._known_rejects: set[str] = set()
        self.sent = 0
        self.refused = 0
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)

    def start(self) -> None:
        """Start delivering in the background."""
        self._thread.start()

    def wake(self) -> None:
        """Signal that the queue has a new batch."""
        self._wake.set()

    def stop(self) -> bool:
        """Deliver for FLUSH_SECONDS at most, then end. True when the thread has ended."""
        self._stop.set()
        self._wake.set()
        self._thread.join(FLUSH_SECONDS + 1)
        return not self._thread.is_alive()

    def step(self) -> float | None:
        """Send one batch. Returns the seconds to wait: 0 to go on, None when nothing is left."""
        batch = self._queue.oldest()
        if batch is None:
            return None
        result = self._sender.send(batch.body)
        self._name_rejects(result.rejected)
        match result.outcome:
            case PushOutcome.SENT:
                self._queue.remove(batch)
                self.sent += 1
                self._failures = 0
                if self._state != "connected":
                    word = "recovered" if self._state else "connected"
                    log.info("%s; %d batch(es) still queued", word, len(self._queue))
                    self._state = "connected"
                return 0.0
            case PushOutcome.REFUSED:
                self._queue.remove(batch)
                self.refused += 1
                log.error("batch refused and dropped: %s", result.message)
                return 0.0
            case PushOutcome.DENIED:
                self._change(result.message, "not allowed")
                return MAX_WAIT
            case PushOutcome.RETRY:
                self._failures += 1
                self._change(result.message, "lost")
                if result.retry_after is not None:
                    return result.retry_after
                return backoff(self._failures, first=self._first_wait)

    def _change(self, message: str, word: str) -> None:
        if self._state != word:
            log.warning("%s: %s; samples stay on disk", word, message)
            self._state = word

    def _name_rejects(self, rejected: Mapping[str, str]) -> None:
        for name in sorted(rejected.keys() - self._known_rejects):
            self._known_rejects.add(name)
            log.error("the server refuses %s: %s", name, rejected[name])

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                wait = self.step()
            except OSError as error:
                # The thread must outlive a disk that fails for a while.
                log.error("can't use the queue: %s", error)
                wait = 10.0
            if wait is None:
                self._wake.wait(60)
            elif wait > 0:
                self._stop.wait(wait)
        deadline = time.monotonic() + FLUSH_SECONDS
        while time.monotonic() < deadline and self.step() == 0.0:
            pass


def once(queue: Queue, sender: Sender, *, tags: Mapping[str, str]) -> bool:
    """Measure over one second, send all that is queued; True when all of it was taken."""
    before = host.read()
    time.sleep(1)
    points, _ = host.collect(before, tags=tags)
    queue.put(encode(points))
    delivery = Delivery(queue, sender)
    while delivery.step() == 0.0:
        pass
    return len(queue) == 0 and not delivery.refused


def forever(
    queue: Queue,
    sender: Sender,
    *,
    interval: float,
    tags: Mapping[str, str],
    server: RelayServer | None = None,
) -> None:
    """Measure and deliver until SIGTERM or SIGINT, then flush and return. With `server` the
    batches of this site's agents too.
    """
    # Raise KeyboardInterrupt: setting an Event in a signal handler may deadlock on its lock.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    delivery = Delivery(queue, sender)
    delivery.start()
    gathering = Gathering(server, interval=interval, wake=delivery.wake) if server else None
    if gathering:
        gathering.start()
    # Its own samples go with those of the site.
    put = server.relay.put if server else queue.put
    try:
        _measure(put, queue, delivery, interval=interval, tags=tags)
    except KeyboardInterrupt:
        log.info("stopping")
    finally:
        if gathering:
            gathering.stop()
        ended = delivery.stop()
        left = len(queue)
        if left or not ended:
            log.warning("%d batch(es) stay on disk for the next start", left)


def _measure(
    put: Callable[[bytes], None],
    queue: Queue,
    delivery: Delivery,
    *,
    interval: float,
    tags: Mapping[str, str],
) -> None:
    counters = host.read()
    # A short first interval, so that the first rates come within a second.
    time.sleep(min(1.0, interval))
    summary_at, points_since = time.monotonic() + 60, 0
    while True:
        points, counters = host.collect(counters, tags=tags)
        # The new batch is about to be sent: it does not wait.
        waiting = len(queue)
        try:
            put(encode(points))
        except OSError as error:
            log.error("can't write to the queue, samples lost: %s", error)
        delivery.wake()
        points_since += len(points)
        if time.monotonic() >= summary_at:
            log.info("%d points measured, %d batch(es) waiting", points_since, waiting)
            summary_at, points_since = time.monotonic() + 60, 0
        now = time.time()
        time.sleep((now // interval + 1) * interval - now)
