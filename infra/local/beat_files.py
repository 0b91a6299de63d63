"""When each beat last came to its end, in files: a process that hangs can't say so itself."""

import time
from pathlib import Path

PATIENCE = 30.0
"""Seconds beside the longest time of a beat, for a machine that is busy."""
LONGEST = {"tick": 90.0, "drain": 300.0, "maintain": 1800.0}
"""Seconds that a beat may take, waits for the next one counted. Refreshes may take long."""


def clear(directory: Path) -> None:
    """Begin anew: no beat has come to its end."""
    directory.mkdir(parents=True, exist_ok=True)
    now = time.time()
    for name in LONGEST:
        write(directory, name, now=now)


def write(directory: Path, name: str, *, now: float) -> None:
    """Note that a beat has come to its end, well or not."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_text(f"{now:.3f}")


def all_go_on(directory: Path, *, now: float) -> bool:
    """Whether each beat has come to its end in time."""
    return all(
        now - float((directory / name).read_text()) <= longest for name, longest in LONGEST.items()
    )
