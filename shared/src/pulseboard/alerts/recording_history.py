"""Recording rules over the past: what they would have written, and writing it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from pulseboard.alerts import inputs
from pulseboard.alerts.backtest import Floats, Present
from pulseboard.alerts.recording import RecordingSnapshot, output
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.core.exceptions import InvalidRequest
from pulseboard.core.settings import settings
from pulseboard.ingest import samples_store
from pulseboard.ingest.batch import Batch
from pulseboard.ingest.samples_store import KeyedBatch
from pulseboard.promql.times import Times

_BATCH = 50_000
"""Samples that are written by one transaction."""


@dataclass(frozen=True, slots=True)
class RecordedSeries:
    """A series at the times of its samples; `present` where it has one."""

    key: SeriesKey
    values: Floats
    present: Present


@dataclass(frozen=True, slots=True)
class History:
    """What a rule would have written: the times of its evaluations, and its series."""

    times: Times
    series: Sequence[RecordedSeries]

    @property
    def samples(self) -> int:
        """How many samples they are."""
        return sum(int(one.present.sum()) for one in self.series)


def read(rule: RecordingSnapshot, *, start: float, end: float) -> History:
    """Evaluate a rule at the multiples of its interval in [start, end), seconds since 1970.

    Raises InvalidRequest for what can't be read, is too much, or would write one series twice.
    """
    first = ceil(start / rule.interval)
    count = max(0, ceil(end / rule.interval) - first)
    times = Times(first * rule.interval, rule.interval, count)
    if not count:
        return History(times, ())
    lines = inputs.read_points(rule.read, times)
    stored = [line.present & ~np.isnan(line.values) for line in lines]
    there = [index for index, present in enumerate(stored) if present.any()]
    # All at once: two series that are never there at the same time could have the same labels, and
    # then are one, but none of their samples may have the same time.
    known: dict[str, SeriesKey] = {}
    series: dict[bytes, RecordedSeries] = {}
    for index in there:
        line = lines[index]
        observed = [(line.key, line.tags, 0.0)]
        [key] = output(rule, observed, known, most_tags=settings().ingest_max_tags).keys
        before = series.get(key.identity)
        one = RecordedSeries(key, line.values, stored[index])
        series[key.identity] = one if before is None else _joined(before, one)
    if rule.limit and series:
        most = int(np.sum([one.present for one in series.values()], axis=0).max())
        if most > rule.limit:
            raise InvalidRequest(
                f"The expression has {most} series; its group allows {rule.limit}."
            )
    return History(times, list(series.values()))


def _joined(one: RecordedSeries, other: RecordedSeries) -> RecordedSeries:
    if bool((one.present & other.present).any()):
        raise InvalidRequest(
            "Two series of the expression have the same labels once the rule's labels replace"
            " theirs. Aggregate them, or leave out the label."
        )
    values = np.where(one.present, one.values, other.values)
    return RecordedSeries(one.key, values, one.present | other.present)


def write(rule: RecordingSnapshot, found: History) -> int:
    """Write a history, with a stale marker where a series goes, and count its samples.

    What is stored already is not replaced: a backfill fills gaps, and run twice changes nothing.
    """
    written = 0
    for batch in _batches(rule, found):
        samples_store.write_late([KeyedBatch(batch, None)])
        written += len(batch.times)
        if batch.issues:
            raise InvalidRequest(f"Not all is written: {batch.issues[0].message}")
    return written


def _batches(rule: RecordingSnapshot, found: History) -> Iterator[Batch]:
    stamps = np.round((found.times.array() - rule.offset) * 1000).astype(np.int64)
    batch = Batch()
    for one in found.series:
        at = stamps[one.present].tolist()
        # The first time without a value after one with a value.
        gone = stamps[1:][one.present[:-1] & ~one.present[1:]].tolist()
        batch.series += [one.key] * len(at)
        batch.times += at
        batch.values += one.values[one.present].tolist()
        batch.stale_markers += [(one.key, time) for time in gone]
        if batch.accepted >= _BATCH:
            yield batch
            batch = Batch()
    if batch.accepted:
        yield batch


def last_value(one: RecordedSeries) -> float:
    """The newest value of a series."""
    return float(one.values[np.flatnonzero(one.present)[-1]])
