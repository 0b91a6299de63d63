"""A tick of 10,000 alert rules, what it grows with, and a backtest of six days.

The rules watch 1,000 series by 500 distinct queries; each tick 26 series cross their threshold or
come back, so 5 % of the rules change state: state, events and outbox are written. Beside it ticks
in which nothing changes: with as many reads and ever more rules, and as many rules and ever more
reads.
"""

import time
from collections.abc import Sequence
from itertools import count
from statistics import median
from uuid import UUID, uuid4

import numpy as np
import psycopg

from functions.evaluate import tick
from pulseboard.alerts import backtest, notifier, state_store
from pulseboard.alerts import inputs as alert_inputs
from pulseboard.alerts.notifications import SendResult
from pulseboard.alerts.state_machine import TICK, RuleSnapshot, condition_of
from pulseboard.alerts.state_store import as_jsonb
from pulseboard.auth import users_store
from pulseboard.catalogue import series_cache
from pulseboard.contracts.alerts import AlertCondition, CreateAlertRule
from pulseboard.contracts.vocabulary import Role
from pulseboard.db import database

RULES = 10_000
SERIES = 1_000
READS = 500
RECORDINGS = 2_000
ROUNDS = 10
CHANGING = 13
BACKTEST_SERIES = 10
DAYS = 6
_BEGINNINGS = count(time.time() // TICK * TICK - 8 * 3600, 1200)


def run(database_url: str, redis_url: str, *, quick: bool = False) -> None:
    """Print seconds of a tick, how they grow, what sharing reads saves, and of a backtest."""
    rules = RULES // 10 if quick else RULES
    with psycopg.connect(database_url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(
            "truncate alert_rules, alert_state, alert_events, alert_outbox, alert_notified,"
            " alert_ticks, recording_rules, recorded_series, rule_groups cascade"
        )
        ids = _series(connection, "bench_alert", SERIES)
        owner = _owner(connection)
        calm = {
            (some, reads): _ticks(connection, owner, ids, some, reads, changing=0)[0]
            for some, reads in (
                (rules // 10, READS),
                (rules // 3, READS),
                (rules, READS),
                (rules, READS // 3),
                (rules, READS // 10),
            )
        }
        few, fewer = _ticks(connection, owner, ids, rules // 10, READS)
        whole, changed = _ticks(connection, owner, ids, rules, READS)
        mixed, _ = _ticks(connection, owner, ids, rules, READS, expressions=True)
        print(f"tick, {rules:,} rules, half of them expressions, 5 % change {mixed * 1000:7.1f} ms")
        recordings = RECORDINGS // 10 if quick else RECORDINGS
        both, _ = _ticks(
            connection, owner, ids, rules, READS, expressions=True, recordings=recordings
        )
        print(
            f"tick, {rules:,} alert rules, 5 % change, and {recordings:,} recording rules"
            f" {both * 1000:7.1f} ms  (goal: 2 s)  {'met' if both <= 2 else 'MISSED'}"
        )
        connection.execute("truncate recording_rules, recorded_series, rule_groups")
        _storm(connection, ids)
        alone = _one_by_one(connection, rules)
        for (some, reads), seconds in calm.items():
            print(f"tick, {some:,} rules, {reads} reads, none changes  {seconds * 1000:7.1f} ms")
        few_rules, all_rules = calm[rules // 10, READS], calm[rules, READS]
        few_reads = calm[rules, READS // 10]
        print(f"ten times the rules, as many reads          {all_rules / few_rules:6.2f} ×")
        print(f"ten times the reads, as many rules          {all_rules / few_reads:6.2f} ×")
        print(
            f"tick, {rules // 10:,} rules, {READS} reads, 5 % change {few * 1000:8.1f} ms"
            f"  ({fewer:,.0f} changes written)"
        )
        print(
            f"tick, {rules:,} rules, {READS} reads, 5 % change {whole * 1000:7.1f} ms"
            f"  ({changed:,.0f} changes written; goal: 2 s)  {'met' if whole <= 2 else 'MISSED'}"
        )
        print(f"one query a rule  {alone:6.2f} s = {alone / whole:.0f} × the tick")
        _backtest(connection)
        connection.execute(
            "truncate alert_rules, alert_state, alert_events, alert_outbox, alert_notified,"
            " alert_ticks, recording_rules, recorded_series, rule_groups cascade"
        )


def _owner(connection: psycopg.Connection[tuple[object, ...]]) -> UUID:
    email = f"bench-{uuid4()}@example.com"
    return users_store.create_user(connection, email=email, password_hash="x", role=Role.EDITOR).id


def _series(connection: psycopg.Connection[tuple[object, ...]], name: str, count: int) -> list[int]:
    connection.execute(
        "insert into metric_definitions (name) values (%s) on conflict do nothing", (name,)
    )
    connection.execute(
        """
        insert into metric_series (metric_id, tags, tags_hash)
        select d.id, jsonb_build_object('host', 'h' || n, 'pair', 'p' || n / 2),
          decode(md5(%(name)s || n), 'hex')
        from metric_definitions d, generate_series(0, %(last)s) n
        where d.name = %(name)s on conflict do nothing
        """,
        {"name": name, "last": count - 1},
    )
    rows = connection.execute(
        "select s.id from metric_series s join metric_definitions d on d.id = s.metric_id"
        " where d.name = %s order by s.id",
        (name,),
    ).fetchall()
    return [int(str(row[0])) for row in rows]


def _ticks(
    connection: psycopg.Connection[tuple[object, ...]],
    owner: UUID,
    ids: Sequence[int],
    rules: int,
    reads: int,
    *,
    changing: int = CHANGING,
    expressions: bool = False,
    recordings: int = 0,
) -> tuple[float, float]:
    """Median seconds of a tick, and of changes of state."""
    _record(connection, owner, recordings, reads)
    connection.execute("truncate alert_rules, alert_state, alert_ticks cascade")
    channel = connection.execute(
        """
        insert into alert_channels (name, config) values ('bench', %s)
        on conflict (name) do update set config = excluded.config returning id::text
        """,
        (as_jsonb({"type": "webhook", "url": "http://127.0.0.1:9/"}),),
    ).fetchone()
    assert channel is not None
    notification = as_jsonb(
        {
            "channels": [{"type": "saved", "id": channel[0]}],
            "repeat_interval": "4h",
        }
    )
    connection.execute(
        """
        insert into alert_rules (owner_id, name, query, condition, threshold, notification)
        select %(owner)s, 'rule ' || n,
          case when %(expressions)s and n %% 2 = 1
            then 'sum by (host) (bench_alert{pair="p' || n %% %(reads)s || '"})'
            else 'bench_alert{pair="p' || n %% %(reads)s || '"}' end, 'gt', 50,
          %(notification)s
        from generate_series(0, %(last)s) n
        """,
        {
            "owner": owner,
            "reads": reads,
            "notification": notification,
            "last": rules - 1,
            "expressions": expressions,
        },
    )
    tick.reset()
    series_cache.reset()
    durations, changes = [], []
    # Ticks of its own: the lease of a tick outlives it.
    now = next(_BEGINNINGS)
    for round_ in range(ROUNDS + 1):
        now += TICK
        values = [10.0] * len(ids)
        crossing = changing * reads // READS
        for index in range(crossing):
            # Those of the last round come back, others cross.
            values[(round_ * crossing + index) % (2 * reads)] = 90.0
        connection.execute(
            """
            insert into metrics_raw (series_id, time, value)
            select s, to_timestamp(%s), v from unnest(%s::int[], %s::float8[]) as w (s, v)
            on conflict (series_id, time) do update set value = excluded.value
            """,
            (now - 1, list(ids), values),
        )
        began = time.perf_counter()
        report = tick.run(now=now)
        durations.append(time.perf_counter() - began)
        changes.append(report.changes)
    # The first reads all rules.
    return median(durations[1:]), median(changes[1:])


def _record(
    connection: psycopg.Connection[tuple[object, ...]], owner: UUID, rules: int, reads: int
) -> None:
    """Recording rules in groups of ten, due at each tick: nine that read what alert rules read, and
    one that reads what the first has written."""
    connection.execute("truncate recording_rules, recorded_series, rule_groups")
    connection.execute(
        """
        insert into recording_rules (owner_id, name, query, group_name, position)
        select %(owner)s, 'bench:recorded:' || n,
          case when n %% 10 = 9 then 'bench:recorded:' || n - 9 || ' * 2'
            else 'sum by (host) (bench_alert{pair="p' || n %% %(reads)s || '"})' end,
          'group ' || n / 10, n %% 10
        from generate_series(0, %(last)s) n
        """,
        {"owner": owner, "reads": reads, "last": rules - 1},
    )
    connection.execute(
        "insert into rule_groups (name, eval_interval)"
        " select distinct group_name, interval '10 seconds' from recording_rules"
    )


def _storm(connection: psycopg.Connection[tuple[object, ...]], ids: Sequence[int]) -> None:
    """1,000 rules of three receivers fire at once: how many ticks until the last is notified."""
    connection.execute("truncate alert_state, alert_ticks, alert_outbox, alert_notified cascade")
    made = [
        connection.execute(
            """
            insert into alert_channels (name, config) values (%s, %s)
            on conflict (name) do update set config = excluded.config returning id::text
            """,
            (kind, as_jsonb(receiver)),
        ).fetchone()
        for kind, receiver in (
            ("bench webhook", {"type": "webhook", "url": "http://127.0.0.1:9/s"}),
            ("bench slack", {"type": "slack", "url": "https://hooks.slack.com/b"}),
            ("bench pager", {"type": "pagerduty", "routing_key": "R"}),
        )
    ]
    channels = [{"type": "saved", "id": row[0]} for row in made if row is not None]
    connection.execute(
        """
        with chosen as (select id, row_number() over (order by name) n from alert_rules)
        update alert_rules r set enabled = c.n <= 1000,
          severity = case when c.n %% 10 = 0 then 'critical' else 'warning' end,
          notification = %s
        from chosen c where c.id = r.id
        """,
        (as_jsonb({"channels": channels, "group_wait": "0s"}),),
    )
    tick.reset()
    now = next(_BEGINNINGS)
    connection.execute(
        """
        insert into metrics_raw (series_id, time, value)
        select s, to_timestamp(%s), 90 from unnest(%s::int[]) s on conflict do nothing
        """,
        (now - 1, list(ids)),
    )
    critical = last = 0
    notified = False
    seconds = []
    for number in range(60):
        began = time.perf_counter()
        claims = tick.run(now=now + number * TICK).claims
        seconds.append(time.perf_counter() - began)
        if not claims and notified:
            break
        if not claims:
            # A first tick on a busy machine may have had no time for the rules.
            continue
        last, notified = number, True
        if any('"critical"' in claim.body for claim in claims):
            critical = number
        results = [SendResult(id=claim.id, ok=True) for claim in claims]
        notifier.acknowledge(connection, results=results)
    print(
        f"1,000 rules fire at once: the last critical notification after {critical * TICK} s, the"
        f" last of all after {last * TICK} s; ticks of at most {max(seconds) * 1000:.0f} ms"
    )


def _one_by_one(connection: psycopg.Connection[tuple[object, ...]], count: int) -> float:
    """The cost of a tick with one query for each rule; scaled up from a sample."""
    rules = state_store.load_rules(connection)[: count // 20]
    at = time.time() // TICK * TICK - 3000
    began = time.perf_counter()
    for rule in rules:
        series_cache.reset()
        alert_inputs.read(connection, [rule], at=at).of(rule)
    return (time.perf_counter() - began) * count / len(rules)


def _backtest(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    ids = _series(connection, "bench_backtest", BACKTEST_SERIES)
    end = time.time() // TICK * TICK
    start = end - DAYS * 86_400
    for series_id in ids:
        connection.execute(
            """
            insert into metrics_raw (series_id, time, value)
            select %s, to_timestamp(s), 50 + 45 * sin(s / 900.0 + %s) + random() * 10
            from generate_series(%s::bigint, %s::bigint, 10) s
            on conflict (series_id, time) do nothing
            """,
            (series_id, series_id, int(start), int(end)),
        )
    fields = CreateAlertRule(
        name="bench",
        query="bench_backtest",
        condition=AlertCondition.GT,
        threshold=90,
        duration="1m",
    )
    rule = RuleSnapshot(
        id=uuid4(),
        name=fields.name,
        query=fields.query,
        condition=condition_of(fields, forget_after=86_400),
        default_window=True,
    )
    durations = []
    fired = 0
    for _ in range(3):
        began = time.perf_counter()
        ticks = backtest.tick_times(start, end)
        histories = alert_inputs.read_history(rule, ticks)
        fired = sum(
            backtest.fired(backtest.run(rule.condition, ticks, one.values)) for one in histories
        )
        durations.append(time.perf_counter() - began)
    assert len(histories) == BACKTEST_SERIES
    assert np.isfinite(histories[0].values).any()
    print(
        f"backtest, {DAYS} days of {BACKTEST_SERIES} series at {TICK} s  {median(durations):6.2f} s"
        f"  ({len(ticks) * len(histories):,} ticks, fired {fired:,} times; goal: under 2 s)"
    )
    database.close()
