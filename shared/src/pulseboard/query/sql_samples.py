"""Reads samples, or statistics of buckets, for expressions: numpy columns for each series.

Apart from `sql_buckets`, because importing numpy takes about 0.2 s, which plain panels do
without.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg

from pulseboard.catalogue.series_key import Series
from pulseboard.contracts.base import datetime_at, format_interval
from pulseboard.contracts.vocabulary import Tier
from pulseboard.db import float_sums, pg_arrays
from pulseboard.promql.array_types import Floats
from pulseboard.promql.ast import Need
from pulseboard.promql.series import Buckets, SeriesSamples, StoredSeries, entry_count
from pulseboard.query.sql_buckets import series_condition
from pulseboard.query.tiers import RESOLUTIONS, TABLES

_ELEMENT = {"f": np.dtype([("length", ">i4"), ("value", ">f8")])}
_ELEMENT["t"] = np.dtype([("length", ">i4"), ("value", ">i8")])

_RAW: dict[Need, dict[str, str]] = {
    Need.LAST: {"last_time": "max(time)", "last": "last(value, time)"},
    Need.COUNT: {"count": "count(*)::float8"},
    Need.SUM: {"sum": float_sums.total("value")},
    Need.AVG: {
        "sum": float_sums.total("value"),
        "count": "count(*)::float8",
        "mean": float_sums.average("value"),
    },
    Need.MIN: {"min": "min(value)"},
    Need.MAX: {"max": "max(value)"},
}
# The newest value of a rollup's bucket counts as a sample at the bucket's end.
_ROLLUP: dict[Need, dict[str, str]] = {
    Need.LAST: {"last_time": "max(bucket) + %(width)s", "last": "last(last_value, bucket)"},
    Need.COUNT: {"count": "sum(sample_count)::float8"},
    Need.SUM: {"sum": float_sums.total("sum_value")},
    Need.AVG: {
        "sum": float_sums.total("sum_value"),
        "count": "sum(sample_count)::float8",
        "mean": float_sums.average_of_parts(
            float_sums.small("sum_value"),
            float_sums.rolled_up_large("sum_value", "avg_value", "sample_count"),
            "sum(sample_count)",
        ),
    },
    Need.MIN: {"min": "min(min_value)"},
    Need.MAX: {"max": "max(max_value)"},
}
# Rows of a rollup, each a bucket. Those from before there were such columns have null in them: a
# bucket's samples then count as evenly spread, with one reset where a value is above the last one.
_HALF = "interval %(width)s / (2 * sample_count)"
_ESTIMATED = "bool_or(first_time is null)"
_ROWS: dict[Need, dict[str, str]] = {
    Need.FIRST: {
        "first_time": f"coalesce(first_time, bucket + {_HALF})",
        "first": "first_value",
        "last_time": f"coalesce(last_time, bucket + interval %(width)s - {_HALF})",
        "last": "last_value",
    },
    Need.CHANGES: {
        "first": "first_value",
        "last": "last_value",
        "changes": "coalesce(changes, (min_value < max_value)::int)::float8",
        "resets": "coalesce(resets, (max_value > last_value)::int)::float8",
    },
    # Without its deviations a bucket is one sample: the mean would hide all of them.
    Need.DEVIATION: {
        "count": "case when squared_deviations is null then 1 else sample_count end::float8",
        "mean": """case
            when squared_deviations is null then last_value
            when min_value = max_value then min_value
            else avg_value
          end""",
        "squared_deviations": "coalesce(squared_deviations, 0)",
    },
}
_ROWS[Need.COUNTER] = {
    **_ROWS[Need.FIRST],
    "count": "sample_count::float8",
    "increase_by_resets": """coalesce(
        increase_by_resets, case when max_value > last_value then max_value else 0 end
      )""",
}
ROW_NEEDS = tuple(_ROWS)
"""What raw gives by every sample only, and a rollup by its rows."""
NEWEST = "the newest sample of each series"
_MICRO = 1e-6
"""Seconds: the resolution of times."""
_TIMES = ("first_time", "last_time")


@dataclass(frozen=True, slots=True)
class SampleRange:
    """The time range (start, end], in seconds since 1970."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class StoredResult:
    """The series that have samples in a range, and how many rows were read for them.

    `estimated`: some rows come from before the columns that make their statistics exact.
    `pushed_down`: what SQL computed, in words; empty: each row was fetched.
    """

    stored: list[StoredSeries]
    rows: int
    estimated: bool = False
    pushed_down: str = ""


