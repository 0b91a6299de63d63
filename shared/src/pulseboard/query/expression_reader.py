"""Evaluates expressions over what their selectors read. Imported when the first one is asked."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pulseboard.catalogue.series_key import line_key
from pulseboard.catalogue.series_queries import NAME, Series
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core.settings import settings
from pulseboard.query import limits, promql, sql_samples
from pulseboard.query.parts import Part
from pulseboard.query.promql.ast import Need, Read, Select
from pulseboard.query.promql.series import Stored
from pulseboard.query.sql_samples import Found, StaleMarkers, Window
from pulseboard.query.tiers import RESOLUTIONS

if TYPE_CHECKING:
    from pulseboard.query.expression import Expression
    from pulseboard.query.plan import Plan
    from pulseboard.query.reader import Reading

FINE = 10
"""Seconds: buckets as narrow as the usual sampling hold a sample each; samples are cheaper."""
MANY = 300_000
"""Samples: from here on counters are reduced to buckets in SQL, which sorts, but sends less."""


def evaluate(reading: Reading, plan: Plan, expression: Expression, span: range) -> Part:
    """The points `span` of an expression."""
    if isinstance(expression.tree, Select) and len(span) == 1 and plan.tier is Tier.RAW:
        return _newest(reading, plan, expression, span)
    data: dict[Read, Sequence[Stored]] = {}
    notes: list[str] = []
    keys: dict[int, str] = {}
    rows, seen = 0, not expression.reads
    for read in expression.reads:
        series, told = _find(reading, read, span)
        notes += told
        seen = seen or bool(series)
        found = _fetch(reading, plan, expression, read, series, span)
        data[read] = found.stored
        keys |= {id(each.labels): each.key for each in series}
        rows += found.rows
    times = np.arange(span.start, span.stop, dtype=np.float64) * plan.step
    lines = promql.evaluate(expression.tree, times=times, data=data, lookback=expression.lookback)
    limits.check_lines(0, len(lines), len(plan.span))
    kept: dict[str, array[float]] = {}
    for line in lines:
        values = array("d")
        values.frombytes(line.values.tobytes())
        # Labels that came through unchanged are still the series' own.
        kept[keys.get(id(line.labels)) or _key_of(line.labels)] = values
    return Part(kept, rows, tuple(dict.fromkeys(notes)), seen)


def _newest(reading: Reading, plan: Plan, expression: Expression, span: range) -> Part:
    """One moment of a selector alone: the newest samples are the answer, unless they are stale."""
    (read,) = expression.reads
    series, notes = _find(reading, read, span)
    if not series:
        return Part({}, 0, notes, seen=False)
    at = span.start * plan.step - read.offset
    window = Window(at - expression.lookback, at)
    newest = sql_samples.read_newest(reading.connection, series=series, window=window)
    keys = {each.id: each.key for each in series}
    lines = {
        keys[series_id]: array("d", (value,))
        for series_id, value in zip(newest.ids, newest.values, strict=True)
    }
    if newest.ended:
        times = dict(zip(newest.ids, newest.times, strict=True))
        stale_markers = sql_samples.request_stale_markers(
            reading.connection, series=series, window=window
        )
        for series_id, markers in stale_markers.all().items():
            if series_id in times and any(marker > times[series_id] for marker in markers):
                del lines[keys[series_id]]
    limits.check_lines(0, len(lines), len(plan.span))
    return Part(lines, len(newest.ids), notes)


def _find(reading: Reading, read: Read, span: range) -> tuple[list[Series], tuple[str, ...]]:
    series, notes = reading.find(read.name, read.matchers)
    most = settings().query_max_series * 10
    if len(series) > most:
        raise limits.too_much(
            f"The selector finds more than {most} series.", "query", "add a tag filter"
        )
    limits.check_samples(len(series) * len(span))
    return series, notes


def _key_of(labels: dict[str, str]) -> str:
    tags = dict(labels)
    return line_key(tags.pop(NAME, ""), tags)


def _fetch(
    reading: Reading,
    plan: Plan,
    expression: Expression,
    read: Read,
    series: Sequence[Series],
    span: range,
) -> Found:
    if not series:
        return Found([], 0)
    length = read.window if read.window is not None else expression.lookback
    window = Window(
        start=span.start * plan.step - read.offset - length,
        end=(span.stop - 1) * plan.step - read.offset,
    )
    grid = _grid(plan.step if len(span) > 1 else 0, length, read.offset)
    if len(span) == 1 and window.end % grid:
        grid = 0
    name = ("read", plan.tier, read, window, grid)
    return reading.once(name, lambda: _read(reading, plan.tier, read, series, window, grid))


def _grid(*lengths: float) -> int:
    """The width of buckets, in seconds, that all windows are made of; 0: there is none."""
    if any(length != int(length) for length in lengths):
        return 0
    return math.gcd(*(int(length) for length in lengths))


def _read(
    reading: Reading,
    tier: Tier,
    read: Read,
    series: Sequence[Series],
    window: Window,
    grid: int,
) -> Found:
    connection = reading.connection
    stale_markers = StaleMarkers()
    if read.window is None:
        stale_markers = sql_samples.request_stale_markers(connection, series=series, window=window)
    length = window.end - window.start
    each = RESOLUTIONS[tier] if tier is not Tier.RAW else FINE
    samples = len(series) * length / each
    if read.needs is Need.LAST and grid == length and tier is Tier.RAW:
        return sql_samples.newest_samples(
            connection, series=series, window=window, stale_markers=stale_markers
        )
    if tier is Tier.RAW:
        whole = read.needs is Need.SAMPLES or grid < FINE or grid == 0
        whole = whole or grid == FINE or (read.needs is Need.COUNTER and samples < MANY)
    else:
        # A rollup has no moments inside its buckets: its newest values stand for samples.
        whole = read.needs in (Need.SAMPLES, Need.COUNTER) or (
            read.needs is Need.LAST and grid <= each
        )
    if whole:
        limits.check_samples(samples)
        return sql_samples.read_samples(
            connection, tier=tier, series=series, window=window, stale_markers=stale_markers
        )
    limits.check_samples(len(series) * length / grid)
    return sql_samples.read_statistics(
        connection,
        tier=tier,
        series=series,
        window=window,
        stale_markers=stale_markers,
        step=grid,
        needs=read.needs,
    )
