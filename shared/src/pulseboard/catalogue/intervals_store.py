"""Measures how often the series of metrics are sent, and keeps it with the metric."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from pulseboard.catalogue.last_seen import seen_since

MEASURED_SERIES = 10
"""Series of a metric that are looked at."""
MEASURED_SAMPLES = 9
"""Newest samples of each series that are looked at."""
MEASURED_RANGE = timedelta(days=1)
"""How old these samples may be."""
MEASURED_EVERY = timedelta(minutes=10)
"""How often `maintain` measures a metric again."""
TOGETHER = 50
"""Metrics that `maintain` measures in one statement."""
NICE_INTERVALS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_800, 3_600)
"""Seconds. A measured interval within a tenth of one of these is taken to be it."""
MAX_INTERVAL = 3_600.0
"""Seconds. What comes less often is taken to come so often: it comes on occasion."""


def nice_interval(seconds: float) -> float:
    """A measured interval without the jitter of its sender, at least one second."""
    for nice in NICE_INTERVALS:
        if abs(seconds - nice) <= nice / 10:
            return float(nice)
    return min(max(1.0, round(seconds, 1)), MAX_INTERVAL)


def get(
    connection: psycopg.Connection[Any], *, names: Sequence[str], now: float | None
) -> dict[str, float]:
    """The interval of each metric, in seconds; those without one are measured before `now`
    (seconds since 1970), unless that is None. Left out: metrics with too few samples.
    """
    # Served by metric_definitions_name_key.
    rows = connection.execute(
        "select id, name, sample_interval from metric_definitions where name = any(%s)",
        ([name for name in names if "\0" not in name],),
    ).fetchall()
    intervals = {name: interval for _, name, interval in rows if interval is not None}
    unmeasured = {id_: name for id_, name, interval in rows if interval is None}
    if unmeasured and now is not None:
        measured = _measure(connection, ids=list(unmeasured), now=datetime.fromtimestamp(now, UTC))
        intervals |= {unmeasured[id_]: interval for id_, interval in measured.items()}
    return intervals


def measure_due(connection: psycopg.Connection[Any], *, seconds: float) -> int:
    """Measure the metrics that are due, for about so many seconds; returns how many.

    A metric that is not sent any more keeps its interval.
    """
    until = time.monotonic() + seconds
    count = 0
    while time.monotonic() < until:
        # A small table: reads it once.
        due = [
            row[0]
            for row in connection.execute(
                """
                select id from metric_definitions
                where interval_measured_at is null or interval_measured_at < now() - %s
                order by interval_measured_at nulls first limit %s
                """,
                (MEASURED_EVERY, TOGETHER),
            ).fetchall()
        ]
        if not due:
            break
        measured = _measure(connection, ids=due, now=datetime.now(UTC))
        # Served by metric_definitions_pkey.
        connection.execute(
            """
            update metric_definitions d
            set sample_interval = coalesce(m.seconds, d.sample_interval),
              interval_measured_at = now()
            from unnest(%s::int[], %s::float8[]) as m (id, seconds) where d.id = m.id
            """,
            (due, [measured.get(id_) for id_ in due]),
        )
        count += len(due)
        if len(due) < TOGETHER:
            break
    return count


def _measure(
    connection: psycopg.Connection[Any], *, ids: Sequence[int], now: datetime
) -> dict[int, float]:
    """By metric: the median distance of samples in each series, of which nine in ten series do not
    exceed the result. Only the newest samples before `now` count.
    """
    # The series by metric_series_seen, their newest samples by metrics_raw_series_time.
    seen = seen_since("%(since)s::timestamptz")
    rows = connection.execute(
        f"""
        select m.id, percentile_disc(0.9) within group (order by g.gap)
        from unnest(%(ids)s::int[]) as m (id)
        cross join lateral (
          select s.id from metric_series s
          where s.metric_id = m.id and {seen}
          limit %(series)s
        ) s
        cross join lateral (
          select percentile_cont(0.5) within group (order by gap) as gap
          from (
            select extract(epoch from time - lag(time) over (order by time))::float8 as gap
            from (
              select time from metrics_raw
              where series_id = s.id and time > %(since)s and time <= %(now)s
              order by time desc limit %(samples)s
            ) newest
          ) gaps
          where gap > 0
        ) g
        where g.gap is not null
        group by m.id
        """.encode(),
        {
            "ids": list(ids),
            "now": now,
            "since": now - MEASURED_RANGE,
            "series": MEASURED_SERIES,
            "samples": MEASURED_SAMPLES,
        },
    ).fetchall()
    return {id_: nice_interval(gap) for id_, gap in rows}
