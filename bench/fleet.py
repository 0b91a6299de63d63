"""The data set of the query benchmarks: hosts × 10 metrics, every 10 s, generated in the database.

`load` writes the newest hours as raw samples; `age` gives the same series a past of 30 days: a
sample a minute for the last day, one an hour before that, included in the tiers.
"""

from dataclasses import dataclass
from typing import Any

import psycopg

from pulseboard.catalogue.series_key import canonical_tags, identity

GAUGES = (
    *("fleet_cpu", "fleet_memory", "fleet_load", "fleet_disk", "fleet_threads"),
    *("fleet_latency", "fleet_queue", "fleet_swap", "fleet_files"),
)
COUNTER = "fleet_requests_total"
INTERVAL = 10
HOUR = 3_600


@dataclass(frozen=True, slots=True)
class Size:
    """The size: hosts, hours of raw samples, days of history."""

    hosts: int
    hours: int
    days: int


FULL = Size(hosts=100, hours=6, days=30)
QUICK = Size(hosts=20, hours=2, days=3)

# Values are a function of series and time, so that any part can be written again. Counters fall
# back to zero every 2,000 s or so, each at its own time.
_SAMPLES = """
insert into metrics_raw (time, series_id, value)
select to_timestamp(t), s.id,
  case when d.name = 'fleet_requests_total'
    then mod((t::numeric - 1600000000 + s.id * 37) * (3 + mod(s.id, 5)), 9973)::float8
    else 50 + 40 * sin(t / 600.0 + s.id) + mod(t::bigint * 7919 + s.id * 104729, 1000) / 100.0
  end
from generate_series(%(first)s::float8::numeric, %(last)s::float8::numeric, %(interval)s) as t
cross join metric_series s join metric_definitions d on d.id = s.metric_id
where starts_with(d.name, 'fleet_')
on conflict do nothing
"""


def register(connection: psycopg.Connection[Any], size: Size) -> None:
    """Create the series."""
    for name in (*GAUGES, COUNTER):
        rows = []
        for host in range(size.hosts):
            tags = {
                "host": f"host-{host:03}",
                "region": ("eu-west-1", "eu-north-1", "us-east-1", "us-west-2")[host % 4],
                "service": ("web", "api", "queue", "search", "billing")[host % 5],
            }
            canonical = canonical_tags(tags)
            rows.append((canonical.decode(), identity(name, canonical)))
        connection.execute(
            "insert into metric_definitions (name) values (%s) on conflict do nothing", (name,)
        )
        connection.execute(
            """
            insert into metric_series (metric_id, tags, tags_hash)
            select d.id, w.tags::jsonb, w.hash
            from unnest(%s::text[], %s::bytea[]) as w (tags, hash)
            join metric_definitions d on d.name = %s
            on conflict do nothing
            """,
            ([row[0] for row in rows], [row[1] for row in rows], name),
        )


def samples(
    connection: psycopg.Connection[Any], *, first: int, last: int, interval: int = INTERVAL
) -> None:
    """Samples of all series from `first` to `last` (seconds since 1970, both included)."""
    for start in range(first, last + 1, 360 * interval):
        connection.execute(
            _SAMPLES,
            {
                "first": start,
                "last": min(start + 359 * interval, last),
                "interval": interval,
            },
        )


def load(connection: psycopg.Connection[Any], *, size: Size, end: int) -> None:
    """The newest hours, up to `end`."""
    register(connection, size)
    samples(connection, first=end - size.hours * HOUR, last=end)


def age(connection: psycopg.Connection[Any], *, size: Size, end: int) -> None:
    """The past before those hours, and all of it in the tiers."""
    recent = end - size.hours * HOUR
    samples(connection, first=end - 24 * HOUR, last=recent - INTERVAL, interval=60)
    old = (end - size.days * 24 * HOUR) // HOUR * HOUR
    samples(connection, first=old, last=end - 24 * HOUR - 1, interval=HOUR)
    refresh(connection)
    connection.execute("analyze")


def refresh(connection: psycopg.Connection[Any]) -> None:
    """Bring the rollups up to now."""
    connection.execute(
        "call refresh_continuous_aggregate('metrics_1min', null, now() - interval '1 minute')"
    )
    connection.execute(
        "call refresh_continuous_aggregate('metrics_1hour', null, now() - interval '1 hour')"
    )
