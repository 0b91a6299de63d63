"""The circuit breaker's state, shared by all processes through Redis.

One hash, `breaker:{name}` (one key: a cluster needs no more), holds `state`, `opened_at`
(seconds since 1970), `failures` and `successes`. Each process reads it at most once in
`READ_INTERVAL` seconds and writes only changes, so a healthy call costs nothing. Without Redis a
process uses its local copy.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import pybreaker
import redis
from redis.exceptions import RedisClusterException

from pulseboard.core.freshness import is_fresh
from pulseboard.db import cache

READ_INTERVAL = 1.0
"""Seconds for which a process uses the state it has read."""
EXPIRY = 300
"""Seconds after which an unchanged state expires: by then failures are no longer consecutive, and
a breaker is never open for as long."""


@dataclass(frozen=True, slots=True)
class _State:
    state: str = pybreaker.STATE_CLOSED
    opened_at: float = 0.0
    failures: int = 0
    successes: int = 0


class SharedBreakerState(pybreaker.CircuitBreakerStorage):
    """pybreaker's storage interface over the shared hash."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._key = f"breaker:{name}"
        self._state = _State()
        self._read_at = 0.0

    def _read(self) -> _State:
        if is_fresh(self._read_at, READ_INTERVAL) or cache.backing_off():
            return self._state
        try:
            found = cast(dict[bytes, bytes], cache.client().hgetall(self._key))
        except (redis.RedisError, RedisClusterException) as error:
            cache.back_off(error)
            return self._state
        self._set_local(
            _State(
                state=found.get(b"state", pybreaker.STATE_CLOSED.encode()).decode(),
                opened_at=float(found.get(b"opened_at", 0)),
                failures=int(found.get(b"failures", 0)),
                successes=int(found.get(b"successes", 0)),
            )
        )
        return self._state

    def _set_local(self, state: _State) -> None:
        self._state, self._read_at = state, time.time()

    def _set(self, **changes: Any) -> None:
        self._set_local(replace(self._state, **changes))
        self._send(lambda pipe: pipe.hset(self._key, mapping=changes))

    def _count(self, name: str) -> int:
        """Increment a counter of all processes, or of this one without the cache."""
        counted = self._send(lambda pipe: pipe.hincrby(self._key, name, 1))
        before: int = getattr(self._state, name)
        return before + 1 if counted is None else int(counted)

    def _send(self, command: Callable[[Any], object]) -> Any:
        """The command's reply, None without the cache."""

        def send(client: cache.Client) -> Any:
            pipe = client.pipeline(transaction=False)
            command(pipe)
            pipe.expire(self._key, EXPIRY)
            return pipe.execute()[0]

        return cache.attempt(send)

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        return self._read().state

    @state.setter
    def state(self, state: str) -> None:
        self._set(state=state)

    @property
    def counter(self) -> int:
        """Consecutive failures, of all processes together."""
        return self._read().failures

    def increment_counter(self) -> None:
        """A call has failed."""
        self._set_local(replace(self._state, failures=self._count("failures")))

    def reset_counter(self) -> None:
        """A call succeeded; written to Redis only when there was a failure before."""
        if self._state.failures:
            self._set(failures=0)

    @property
    def success_counter(self) -> int:
        """Successful calls since the breaker became half-open."""
        return self._read().successes

    def increment_success_counter(self) -> None:
        """A trial call succeeded."""
        self._set_local(replace(self._state, successes=self._count("successes")))

    def reset_success_counter(self) -> None:
        """Start counting trial calls from zero."""
        if self._state.successes:
            self._set(successes=0)

    @property
    def opened_at(self) -> datetime | None:
        """When the breaker last opened."""
        opened = self._read().opened_at
        return datetime.fromtimestamp(opened, UTC) if opened else None

    @opened_at.setter
    def opened_at(self, time: datetime) -> None:
        self._set(opened_at=time.timestamp())
