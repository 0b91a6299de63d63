"""What expressions read: samples, or statistics of buckets, as numpy columns a series.

Kept apart from `queries`: importing numpy takes about 0.2 s, which a plain panel must not pay.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import psycopg

from pulseboard.catalogue.series_queries import Series
from pulseboard.contracts.vocabulary import Tier
from pulseboard.db import pg_arrays
from pulseboard.query.promql.array_types import Floats
from pulseboard.query.promql.ast import Need
from pulseboard.query.promql.series import Buckets, SeriesSamples, Stored
from pulseboard.query.sql_buckets import chosen
from pulseboard.query.tiers import RESOLUTIONS, TABLES

_ELEMENT = {"f": np.dtype([("length", ">i4"), ("value", ">f8")])}
_ELEMENT["t"] = np.dtype([("length", ">i4"), ("value", ">i8")])

_RAW: dict[Need, dict[str, str]] = {
    Need.LAST: {"last_time": "max(time)", "last": "last(value, time)"},
    Need.COUNT: {"count": "count(*)::float8"},
    Need.SUM: {"sum": "sum(value)"},
    Need.AVG: {"sum": "sum(value)", "count": "count(*)::float8"},
    Need.MIN: {"min": "min(value)"},
    Need.MAX: {"max": "max(value)"},
    Need.COUNTER: {
        "count": "count(*)::float8",
        "first_time": "min(time)",
        "first": "first(value, time)",
        "last_time": "max(time)",
        "last": "last(value, time)",
        "increase_by_resets": "coalesce(sum(before) filter (where value < before), 0)",
    },
}
# A rollup's newest value counts as sampled at its bucket's end.
_ROLLUP: dict[Need, dict[str, str]] = {
    Need.LAST: {"last_time": "max(bucket) + %(width)s", "last": "last(last_value, bucket)"},
    Need.COUNT: {"count": "sum(sample_count)::float8"},
    Need.SUM: {"sum": "sum(sum_value)"},
    Need.AVG: {"sum": "sum(sum_value)", "count": "sum(sample_count)::float8"},
    Need.MIN: {"min": "min(min_value)"},
    Need.MAX: {"max": "max(max_value)"},
}
_MOMENTS = ("first_time", "last_time")


@dataclass(frozen=True, slots=True)
class Window:
    """Samples of (start, end], in seconds since 1970."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Found:
    """The series that have something, and how many rows were read for them."""

    stored: list[Stored]
    rows: int


class StaleMarkers:
    """Stale markers, asked for at once and taken in when they are needed: in a pipeline they come
    along with what is asked next.
    """

    def __init__(self, cursor: psycopg.Cursor[Any] | None = None) -> None:
        self._cursor = cursor
        self._times: dict[int, tuple[float, ...]] = {}

    def of(self, series_id: int) -> tuple[float, ...]:
        """Those of a series, in order."""
        return self.all().get(series_id, ())

    def all(self) -> Mapping[int, tuple[float, ...]]:
        """Those of each series that has any."""
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


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def request_stale_markers(
    connection: psycopg.Connection[Any], *, series: Sequence[Series], window: Window
) -> StaleMarkers:
    """Stale markers of the window. Served by series_end_pkey."""
    return StaleMarkers(
        connection.execute(
            """
            select series_id, array_agg(date_part('epoch', time) order by time) from series_end
            where series_id = any(array(select unnest(%s::int[]))) and time > %s and time <= %s
            group by series_id
            """,
            (
                _ids(series),
                _moment(window.start),
                _moment(window.end),
            ),
        )
    )


def read_samples(
    connection: psycopg.Connection[Any],
    *,
    tier: Tier,
    series: Sequence[Series],
    window: Window,
    stale_markers: StaleMarkers,
) -> Found:
    """Every sample of the window; from a rollup, the newest value of each bucket at its end.

    Raw is served by metrics_raw_series_time, the rollups by their (series_id, bucket) index.
    """
    time, value = ("time", "value") if tier is Tier.RAW else ("bucket", "last_value")
    back = 0 if tier is Tier.RAW else RESOLUTIONS[tier]
    with pg_arrays.cursor(connection) as cursor:
        rows = cursor.execute(
            f"""
            select series_id, array_agg({time}), array_agg({value}) from {TABLES[tier]}
            where {chosen(len(series), tier)} and {time} > %(start)s and {time} <= %(end)s
            group by series_id
            """.encode(),
            {
                "ids": _ids(series),
                "start": _moment(window.start - back),
                "end": _moment(window.end - back),
            },
        ).fetchall()
    by_id = {each.id: each for each in series}
    stored: list[Stored] = []
    total = 0
    for series_id, moments, values in rows:
        times, numbers = _seconds(moments) + back, _floats(values)
        total += len(times)
        if len(times) > 1 and not (np.diff(times) > 0).all():
            order = np.argsort(times, kind="stable")
            times, numbers = times[order], numbers[order]
        stored.append(
            SeriesSamples(by_id[series_id].labels, times, numbers, stale_markers.of(series_id))
        )
    return Found(stored, total)


