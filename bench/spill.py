"""Spilling and draining beside writing directly: the same batches, into the same database.

Three kinds of sender: one that sends 10,000 samples at once, hosts that send 40 each, and such
hosts with a hundred API keys.
"""

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from uuid import uuid4

from functions.drain.work import drain
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.settings import settings
from pulseboard.db import database
from pulseboard.ingest import samples_store, spill
from pulseboard.ingest.batch import Batch

SIZES = ((10_000, 1_000, 12, 1), (40, 40, 500, 1), (40, 40, 500, 100))
"""Samples in a batch, series in it, batches, keys."""


def run(database_url: str, redis_url: str, *, quick: bool = False) -> None:
    """Print samples per second of each way and their ratios."""
    with tempfile.TemporaryDirectory(prefix="pulseboard-spill-") as home:
        os.environ["PULSEBOARD_SPILL_DIR"] = home
        settings.cache_clear()
        spill.reset()
        try:
            for samples_each, series, batches, keys in SIZES:
                _measure(samples_each, series, batches // 4 if quick else batches, keys)
        finally:
            del os.environ["PULSEBOARD_SPILL_DIR"]
            settings.cache_clear()
            spill.reset()
            database.close()


def _measure(size: int, series: int, count: int, keys: int) -> None:
    start = int(time.time() * 1000) - 3_600_000
    total = size * count
    name = f"bench_spill_{size}_{keys}"
    key_ids = cycle([uuid4() if keys > 1 else None for _ in range(keys)])
    # The series are created before anything is measured.
    for batch in _batches(size, series, 1, start - 600_000, name):
        samples_store.write(batch)
    direct = _timed(samples_store.write, _batches(size, series, count, start, name))
    spilled = _timed(
        lambda batch: spill.put(batch, key_id=next(key_ids), arrived=start),
        _batches(size, series, count, start + 500, name),
    )
    backend = spill.backend()
    assert backend is not None
    waiting = backend.waiting()
    began = time.perf_counter()
    outcome = drain(backend, [name for name, _ in waiting])
    drained = time.perf_counter() - began
    assert outcome.samples == total, outcome
    weight = sum(length for _, length in waiting) / total
    print(f"batches of {size:,} samples, {keys} {'key' if keys == 1 else 'keys'}")
    print(f"  written directly {total / direct:9,.0f} samples/s")
    print(
        f"  spilled          {total / spilled:9,.0f} samples/s  "
        f"({direct / spilled:.2f} × direct, {weight:.1f} B a sample)"
    )
    print(
        f"  drained          {total / drained:9,.0f} samples/s  ({direct / drained:.2f} × direct)"
    )


def _timed(write: Callable[[Batch], None], batches: Iterator[Batch]) -> float:
    seconds = 0.0
    for batch in batches:
        began = time.perf_counter()
        write(batch)
        seconds += time.perf_counter() - began
    return seconds


def _batches(size: int, series: int, count: int, start: int, name: str) -> Iterator[Batch]:
    """Each batch continues where the one before it stops."""
    steps = size // series
    for number in range(count):
        keys = [
            SeriesKey.of(name, {"host": f"host-{n}", "region": "eu-west-1"}) for n in range(series)
        ]
        yield Batch(
            series=keys * steps,
            times=[start + (number * steps + step) * 1000 for step in range(steps) for _ in keys],
            values=[random.random() for _ in range(size)],
        )
