"""What EventBridge does on AWS: calls maintain every minute and evaluate every ten seconds."""

import importlib
import importlib.util
import time
import traceback
from typing import Any

SCHEDULE = {"functions.maintain.handler": 60.0, "functions.evaluate.handler": 10.0}
"""Handler modules and their intervals in seconds; those that are not there are left out."""


def main() -> None:
    """Call each handler when it is due, until the process is ended."""
    handlers: dict[str, Any] = {
        name: importlib.import_module(name).handler
        for name in SCHEDULE
        if importlib.util.find_spec(name)
    }
    due = dict.fromkeys(handlers, time.monotonic())
    while True:
        for name, handler in handlers.items():
            now = time.monotonic()
            if now < due[name]:
                continue
            due[name] = now + SCHEDULE[name]
            try:
                handler({}, None)
            except Exception:  # noqa: BLE001 - the next beat may succeed
                traceback.print_exc()
        time.sleep(max(0.2, min(due.values()) - time.monotonic()))


if __name__ == "__main__":
    main()
