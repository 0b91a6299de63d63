"""What AWS's schedules and events do: maintain every minute, a tick every ten seconds, a drain.

As there, notifications are sent beside the wait for the next tick, so a slow receiver delays
none, and what became of them goes back to `evaluate`. Each beat leaves its time in a file, by
which the supervisor sees that none hangs.
"""

import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from functions.drain import handler as drain
from functions.evaluate import handler as evaluate
from functions.maintain import handler as maintain
from functions.notify import handler as notify
from infra.local import beat_files

MINUTE = 60.0
TICK = 10.0
DRAIN = 5.0


def main(directory: Path) -> None:
    """Call each handler when it is due, until the process is ended."""
    beat_files.clear(directory)

    def forever(name: str, beat: Callable[[], None], interval: float) -> None:
        while True:
            try:
                beat()
            except Exception:  # noqa: BLE001 - the next beat may succeed
                traceback.print_exc()
            beat_files.write(directory, name, now=time.time())
            time.sleep(interval - time.time() % interval)

    threading.Thread(target=forever, args=("maintain", _maintain, MINUTE), daemon=True).start()
    threading.Thread(target=forever, args=("drain", _drain, DRAIN), daemon=True).start()
    with ThreadPoolExecutor(4) as senders:
        forever("tick", lambda: _tick(senders), TICK)


def _maintain() -> None:
    maintain.handler({}, None)


def _drain() -> None:
    drain.handler({}, None)


def _tick(senders: ThreadPoolExecutor) -> None:
    result = evaluate.handler({}, None)
    if result["claims"]:
        senders.submit(_deliver, result)


def _deliver(claimed: dict[str, Any]) -> None:
    try:
        evaluate.handler(notify.handler(claimed, None), None)
    except Exception:  # noqa: BLE001 - the claim ends and it is sent again
        traceback.print_exc()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
