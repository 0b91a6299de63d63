"""Calls that need a thread without a running event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_own_thread(call: Callable[[], T]) -> T:
    """The result of `call`, run in a new thread; raises what it raises.

    Once a test of the same process has used a browser, Playwright's event loop runs in the main
    thread, and asyncio refuses to run a second one there.
    """
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(call).result()


def with_own_loop(call: Callable[[], T]) -> T:
    """As `in_own_thread`, with an event loop that is not running: a Lambda handler asks for one."""

    def run() -> T:
        with asyncio.Runner() as runner:
            asyncio.set_event_loop(runner.get_loop())
            return call()

    return in_own_thread(run)
