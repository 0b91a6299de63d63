"""Metrics of this host as points.

Reading (psutil) is separate from the arithmetic: `read` returns the counters, and rates come from
two readings. A counter that decreased (a reboot, a replaced device) yields no sample, since its
rate is unknown.
"""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from pulseboard.agent.host_metadata import UNITS_AND_TEXTS
from pulseboard.contracts.points import MetricPoint
from pulseboard.contracts.vocabulary import MetricType

_NOT_DISKS = ("loop", "ram", "zram", "dm-", "md", "sr", "fd")
"""Devices on top of others: their bytes are already counted there."""

_VIRTUAL = ("lo", "veth", "docker", "br-", "virbr", "vnet", "cni", "flannel", "cali", "lxc", "tap")
"""Interfaces of containers and virtual machines: the real ones count their bytes too."""

_NOT_FILESYSTEMS = frozenset({"squashfs", "overlay", "iso9660", "tmpfs", "devtmpfs", "ramfs"})

Sample = tuple[str, float, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Counters:
    """One reading. `at` is in monotonic seconds, CPU times in seconds, I/O in bytes."""

    at: float
    cpu: Mapping[str, float]
    cores: tuple[Mapping[str, float], ...]
    disk: tuple[int, int] | None
    network: Mapping[str, tuple[int, int]]


def read() -> Counters:
    """Read the counters of the host."""
    return Counters(
        at=time.monotonic(),
        cpu=psutil.cpu_times()._asdict(),
        cores=tuple(times._asdict() for times in psutil.cpu_times(percpu=True)),
        disk=_disk_counters(),
        network=_network_counters(),
    )


def collect(
    previous: Counters | None, *, tags: Mapping[str, str] | None = None, now: float | None = None
) -> tuple[list[MetricPoint], Counters]:
    """All points, and the counters to pass to the next call.

    Without `previous` the rates and CPU shares are left out. `now` is in Unix seconds.
    """
    counters = read()
    stamp = int((time.time() if now is None else now) * 1000)
    samples = [*current()]
    if previous is not None:
        samples += rates(previous, counters)
    common = dict(tags or {})
    points = [
        MetricPoint(
            name=name, value=value, tags={**common, **own}, timestamp=stamp, **_metadata(name)
        )
        for name, value, own in samples
    ]
    return points, counters


def _metadata(name: str) -> dict[str, Any]:
    unit, text = UNITS_AND_TEXTS[name]
    return {"type": MetricType.GAUGE, "unit": unit, "description": text}


def rates(previous: Counters, counters: Counters) -> Iterator[Sample]:
    """CPU shares (percent) and I/O (bytes per second) between two readings."""
    shares = cpu_shares(previous.cpu, counters.cpu)
    if shares:
        yield "cpu_usage_percent", _busy(shares), {}
        for mode, share in shares.items():
            yield "cpu_mode_percent", share, {"mode": mode}
    if len(previous.cores) == len(counters.cores):
        for core, (before, after) in enumerate(zip(previous.cores, counters.cores, strict=True)):
            shares = cpu_shares(before, after)
            if shares:
                yield "cpu_core_usage_percent", _busy(shares), {"core": str(core)}
    seconds = counters.at - previous.at
    if seconds <= 0:
        return
    if previous.disk and counters.disk:
        names = ("disk_read_bytes_per_second", "disk_write_bytes_per_second")
        for name, before_, after_ in zip(names, previous.disk, counters.disk, strict=True):
            if after_ >= before_:
                yield name, (after_ - before_) / seconds, {}
    names = ("network_receive_bytes_per_second", "network_transmit_bytes_per_second")
    for interface in counters.network.keys() & previous.network.keys():
        pair = zip(names, previous.network[interface], counters.network[interface], strict=True)
        for name, before_, after_ in pair:
            if after_ >= before_:
                yield name, (after_ - before_) / seconds, {"interface": interface}


def cpu_shares(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Percent of the time spent in each mode; empty when the clock did not advance.

    The kernel counts a guest's time in `user` and `nice` too, so the guest modes are left out.
    A mode may decrease by a tick (iowait does): it counts as zero.
    """
    modes = [mode for mode in after if mode in before and not mode.startswith("guest")]
    spent = {mode: max(0.0, after[mode] - before[mode]) for mode in modes}
    total = sum(spent.values())
    if total <= 0 or sum(after[mode] for mode in modes) < sum(before[mode] for mode in modes):
        return {}
    return {mode: 100 * seconds / total for mode, seconds in spent.items()}


def _busy(shares: Mapping[str, float]) -> float:
    return min(100.0, max(0.0, 100 - shares.get("idle", 0) - shares.get("iowait", 0)))


def current() -> Iterator[Sample]:
    """Gauges, which need one reading: load, memory, disk space, uptime, processes, temperatures."""
    yield "cpu_count", float(psutil.cpu_count() or 1), {}
    for minutes, load in zip((1, 5, 15), psutil.getloadavg(), strict=True):
        yield f"load_{minutes}", load, {}
    memory = psutil.virtual_memory()
    yield "memory_used_percent", memory.percent, {}
    yield "memory_used_bytes", float(memory.used), {}
    yield "memory_available_bytes", float(memory.available), {}
    yield "memory_total_bytes", float(memory.total), {}
    cached = getattr(memory, "cached", None)
    if cached is not None:
        yield "memory_cached_bytes", float(cached), {}
    yield "swap_used_percent", psutil.swap_memory().percent, {}
    yield from _filesystems()
    yield "uptime_seconds", max(0.0, time.time() - psutil.boot_time()), {}
    yield "process_count", float(len(psutil.pids())), {}
    yield from _temperatures()


def _filesystems() -> Iterator[Sample]:
    mounts: dict[str, str] = {}
    for partition in psutil.disk_partitions(all=False):
        path = partition.mountpoint
        # Containers bind single files such as /etc/hosts, which look like filesystems.
        if partition.fstype in _NOT_FILESYSTEMS or not os.path.isdir(path):
            continue
        known = mounts.get(partition.device)
        if known is None or len(path) < len(known):
            mounts[partition.device] = path
    paths = sorted(set(mounts.values()))
    if "/" not in paths and os.name == "posix":
        paths.insert(0, "/")
    for path in paths:
        try:
            usage = psutil.disk_usage(path)
        except OSError:
            continue
        if usage.total:
            yield "disk_used_percent", usage.percent, {"mount": path}
            yield "disk_used_bytes", float(usage.used), {"mount": path}
            yield "disk_total_bytes", float(usage.total), {"mount": path}


def _disk_counters() -> tuple[int, int] | None:
    try:
        # nowrap=True would hide the reset of a counter.
        devices = psutil.disk_io_counters(perdisk=True, nowrap=False)
    except (OSError, NotImplementedError, RuntimeError):
        return None
    whole = [
        device
        for name, device in (devices or {}).items()
        if not sys.platform.startswith("linux")
        or (not name.startswith(_NOT_DISKS) and os.path.exists(f"/sys/block/{name}"))
    ]
    if not whole:
        return None
    return sum(c.read_bytes for c in whole), sum(c.write_bytes for c in whole)


def _network_counters() -> dict[str, tuple[int, int]]:
    try:
        found = psutil.net_io_counters(pernic=True, nowrap=False)
    except OSError:
        return {}
    others = {name: counters for name, counters in found.items() if not name.startswith(_VIRTUAL)}
    return {name: (c.bytes_recv, c.bytes_sent) for name, c in (others or found).items()}


def _temperatures() -> Iterator[Sample]:
    read_sensors = getattr(psutil, "sensors_temperatures", None)
    if read_sensors is None:
        return
    try:
        chips = read_sensors()
    except (OSError, ValueError):
        return
    seen: set[str] = set()
    for chip, sensors in chips.items():
        for index, sensor in enumerate(sensors):
            name = f"{chip} {sensor.label}".strip()
            if name in seen:
                name = f"{name} {index}"
            seen.add(name)
            if sensor.current is not None:
                yield "temperature_celsius", float(sensor.current), {"sensor": name}
