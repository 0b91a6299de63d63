"""The circuit breaker's state, kept in Redis for every process at once.

One hash, `breaker:{name}` (one key: a cluster needs no more), holds `state`, `opened_at`
(seconds since 1970), `failures` and `successes`. Each process looks at it at most once in `LOOK`
seconds and writes only when something changes, so a healthy call costs nothing. Without Redis a
process goes by what it knows itself.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import pybreaker
import redis
from redis.exceptions import RedisClusterException

from pulseboard.db import cache

LOOK = 1.0
"""Seconds for which a process believes what it has seen."""
LIFE = 300
"""Seconds after which a state that nobody has changed is forgotten: failures are no longer in a
row, and a breaker is never open for as long."""


@dataclass(frozen=True, slots=True)
class _Known:
    state: str = pybreaker.STATE_CLOSED
    opened_at: float = 0.0
    failures: int = 0
    successes: int = 0


class SharedState(pybreaker.CircuitBreakerStorage):
    """What pybreaker asks and changes, as others see it too."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._key = f"breaker:{name}"
        self._known = _Known()
        self._seen = 0.0

    def _look(self) -> _Known:
        # Not the monotonic clock: a frozen Lambda's may stand still.
        if 0 <= time.time() - self._seen < LOOK or cache.resting():
            return self._known
        try:
            found = cast(dict[bytes, bytes], cache.client().hgetall(self._key))
        except (redis.RedisError, RedisClusterException) as error:
            cache.rest(error)
            return self._known
        self._learn(
            _Known(
                state=found.get(b"state", pybreaker.STATE_CLOSED.encode()).decode(),
                opened_at=float(found.get(b"opened_at", 0)),
                failures=int(found.get(b"failures", 0)),
                successes=int(found.get(b"successes", 0)),
            )
        )
        return self._known

    def _learn(self, known: _Known) -> None:
        self._known, self._seen = known, time.time()

    def _set(self, **changes: Any) -> None:
        self._learn(replace(self._known, **changes))
        self._send(lambda pipe: pipe.hset(self._key, mapping=changes))

    def _count(self, name: str) -> int:
        """One more, of all processes together or, without the cache, of this one."""
        counted = self._send(lambda pipe: pipe.hincrby(self._key, name, 1))
        before: int = getattr(self._known, name)
        return before + 1 if counted is None else int(counted)

    def _send(self, command: Callable[[Any], object]) -> Any:
        """What the command answers, None without the cache."""
        if cache.resting():
            return None
        try:
            pipe = cache.client().pipeline(transaction=False)
            command(pipe)
            pipe.expire(self._key, LIFE)
            return pipe.execute()[0]
        except (redis.RedisError, RedisClusterException) as error:
            cache.rest(error)
            return None

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        return self._look().state

    @state.setter
    def state(self, state: str) -> None:
        self._set(state=state)

    @property
    def counter(self) -> int:
        """Failures in a row, of all processes together."""
        return self._look().failures

    def increment_counter(self) -> None:
        """One more call has failed."""
        self._learn(replace(self._known, failures=self._count("failures")))

    def reset_counter(self) -> None:
        """A call went well; told to the others only when there was a failure to forget."""
        if self._known.failures:
            self._set(failures=0)

    @property
    def success_counter(self) -> int:
        """Calls that went well since the breaker is half-open."""
        return self._look().successes

    def increment_success_counter(self) -> None:
        """One more trial went well."""
        self._learn(replace(self._known, successes=self._count("successes")))

    def reset_success_counter(self) -> None:
        """Trials begin anew."""
        if self._known.successes:
            self._set(successes=0)

    @property
    def opened_at(self) -> datetime | None:
        """When the breaker was opened last."""
        opened = self._look().opened_at
        return datetime.fromtimestamp(opened, UTC) if opened else None

    @opened_at.setter
    def opened_at(self, moment: datetime) -> None:
        self._set(opened_at=moment.timestamp())
