"""An HTTP receiver of notifications on this machine, and waiting for conditions."""

import time
from collections.abc import Callable
from typing import Any

from infra.local.receiver import Received, receiving

__all__ = ["Received", "receiving", "wait"]


def wait(what: str, happened: Callable[[], Any], seconds: float = 45) -> Any:
    """The result of `happened` once it is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = happened()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.5)