class StaleMarkers:
    """Stale markers, requested at once and fetched when they are needed: in a pipeline they share
    the round trip of the next statement.
    """

    def __init__(self, cursor: psycopg.Cursor[Any] | None = None) -> None:
        self._cursor = cursor
        self._times: dict[int, tuple[float, ...]] = {}

    def of(self, series_id: int) -> tuple[float, ...]:
        """The times of a series' markers, ascending."""
        return self.all().get(series_id, ())

    def all(self) -> Mapping[int, tuple[float, ...]]:
        """The times by series id, of the series that have any."""
        if self._cursor is not None:
            rows, self._cursor = self._cursor.fetchall(), None
            self._times = {series: tuple(times) for series, times in rows}
        return self._times


def _floats(data: bytes) -> Floats:
    return np.frombuffer(data, _ELEMENT["f"], offset=pg_arrays.HEADER)["value"].astype(np.float64)


def _seconds(data: bytes) -> Floats:
    micros = np.frombuffer(data, _ELEMENT["t"], offset=pg_arrays.HEADER)["value"]
    return micros.astype(np.float64) / 1e6 + pg_arrays.TO_1970


def _ids(series: Sequence[Series]) -> str:
    return pg_arrays.int_array([each.id for each in series])


def _timestamp(seconds: float) -> datetime:
    return datetime_at(seconds)


def request_stale_markers(
    connection: psycopg.Connection[Any], *, series: Sequence[Series], time_range: SampleRange
) -> StaleMarkers:
    """Request the stale markers of the range. Served by series_end_pkey."""
    return StaleMarkers(
        connection.execute(
            """
            select series_id, array_agg(date_part('epoch', time) order by time) from series_end
            where series_id = any(array(select unnest(%s::int[]))) and time > %s and time <= %s
            group by series_id
            """,
            (
                _ids(series),
                _timestamp(time_range.start),
                _timestamp(time_range.end),
            ),
        )
    )


def _of_rollup(
    markers: tuple[float, ...], bucket_ends: Floats, *, width: int, step: int
) -> tuple[float, ...]:
    """Stale markers of a series in a rollup, at the ends of its buckets of `width` seconds.

    `bucket_ends` are those of the `step` seconds wide buckets that have been read. A rollup does
    not tell whether a sample came after a marker in the same bucket. If the series has a value in
    the next one, it did. The samples of the others count as `_MICRO` before the bucket's end, so
    that the markers follow them.
    """
    if not markers:
        return ()
    read = set(np.rint(bucket_ends).astype(np.int64).tolist())
    ends = dict.fromkeys(math.ceil(marker / width) * width for marker in markers)
    return tuple(float(end) for end in ends if end % step or end + step not in read)


