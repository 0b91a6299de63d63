"""The whole application on its own port, in a thread, for third-party clients."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from functions.dev import api
from infra.local import services


@contextmanager
def serving() -> Iterator[str]:
    """The address of the application, on the database and cache of this process."""
    port = services.free_port()
    server = uvicorn.Server(
        uvicorn.Config(api(), host="127.0.0.1", port=port, log_level="warning", lifespan="off")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def wait_until(true: Callable[[], bool], timeout: float = 60.0) -> None:
    """Poll until the condition holds. Raises TimeoutError."""
    until = time.monotonic() + timeout
    while not true():
        if time.monotonic() > until:
            raise TimeoutError("the condition did not become true")
        time.sleep(0.05)


def client_seconds(usually: float) -> float:
    """How long a third-party client sends: `CLIENT_SECONDS`, or the default."""
    return float(os.environ.get("CLIENT_SECONDS", usually))
