"""The data that queries are measured on: six hours of samples, and thirty days in the tiers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

HOSTS, METRICS, INTERVAL, HOURS, DAYS = 100, 10, 10, 6, 30
WIDE = 1_000


def fill(connection: psycopg.Connection[Any], *, hours: int = HOURS, days: int = DAYS) -> datetime:
    """Write `HOSTS` × `METRICS` series at ten seconds and `WIDE` series at an hour.

    Returns the end of the data: a full hour in the past. Values depend on series and time alone.
    """
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    connection.execute(
        """
        insert into metric_definitions (name)
        select 'bench_m' || n from generate_series(0, %s) as n union all select 'bench_wide'
        """,
        (METRICS - 1,),
    )
    connection.execute(
        """
        insert into metric_series (metric_id, tags, tags_hash)
        select d.id, t.tags, sha256(convert_to(t.tags::text, 'UTF8'))
        from metric_definitions d
        cross join generate_series(0, case d.name when 'bench_wide' then %s else %s end - 1) as n
        cross join lateral (select jsonb_build_object(
          'host', 'host-' || n, 'region', 'region-' || n %% 4, 'service', 'service-' || n %% 10
        ) as tags) as t
        where d.name like 'bench\\_%%'
        """,
        (WIDE, HOSTS),
    )
    for hour in range(hours):
        # An hour at a time: the embedded server holds a whole statement in memory.
        start = end - timedelta(hours=hour + 1)
        connection.execute(
            """
            insert into metrics_raw (time, series_id, value)
            select t, s.id, 50 + 40 * sin(date_part('epoch', t) / 600 + s.id)
            from metric_series s join metric_definitions d on d.id = s.metric_id,
              generate_series(%s::timestamptz, %s::timestamptz - interval '1 second',
                make_interval(secs => %s)) as t
            where d.name like 'bench\\_m%%'
            order by s.id, t
            """,
            (start, start + timedelta(hours=1), INTERVAL),
        )
    first = end - timedelta(days=days)
    for day in range(days):
        connection.execute(
            """
            insert into metrics_raw (time, series_id, value)
            select t, s.id, 50 + 40 * sin(date_part('epoch', t) / 86400 + s.id)
            from metric_series s join metric_definitions d on d.id = s.metric_id,
              generate_series(%s::timestamptz, %s::timestamptz - interval '1 second',
                interval '1 hour') as t
            where d.name = 'bench_wide'
            order by s.id, t
            """,
            (first + timedelta(days=day), first + timedelta(days=day + 1)),
        )
    for view in ("metrics_1min", "metrics_1hour"):
        connection.execute(
            "call refresh_continuous_aggregate(%s::regclass, %s, %s)", (view, first, end)
        )
    connection.execute("analyze")
    return end
