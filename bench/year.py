"""A year of pods: what queries, rules, ingest and refreshes cost after it, beside before it.

The clock and the catalogue are moved, not waited for: 200 deploys replace 50 pods each, a sender
is late each hour, series are deleted, and the catalogue gets a new generation as after a restore.
The same 50 pods are alive at both ends, with the same samples. The goal is a cost at the end
within 1.2 × that of the beginning; both are the least of several turns, which other work on the
machine disturbs least.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import count
from unittest import mock

import psycopg

from bench import alerts
from functions.evaluate import tick
from pulseboard.alerts import inputs
from pulseboard.alerts.state_store import load_rules
from pulseboard.catalogue import selector, series_cache
from pulseboard.catalogue.series_key import SeriesKey
from pulseboard.contracts.queries import QueryParams
from pulseboard.contracts.vocabulary import Tier
from pulseboard.core import process_state
from pulseboard.db import cache
from pulseboard.ingest import late_marks_store, samples_store
from pulseboard.ingest.batch import Batch
from pulseboard.query import engine
from pulseboard.usage import deletion_store

DAY = 86_400
PODS, DEPLOYS, TURNS = 50, 200, 15
GOAL = 1.2
_SECONDS = count(1)
"""Each turn sends at another one: the same sample again takes another path."""
METRIC = "year_requests"
QUERIES = {
    "a panel": (METRIC, Tier.RAW),
    "count": (f"count({METRIC})", Tier.RAW),
    "matched by a pattern": (f'sum by (app) ({METRIC}{{pod=~"live.*"}})', Tier.RAW),
    "rate from minutes": (f"sum(rate({METRIC}[5m]))", Tier.MINUTE),
}


def run(database_url: str, redis_url: str, *, quick: bool = False) -> None:
    """Print the cost of each operation at the beginning and at the end of the year."""
    deploys = DEPLOYS // 10 if quick else DEPLOYS
    process_state.reset()
    now = time.time() // 60 * 60
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        _live(connection, now)
        before = _measure(connection, now)
        began = time.perf_counter()
        _age(connection, now, deploys)
        dead = deploys * PODS
        print(
            f"\na year: {dead:,} dead series and their hours in {time.perf_counter() - began:.0f} s"
        )
        after = _measure(connection, now)
    missed = []
    for name, seconds in before.items():
        ratio = after[name] / seconds
        met = ratio <= GOAL
        missed += [] if met else [name]
        print(
            f"{name:24} {seconds * 1000:8.2f} → {after[name] * 1000:8.2f} ms = {ratio:5.2f} ×"
            f"  {'met' if met else 'MISSED'}"
        )
    print(f"goal: {GOAL} ×; {len(missed)} missed{': ' if missed else ''}{', '.join(missed)}")


def _keys() -> list[SeriesKey]:
    return [SeriesKey.of(METRIC, {"pod": f"live-{n}", "app": "web"}) for n in range(PODS)]


def _live(connection: psycopg.Connection[tuple[object, ...]], now: float) -> None:
    """An hour of samples of the live pods, and rules that watch them."""
    for minute in range(60):
        _send(now - minute * 60)
    _refresh(connection)
    owner = alerts._owner(connection)
    connection.execute("truncate alert_rules, alert_state, alert_ticks cascade")
    for text in (METRIC, f"sum by (app) ({METRIC})", f'{METRIC}{{pod=~"live-.*"}}'):
        connection.execute(
            "insert into alert_rules (owner_id, name, query, condition, threshold)"
            " values (%s, %s, %s, 'gt', 1e9)",
            (owner, text, text),
        )


def _send(at: float) -> None:
    samples_store.write(Batch(series=_keys(), times=[round(at * 1000)] * PODS, values=[1.0] * PODS))


def _refresh(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    for view, end in (("metrics_1min", "1 minute"), ("metrics_1hour", "1 hour")):
        connection.execute(
            f"call refresh_continuous_aggregate('{view}', null, now() - interval '{end}')".encode()
        )


def _measure(connection: psycopg.Connection[tuple[object, ...]], now: float) -> dict[str, float]:
    """The least seconds of each operation."""
    found = {
        name: _least(partial(_query, text, tier, now)) for name, (text, tier) in QUERIES.items()
    }
    tick.reset()
    rules = load_rules(connection)

    def evaluate() -> None:
        series_cache.reset()
        read = inputs.read(connection, rules, at=now)
        for rule in rules:
            read.of(rule)

    found["rules, nothing cached"] = _least(evaluate)
    found["ingest"] = _least(lambda: _send(now - next(_SECONDS)))

    def refresh_minutes() -> None:
        _send(now - 120 - next(_SECONDS))
        connection.execute(
            "call refresh_continuous_aggregate('metrics_1min', null, now() - interval '1 minute')"
        )

    found["refresh of the minutes"] = _least(refresh_minutes)
    return found


def _least(operation: Callable[[], object]) -> float:
    durations = []
    for _ in range(TURNS):
        began = time.perf_counter()
        operation()
        durations.append(time.perf_counter() - began)
    return min(durations)


def _query(text: str, tier: Tier, now: float) -> None:
    for key in list(cache.client().scan_iter("cache:query:*", count=1000)):
        cache.client().delete(key)
    params = QueryParams.model_validate(
        {"query": text, "start": (now - 3600) * 1000, "end": now * 1000, "tier": tier}
    )
    if not engine.execute(params, now=datetime.fromtimestamp(now, UTC)).lines:
        raise AssertionError(f"{text} has no lines")


def _age(connection: psycopg.Connection[tuple[object, ...]], now: float, deploys: int) -> None:
    """Pods of a year: each sent for the time of its deploy, and is kept in the hours."""
    connection.execute(
        """
        insert into metric_series (metric_id, tags, tags_hash, created_at, last_seen, last_seen_day)
        select d.id, jsonb_build_object('pod', 'old-' || deploy || '-' || pod, 'app', 'web'),
          decode(md5(deploy || '/' || pod || d.name), 'hex'), t.began,
          t.began + %(life)s * interval '1 second', t.began + %(life)s * interval '1 second'
        from metric_definitions d, generate_series(1, %(deploys)s) deploy,
          generate_series(1, %(pods)s) pod,
          lateral (select to_timestamp(%(now)s - deploy * %(life)s::float8) as began) t
        where d.name = %(name)s
        """,
        {
            "name": METRIC,
            "deploys": deploys,
            "pods": PODS,
            "life": 365 * DAY / deploys * 0.9,
            "now": now - DAY,
        },
    )
    # A sample at the end of each pod's life, as far as the rollups go, then raw's retention.
    connection.execute(
        """
        insert into metrics_raw (time, series_id, value)
        select s.last_seen, s.id, 1 from metric_series s join metric_definitions d
          on d.id = s.metric_id
        where d.name = %s and starts_with(s.tags->>'pod', 'old-')
        on conflict do nothing
        """,
        (METRIC,),
    )
    _refresh(connection)
    connection.execute("select drop_chunks('metrics_raw', interval '7 days')")
    # A sender that is three hours late leaves marks each hour of the year.
    late = Batch(series=_keys()[:1], times=[0], values=[1.0])
    for hour in range(365 * 24, 0, -6):
        at = now - hour * 3600
        late.times[0] = round((at - 3 * 3600) * 1000)
        with mock.patch("time.time", return_value=at):
            late_marks_store.record(late, now=at)
    deletion_store.delete(
        connection,
        selector=selector.parse(f'{METRIC}{{pod="old-1-1"}}'),
        dry_run=False,
        expect=1,
    )
    connection.execute("update series_generation set generation = gen_random_uuid()")
    connection.execute("analyze")
