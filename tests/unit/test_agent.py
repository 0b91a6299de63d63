"""The agent's arithmetic and its queue."""

import gzip
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from pulseboard import __version__
from pulseboard.agent import host
from pulseboard.agent.cli import app
from pulseboard.agent.queue import Queue, QueueBusy
from pulseboard.agent.sender import backoff, parse_retry_after


def state(at: float, *, cpu: float = 0, disk: int = 0, received: int = 0) -> host.Counters:
    return host.Counters(
        at=at,
        cpu={"user": cpu, "idle": 3 * cpu, "iowait": 0.0, "guest": cpu},
        cores=({"user": cpu, "idle": 0.0},),
        disk=(disk, 0),
        network={"eth0": (received, 0)},
    )


def named(before: host.Counters, after: host.Counters) -> dict[str, float]:
    return {name: value for name, value, tags in host.rates(before, after) if "mode" not in tags}


def test_rates_are_per_second_and_cpu_is_percent_of_time_spent() -> None:
    found = named(state(0, cpu=10), state(10, cpu=20, disk=5000, received=300))
    assert found["cpu_usage_percent"] == pytest.approx(25)
    assert found["disk_read_bytes_per_second"] == 500
    assert found["network_receive_bytes_per_second"] == 30


def test_counters_that_went_back_yield_no_sample() -> None:
    found = named(state(0, cpu=10, disk=9, received=9), state(10, cpu=5))
    assert "cpu_usage_percent" not in found
    assert "disk_read_bytes_per_second" not in found
    assert "network_receive_bytes_per_second" not in found
    assert all(value >= 0 for value in found.values())


def test_this_host_is_collected_with_tags_and_time() -> None:
    points, before = host.collect(None, tags={"host": "here"}, now=1_000.5)
    assert {p.timestamp for p in points} == {1_000_500}
    assert all(p.tags["host"] == "here" for p in points)
    assert {"load_1", "memory_used_percent", "disk_used_percent"} <= {p.name for p in points}
    assert "cpu_usage_percent" not in {p.name for p in points}
    assert before.at > 0


def test_queue_keeps_order_over_a_restart(tmp_path: Path) -> None:
    queue = Queue(tmp_path, max_bytes=10_000)
    for number in range(5):
        queue.put(str(number).encode())
    queue.close()
    queue = Queue(tmp_path, max_bytes=10_000)
    queue.put(b"5")
    seen = []
    while batch := queue.oldest():
        seen.append(gzip.decompress(batch.body))
        queue.remove(batch)
    queue.close()
    assert seen == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_full_queue_drops_the_oldest_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Queue(tmp_path, max_bytes=70)
    for number in range(10):
        queue.put(str(number).encode())
    batch = queue.oldest()
    queue.close()
    assert batch is not None
    assert gzip.decompress(batch.body) > b"5"
    assert sum(f.stat().st_size for f in tmp_path.glob("*.json.gz")) <= 70
    assert "QUEUE FULL" in caplog.text


def test_corrupt_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "000000000000001-00000000.json.gz").write_bytes(b"\x1f\x8bnonsense")
    queue = Queue(tmp_path, max_bytes=10_000)
    queue.put(b"good")
    batch = queue.oldest()
    queue.close()
    assert batch is not None
    assert gzip.decompress(batch.body) == b"good"
    assert len(list(tmp_path.glob("*.corrupt"))) == 1


@contextmanager
def limited(kind: int, most: int) -> Iterator[None]:
    """A limit of the operating system on this process."""
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def test_a_queue_that_cant_be_read_for_a_while_keeps_its_batches(tmp_path: Path) -> None:
    """Out of descriptors, say: the error is not about the content."""
    queue = Queue(tmp_path, max_bytes=10_000)
    for number in range(3):
        queue.put(str(number).encode())
    free = os.open(tmp_path, os.O_RDONLY)
    os.close(free)
    with limited(resource.RLIMIT_NOFILE, free), pytest.raises(OSError, match="open files"):
        queue.oldest()
    batch = queue.oldest()
    queue.close()
    assert batch is not None
    assert gzip.decompress(batch.body) == b"0"
    assert len(queue) == 3
    assert not list(tmp_path.glob("*.corrupt"))


def test_a_put_that_fails_leaves_no_file(tmp_path: Path) -> None:
    queue = Queue(tmp_path, max_bytes=10_000)
    for _ in range(3):
        with limited(resource.RLIMIT_FSIZE, 4), pytest.raises(OSError, match="large"):
            queue.put(b"more than fits")
    queue.close()
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_two_agents_may_not_share_a_queue(tmp_path: Path) -> None:
    queue = Queue(tmp_path, max_bytes=1000)
    with pytest.raises(QueueBusy, match="--queue-dir"):
        Queue(tmp_path, max_bytes=1000)
    queue.close()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("-1", 0),
        ("99999", 300),
        ("soon", None),
        (None, None),
        ("Thu, 01 Jan 1970 00:01:00 GMT", 50),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=10) == seconds


def test_backoff_grows_to_a_bound() -> None:
    assert 0.5 <= backoff(1) <= 1
    assert 30 <= backoff(1000) <= 60


def test_dry_run_needs_no_key() -> None:
    result = CliRunner().invoke(
        app, ["agent", "--dry-run", "--json", "--tag", "env=x"], env={"PULSEBOARD_API_KEY": ""}
    )
    assert result.exit_code == 0
    assert '"cpu_usage_percent"' in result.output
    assert '"env": "x"' in result.output


@pytest.mark.parametrize("tag", ["novalue", "__x=1", "a b=1"])
def test_bad_tags_are_named(tag: str) -> None:
    result = CliRunner().invoke(app, ["agent", "--dry-run", "--tag", tag])
    assert result.exit_code == 1
    assert "--tag" in result.output


def test_no_key_says_what_to_do() -> None:
    result = CliRunner().invoke(app, ["agent"], env={"PULSEBOARD_API_KEY": ""})
    assert result.exit_code == 1
    assert "PULSEBOARD_API_KEY" in result.output


def test_virtual_interfaces_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    counters = psutil.net_io_counters()
    found = dict.fromkeys(
        ["lo", "eth0", "wlp3s0", "veth12ab", "docker0", "br-9f", "cali1"], counters
    )
    monkeypatch.setattr(psutil, "net_io_counters", lambda **_: found)
    assert set(host.read().network) == {"eth0", "wlp3s0"}


def test_the_version_is_printed() -> None:
    for text in ("version", "--version"):
        shown = CliRunner().invoke(app, [text])
        assert (shown.exit_code, shown.stdout.strip()) == (0, __version__)