def read_samples(
    connection: psycopg.Connection[Any],
    *,
    tier: Tier,
    series: Sequence[Series],
    time_range: SampleRange,
    stale_markers: StaleMarkers,
    most: int | None = None,
) -> StoredResult:
    """Every sample of the range; from a rollup, the newest value of each bucket at its end, or just
    before it where stale markers are given.

    With `most` the statement stops at one sample more, so that memory is bounded whatever is
    stored: a result with more rows than `most` is not whole.

    Raw is served by metrics_raw_series_time, the rollups by their (series_id, bucket) index.
    """
    time, value = ("time", "value") if tier is Tier.RAW else ("bucket", "last_value")
    back = 0 if tier is Tier.RAW else RESOLUTIONS[tier]
    source = f"""
        {TABLES[tier]}
        where {series_condition(len(series), tier)} and {time} > %(start)s and {time} <= %(end)s
    """
    if most is not None:
        source = f"(select series_id, {time}, {value} from {source} limit %(most)s) bounded"
    with pg_arrays.cursor(connection) as cursor:
        rows = cursor.execute(
            f"""
            select series_id, array_agg({time}), array_agg({value}) from {source}
            group by series_id
            """.encode(),
            {
                "ids": _ids(series),
                "start": _timestamp(time_range.start - back),
                "end": _timestamp(time_range.end - back),
                "most": None if most is None else most + 1,
            },
        ).fetchall()
    by_id = {each.id: each for each in series}
    stored: list[StoredSeries] = []
    total = 0
    # What has been converted is let go, so that it is not held twice.
    rows.reverse()
    while rows:
        series_id, sent_times, sent_values = rows.pop()
        times, values = _seconds(sent_times) + back, _floats(sent_values)
        total += len(times)
        if len(times) > 1 and not (np.diff(times) > 0).all():
            order = np.argsort(times, kind="stable")
            times, values = times[order], values[order]
        markers = stale_markers.of(series_id)
        if back and markers:
            markers = _of_rollup(markers, times, width=back, step=back)
            times = times - _MICRO
        stored.append(SeriesSamples(by_id[series_id].labels, times, values, markers))
    return StoredResult(stored, total)


@dataclass(frozen=True, slots=True)
class NewestSamples:
    """The newest sample of each series, in columns; times in PostgreSQL's binary format.

    `any_stale`: whether any series at all has a stale marker in the range.
    """

    ids: Sequence[int] = ()
    values: Sequence[float] = ()
    sent_times: bytes = b""
    any_stale: bool = False

    @property
    def times(self) -> Floats:
        """Seconds since 1970."""
        return _seconds(self.sent_times) if self.ids else np.empty(0)


def read_newest(
    connection: psycopg.Connection[Any], *, series: Sequence[Series], time_range: SampleRange
) -> NewestSamples:
    """The newest raw sample of each series in the range: one lookup in metrics_raw_series_time for
    each. Whether there are stale markers is served by series_end_time.
    """
    with pg_arrays.cursor(connection) as cursor:
        row = cursor.execute(
            b"""
            select array_agg(s.id), array_agg(newest.time), array_agg(newest.value),
              exists (select from series_end where time > %(start)s and time <= %(end)s)
            from unnest(%(ids)s::int[]) as s (id)
            cross join lateral (
              select time, value from metrics_raw r
              where r.series_id = s.id and r.time > %(start)s and r.time <= %(end)s
              order by r.time desc limit 1
            ) newest
            """,
            {
                "ids": _ids(series),
                "start": _timestamp(time_range.start),
                "end": _timestamp(time_range.end),
            },
        ).fetchone()
    if row is None or row[0] is None:
        return NewestSamples()
    ids, times, values, any_stale = row
    return NewestSamples(pg_arrays.integers(ids), pg_arrays.floats(values), times, any_stale)


def newest_samples(
    connection: psycopg.Connection[Any],
    *,
    series: Sequence[Series],
    time_range: SampleRange,
    stale_markers: StaleMarkers,
) -> StoredResult:
    """`read_newest` as input of an evaluation."""
    newest = read_newest(connection, series=series, time_range=time_range)
    by_id = {each.id: each for each in series}
    times, values = newest.times, np.array(newest.values)
    stored: list[StoredSeries] = [
        SeriesSamples(
            by_id[series_id].labels,
            times[row : row + 1],
            values[row : row + 1],
            stale_markers.of(series_id),
        )
        for row, series_id in enumerate(newest.ids)
    ]
    return StoredResult(stored, len(stored), pushed_down=NEWEST)


