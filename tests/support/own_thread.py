"""Calls that need a thread without a running event loop."""

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