@dataclass(frozen=True, slots=True)
class Newest:
    """A sample a series: columns of ids and values, and the times as they were sent.

    `ended` tells whether the window holds a stale marker of any series at all.
    """

    ids: Sequence[int] = ()
    values: Sequence[float] = ()
    sent_times: bytes = b""
    ended: bool = False

    @property
    def times(self) -> Floats:
        """Seconds since 1970."""
        return _seconds(self.sent_times) if self.ids else np.empty(0)


def read_newest(
    connection: psycopg.Connection[Any], *, series: Sequence[Series], window: Window
) -> Newest:
    """The newest raw sample of the window, by one look into metrics_raw_series_time a series.
    Stale markers are counted by series_end_time.
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
                "start": _moment(window.start),
                "end": _moment(window.end),
            },
        ).fetchone()
    if row is None or row[0] is None:
        return Newest()
    ids, times, values, ended = row
    return Newest(pg_arrays.integers(ids), pg_arrays.floats(values), times, ended)


def newest_samples(
    connection: psycopg.Connection[Any],
    *,
    series: Sequence[Series],
    window: Window,
    stale_markers: StaleMarkers,
) -> Found:
    """`read_newest` for an expression to go on with."""
    newest = read_newest(connection, series=series, window=window)
    by_id = {each.id: each for each in series}
    times, values = newest.times, np.array(newest.values)
    stored: list[Stored] = [
        SeriesSamples(
            by_id[series_id].labels,
            times[at : at + 1],
            values[at : at + 1],
            stale_markers.of(series_id),
        )
        for at, series_id in enumerate(newest.ids)
    ]
    return Found(stored, len(stored))


def read_statistics(
    connection: psycopg.Connection[Any],
    *,
    tier: Tier,
    series: Sequence[Series],
    window: Window,
    stale_markers: StaleMarkers,
    step: int,
    needs: Need,
) -> Found:
    """Statistics of buckets (end - step, end], on the grid of whole `step` seconds.

    Raw is served by metrics_raw_series_time, the rollups by their (series_id, bucket) index.
    """
    raw = tier is Tier.RAW
    wanted = (_RAW if raw else _ROLLUP)[needs]
    time = "time" if raw else "bucket"
    # A microsecond is what times are kept in: (a, b] of them is [a + 1, b + 1).
    moment = "time - interval '1 microsecond'" if raw else "bucket"
    back = 0 if raw else RESOLUTIONS[tier]
    rows_of = f"""
        select series_id, {time}, {"value" if raw else "*"},
          time_bucket(make_interval(secs => %(step)s), {moment}, 'epoch'::timestamptz) as slot
        from {TABLES[tier]}
        where {chosen(len(series), tier)} and {time} > %(start)s and {time} <= %(end)s
    """
    if needs is Need.COUNTER:
        rows_of = f"""
            select *, lag(value) over (partition by series_id, slot order by time) as before
            from ({rows_of}) sampled
        """
    if not raw:
        rows_of = rows_of.replace("series_id, bucket, *,", "*,")
    inner = ", ".join(f"{text} as {name}" for name, text in wanted.items())
    outer = ", ".join(f"array_agg({name})" for name in wanted)
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
                "start": _moment(window.start - back),
                "end": _moment(window.end - back),
            },
        ).fetchall()
    by_id = {each.id: each for each in series}
    stored: list[Stored] = []
    for series_id, _, slots, *arrays in rows:
        bucket_ends = _seconds(slots) + step
        order = np.argsort(bucket_ends, kind="stable")
        columns = {
            name: (_seconds(data) if name in _MOMENTS else _floats(data))[order]
            for name, data in zip(wanted, arrays, strict=True)
        }
        stored.append(
            Buckets(
                by_id[series_id].labels,
                bucket_ends=bucket_ends[order],
                step=float(step),
                stale_markers=stale_markers.of(series_id),
                **columns,
            )
        )
    return Found(stored, sum(row[1] for row in rows))
