"""The supervisor of the local stack restarts what ends, and what hangs."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.local import beat_files, parts, supervisor
from infra.local.parts import Parts, Probe
from infra.local.services import Child

TOUCH = """
import pathlib, sys, time
while True:
    pathlib.Path(sys.argv[1]).write_text(str(time.time()))
    time.sleep(0.02)
"""


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def watched(supervised: Parts) -> Iterator[None]:
    """Checks the parts again and again, as `watch` does, in a thread that ends."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            for each in supervised._supervised:
                supervised._check(each, time.monotonic())

    # Children end with the thread that started them: it waits until they are stopped.
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        supervised.stop()
        thread.join()


def test_what_hangs_is_ended_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PROBE_EVERY", 0.05)
    mark = tmp_path / "mark"
    supervised = Parts(tmp_path)
    child = Child("part", [sys.executable, "-c", TOUCH, str(mark)], supervised.log("part"))
    probe = Probe(lambda: time.time() - float(mark.read_text()) < 1, patience=2)
    supervised.supervise(child, probe=probe)
    with watched(supervised):
        eventually(mark.exists)
        assert child.process is not None
        first = child.process.pid
        os.kill(first, signal.SIGSTOP)
        eventually(lambda: child.process is not None and child.process.pid != first)
        after = time.time()
        eventually(lambda: float(mark.read_text() or 0) > after)


def test_a_part_that_responds_now_and_then_is_left_alone(tmp_path: Path) -> None:
    part = parts._Supervised(
        Child("part", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log"),
        probe=Probe(lambda: True, patience=10),
        started=100.0,
    )
    assert not part.hangs(1000.0)
    part.child.start()
    try:
        assert not part.hangs(110.0)
        assert part.hangs(111.0)
        part.responded = 105.0
        assert not part.hangs(115.0)
    finally:
        part.child.stop()


def test_a_beat_that_does_not_end_is_seen(tmp_path: Path) -> None:
    beat_files.clear(tmp_path)
    now = time.time()
    assert beat_files.all_go_on(tmp_path, now=now + 60)
    assert not beat_files.all_go_on(tmp_path, now=now + 100)
    beat_files.write(tmp_path, "tick", now=now + 100)
    assert beat_files.all_go_on(tmp_path, now=now + 100)


WORK = """
import sys, time
while True:
    if sys.argv[1] == "works":
        sum(range(10_000))
    else:
        time.sleep(1)
"""


@pytest.mark.parametrize("what", ["works", "waits"])
def test_a_part_that_works_without_a_response_does_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(parts, "PROBE_EVERY", 0.2)
    child = Child("part", [sys.executable, "-c", WORK, what], tmp_path / "log")
    ended = threading.Event()
    working = parts.Working(child, lambda: ended.wait() and False, longest=600)
    child.start()
    try:
        if what == "works":
            eventually(working)
            working.longest = 0
            assert not working()
        else:
            # It has used the processor to start.
            eventually(lambda: not working() and not working())
    finally:
        ended.set()
        child.stop()


def test_a_part_that_responds_works(tmp_path: Path) -> None:
    child = Child("part", [sys.executable, "-c", "import time; time.sleep(600)"], tmp_path / "log")
    assert parts.Working(child, lambda: True, longest=600)()


def test_idle_connections_outlive_the_clients_that_keep_them() -> None:
    command = supervisor.application(8080)
    assert int(command[command.index("--timeout-keep-alive") + 1]) > 300
