"""Bounds the work of ingest at once, so that one process serves dashboards meanwhile.

Handlers run in a pool of threads that all routes share. A request with samples takes a thread only
when it is its turn: it waits for that in the event loop, with its body read. Senders have their
turns one after the other, whatever each has waiting, and none may fill the room for all.
"""

from asyncio import AbstractEventLoop, Future, get_running_loop, timeout
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID
from weakref import WeakKeyDictionary

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from pulseboard.auth.access import key_of
from pulseboard.core.exceptions import NothingStored, PulseboardError, Unavailable
from pulseboard.core.process_state import on_reset
from pulseboard.core.settings import settings
from pulseboard.ingest import received_store
from pulseboard.ingest.batch import Refused, reason_of
from pulseboard.web.body import read_body
from pulseboard.web.error_formats import formatted_error

_RETRY_AFTER = 2


class Turns:
    """The turns of one event loop. A sender is a key's id; None is whoever has a session."""

    def __init__(self) -> None:
        self._free = settings().ingest_max_at_once
        self._waiting: OrderedDict[UUID | None, deque[Future[None]]] = OrderedDict()
        self._waiting_bytes: Counter[UUID | None] = Counter()

    async def acquire(self, sender: UUID | None, size: int) -> None:
        """Wait for a turn, with a body of `size` bytes. Raises Unavailable."""
        if self._free:
            self._free -= 1
            return
        configured = settings()
        mine, all_bytes = self._waiting_bytes[sender] + size, self._waiting_bytes.total() + size
        if all_bytes > configured.ingest_max_waiting_bytes:
            raise _busy("Many senders write")
        if mine > configured.ingest_max_waiting_bytes_of_key:
            raise _busy("Many requests with this key wait")
        turn = get_running_loop().create_future()
        self._waiting.setdefault(sender, deque()).append(turn)
        self._waiting_bytes[sender] += size
        try:
            async with timeout(configured.ingest_max_wait):
                await turn
        except BaseException as error:
            self._withdraw(sender, turn)
            if isinstance(error, TimeoutError):
                raise _busy("Many senders write") from None
            raise
        finally:
            self._waiting_bytes[sender] -= size
            if not self._waiting_bytes[sender]:
                del self._waiting_bytes[sender]

    def release(self) -> None:
        """End a turn: the sender that waits longest since its last one has the next."""
        while self._waiting:
            sender, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[sender] = turns
            # One that was cancelled just now has not withdrawn yet.
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _withdraw(self, sender: UUID | None, turn: Future[None]) -> None:
        """Wait no more; a turn that came at the same time goes to the next."""
        if turn.done() and not turn.cancelled():
            self.release()
            return
        turns = self._waiting.get(sender)
        if turns and turn in turns:
            turns.remove(turn)
        if turns is not None and not turns:
            del self._waiting[sender]


_turns: WeakKeyDictionary[AbstractEventLoop, Turns] = WeakKeyDictionary()
on_reset(_turns.clear)


async def body_in_turn(request: Request) -> AsyncIterator[bytes]:
    """The body, when it is its turn; the turn ends with the request. Raises Unavailable.

    A request that is refused as a whole is counted for the key that sent it.
    """
    try:
        body = await read_body(request)
        async with turn(len(body), key_of(request)):
            yield body
    except PulseboardError as error:
        await _note(request, error)
        raise
    else:
        await _note(request, formatted_error(request))


async def _note(request: Request, error: PulseboardError | None) -> None:
    key_id = key_of(request)
    # What fails for now is sent again.
    if error is None or key_id is None or error.status >= 500 or error.status == 429:
        return
    if isinstance(error, NothingStored):
        refused = {why: Refused(*found) for why, found in error.refused.items()}
    else:
        refused = {f"a request: {reason_of(error.message)}": Refused(1, error.message)}
    if refused:
        await run_in_threadpool(received_store.note_refused, refused, key_id=key_id)


@asynccontextmanager
async def turn(size: int, sender: UUID | None = None) -> AsyncIterator[None]:
    """A turn for a body of so many bytes, sent with this key. Raises Unavailable when there is
    none in time.
    """
    turns = _turns.setdefault(get_running_loop(), Turns())
    await turns.acquire(sender, size)
    try:
        yield
    finally:
        turns.release()


def _busy(why: str) -> Unavailable:
    return Unavailable(
        f"{why} at this moment; this request was not read. Send it again.",
        retry_after=_RETRY_AFTER,
    )


IngestBody = Annotated[bytes, Depends(body_in_turn)]