def read_statistics(
    connection: psycopg.Connection[Any],
    *,
    tier: Tier,
    series: Sequence[Series],
    time_range: SampleRange,
    stale_markers: StaleMarkers,
    step: int,
    needs: Need,
) -> StoredResult:
    """Statistics of buckets (end - step, end], on the grid of whole `step` seconds.

    Raw is served by metrics_raw_series_time, the rollups by their (series_id, bucket) index.
    """
    raw = tier is Tier.RAW
    statistics = (_RAW if raw else _ROLLUP)[needs]
    time = "time" if raw else "bucket"
    # Times are stored in microseconds: (a, b] is the same as [a + 1 µs, b + 1 µs).
    shifted = "time - interval '1 microsecond'" if raw else "bucket"
    back = 0 if raw else RESOLUTIONS[tier]
    rows_of = f"""
        select series_id, {time}, {"value" if raw else "*"},
          time_bucket(make_interval(secs => %(step)s), {shifted}, 'epoch'::timestamptz) as slot
        from {TABLES[tier]}
        where {series_condition(len(series), tier)} and {time} > %(start)s and {time} <= %(end)s
    """
    if not raw:
        rows_of = rows_of.replace("series_id, bucket, *,", "*,")
    inner = ", ".join(f"{text} as {name}" for name, text in statistics.items())
    outer = ", ".join(f"array_agg({name})" for name in statistics)
    with pg_arrays.cursor(connection) as cursor:
        rows = cursor.execute(
            f"""
            select series_id, sum(m)::int8, array_agg(slot), {outer}
            from (
              select series_id, slot, count(*) as m, {inner}
              from ({rows_of}) slotted
              group by 1, 2
            ) bucketed
            group by series_id
            """.replace("%(width)s", f"interval '{back} seconds'").encode(),
            {
                "ids": _ids(series),
                "step": step,
                "start": _timestamp(time_range.start - back),
                "end": _timestamp(time_range.end - back),
            },
        ).fetchall()
    by_id = {each.id: each for each in series}
    stored: list[StoredSeries] = []
    for series_id, _, slots, *arrays in rows:
        bucket_ends = _seconds(slots) + step
        order = np.argsort(bucket_ends, kind="stable")
        columns = {
            name: (_seconds(data) if name in _TIMES else _floats(data))[order]
            for name, data in zip(statistics, arrays, strict=True)
        }
        markers = stale_markers.of(series_id)
        if back and markers:
            markers = _of_rollup(markers, bucket_ends, width=back, step=step)
            columns["last_time"] = columns["last_time"] - _MICRO
        stored.append(
            Buckets(
                by_id[series_id].labels,
                bucket_ends=bucket_ends[order],
                step=float(step),
                stale_markers=markers,
                **columns,
            )
        )
    pushed_down = f"{', '.join(statistics)} in buckets of {format_interval(step)}"
    return StoredResult(stored, sum(row[1] for row in rows), pushed_down=pushed_down)


def read_rows(
    connection: psycopg.Connection[Any],
    *,
    tier: Tier,
    series: Sequence[Series],
    time_range: SampleRange,
    needs: Need,
) -> StoredResult:
    """The rows of a rollup as buckets (end - width, end].

    Served by the columnstore's segments and by the (series_id, bucket) index.
    """
    width, columns = RESOLUTIONS[tier], _ROWS[needs]
    arrays = ", ".join(f"array_agg({text})" for text in columns.values())
    with pg_arrays.cursor(connection) as cursor:
        rows = cursor.execute(
            f"""
            select series_id, {_ESTIMATED}, array_agg(bucket), {arrays} from {TABLES[tier]}
            where {series_condition(len(series), tier)} and bucket > %(start)s and bucket <= %(end)s
            group by series_id
            """.replace("%(width)s", f"'{width} seconds'").encode(),
            {
                "ids": _ids(series),
                "start": _timestamp(time_range.start - width),
                "end": _timestamp(time_range.end - width),
            },
        ).fetchall()
    by_id = {each.id: each for each in series}
    stored: list[StoredSeries] = []
    for series_id, _, buckets, *sent in rows:
        bucket_ends = _seconds(buckets) + width
        order = np.argsort(bucket_ends, kind="stable")
        statistics: dict[str, Any] = {
            name: (_seconds(data) if name in _TIMES else _floats(data))[order]
            for name, data in zip(columns, sent, strict=True)
        }
        stored.append(
            Buckets(
                by_id[series_id].labels,
                bucket_ends=bucket_ends[order],
                step=float(width),
                **statistics,
            )
        )
    return StoredResult(
        stored,
        sum(map(entry_count, stored)),
        any(row[1] for row in rows),
        pushed_down=f"{', '.join(columns)} of each row",
    )
